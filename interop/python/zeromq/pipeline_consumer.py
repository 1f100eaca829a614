"""pipeline_consumer.py ENDPOINT

Collects what any number of producers send, and prints each message as a line. It takes
from them in turn, so that a busy producer doesn't hold up the others.
"""

import sys

import zmq


def main(endpoint):
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.bind(endpoint)
        print("listening on", pull.last_endpoint.rstrip(b"\0").decode(), flush=True)
        while True:
            print(pull.recv_string(), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        pass
