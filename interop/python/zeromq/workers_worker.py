"""workers_worker.py BACK

Does the work that a queue hands out: puts a text in capitals. It prints what it has
done, a line each. Start as many as there is work for.
"""

import sys

import zmq


def main(back):
    with zmq.Context() as context, context.socket(zmq.REP) as rep:
        rep.connect(back)
        while True:
            text = rep.recv().upper()  # of bytes: a to z
            print(text.decode(), flush=True)
            rep.send(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        pass
