"""increment_client.py [HOST PORT | PATH]

The classic client: it sends the byte A, prints the byte that comes back, and closes.
Without an address it dials the Unix socket server_socket in the working folder.
"""

import socket
import sys


def dial(words):
    if len(words) == 2:
        return socket.create_connection((words[0], int(words[1])))
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    conn.connect(words[0] if words else "server_socket")
    return conn


def main(words):
    if len(words) > 2:
        sys.exit(__doc__)
    with dial(words) as conn:
        conn.sendall(b"A")
        answer = conn.recv(1)
    if not answer:
        sys.exit("the server closed without an answer")
    print("char from server =", answer.decode("latin-1"))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as err:
        sys.exit(f"increment_client: {err}")
