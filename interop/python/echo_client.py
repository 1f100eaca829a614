"""echo_client.py HOST PORT | PATH

Sends its standard input to a server, half-closes, and prints what comes back until
the server closes too. It reads and writes at once: a client that sent everything
first would stop for ever as soon as the buffers between the two are full.
"""

import os
import socket
import sys
import threading


def dial(words):
    if len(words) == 2:
        return socket.create_connection((words[0], int(words[1])))
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    conn.connect(words[0])
    return conn


def upload(conn, result):
    """Send standard input, put the number of bytes in result, and half-close."""
    sent = 0
    try:
        while data := os.read(sys.stdin.fileno(), 65536):
            conn.sendall(data)
            sent += len(data)
        result.append(sent)  # first, as the server may end at once after the half-close
        conn.shutdown(socket.SHUT_WR)
    except OSError as err:  # the main thread sees the server's end for itself
        print(f"send: {err}", file=sys.stderr)


def main(words):
    if len(words) not in (1, 2):
        sys.exit(__doc__)
    received, result = 0, []
    with dial(words) as conn:
        # A daemon thread: if the server ends first, no one waits for more input.
        threading.Thread(target=upload, args=(conn, result), daemon=True).start()
        while data := conn.recv(65536):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            received += len(data)
        if result != [received]:
            sys.exit(f"cut short: {received} bytes came back")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as err:
        sys.exit(f"echo_client: {err}")
