"""A server for the inner network: ``python inner_server.py PORT``.

A client's first line says what it does: ``echo``; ``digest`` reads to the end and then answers;
``source N`` writes N bytes; ``stall`` reads nothing for two seconds; ``reset`` breaks the connection.
"""

from __future__ import annotations

import hashlib
import socket
import socketserver
import struct
import sys
import threading


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Read the first line and obey."""
        word, _, number = self.rfile.readline().decode().strip().partition(" ")
        if word == "echo":
            while block := self.rfile.read1():
                self.wfile.write(block)
        elif word == "digest":
            self.wfile.write(hashlib.sha256(self.rfile.read()).digest())
        elif word == "source":
            self.wfile.write(bytes(int(number)))
        elif word == "stall":
            threading.Event().wait(2)
        elif word == "reset":
            linger = struct.pack("ii", 1, 0)  # close() sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()


class Server(socketserver.ThreadingTCPServer):
    """Many connections at once."""

    request_queue_size = 512
    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
