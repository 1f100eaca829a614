// Package zmtp speaks the ZeroMQ Message Transport Protocol, version 3.1
// (37/ZMTP), and its forerunners 3.0 and 2.0, over any [io.ReadWriter]: the
// codec of frames and commands, the handshake, and the mechanisms NULL, PLAIN
// (24/ZMTP-PLAIN) and CURVE (25/ZMTP-CURVE, 26/CURVEZMQ).
//
// It is the wire alone. It starts no goroutine, sets no deadline and keeps no
// queue; sockets that do are in package pattern. [Handshake] makes two ends
// agree and gives a [Session], which seals what is sent and opens what is
// received; [ParseHeader] finds the bounds of a frame in bytes that have
// been read, and takes no memory.
//
// Lengths told by the peer are limits to check, never sizes to allocate: the
// handshake takes commands of at most [MaxHandshakeCommand] bytes, and how long
// a message may be is for the caller to say, before it reads one.
package zmtp
