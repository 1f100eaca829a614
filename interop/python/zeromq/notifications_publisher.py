"""notifications_publisher.py ENDPOINT

Tells any number of clients what is new. A line of its input is "TOPIC TEXT"; it goes
out as a message of two parts, and only to those who subscribed to the topic.

A client that comes late has missed what was said. So the last text of each topic is
kept, and an XPUB, which is a PUB that sees subscriptions, says it again to a new one.
Clients of the same topic then hear it twice.
"""

import os
import sys

import zmq


def main(endpoint):
    last = {}
    with zmq.Context() as context, context.socket(zmq.XPUB) as xpub:
        xpub.xpub_verbose = True  # show every subscription, not each topic's first
        xpub.bind(endpoint)
        print("listening on", xpub.last_endpoint.rstrip(b"\0").decode(), flush=True)
        source = sys.stdin.fileno()  # sys.stdin would hold lines that poll can't see
        poller = zmq.Poller()
        poller.register(xpub, zmq.POLLIN)
        poller.register(source, zmq.POLLIN)
        held = b""
        while True:
            ready = dict(poller.poll())
            if xpub in ready:
                event = xpub.recv()  # 1 and a prefix, or at its end 0
                for topic in last:
                    if event[0] == 1 and topic.startswith(event[1:]):
                        xpub.send_multipart([topic, last[topic]])
            if source in ready:
                data = os.read(source, 65536)
                if not data:
                    return
                *lines, held = (held + data).split(b"\n")
                for line in lines:
                    topic, _, last[topic] = line.partition(b" ")
                    xpub.send_multipart([topic, last[topic]])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        pass
