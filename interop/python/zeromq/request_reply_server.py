"""request_reply_server.py ENDPOINT

Answers a request of integers in decimal, "1 2 3", by their sum, "6", and any other by
a text that begins with "error: ".
"""

import re
import sys

import zmq


def answer(request):
    words = request.decode(errors="replace").split()
    for word in words:
        if not re.fullmatch("[+-]?[0-9]+", word, re.ASCII):
            return f"error: not an integer: {word}"
    total = sum(map(int, words))
    if not -(1 << 63) <= total < 1 << 63:  # what every language here can hold
        return "error: too large"
    return str(total)


def main(endpoint):
    with zmq.Context() as context, context.socket(zmq.REP) as rep:
        rep.bind(endpoint)
        print("listening on", rep.last_endpoint.rstrip(b"\0").decode(), flush=True)
        while True:
            rep.send_string(answer(rep.recv()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        pass
