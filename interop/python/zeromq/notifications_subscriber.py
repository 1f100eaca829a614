"""notifications_subscriber.py ENDPOINT [TOPIC...]

Prints notifications as they come, a line "TOPIC TEXT" each: those whose topic begins
with one of the words given, or all. The publisher may come later, or go away and come
back.
"""

import sys

import zmq


def main(endpoint, *topics):
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        for topic in topics or [""]:
            sub.subscribe(topic)
        sub.connect(endpoint)
        while True:
            topic, text = sub.recv_multipart()
            print(topic.decode(), text.decode(), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
