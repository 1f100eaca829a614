"""state_subscriber.py ENDPOINT [PREFIX...]

Follows a state that is published on a PUB socket: prints KEY=VALUE as each value comes, first
those that there are, and "KEY deleted" where one has gone.
"""

import json
import sys

import zmq


def main(endpoint, *prefixes):
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        for prefix in prefixes or [""]:
            sub.subscribe(prefix)
        sub.connect(endpoint)
        while True:
            key, text = sub.recv_multipart()
            change = json.loads(text)
            if change.get("deleted"):
                print(key.decode(), "deleted", flush=True)
            else:
                print(f"{key.decode()}={json.dumps(change['value'])}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
