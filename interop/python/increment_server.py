"""increment_server.py [HOST PORT | PATH]

Answers each byte by that byte + 1, and 255 by 0; one thread a client. Without an
address it listens on the Unix socket server_socket in the working folder.
"""

import socket
import socketserver
import sys

PLUS_ONE = bytes((b + 1) % 256 for b in range(256))


class Increment(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(4096):
                self.request.sendall(data.translate(PLUS_ONE))
            self.request.shutdown(socket.SHUT_WR)
        except OSError as err:
            print(f"a client: {err}", file=sys.stderr)


class TCPServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def main(words):
    if len(words) > 2:
        sys.exit(__doc__)
    if len(words) == 2:
        server = TCPServer((words[0], int(words[1])), Increment)
        where = server.server_address[1]
    else:
        where = words[0] if words else "server_socket"
        server = UnixServer(where, Increment)
    with server:
        print(f"listening on {where}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as err:
        sys.exit(f"increment_server: {err}")
    except KeyboardInterrupt:
        pass
