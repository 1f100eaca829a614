// Package pattern gives message sockets that speak ZMTP 3.1 (rfc.zeromq.org, 37/ZMTP), and so with
// ZeroMQ's peers in every language.
//
// A socket is of one of the types below, listens on and dials any number of stream
// endpoints of package tincan at once, and what differs between the types is only where a message goes:
//
//   - [Push] and [Pull] share work out and collect it (30/PIPELINE).
//   - [Pub], [Sub], [XPub] and [XSub] publish by topic (29/PUBSUB).
//   - [Req] and [Rep] ask and answer; [Dealer] and [Router] do so freely, with many
//     requests under way (28/REQREP).
//   - [Client] and [Server] ask and answer with many requests under way, and find the request
//     that a reply belongs to.
//   - [Pair] joins two (31/EXPAIR).
//
// All are used in the same way: make one, with [Options] or nil; give it endpoints with
// Listen and Dial, in any order; send and receive; Close it. All methods of a socket
// may be called by any number of goroutines at the same time.
//
// # Messages
//
// A message is one or more parts, each of any length from 0, and arrives whole or not at all.
// Send copies what it can't write at once, so that the parts are the caller's
// again when it returns. Recv gives parts that are the caller's to keep; Borrow gives them without
// copying, until [Message.Release].
//
// # Peers
//
// Dial gives back at once, and retries for ever with a growing, jittered wait; so
// a socket can be dialled before its peer is there, and outlives the peer's
// restarts. A handshake has a deadline and holds up nobody else. A
// peer that breaks a rule of the protocol loses its own connection, and an [Event] names the rule.
//
// While a socket and its only peer exchange single messages quickly, one for one, it looks for the next itself before it waits,
// for 50 µs at most (on Linux). A round trip then takes a fraction of what waking both ends does, at the
// cost of processor time that nobody else asked for.
//
// # Security
//
// Without [Options.Security] there is neither authentication nor encryption. With one of
// the mechanisms of package zmtp a socket talks only to peers that have its
// other side. Endpoints with TLS, and those that let in some users or networks alone, are package tincan's.
//
// # What can be lost
//
// Send returns when the message is in the queue of one peer, which is bounded in messages and in
// bytes, or has been handed to the system. When that peer's connection ends, a message of
// which the system has not taken the last byte goes to another peer, or waits for
// the next one, where the type shares messages out (Push, Dealer, Pair, and the requests of Req and Client);
// elsewhere it is dropped and counted. What the system had taken and the peer not
// read is lost with the connection, and nobody can tell: a program that must
// know has to be answered, as with [Req]. Close discards what is still queued after [Options.Linger], which is
// at once by default, and says how many messages that were. What has come and was not received before Close is
// dropped too, and counted.
package pattern
