"""calc_client.py [-s] + | '*' HOST PORT INT...

Asks a calculator for the sum or product of 1 to 64 integers. A request is

    bits 7..4 unused | bits 3..1 opcode | bit 0 format
    the integers, 32 bits each, big-endian

and a reply one byte whose highest bit says success, then the result: 32 bits
big-endian, or with -s ASCII digits. A datagram may be lost, so the client asks again
when no reply comes: asking twice changes nothing.
"""

import socket
import struct
import sys

TRIES, WAIT = 5, 0.5
OPCODES = {"+": 0, "*": 1}


def ask(host, port, request):
    """Send request until a reply comes, and return the reply."""
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, proto) as sock:
        sock.connect(address)  # so that a refused port is reported, and only the server heard
        sock.settimeout(WAIT)
        for _ in range(TRIES):
            sock.send(request)
            try:
                if reply := sock.recv(1 + 256):
                    return reply
            except TimeoutError:
                continue  # lost: ask again
    sys.exit("no reply")


def usage(reason):
    print(reason, file=sys.stderr)
    sys.exit(2)


def main(words):
    as_string = words[:1] == ["-s"]
    if as_string:
        words = words[1:]
    if not 4 <= len(words) <= 3 + 64 or words[0] not in OPCODES:
        usage(__doc__)
    op, host, port, *texts = words
    for text in texts:
        if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
            usage(f"{text}: not an integer in 0..4294967295")
    header = OPCODES[op] << 1 | as_string
    request = struct.pack(f">B{len(texts)}I", header, *map(int, texts))

    reply = ask(host, port, request)
    success, payload = reply[0] & 0x80, reply[1:]
    if not success:
        sys.exit("the server says: " + payload.decode("ascii", "replace"))
    if as_string:
        print("Result:", payload.decode("ascii"))
    elif len(payload) == 4:
        print("Result:", int.from_bytes(payload, "big"))
    else:
        sys.exit(f"a result of {len(payload)} bytes, not 4")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as err:
        sys.exit(f"calc_client: {err}")
