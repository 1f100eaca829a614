"""pipeline_producer.py ENDPOINT

Sends each line of its input as one message to whoever collects them. Any number of
producers may do so; while the consumer is away or slow, they wait.
"""

import sys

import zmq


def main(endpoint):
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(endpoint)
        for line in sys.stdin.buffer:
            push.send(line.rstrip(b"\n"))
    # The context has waited until the last message was sent.


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
