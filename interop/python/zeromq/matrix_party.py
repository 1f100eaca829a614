"""matrix_party.py TYPE listen|dial ENDPOINT [OPTION VALUE]...

One side of any conversation between two ZeroMQ sockets, for the matrix test, with
the same words in every language:

  TYPE: req rep dealer router pub sub xpub xsub push pull pair
  count N      messages; then it prints "done", and leaves when its input ends
  sizes A,B    bytes of a part; parts P: parts in a message; seed S
  answer yes   dealer and pair: return what comes, as rep and router do
  to ID        router: ask that peer rather than answer
  upstream yes   xsub: sends, once it has subscribed; xpub: receives
  delimiter yes   dealer, router: an empty part before each message
  identity ID, topic T
  plain-server USER:PASSWORD, plain-client USER:PASSWORD
  curve-server SECRET,CLIENTS-PUBLIC, curve-client SERVERS-PUBLIC,PUBLIC,SECRET

Part p of message i has sizes[(i+p) mod n] bytes, the k-th of which is
(seed + 31i + 7p + k) mod 251. Who asks or receives checks every byte of every
message, in order. A pub sends TOPIC? again and again until its input says that a
subscriber has seen one.
"""

import select
import sys
import time

import zmq
from zmq.utils import z85

from zap import Only

PERIOD = 251
PROBE_SECONDS = 0.02
LINGER_MS = 10000


class Party:
    def __init__(self, sock, options):
        self.sock = sock
        self.kind = sock.socket_type
        self.count = int(options.get("count", 1))
        self.parts = int(options.get("parts", 1))
        self.seed = int(options.get("seed", 0))
        self.sizes = [int(size) for size in options.get("sizes", "5").split(",")]
        self.to = options.get("to", "").encode()
        self.topic = options.get("topic", "").encode()
        self.delimiter = "delimiter" in options
        self.upstream = "upstream" in options
        self.answers = "answer" in options or self.kind == zmq.REP
        if self.kind == zmq.ROUTER:
            self.answers = not self.to
        self.pattern = bytes(range(PERIOD)) * (max(self.sizes) // PERIOD + 2)

    def message(self, i):
        """Return the parts of message i as they go into the socket, and come out of it."""
        parts = []
        for p in range(self.parts):
            start = (self.seed + 31 * i + 7 * p) % PERIOD
            parts.append(self.pattern[start : start + self.sizes[(i + p) % len(self.sizes)]])
        parts[0] = self.topic + parts[0]
        envelope = [self.to] if self.to else []
        if self.delimiter:
            envelope.append(b"")
        return envelope + parts

    def send(self, i):
        while True:
            try:
                return self.sock.send_multipart(self.message(i))
            except zmq.ZMQError as err:  # a router knows no way to that peer yet
                if err.errno != zmq.EHOSTUNREACH:
                    raise
                time.sleep(PROBE_SECONDS)

    def send_all(self):
        for i in range(self.count):
            if self.topic:
                self.sock.send(b"~other")  # what nobody has subscribed to
            self.send(i)

    def receive(self, i):
        self.check(i, self.sock.recv_multipart())

    def check(self, i, got):
        want = self.message(i)
        if got != want:
            lengths = [len(part) for part in got], [len(part) for part in want]
            sys.exit(f"message {i}: lengths {lengths[0]}, want {lengths[1]}, or another content")

    def receive_all(self, probes=False):
        i = 0
        while i < self.count:
            got = self.sock.recv_multipart()
            if probes and got == [self.topic + b"?"]:
                if i == 0:
                    print("subscribed", flush=True)
                continue
            self.check(i, got)
            i += 1

    def ask(self):
        """Send every message and want each back. A req takes turns."""
        for i in range(self.count):
            self.send(i)
            if self.kind == zmq.REQ:
                self.receive(i)
        if self.kind != zmq.REQ:
            self.receive_all()

    def answer(self):
        for _ in range(self.count):
            self.sock.send_multipart(self.sock.recv_multipart())

    def probe(self):
        while not select.select([sys.stdin], [], [], PROBE_SECONDS)[0]:
            self.sock.send(self.topic + b"?")
        if not sys.stdin.readline():
            sys.exit(0)

    def converse(self):
        if self.kind == zmq.PUB:
            self.probe()
        if self.kind == zmq.XPUB:
            subscription = self.sock.recv()
            if subscription != b"\1" + self.topic:
                sys.exit(f"not the subscription: {subscription}")
        if self.kind == zmq.SUB:
            self.sock.subscribe(self.topic)
        if self.kind == zmq.XSUB:
            self.sock.send(b"\1" + self.topic)

        if self.upstream:
            for i in range(self.count):
                self.receive(i) if self.kind == zmq.XPUB else self.send(i)
        elif self.kind in (zmq.PUSH, zmq.PUB, zmq.XPUB):
            self.send_all()
        elif self.kind in (zmq.PULL, zmq.SUB, zmq.XSUB):
            self.receive_all(probes=self.kind != zmq.PULL)
        elif self.answers:
            self.answer()
        else:
            self.ask()


def secure(sock, options):
    """Set the mechanism. A server lets in one client alone: stop what is returned at the end."""
    if "plain-server" in options:
        sock.plain_server = True
        return Only(sock.context, b"PLAIN", *options["plain-server"].encode().split(b":", 1))
    if "plain-client" in options:
        user, password = options["plain-client"].encode().split(b":", 1)
        sock.plain_username, sock.plain_password = user, password
    if "curve-server" in options:
        secret, client = options["curve-server"].encode().split(b",")
        sock.curve_server, sock.curve_secretkey = True, secret
        return Only(sock.context, b"CURVE", z85.decode(client))
    if "curve-client" in options:
        keys = options["curve-client"].encode().split(b",")
        sock.curve_serverkey, sock.curve_publickey, sock.curve_secretkey = keys
    return None


def main(kind, side, endpoint, *words):
    options = dict(zip(words[::2], words[1::2]))
    with zmq.Context() as context:
        sock = context.socket(getattr(zmq, kind.upper()))
        sock.linger = LINGER_MS
        if "identity" in options:
            sock.routing_id = options["identity"].encode()
        if "to" in options:
            sock.router_mandatory = True
        handler = secure(sock, options)
        if side == "listen":
            sock.bind(endpoint)
            print("listening on", sock.last_endpoint.rstrip(b"\0").decode(), flush=True)
        else:
            sock.connect(endpoint)
        Party(sock, options).converse()
        print("done", flush=True)
        sys.stdin.read()
        sock.close()  # and what it holds is sent as the context ends
        if handler:
            handler.stop()


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
