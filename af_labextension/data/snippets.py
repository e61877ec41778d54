"""Python code that a user puts into a notebook to read a file with the user's token.

The code stands alone: it needs uproot (or fsspec) and aiohttp, and nothing of ours, so it also runs
on Dask workers, whose images may lack this package. Rules that it keeps:

- the token is read from ``$BEARER_TOKEN_FILE`` for every request, so that a file may stay open for
  longer than a token lives, and a worker uses its own file;
- the token goes to the door alone, never to where a redirect leads;
- the token is in a header, never in a URL, and never in what is pickled to a worker.

aiohttp's client middlewares (3.12 and later) do that; uproot hands ``client_kwargs`` to fsspec, and
fsspec to aiohttp. aiohttp trusts the authorities of ``SSL_CERT_FILE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .paths import url_of

if TYPE_CHECKING:
    from .doors import Door

_MIDDLEWARE = """\
async def with_token(request, send):  # every request carries the token of the moment
    if str(request.url).startswith({door!r}):
        token = Path(os.environ["BEARER_TOKEN_FILE"]).read_text().strip()
        request.headers["Authorization"] = f"Bearer {{token}}"
    return await send(request)
"""


def reading_code(door: Door, path: str) -> str:
    """Return code that opens a file of a door.

    A ROOT file is opened with uproot, anything else as an fsspec file. The text in it that comes
    from outside stands in Python string literals.

    Parameters
    ----------
    path
        Normalised path of the file below the door.
    """
    url = url_of(door.url, path)
    options = "" if door.audience is None else ', client_kwargs={"middlewares": [with_token]}'
    if path.endswith(".root"):
        library = "uproot"
        use = f"file = uproot.open({{{url!r}: None}}{options})\nfile.keys()\n"
    else:
        library = "fsspec"
        use = f'with fsspec.open({url!r}, "rb"{options}) as file:\n    content = file.read()\n'
    if door.audience is None:
        return f"import {library}\n\n{use}"
    head = f"import os\nfrom pathlib import Path\n\nimport {library}\n\n"
    return f"{head}{_MIDDLEWARE.format(door=door.url + '/')}\n{use}"
