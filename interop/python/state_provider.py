"""state_provider.py HOST PORT | PATH

Publishes a state to any number of clients: a change for each line of its input, KEY=VALUE with
the value as JSON or plain text, or KEY= to delete the key. "tincan watch" shows it. A client that
reads slowly gets of each key the latest value, and how many changes it has missed.
"""

import asyncio
import contextlib
import json
import sys
from datetime import datetime, timezone

state, seq, clients = {}, 0, set()


class Client:
    """What one client is to be told: at most one change for each key."""

    def __init__(self):
        self.prefixes = ("",)
        self.whole = True  # it is to be told the whole state
        self.pending, self.missed = {}, 0
        self.more = asyncio.Event()
        self.more.set()

    def tell(self, change):
        if change["key"].startswith(self.prefixes):
            # A newer change takes the place of an older one, at the end.
            self.missed += self.pending.pop(change["key"], None) is not None
            self.pending[change["key"]] = change
            self.more.set()

    def next(self):
        if self.whole:
            self.whole, self.pending, self.missed = False, {}, 0
            part = {k: v for k, v in state.items() if k.startswith(self.prefixes)}
            return {"seq": seq, "snapshot": part}
        change = self.pending.pop(next(iter(self.pending)))
        missed, self.missed = self.missed, 0
        return {**change, "missed": missed}

    async def listen(self, reader, writer):
        """A client may ask, by {"keys":["cpu."]}, for the keys that begin so."""
        while line := await reader.readline():
            try:
                self.prefixes, self.whole = tuple(json.loads(line)["keys"]) or ("",), True
                self.more.set()
            except (ValueError, TypeError, KeyError):
                writer.write(b'{"error":"not a request"}\n')


async def serve(reader, writer):
    client = Client()
    clients.add(client)
    listening = asyncio.create_task(client.listen(reader, writer))  # until it leaves
    listening.add_done_callback(lambda _: client.more.set())
    with contextlib.suppress(OSError):  # it has gone
        while not listening.done():
            await client.more.wait()
            client.more.clear()
            while client.whole or client.pending:
                writer.write(json.dumps(client.next()).encode() + b"\n")
                await writer.drain()  # waits while the client does not read
    clients.discard(client)
    listening.cancel()
    writer.close()


def change(line):
    global seq
    key, _, text = line.rstrip("\n").partition("=")
    seq += 1
    told = {"seq": seq, "time": datetime.now(timezone.utc).isoformat(), "key": key}
    if text == "":
        state.pop(key, None)
        told["deleted"] = True
    else:
        try:
            state[key] = told["value"] = json.loads(text)
        except ValueError:
            state[key] = told["value"] = text
    for client in clients:
        client.tell(told)


async def main(*words):
    if len(words) == 2:
        server = await asyncio.start_server(serve, words[0], int(words[1]))
        print("listening on", server.sockets[0].getsockname()[1], flush=True)
    else:
        server = await asyncio.start_unix_server(serve, words[0])
        print("listening on", words[0], flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        change(line)


if __name__ == "__main__":
    sys.exit(__doc__) if len(sys.argv) not in (2, 3) else asyncio.run(main(*sys.argv[1:]))
