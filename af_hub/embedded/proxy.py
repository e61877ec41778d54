"""configurable-http-proxy: JupyterHub's front door, a process of its own.

It outlives the hub, so Labs stay reachable while the hub restarts. A proxy that died has lost its
routes; the hub is told to give them back at once instead of at its next check (5 minutes).

``chp/package.json`` raises nothing but pins commander to 14: configurable-http-proxy 5.3.0 works
on Node 20, yet the commander 15 that it asks for declares Node 22.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded import secrets
from af_hub.embedded.layout import cache_folder
from af_hub.embedded.parts import Part
from af_hub.embedded.probe import accepts
from af_hub.embedded.wiring import LOOPBACK

if TYPE_CHECKING:
    from af_hub.embedded.wiring import Wiring

SOURCE = Path(__file__).parent / "chp"
"""What is pinned: package.json, its lock file, npm's settings and the start script."""

FILES = ("package.json", "package-lock.json", ".npmrc", "start.js")

ATTEMPTS = 20
"""How often the hub is asked to give the routes back, once a second; it may be starting too."""


def proxy_folder() -> Path:
    """Return where this version of the proxy is, or will be, installed.

    The name holds a hash of everything that decides its content, so an upgrade makes a new
    folder and never changes the one that a running facility uses.
    """
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((SOURCE / name).read_bytes())
    return cache_folder() / f"proxy-{digest.hexdigest()[:16]}"


def proxy_part(wiring: Wiring) -> Part:
    """Return how to start the proxy."""
    ports = wiring.ports

    async def ready() -> bool:
        return await accepts(ports.public, host=wiring.host) and await accepts(ports.proxy_api)

    async def restarted() -> None:
        await _ask_hub_for_routes(wiring)

    return Part(
        name="proxy",
        title="Proxy",
        command=(
            shutil.which("node") or "node",
            str(proxy_folder() / "start.js"),
            f"--ip={wiring.host}",
            f"--port={ports.public}",
            f"--api-ip={LOOPBACK}",
            f"--api-port={ports.proxy_api}",
            f"--error-target=http://{LOOPBACK}:{ports.hub}/hub/error",
            "--log-level=warn",
        ),
        # the name of the file, not the token
        environment={"AF_PROXY_TOKEN_FILE": str(wiring.layout.secret(secrets.PROXY_TOKEN))},
        ready=ready,
        address=wiring.public_url,
        restarted=restarted,
    )


async def _ask_hub_for_routes(wiring: Wiring) -> None:
    token = secrets.read_secret(wiring.layout, secrets.SUPERVISOR_TOKEN)
    request = urllib.request.Request(  # noqa: S310  our own http address
        f"{wiring.hub_api_url}/proxy",
        method="POST",
        headers={"Authorization": f"token {token.reveal()}"},
    )

    def ask() -> bool:
        try:
            # straight to the hub, whatever http_proxy says
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=10):
                return True
        except (urllib.error.URLError, OSError):
            return False

    for _ in range(ATTEMPTS):
        if await asyncio.to_thread(ask):
            return
        await asyncio.sleep(1)
