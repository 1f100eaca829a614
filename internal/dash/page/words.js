// What each step means, for those who learn sockets from it.

const kinds = {
  resolve: "A name is turned into addresses. The connection is made to an address; the name is forgotten.",
  socket: "The kernel makes an endpoint and gives its descriptor. It has no address and no peer yet.",
  connect: "The kernel is asked to reach the peer. Over TCP it sends SYN; the program waits.",
  connected: "The connection stands: over TCP the peer's kernel has answered with SYN-ACK. The peer's program may not have accepted it yet.",
  handshake: "Both sides agree on the layer above the socket before the first byte of data passes.",
  accept: "The kernel had already finished the connection with the client. accept(2) takes it off the queue of the listening socket and gives it a descriptor of its own.",
  abort: "The client is turned away. Closed at once, with nothing said.",
  drop: "There was no room for it, and it is lost: neither side is told.",
  wait: "The peer can't be reached yet. It is tried again after the wait.",
  receive: "Bytes are taken out of the receive buffer. A stream has no messages: one write there may be several reads here, and several writes one read.",
  send: "Bytes are copied into the send buffer. write(2) returns when they are there, not when the peer has them.",
  close: "The descriptor is given back. The kernel still delivers what is in the send buffer, then FIN.",
  reset: "The connection was cut (RST): what was under way is lost, and reading or writing fails with ECONNRESET or EPIPE.",
};

const ends = {
  in: "The peer has ended its sending side (over TCP by FIN): read(2) gives 0, the end of the stream. The other direction still works.",
  out: "This side ends its sending with shutdown(2): the peer reads the end of the stream, and can still send.",
};

// A Unix socket sends no packets: its peer is in the same kernel.
const unix = {
  connect: "The kernel looks for the listening socket of that name. No packet is sent: the new connection goes straight into its queue, and where that is full the program waits or is refused.",
  connected: "The connection stands: the other end waits in the queue of the listening socket. The peer's program may not have accepted it yet.",
  send: "Bytes are put straight into the peer's receive buffer. write(2) returns when they are there, not when the peer's program has read them.",
  close: "The descriptor is given back. What was sent is in the peer's receive buffer already; behind it the peer reads the end.",
  reset: "The connection was cut, as by a peer that closed with bytes unread: reading or writing fails with ECONNRESET or EPIPE.",
};

const datagrams = {
  accept: "A datagram socket has no connections. The first datagram from a new address shows that there is a peer.",
  receive: "Each datagram is one message: it comes whole, in one call, or not at all.",
  send: "Each datagram is sent whole, in one call. Nobody says whether it has arrived.",
};

const messages = {
  receive: "ZMTP frames make messages of the byte stream: they arrive whole or not at all.",
  send: "Messages wait in the peer's queue until the socket takes them; over the high-water mark the sender waits, or a publisher drops.",
  handshake: "ZMTP: both sides send a greeting with version and mechanism, then their socket types. Only then can messages pass.",
};

/** explain says in a sentence or two what a step means. */
export function explain(step, family = "") {
  const network = step.network ?? (step.side === "target" ? "" : family);
  if (step.kind === "half-close") return ends[step.way];
  if (step.call?.startsWith("splice")) return "The kernel moves the bytes from one socket to the other through a pipe: they never enter the program's memory.";
  if (step.messages && messages[step.kind]) return messages[step.kind];
  if (/^(udp|unixgram)/.test(family) && datagrams[step.kind]) return datagrams[step.kind];
  if (step.kind === "handshake" && /ZMTP/.test(step.result ?? "")) return messages.handshake;
  if (step.kind === "close" && step.failed) return "The connection did not end in order. Where the family can, it is closed by a reset, so that the peer does not take what it got for the whole.";
  return (/unix/.test(network) && unix[step.kind]) || (kinds[step.kind] ?? "");
}

/** What is measured, by the names of the published values. */
export const latencies = {
  "first-byte": {
    name: "first byte",
    caption: "From accept(2) until the first byte was sent to the client. A client that is slow to ask counts too.",
  },
  reply: {
    name: "request to reply",
    caption: "Of a server: from a request's being read until its reply was handed to the socket. Of req: from sending until the reply was there.",
  },
  dial: {
    name: "connect",
    caption: "Of connections made by this side: one successful connect(2). Over TCP that is a round trip.",
  },
};
