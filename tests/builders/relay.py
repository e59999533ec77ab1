"""Joins stdin and stdout with a TCP connection: a proxy command for SSH. Usage: relay.py HOST PORT."""

import os
import socket
import sys
import threading


def main(host: str, port: str) -> None:
    connection = socket.create_connection((host, int(port)))

    def outward() -> None:
        while data := os.read(0, 1 << 16):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    threading.Thread(target=outward, daemon=True).start()
    while data := connection.recv(1 << 16):
        os.write(1, data)


if __name__ == "__main__":
    main(*sys.argv[1:])
