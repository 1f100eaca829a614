"""Who may connect to a PLAIN or CURVE server.

libzmq asks a ZAP handler (rfc.zeromq.org 27/ZAP), a REP socket in the same context: this
one lets in one client and nobody else. zmq.auth has one that does more, and that names
the user in its replies; to a REQ that is the server, libzmq 4.3.4 then hands a message
too many, and the REQ drops the connection.
"""

import threading

import zmq


class Only(threading.Thread):
    """Lets in the client of these credentials: user and password, or a key of 32 bytes."""

    def __init__(self, context, mechanism, *credentials):
        super().__init__()
        self.allowed = [mechanism, *credentials]
        self.handler = context.socket(zmq.REP)
        self.handler.bind("inproc://zeromq.zap.01")
        self.orders = context.socket(zmq.PAIR)
        self.orders.bind("inproc://stop")
        self.stopper = context.socket(zmq.PAIR)
        self.stopper.connect("inproc://stop")
        self.start()

    def run(self):
        poller = zmq.Poller()
        poller.register(self.handler, zmq.POLLIN)
        poller.register(self.orders, zmq.POLLIN)
        while self.orders not in dict(poller.poll()):
            version, request, _domain, _address, _identity, *asked = self.handler.recv_multipart()
            verdict = [b"200", b"OK"] if asked == self.allowed else [b"400", b"no"]
            self.handler.send_multipart([version, request, *verdict, b"", b""])
        self.handler.close()
        self.orders.close()

    def stop(self):
        self.stopper.send(b"")
        self.stopper.close()
        self.join()
