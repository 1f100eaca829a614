"""workers_queue.py FRONT BACK

Stands between clients and workers, none of whom need to know each other: listens for
both, gives requests to the workers in turn, and takes each reply back to the client
who asked.
"""

import sys

import zmq


def main(front, back):
    with zmq.Context() as context:
        router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        for sock, endpoint in (router, front), (dealer, back):
            sock.bind(endpoint)
            print("listening on", sock.last_endpoint.rstrip(b"\0").decode(), flush=True)
        zmq.proxy(router, dealer)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
