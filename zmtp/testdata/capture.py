#!/usr/bin/python3
"""Records what ZeroMQ peers send, as the seeds of this package's tests.

Two sockets talk through a TCP relay that writes what each of them sent to a
file of its own, captured/MECHANISM-TYPE-PEER.bin, or zmtp2-... where one is JeroMQ 0.3.6. See README.md.
"""

import pathlib
import socket
import subprocess
import sys
import threading
import time

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

HERE = pathlib.Path(__file__).parent
OUT = HERE / "captured"
PAIRS = [("REQ", "REP"), ("DEALER", "ROUTER"), ("SUB", "PUB"), ("XSUB", "XPUB"), ("PUSH", "PULL"), ("PAIR", "PAIR")]

# Made for this recording alone. They are no secret.
SERVER_SECRET = (HERE / "server.key").read_text().strip().encode()
CLIENT_SECRET = (HERE / "client.key").read_text().strip().encode()
SERVER_PUBLIC = zmq.curve_public(SERVER_SECRET)
CLIENT_PUBLIC = zmq.curve_public(CLIENT_SECRET)


class Relay:
    """A TCP listener that passes one connection on, and keeps what passed."""

    def __init__(self, port):
        self.to, self.sent = port, [b"", b""]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        client, _ = self.listener.accept()
        self.listener.close()
        server = socket.create_connection(("127.0.0.1", self.to))
        back = threading.Thread(target=self.copy, args=(server, client, 1))
        back.start()
        self.copy(client, server, 0)
        back.join()
        client.close()
        server.close()

    def copy(self, source, sink, side):
        try:
            while data := source.recv(1 << 16):
                self.sent[side] += data
                sink.sendall(data)
        except OSError:
            pass
        for s in source, sink:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def secure(s, mechanism, server, password=b"pass"):
    if mechanism == "plain":
        if server:
            s.plain_server = True
        else:
            s.plain_username, s.plain_password = b"user", password
    if mechanism == "curve":
        if server:
            s.curve_server, s.curve_secretkey = True, SERVER_SECRET
        else:
            s.curve_serverkey, s.curve_publickey, s.curve_secretkey = SERVER_PUBLIC, CLIENT_PUBLIC, CLIENT_SECRET


def make(context, kind):
    s = context.socket(getattr(zmq, kind))
    s.linger, s.rcvtimeo, s.sndtimeo = 0, 5000, 5000
    s.heartbeat_ivl, s.heartbeat_ttl = 50, 2000
    if kind in ("REQ", "DEALER"):
        s.identity = b"me"
    return s


def talk(kind, client, server, foreign=False):
    """Sends a message of one part, one of several and a long one, as the pattern has it."""
    messages = [[b"hello"], [b"a", b"", b"b"], [b"x" * 300]]
    if kind == "SUB":
        client.subscribe(b"")
        client.subscribe(b"news")
        client.unsubscribe(b"news")
    if kind == "XSUB":
        client.send(b"\1")
        client.send(b"\1news")
        client.send(b"\0news")
        server.recv()
    if kind == "SUB":
        time.sleep(0.5)  # a PUB can't tell of subscriptions
    for m in messages:
        if kind in ("SUB", "XSUB"):
            server.send_multipart(m)
            client.recv_multipart()
            continue
        client.send_multipart(m)
        got = server.recv_multipart()
        if kind in ("REQ", "DEALER", "PAIR"):
            server.send_multipart(got)
            client.recv_multipart()
    time.sleep(0.12)  # for a PING


def write(name, data):
    (OUT / (name + ".bin")).write_bytes(data)


def libzmq(context):
    for mechanism in "null", "plain", "curve":
        for dialling, listening in PAIRS:
            client, server = make(context, dialling), make(context, listening)
            secure(client, mechanism, False)
            secure(server, mechanism, True)
            relay = Relay(server.bind_to_random_port("tcp://127.0.0.1"))
            client.connect(f"tcp://127.0.0.1:{relay.port}")
            talk(dialling, client, server)
            client.close()
            server.close()
            relay.thread.join()
            write(f"{mechanism}-{dialling}-{listening}".lower(), relay.sent[0])
            write(f"{mechanism}-{listening}-{dialling}".lower() + ("-server" if dialling == listening else ""), relay.sent[1])


def denied(context, auth):
    """A client whom the authenticator refuses: ERROR."""
    auth.configure_curve(domain="*", location=str(OUT))  # holds no certificate
    for mechanism in "plain", "curve":
        client, server = make(context, "PUSH"), make(context, "PULL")
        secure(client, mechanism, False, password=b"wrong")
        secure(server, mechanism, True)
        relay = Relay(server.bind_to_random_port("tcp://127.0.0.1"))
        client.connect(f"tcp://127.0.0.1:{relay.port}")
        relay.thread.join()
        client.close()
        server.close()
        write(f"{mechanism}-push-denied", relay.sent[0])
        write(f"{mechanism}-pull-denies", relay.sent[1])


def jeromq(context, jar):
    """JeroMQ 0.3.6 dials libzmq, which goes down to 2.0 for it."""
    for pair in PAIRS:
        for theirs, ours in {pair, pair[::-1]}:
            server = make(context, ours)
            relay = Relay(server.bind_to_random_port("tcp://127.0.0.1"))
            java = subprocess.Popen(["java", "-cp", jar, str(HERE / "Capture.java"), theirs, f"tcp://127.0.0.1:{relay.port}"],
                                    stdout=subprocess.PIPE)
            if ours == "SUB":
                server.subscribe(b"")
            if ours == "XSUB":
                server.send(b"\1")
            # Java sends ten messages where its type sends first; else it waits for one and answers if it can.
            if theirs in ("REQ", "DEALER", "PUSH", "PAIR", "PUB", "XPUB"):
                got = server.recv_multipart()
                if theirs in ("REQ", "DEALER", "PAIR"):
                    server.send_multipart(got)
            else:
                java.stdout.readline()  # connected, subscribed
                to = []
                if ours == "ROUTER":
                    server.router_mandatory = True
                    to = [b"java"]
                for _ in range(50):
                    try:
                        server.send_multipart(to + ([b""] if ours in ("ROUTER", "DEALER") else []) + [b"hello"])
                    except zmq.ZMQError:
                        pass
                    time.sleep(0.02)
                    if java.poll() is not None:
                        break
                    if ours == "REQ":
                        server.recv()
                        break
            java.wait(timeout=20)
            server.close()
            relay.thread.join()
            write(f"zmtp2-{theirs}-{ours}-jeromq".lower(), relay.sent[0])
            write(f"zmtp2-{ours}-{theirs}-libzmq".lower(), relay.sent[1])


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    jar = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/java/jeromq.jar"
    ctx = zmq.Context()
    # libzmq has PLAIN with an authenticator alone.
    authenticator = ThreadAuthenticator(ctx)
    authenticator.start()
    authenticator.configure_plain(domain="*", passwords={"user": "pass"})
    authenticator.configure_curve(domain="*", location=zmq.auth.CURVE_ALLOW_ANY)
    libzmq(ctx)
    denied(ctx, authenticator)
    jeromq(ctx, jar)
    authenticator.stop()
    ctx.term()
