// Package natsbridge takes services, message sockets and published state beyond one host, on NATS (docs.nats.io), a
// broker that is there already. NATS is no endpoint: it is adapted where a program has handlers,
// patterns and state, and nothing in those changes.
//
//   - [Serve] answers the requests on a subject by a service.MessageHandler, and shares them with all who serve it;
//     [Request] asks, and [Dial] gives a tincan.MessageConn to ask over, for clients that have one already.
//   - [Publisher] and [Subscriber] publish by topic. [Topics] says how a topic, which is bytes, becomes a subject.
//   - [Queue] is a work queue kept by JetStream: what was put is stored before Put returns, and handed to
//     workers until one has done it.
//   - [Bridge] joins sockets of package pattern, and so ZeroMQ's programs, with all of these.
//
// An [Endpoint] says where: nats://host:4222/subject, several hosts of a cluster with commas between them, and options
// as a query. [Connect] opens it with reconnecting for ever; every function takes a [*nats.Conn] that was opened in any other way as well.
//
// # What is promised
//
// Requests, replies and what is published are delivered at most once: NATS keeps nothing of them. A request that says that it
// is idempotent is asked again until its deadline. What is put into a Queue is delivered at least once after Put has returned:
// twice where a worker, or its connection, ended between doing and saying so. docs/nats.md tells each mapping's promise.
//
// # Messages
//
// A message of one part is the payload, so that programs of NATS alone read and send it. One of several parts has
// their lengths in the header Tincan-Parts and the parts behind one another as its payload. Headers that a program of NATS
// set are one more part, the last, in the form that they have on the wire ("NATS/1.0\r\nKey: value\r\n\r\n"); such
// a last part becomes headers again. What is longer than the server's limit is refused before it is sent.
package natsbridge
