"""request_reply_client.py ENDPOINT INT...

Asks for the sum of integers and prints "Result: N". Exit 1 when the reply is an error,
or when none comes in 10 seconds.
"""

import sys

import zmq

PATIENCE_MS = 10000


def main(endpoint, *integers):
    with zmq.Context() as context, context.socket(zmq.REQ) as req:
        req.rcvtimeo = PATIENCE_MS
        req.linger = 0
        req.connect(endpoint)
        req.send_string(" ".join(integers))
        reply = req.recv_string()
    if reply.startswith("error: "):
        sys.exit(reply)
    print("Result:", reply)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except zmq.Again:
        sys.exit("no reply")
