"""echo_server.py HOST PORT | PATH

Sends every byte back, in order, to any number of clients: one asyncio task each.
"""

import asyncio
import sys


async def serve(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            # drain waits while the client does not read its echo, so that a slow
            # client costs one buffer and not all of memory.
            await writer.drain()
        writer.write_eof()  # half-close: all the echo has been handed over
    except OSError as err:
        print(f"a client: {err}", file=sys.stderr)
    finally:
        writer.close()


async def main(words):
    if len(words) == 2:
        server = await asyncio.start_server(serve, words[0], int(words[1]))
        where = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(serve, words[0])
        where = words[0]
    print(f"listening on {where}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1:]))
    except OSError as err:
        sys.exit(f"echo_server: {err}")
    except KeyboardInterrupt:
        pass
