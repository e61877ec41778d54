"""What happens inside the network of `testbed.xcache_pod`: servers, clients, and what they say.

Started as ``python xcache_inside.py FOLDER REPOSITORY``; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from af_hub.embedded.network.namespace import make_network

PATIENCE = 40.0
ORIGIN, CACHE, METRICS = 1094, 2094, 9932
URL = f"root://localhost:{CACHE}/"


def wait_until(ready: object, what: str) -> None:
    """Poll until `ready()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not ready():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Tell whether something listens on a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def metrics() -> str:
    """Read the exporter's metrics."""
    address = f"http://127.0.0.1:{METRICS}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


def environments(folder: Path, exporter: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment of the image's containers and that of a client."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    image = {
        **plain,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(exporter),
        "XCACHE_CONFIG": str(folder / "config"),
        "XCACHE_TLS": str(folder / "tls"),
        "XCACHE_SERVICE": str(folder / "service"),
        "XCACHE_RUN": str(folder / "run"),
        "XCACHE_METRICS": f"127.0.0.1:{METRICS}",
        "X509_CERT_DIR": str(folder / "grid" / "trusted"),
        "X509_USER_PROXY": str(folder / "proxy" / "proxy.pem"),
        "XDG_CACHE_HOME": str(folder / "keys"),
        # of whoever started it: not for the origin
        "BEARER_TOKEN_FILE": str(folder / "tokens" / "good"),
    }
    return image, {**plain, "X509_CERT_DIR": str(folder / "grid" / "trusted")}


def main(folder: Path, repository: Path) -> int:
    """Start everything, ask, and stop."""
    make_network()
    image, client = environments(folder, folder / "exporter")
    entrypoint = str(repository / "images" / "xcache" / "entrypoint")
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, *command: str, environment: dict[str, str]) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            running.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )

    def copy(path: str, token: str | None) -> list[object]:
        named = {} if token is None else {"BEARER_TOKEN_FILE": str(folder / "tokens" / token)}
        done = subprocess.run(
            ["xrdcp", "--nopbar", "-f", f"{URL}{path}", "-"],
            env={**client, **named},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return [done.returncode, done.stdout.decode(errors="replace")[:100]]

    try:
        start("origin", "xrootd", "-c", str(folder / "origin.cf"), environment=client)
        start("exporter", entrypoint, "exporter", environment=image)
        # the cache waits for its proxy certificate, which comes later
        start("cache", entrypoint, environment=image)
        subprocess.run([entrypoint, "proxy", "once"], env=image, check=True, timeout=PATIENCE)
        for port in (ORIGIN, CACHE, METRICS):
            wait_until(lambda port=port: listens(port), f"port {port}")
        answers: dict[str, object] = {
            name: copy("/store/cms/f", name) for name in ("good", "open", "aud", "iss", "group")
        }
        answers["none"] = copy("/store/cms/f", None)
        answers["again"] = copy("/store/cms/f", "good")
        put = subprocess.run(
            ["xrdcp", "--nopbar", str(folder / "origin.cf"), f"{URL}/store/cms/new"],
            env={**client, "BEARER_TOKEN_FILE": str(folder / "tokens" / "write")},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        answers["put"] = [put.returncode, put.stderr.decode()]
        wait_until(lambda: 'result="miss"} 5000' in metrics(), "what was read")
        answers["metrics"] = metrics()
        print(json.dumps(answers))
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(PATIENCE)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
