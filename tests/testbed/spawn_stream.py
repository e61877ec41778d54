"""What an open spawn page asks, and what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from testbed.profile_hub import ProfileHub


def address(hub: ProfileHub, session: aiohttp.ClientSession, **query: str) -> str:
    """Return where the page asks, with the token that its script sends."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/hub/api/af/profiles?_xsrf={hub.xsrf(session)}{more}"


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """Read server-sent events as (name, data)."""
    name = "message"
    async for raw in stream.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event:"):
            name = line.partition(":")[2].strip()
        elif line.startswith("data:"):
            yield name, line.partition(":")[2].strip()
            name = "message"
