// Package tincan makes sockets whole: a URL opens either a byte stream or a
// message connection, over every socket family, and every error is told by kind.
//
// # Byte streams
//
// [Dial] connects and [Listen] accepts. Both give plain [net.Conn] values, the
// bare *net.TCPConn or *net.UnixConn wherever nothing has to be added:
//
//	c, err := tincan.Dial(ctx, "tcp://localhost:27015")
//	l, err := tincan.Listen(ctx, "unix:///run/app.sock?mode=0660&allow-gid=100")
//
// # Messages
//
// [DialMessage] and [ListenMessage] give a [MessageConn], which carries bounded
// units: a message arrives whole or the read is an error, and an empty message
// is a message. A datagram listener gives one connection for each peer.
// [ServeDatagrams] answers datagrams without any.
//
// # Endpoints
//
//	tcp://host:port  tcp4:// tcp6://     streams
//	unix:///path  unix:relative  unix:@abstract
//	tls+tcp://host:port (tls://)  tls+unix:///path
//	ws://host:port/path  wss://  ws+unix:///path:/resource     streams and messages
//	vsock://cid:port  npipe:name
//	udp://host:port  udp4:// udp6://     messages
//	unixgram:…  unixpacket:…
//	mem:name     both, within the process
//
// An empty host is loopback; a listener's "*" is every interface and port 0 a
// free one. What a listener's Addr prints can be dialled. Settings are query
// keys, named like the fields of [Options]. [ParseEndpoint] tells what is wrong
// with a URL and what to try.
//
// The schemes ws, vsock and npipe live in packages of their own, and so their
// libraries do not come with this one: put their transports into a [Config].
//
// # Ending a connection
//
// [CloseWrite] half-closes: the peer reads [io.EOF], and this side goes on
// reading until the peer has ended too. This is the orderly end, and a Close
// before it may lose what the peer still sends. [Abort] resets. These and
// [CloseRead], [PeerCred], [WaitReadable] and [Handshake] take any connection,
// and answer [errors.ErrUnsupported] where the family has no such thing.
//
// # Errors
//
// I/O errors are [*net.OpError] values, as in package net; a bad URL is an
// [*EndpointError]. [KindOf] sorts them all into a few kinds (refused, timed
// out, reset, denied, …), by which a program can decide what to do.
//
// # Watching
//
// A [Trace] in a [Config] is told each step: names resolved, connections made,
// retried, accepted, refused.
package tincan
