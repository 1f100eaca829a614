"""calc_server.py HOST PORT

The calculator over UDP (calc_client.py shows the wire). One socket and one loop serve
every client, as each datagram is a whole request. Python's integers have no upper
end, so that the result is exact; one that does not fit its form is an error.
"""

import math
import socket
import struct
import sys

OPERATIONS = {0: sum, 1: math.prod}
MAX_INTEGERS, MAX_PAYLOAD = 64, 256


def answer(request):
    """Return the reply to a request of at least one byte."""
    try:
        return b"\x80" + calculate(request)
    except ValueError as reason:
        return b"\x00" + str(reason).encode("ascii")


def calculate(request):
    operation = OPERATIONS.get(request[0] >> 1 & 7)
    as_string = request[0] & 1
    payload = request[1:]
    if operation is None:
        raise ValueError("unknown operation")
    if not payload:
        raise ValueError("no integers")
    if len(payload) > 4 * MAX_INTEGERS:
        raise ValueError("more than 64 integers")
    if len(payload) % 4:
        raise ValueError("length is not 1 + 4n")
    result = operation(struct.unpack(f">{len(payload) // 4}I", payload))
    if as_string:
        text = str(result).encode("ascii")
        if len(text) > MAX_PAYLOAD:
            raise ValueError("result has more than 256 digits")
        return text
    if result >= 1 << 32:
        raise ValueError("result does not fit 32 bits")
    return struct.pack(">I", result)


def main(host, port):
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, proto) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" serves IPv4 too
        sock.bind(address)
        print(f"listening on {sock.getsockname()[1]}", flush=True)
        while True:
            try:
                request, peer = sock.recvfrom(65536)
                if request:  # a datagram with no header byte gets no answer
                    sock.sendto(answer(request), peer)
            except OSError as err:  # of that one client, which will ask again
                print(f"a client: {err}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except OSError as err:
        sys.exit(f"calc_server: {err}")
    except KeyboardInterrupt:
        pass
