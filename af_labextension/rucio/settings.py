"""Where Rucio is and how its replicas become addresses that Labs open."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from af_labextension.data.paths import is_printable
from af_labextension.errors import LabError, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .rules import CacheRule

_AUDIENCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,254}")
_PATH = re.compile(r"[A-Za-z0-9/._~-]*")


@dataclass(frozen=True, slots=True)
class RucioServer:
    """A Rucio.

    Parameters
    ----------
    url
        Address of its REST interface, without a slash at the end.
    audience
        Name of the audience that its tokens need.
    account
        Account of the user; ``None``: Rucio finds it by the token.
    ca_file
        Authorities for https, ``None`` for the system's.
    """

    url: str
    audience: str
    account: str | None = None
    ca_file: str | None = None


def server_from(entry: Mapping[str, Any]) -> RucioServer:
    """Read ``{"url", "audience", "account"}``.

    Raises
    ------
    ValueError
        Something in it cannot be meant; the message names it.
    """
    audience, account = entry.get("audience"), entry.get("account")
    if not isinstance(audience, str) or not _AUDIENCE.fullmatch(audience):
        raise ValueError("rucio: audience must be the name of an audience")
    if account is not None and (not isinstance(account, str) or not _ACCOUNT.fullmatch(account)):
        raise ValueError(f"rucio: {account!r} is no account name")
    ca_file = entry.get("ca_file")
    if ca_file is not None and (not isinstance(ca_file, str) or not is_printable(ca_file)):
        raise ValueError("rucio: ca_file must be the path of a file")
    return RucioServer(_checked_url(entry.get("url")), audience, account, ca_file or None)


def _checked_url(url: object) -> str:
    if not isinstance(url, str):
        raise ValueError("rucio: url is missing")  # noqa: TRY004 - of a document
    parts = urlsplit(url)
    if (
        parts.scheme not in {"https", "http"}
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not _PATH.fullmatch(parts.path)
    ):
        raise ValueError("rucio: url must be https://host[:port]")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        # RFC 6750 section 5.3: a bearer token over clear text is everybody's token
        raise ValueError("rucio: a token may only travel over https")
    return url.rstrip("/")


def _is_this_machine(host: str) -> bool:
    """Tell whether what is sent to a host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def from_rucio_jupyterlab(instances: object) -> dict[str, str]:
    """Read the first of rucio-jupyterlab's ``RucioConfig.instances``, so that sites can move over.

    Returns
    -------
    dict
        ``url`` (its ``rucio_base_url``) and ``ca_file`` (``rucio_ca_cert``), as far as they are
        there.
    """
    first = instances[0] if isinstance(instances, list) and instances else None
    if not isinstance(first, dict):
        return {}
    names = {"rucio_base_url": "url", "rucio_ca_cert": "ca_file"}
    return {
        ours: first[theirs] for theirs, ours in names.items() if isinstance(first.get(theirs), str)
    }


class RucioPlace:
    """Rucio and the cache rules, from the hub or from the Lab's own settings.

    Parameters
    ----------
    server
        Rucio from the Lab's settings; it wins.
    rules
        Rules from the Lab's settings; they win where there are any.
    lab_config
        Gives the hub's lab configuration, ``None`` in a Lab without a hub.
    """

    def __init__(
        self,
        server: RucioServer | None,
        rules: tuple[CacheRule, ...],
        lab_config: Callable[[], Awaitable[Mapping[str, Any]]] | None,
    ) -> None:
        self._server = server
        self._rules = rules
        self._lab_config = lab_config

    async def find(self) -> RucioServer | None:
        """Return Rucio, ``None`` where the facility has none.

        Raises
        ------
        LabError
            The hub does not answer, or what it says cannot be read (``rucio-config``).
        """
        if self._server is not None or self._lab_config is None:
            return self._server
        entry = (await self._lab_config()).get("rucio")
        if entry is None:
            return None
        try:
            return server_from(entry)
        except (ValueError, AttributeError) as error:
            raise _unreadable("Rucio", error) from error

    async def server(self) -> RucioServer:
        """Return Rucio.

        Raises
        ------
        Refused
            ``no-rucio``, status 404.
        """
        server = await self.find()
        if server is None:
            raise Refused("no-rucio", "This facility has no Rucio.", status=404)
        return server

    async def rules(self) -> tuple[CacheRule, ...]:
        """Return the rules by which replicas' addresses are rewritten; see `find` for errors."""
        if self._rules or self._lab_config is None:
            return self._rules
        from .rules import rules_from  # noqa: PLC0415 - not in each start

        cache = (await self._lab_config()).get("cache") or {}
        try:
            return rules_from(cache.get("rules") or [])
        except (ValueError, AttributeError) as error:
            raise _unreadable("its cache", error) from error

    async def audience(self) -> str | None:
        """Return the audience of Rucio's tokens."""
        server = await self.find()
        return server.audience if server else None


def _unreadable(what: str, error: Exception) -> LabError:
    return LabError(
        "rucio-config",
        f"What the facility says about {what} cannot be read. Tell the facility's support.",
        detail=str(error)[:200],
    )
