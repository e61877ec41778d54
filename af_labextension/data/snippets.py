"""Python code that a user puts into a notebook to read files with the user's token.

The code stands alone: it needs uproot (or fsspec, ROOT, coffea) and nothing of ours, so it also
runs on Dask workers, whose images may lack this package. Rules that it keeps:

- the token is read from ``$BEARER_TOKEN_FILE`` when it is needed, so that a worker uses its own
  file, and is never in what is pickled to a worker;
- the token is never in a URL;
- over https it goes to the doors alone, never to where a redirect leads, and every request takes
  the token of the moment, so that a file may stay open for longer than a token lives: aiohttp's
  client middlewares (3.12 and later) do that; uproot hands ``client_kwargs`` to fsspec, and fsspec
  to aiohttp. aiohttp trusts the authorities of ``SSL_CERT_FILE``;
- over XRootD a connection keeps the token it logged in with, also when that has expired (xrootd
  #1784), so the addresses name a connection for each token. XRootD's clients find the token by
  themselves, and trust the authorities in ``X509_CERT_DIR``. ROOT finds the token for both.

Text from outside stands in Python string literals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from af_labextension.errors import BadRequest

from .paths import checked_raw_path, raw_url_of, url_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .doors import Door

Library = Literal["uproot", "rdataframe", "coffea"]
"""What the code reads with."""

TREE = "Events"
"""Name of the tree where the code must name one."""

_MIDDLEWARE = """\
async def with_token(request, send):  # every request carries the token of the moment
    if str(request.url).startswith({doors}):
        token = Path(os.environ["BEARER_TOKEN_FILE"]).read_text().strip()
        request.headers["Authorization"] = f"Bearer {{token}}"
    return await send(request)
"""

_CONNECTION = """\
def connected(url):  # an XRootD connection keeps its token: a new token needs a new connection
    token = Path(os.environ["BEARER_TOKEN_FILE"]).read_bytes().strip()
    name = "t" + hashlib.sha256(token).hexdigest()[:7]
    return url.replace("://", f"://{name}@", 1) if url.startswith("root") else url
"""


def library_named(name: str) -> Library:
    """Check the name of a library.

    Raises
    ------
    BadRequest
        ``unknown-library``.
    """
    for library in get_args(Library):
        if name == library:
            return library  # type: ignore[no-any-return]
    raise BadRequest("unknown-library", "Code can be given for uproot, rdataframe and coffea.")


def address_of(door: Door, path: str) -> str:
    """Return the address under which programs open a path below a door.

    Raises
    ------
    BadRequest
        ``bad-name``: XRootD cannot open this name.
    """
    if door.kind == "webdav":
        return url_of(door.url, path)
    return raw_url_of(door.url, checked_raw_path(path))


def reading_code(door: Door, path: str, library: Library = "uproot") -> str:
    """Return code that opens a file of a door.

    With uproot a ROOT file is opened as such and anything else as an fsspec file; the other
    libraries know ROOT files only.

    Parameters
    ----------
    path
        Normalised path of the file below the door.

    Raises
    ------
    BadRequest
        ``bad-name``: the protocol or the library cannot open this name.
    """
    url = address_of(door, path)
    if library != "uproot":
        return reading_urls_code([url], library, [door])
    kit = _Kit([url], [door])
    url = _fsspec_address(url)
    if path.endswith(".root"):
        use = f"file = uproot.open({{{kit.one(url)}: None}}{kit.options})\nfile.keys()\n"
        return kit.code("uproot", use)
    if kit.connections:
        _refuse_patterns([url])  # fsspec would look for files that match
    use = (
        f'with fsspec.open({kit.one(url)}, "rb"{kit.options}) as file:\n    content = file.read()\n'
    )
    return kit.code("fsspec", use)


def reading_urls_code(
    urls: Sequence[str],
    library: Library,
    doors: Sequence[Door],
    *,
    name: str = "dataset",
    fileset: str | None = None,
) -> str:
    """Return code that reads the events of several ROOT files, one line for each address.

    Parameters
    ----------
    urls
        Addresses as `address_of` gives them, or as a catalogue does.
    library
        uproot: a loop over chunks of events; rdataframe: an ``RDataFrame``; coffea: a fileset.
    doors
        The doors of this Lab: tokens go to what lies below one that wants them.
    name
        Name of the dataset in a coffea fileset.
    fileset
        Path of a JSON file with a coffea fileset of this name: the code loads the addresses from it.

    Raises
    ------
    BadRequest
        ``bad-name``: the library would take an address for something else than the name of a file.
    """
    kit = _Kit(urls, doors)
    _refuse_patterns(urls)
    if fileset is None:
        rows = "".join(f"    {url!r},\n" for url in addresses_for(urls, library))
        names = f"urls = [\n{rows}]\n"
    else:
        kit.json = True
        loaded = f'list(json.load(listed)[{name!r}]["files"])'
        names = f"with open({fileset!r}) as listed:\n    urls = {loaded}\n"
    each = "connected(url)" if kit.connections else "url"
    if library == "rdataframe":
        chosen = "[connected(url) for url in urls]" if kit.connections else "urls"
        use = f"{names}frame = ROOT.RDataFrame({TREE!r}, {chosen})\nframe.Describe()\n"
        return kit.code("ROOT", use)
    if library == "coffea":
        use = f"{names}fileset = {{{name!r}: {{'files': {{{each}: {TREE!r} for url in urls}}}}}}\n"
        if kit.https:
            use += 'uproot_options = {"client_kwargs": {"middlewares": [with_token]}}\n'
        return kit.code("", use)
    use = (
        f"{names}files = {{{each}: {TREE!r} for url in urls}}\n"
        # a step in bytes would fail on root:// (numpy offsets, which XRootD's bindings refuse)
        f"for events in uproot.iterate(files, step_size=100_000{kit.options}):\n"
        "    print(len(events))  # give iterate the names of the branches that you need\n"
    )
    return kit.code("uproot", use)


def addresses_for(urls: Sequence[str], library: Library) -> list[str]:
    """Return addresses as a library takes them."""
    return list(urls) if library == "rdataframe" else [_fsspec_address(url) for url in urls]


class _Kit:
    """What the code for some addresses needs to show the token.

    Parameters
    ----------
    urls
        The addresses.
    doors
        The doors that are known.
    """

    def __init__(self, urls: Sequence[str], doors: Sequence[Door]) -> None:
        guarded = [door for door in doors if door.audience is not None]
        used = [door for door in guarded if any(_below(url, door) for url in urls)]
        self.https = [door.url + "/" for door in used if door.kind == "webdav"]
        self.connections = any(door.kind == "xrootd" for door in used)
        self.json = False

    @property
    def options(self) -> str:
        """Arguments for uproot and fsspec."""
        return ', client_kwargs={"middlewares": [with_token]}' if self.https else ""

    def one(self, url: str) -> str:
        """Return the expression for one address."""
        return f"connected({url!r})" if self.connections else repr(url)

    def code(self, library: str, use: str) -> str:
        """Put imports and helpers before what uses them."""
        helpers, modules = [], []
        # ROOT has its own way to the token over https
        if self.https and library != "ROOT":
            doors = repr(self.https[0] if len(self.https) == 1 else tuple(self.https))
            helpers.append(_MIDDLEWARE.format(doors=doors))
        if self.connections:
            modules.append("import hashlib\n")
            helpers.append(_CONNECTION)
        if self.json:
            modules.append("import json\n")
        if helpers:
            modules.append("import os\nfrom pathlib import Path\n")
        head = "".join(modules) + ("\n" if modules and library else "")
        head += f"import {library}\n" if library else ""
        return "\n".join(part for part in (head, *helpers, use) if part)


def _below(url: str, door: Door) -> bool:
    """Tell whether an address lies below a door."""
    return url.startswith(door.url.rstrip("/") + "/")


def _fsspec_address(url: str) -> str:
    """Return an address as fsspec knows it: fsspec-xrootd 0.5 has no ``roots``.

    A server that wants TLS gets it all the same, and to any other no token is shown.
    """
    return url.replace("roots://", "root://", 1) if url.startswith("roots://") else url


def _refuse_patterns(urls: Sequence[str]) -> None:
    """Refuse names that fsspec, uproot or ROOT would take for patterns, or cut at a ``#``.

    Addresses of WebDAV have these letters percent-encoded.

    Raises
    ------
    BadRequest
        ``bad-name``.
    """
    for url in urls:
        if set(url) & set("?*[]#"):
            raise BadRequest(
                "bad-name",
                "The name of a file has one of ? * [ ] #, which this library would not take"
                " as a part of the name. Open the file alone with uproot, or have it renamed.",
            )
