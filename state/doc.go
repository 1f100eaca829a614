// Package state publishes named state: a server pushes each change of it to every client that is connected, and a client that
// comes late first gets the whole. It is the classic pair of a provider of management information and its viewers, each in any language.
//
// A [Table] is a state. A [Server] lets clients follow it over byte streams, messages, HTTP and ZMTP; a [Follower] is such a
// client, and a [Watcher] follows within the process.
//
//	var t state.Table
//	s := &state.Server{Table: &t}
//	go (&service.Server{}).Serve(ctx, listener, s.ServeStream)
//	err := t.Set("door", "open")
//
// # The protocol
//
// Over a stream it is JSON in UTF-8, one object a line, and over WebSocket one object a message, so that a client needs no library:
//
//	{"seq":41,"snapshot":{"door":"open","cpu.load1":0.42}}
//	{"seq":42,"time":"2026-01-02T03:04:05.678Z","key":"door","value":"closed"}
//	{"seq":44,"time":"2026-01-02T03:04:06.000Z","key":"door","deleted":true,"missed":1}
//
// First comes a snapshot, then each change. seq counts the changes of the whole state, and may begin anew when the server does: a
// client takes each snapshot for all that there is. A client may send {"keys":["cpu."]} to be told of keys with these prefixes alone,
// of all with none; the answer is another snapshot. Where the server is writable {"set":{"door":"open"}} changes the state, all its
// keys or none. Anything else is answered by {"error":"..."}, and a line over 1 MiB ends the connection after that.
//
// Over HTTP, GET /state gives the snapshot object and GET /events the same as Server-Sent Events. Over ZMTP a
// PUB socket sends messages of two parts, the key and the change object, and to a new subscriber the current values first.
//
// # What a slow client gets
//
// No client waits for another, and none costs memory by being slow. Of a key that changed more than once while a client
// didn't read it is told the latest value alone, and with the next change how many it missed. The latest value of every key always arrives.
package state
