"""Give each token its own XRootD connections, below all readers.

Everything in Python that reads ``root://`` passes the classes `File`, `FileSystem` and
`CopyProcess` of ``XRootD.client``: uproot's own sources, fsspec-xrootd, and so coffea and Dask.
Their addresses get the name of a connection that belongs to the token of the moment
(`af_labextension.readers.names`). A file that is open goes on reading on the connection it has:
the server asks for the token only when a file is opened. An old connection is closed by the client
library when no file is open on it and nothing was asked for a while; how long, is made to fit the
life of the tokens.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from .bearer import find_bearer, lifetime
from .names import connection_name, named, shown
from .patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

IDLE = {"DataServerTTL": 300, "LoadBalancerTTL": 1200, "TimeoutResolution": 15}
"""XRootD's settings for idle connections, and its defaults in seconds: after how long one is
closed, and how often that is looked at."""

SHARE_OF_LIFE = 8
"""An idle connection is closed after this part of a token's life at the latest, and as long again
may pass until it is seen: the old one is gone long before the next token comes, which the Lab
renews after three quarters."""


def idle_limits(life: float) -> dict[str, int]:
    """Return the settings in `IDLE` for tokens of a life in seconds; never above the defaults."""
    most = max(int(life) // SHARE_OF_LIFE, 1)
    return {name: min(usual, most) for name, usual in IDLE.items()}


class Generations:
    """The names of connections of this process.

    Parameters
    ----------
    put
        Sets an XRootD setting for this process. Those that the user has set in the environment
        (``XRD_DATASERVERTTL``) stay: XRootD sees to that.
    environ
        Where the token is looked for.
    """

    def __init__(
        self, put: Callable[[str, int], object], environ: Mapping[str, str] = os.environ
    ) -> None:
        self._put = put
        self._patience = Patience(lambda: find_bearer(environ))
        self._current: tuple[bytes, str] | None = None

    async def ready(self) -> None:
        """Wait, without blocking, while the only token there is is surely over."""
        await self._patience.ready()

    def name(self) -> str | None:
        """Return the name for the token of the moment; None before there has ever been one.

        While the token is missing the last name stays: its connection may still be good. While it
        is surely over this waits for another.
        """
        bearer = self._patience.wait()
        if bearer is not None and (self._current is None or self._current[0] != bearer.token):
            self._current = (bearer.token, connection_name(bearer.token))
            if (life := lifetime(bearer.token)) is not None:
                for setting, seconds in idle_limits(life).items():
                    self._put(setting, seconds)
        return self._current[1] if self._current else None

    def address(self, url: str) -> str:
        """Return an address with the name."""
        return named(url, self.name())


generations: Generations | None = None
"""Those of this process, once the bindings are imported."""


class MovingFileSystem:
    """What stands behind a ``FileSystem``: the bindings' object for the token of the moment.

    Readers keep a ``FileSystem`` for ever; fsspec has one for each server.

    Parameters
    ----------
    make
        The bindings' class.
    address
        Gives an address its name.
    url
        The server, as the user says it.
    """

    def __init__(self, make: Callable[[str], Any], address: Callable[[str], str], url: str) -> None:
        self._make = make
        self._address = address
        self._url = url
        self._plain = make(url)  # connects at its first request only, and so never
        self._current = (url, self._plain)

    @property
    def url(self) -> Any:
        """The server's address as the user said it."""
        return self._plain.url

    def copy(self, source: str, target: str, **options: Any) -> Any:
        """Copy between two addresses, which need not be of this server."""
        copy = self._plain.copy
        return copy(source=self._address(source), target=self._address(target), **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # the bindings have none; a copy that is being made may ask
            raise AttributeError(name)
        url = self._address(self._url)
        made, system = self._current
        if made != url:
            system = self._make(url)
            self._current = (url, system)
        return getattr(system, name)


class _Bindings:
    """The low-level module, with another ``FileSystem``."""

    def __init__(self, module: ModuleType, file_system: Callable[[str], Any]) -> None:
        self._module = module
        self.FileSystem = file_system

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def mend(client: Any) -> None:
    """Mend ``XRootD.client``."""
    global generations  # noqa: PLW0603 - there is one set of connections in a process
    current = Generations(client.EnvPutInt)
    low_level = client.filesystem.client
    make = low_level.FileSystem
    client.filesystem.client = _Bindings(
        low_level, lambda url: MovingFileSystem(make, current.address, url)
    )
    _mend_file(client.File, current.address)
    _mend_copies(client.CopyProcess, current.address)
    generations = current


def _mend_file(file: Any, address: Callable[[str], str]) -> None:
    plain_open, plain_property = file.open, file.get_property

    @wraps(plain_open)
    def open(self: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        return plain_open(self, address(url), *args, **kwargs)

    @wraps(plain_property)
    def get_property(self: Any, name: str) -> Any:
        value = plain_property(self, name)
        return shown(value) if isinstance(value, str) else value

    file.open, file.get_property = open, get_property
    plain_template = getattr(file, "openusingtemplate", None)  # since 6
    if plain_template is None:
        return

    @wraps(plain_template)
    def openusingtemplate(self: Any, src_file: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        return plain_template(self, src_file, address(url), *args, **kwargs)

    file.openusingtemplate = openusingtemplate


def _mend_copies(process: Any, address: Callable[[str], str]) -> None:
    plain = process.add_job

    @wraps(plain)
    def add_job(self: Any, source: str, target: str, *args: Any, **kwargs: Any) -> Any:
        return plain(self, address(source), address(target), *args, **kwargs)

    process.add_job = add_job
