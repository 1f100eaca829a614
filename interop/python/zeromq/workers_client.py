"""workers_client.py FRONT

Sends each line of its input to a queue of workers and prints the reply, then goes on
with the next. Exit 1 when no reply comes in 10 seconds.
"""

import sys

import zmq

PATIENCE_MS = 10000


def main(front):
    with zmq.Context() as context, context.socket(zmq.REQ) as req:
        req.rcvtimeo = PATIENCE_MS
        req.linger = 0  # at the end a request without an answer is not worth a wait
        req.connect(front)
        for line in sys.stdin:
            req.send_string(line.rstrip("\n"))
            print(req.recv_string(), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except zmq.Again:
        sys.exit("no reply")
