"""Exporter of an XCache's counters: takes XRootD's reports by UDP, answers Prometheus by HTTP.

``python3 -m af_hub.xcache.exporter --listen 127.0.0.1:9931 --serve 0.0.0.0:9932``. It stands
beside the cache (same host, same pod); whoever can send to its UDP port can make up numbers, so
that stays on loopback. Only Python's standard library is used.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from af_hub.xcache.closings import MAX_BYTES, Totals, parse_closings
from af_hub.xcache.metrics import Sample, closing_samples, exposition, report_samples
from af_hub.xcache.report import Report, ReportRefused, parse_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Address = tuple[str, int]
"""Host and port."""

STALE = 300.0
"""Seconds after which the last report says nothing about now."""


class Board:
    """The last report and the sums so far; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._report: Report | None = None
        self._arrived = 0.0
        self._totals = Totals()
        self._taken = 0
        self._refused = 0

    def take(self, datagram: bytes) -> str:
        """Take a datagram; return why it was refused, or nothing."""
        problem = ""
        report, closed = None, Totals()
        if datagram.startswith(b"{"):
            closed = parse_closings(datagram)
            problem = "" if closed.files else "it tells of no closed file"
        else:
            try:
                report = parse_report(datagram)
            except ReportRefused as error:
                problem = str(error)
        with self._lock:
            self._totals += closed
            if report is not None:
                self._report, self._arrived = report, time.monotonic()
            self._taken += not problem
            self._refused += bool(problem)
        return problem

    def text(self) -> str:
        """Write all numbers for Prometheus."""
        with self._lock:
            report, totals, taken, refused = self._report, self._totals, self._taken, self._refused
            age = time.monotonic() - self._arrived
        counts = (taken, refused)
        return exposition(_samples(report if age < STALE else None, age, counts, totals))


def _samples(
    report: Report | None, age: float, counts: tuple[int, int], totals: Totals
) -> Iterator[Sample]:
    """List all numbers; those of a stale report would look like a cache that does nothing."""
    yield Sample("xcache_up", "Whether the cache reports.", int(report is not None))
    for result, count in zip(("taken", "refused"), counts, strict=True):
        text = "Datagrams by what became of them."
        yield Sample("xcache_datagrams_total", text, count, f'result="{result}"')
    if report is not None:
        yield Sample("xcache_report_age_seconds", "Age of the last report.", round(age, 3))
        yield from report_samples(report)
    yield from closing_samples(totals)


def listen(address: Address) -> socket.socket:
    """Open the UDP socket for reports."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.bind(address)
    return receiver


def receive(receiver: socket.socket, board: Board) -> None:
    """Take reports until the socket is closed."""
    refused = 0
    while True:
        try:
            datagram = receiver.recv(MAX_BYTES + 1)
        except OSError:
            return
        problem = board.take(datagram)
        # the first few say what is wrong; a flood must not fill the log
        if problem and (refused := refused + 1) <= 5:
            sys.stderr.write(f"a report was refused: {problem}\n")


def make_server(address: Address, board: Board) -> ThreadingHTTPServer:
    """Open the HTTP server for Prometheus; ``/metrics`` and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        timeout = 10
        protocol_version = "HTTP/1.1"
        server_version = "xcache-exporter"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer ``GET /metrics``."""
            if self.path != "/metrics":
                self.send_error(404)
                return
            body = board.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep Prometheus' visits out of the log."""

    class Server(ThreadingHTTPServer):
        """Bounded: a visitor that stays away does not keep the process alive."""

        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET

    return Server(address, Handler)


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HOST:PORT")
    return host.strip("[]"), int(port)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exporter until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="xcache-exporter", description="XCache for Prometheus")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 9931), metavar="HOST:PORT")
    parser.add_argument("--serve", type=_address, default=("127.0.0.1", 9932), metavar="HOST:PORT")
    options = parser.parse_args(arguments)
    board = Board()
    with listen(options.listen) as receiver, make_server(options.serve, board) as server:
        threading.Thread(target=receive, args=(receiver, board), daemon=True).start()
        # shutdown() waits for serve_forever(), which runs in this thread
        signal.signal(
            signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
        )
        sys.stderr.write(
            f"reports on {receiver.getsockname()[:2]}, metrics on {server.server_address[:2]}\n"
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
