"""Odd spellings of paths at the cache and at the origin: right or refused, never outside the store.

Beside the store lies the storage's ``config.json``, as in every facility on one machine.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from testbed.xrootd_6 import content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.xrootd_6 import XCache

SECRET = b"what stands in the configuration"

OUTSIDE = (
    "/config.json",
    "//config.json",
    "/../config.json",
    "/store/../config.json",
    "/store//../config.json",
    "/store/./../config.json",
    "/store/cms/../../config.json",
    "/store/%2e%2e/config.json",
    "/store/.%2E/config.json",
    "/store/%2e%2e%2fconfig.json",
    "/store%2f..%2fconfig.json",
    "/store/..%252fconfig.json",
    "/store/%252e%252e/config.json",
    "/store/..%c0%afconfig.json",
    "/store/..%5cconfig.json",
    "/store\\..\\config.json",
    "/store/..;/config.json",
    "/store/cms/hello.txt/../../../config.json",
    "/store/cms/link.json",
    "/config.json?authz=",
    "/storage/config.json",
    "/run/root/config.json",
    "/run/config/scitokens.cfg",
    "/run/grid/host.key",
    "/etc/passwd",
)
"""Ways out; `link.json` is a symbolic link to ``../../config.json``."""

CUT_OFF = (
    ("/store/cms/hello.txt%00/../../../config.json", content("/store/cms/hello.txt")),
    ("/store/cms/hello.txt%00.root", content("/store/cms/hello.txt")),
    ("/store/cms/hello.txt?/../../../config.json", content("/store/cms/hello.txt")),
)
"""Paths over https of which XRootD reads the beginning only, and what is read."""

ACROSS = (
    "/store/cms/../other/hello.txt",
    "/store/cms/%2e%2e/other/hello.txt",
    "/store/cms/..%2fother/hello.txt",
    "/store/cms/./../other/hello.txt",
    "/store/cms//../other/hello.txt",
    "//store//other//hello.txt",
    "/store/./other/hello.txt",
    "/store/cms/hello.txt/../../other/hello.txt",
    "/store/other/hello.txt?authz=",
    "/store/other/hello.txt?x=/store/cms/hello.txt",
)
"""Ways to what a token for /store/cms does not open."""

SAME = (
    "/store/cms//hello.txt",
    "//store/cms/hello.txt",
    "/store/./cms/hello.txt",
    "/store/cms/././/hello.txt",
)
"""Other spellings of one file."""

NAMES = (
    "a b/c d.txt",
    "Ünï/µ→.txt",
    "50%.txt",
    "a%20b.txt",
    "a%2fb.txt",
    "plus+&=;.txt",
    "hash#q.txt",
    "<b>&amp;'\".txt",
    "..dots..txt",
    "-r.txt",
    "x" * 200,
)
"""Names that are plain files in the store."""

READ_ALL = """
import json
import sys
from XRootD import client

found = []
for url in sys.argv[1:]:
    with client.File() as file:
        status, _ = file.open(url)
        found.append(file.read()[1].decode() if status.ok else None)
print(json.dumps(found))
"""

SIGNS = (SECRET, b"root:x:0", b"PRIVATE KEY", b"onmissing")
"""What stands in the files outside."""


@pytest.fixture(scope="module")
def odd(xcache: XCache) -> Iterator[XCache]:
    """Give the cache with odd names in the store and a configuration beside it."""
    layout = xcache.stack.layout
    beside = layout.store.parent / "config.json"
    beside.write_bytes(SECRET)
    link = layout.store / "cms" / "link.json"
    link.symlink_to("../../config.json")
    for name in NAMES:
        path = f"/store/cms/odd/{name}"
        xcache.stack.write(path, content(path))
    yield xcache
    beside.unlink(missing_ok=True)
    link.unlink()


def by_root(odd: XCache, path: str, token: str) -> tuple[int, bytes]:
    """Read over root://; returns exit code and everything that was said."""
    done = odd.stack.client("xrdcp", "-s", "-f", odd.stack.url(path), "-", token=token)
    return done.returncode, done.stdout + done.stderr


def by_origin(odd: XCache, *paths: str) -> list[str | None]:
    """Read from the origin as the cache does, with its certificate; None for a refusal."""
    grid = odd.stack.grid
    environment = {"X509_CERT_DIR": str(grid.trusted), "X509_USER_PROXY": str(grid.proxy)}
    urls = [odd.stack.origin_url(path) for path in paths]
    # one process for all: each handshake of the grid kind takes half a second
    done = odd.stack.inside(sys.executable, "-c", READ_ALL, *urls, environment=environment)
    assert done.returncode == 0, done.stderr.decode()
    found: list[str | None] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_the_store_is_read_when_the_token_opens_everything(
    odd: XCache, path: str
) -> None:
    token = odd.stack.token("storage.read:/")
    status, body = odd.ask("GET", path, token)
    assert 400 <= status < 600
    code, said = by_root(odd, path, token)
    assert code != 0
    assert [sign for sign in SIGNS if sign in body + said] == []


@pytest.mark.parametrize(("path", "right"), CUT_OFF)
def test_path_is_read_up_to_its_end_when_it_goes_on_after_that(
    odd: XCache, path: str, right: bytes
) -> None:
    assert odd.ask("GET", path, odd.stack.token("storage.read:/")) == (200, right)


def test_nothing_outside_the_store_is_read_when_the_origin_is_asked_itself(odd: XCache) -> None:
    path = "/store/cms/hello.txt"
    given, *others = by_origin(odd, path, *OUTSIDE)
    # or an origin that gives nothing at all would do
    assert given == content(path).decode()
    assert dict(zip(OUTSIDE, others, strict=True)) == dict.fromkeys(OUTSIDE)


@pytest.mark.parametrize("path", ACROSS)
def test_other_files_are_refused_when_a_path_goes_around(odd: XCache, path: str) -> None:
    token = odd.stack.token("storage.read:/store/cms")
    assert odd.ask("GET", path, token)[0] in {400, 403, 404}
    code, said = by_root(odd, path, token)
    assert code != 0
    assert b"This is" not in said


@pytest.mark.parametrize("path", SAME)
def test_file_is_read_when_its_path_is_spelled_in_another_way(odd: XCache, path: str) -> None:
    token, right = odd.stack.token(), content("/store/cms/hello.txt")
    assert odd.ask("GET", path, token) == (200, right)
    assert by_root(odd, path, token) == (0, right)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_read_when_its_name_is_odd(odd: XCache, name: str) -> None:
    token, path = odd.stack.token(), f"/store/cms/odd/{name}"
    assert odd.ask("GET", quote(path), token) == (200, content(path))
    # root:// knows no quoting: names go as they are
    assert by_root(odd, path, token) == (0, content(path))


@pytest.mark.parametrize("path", ["/", "/..", "/store/..", "//", "/store/cms/../.."])
def test_nothing_outside_the_store_is_listed(odd: XCache, path: str) -> None:
    token = odd.stack.token("storage.read:/")
    for method in ("GET", "PROPFIND"):
        status, body = odd.ask(method, path, token, {"Depth": "1"})
        assert status >= 400 or b"config.json" not in body
    door = f"root://127.0.0.1:{odd.stack.port}"
    done = odd.stack.client("xrdfs", door, "ls", "-l", path, token=token)
    assert b"config.json" not in done.stdout + done.stderr


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "MOVE", "COPY"])
def test_nothing_is_changed_over_https_when_the_token_would_allow_it(
    odd: XCache, method: str
) -> None:
    stack, path = odd.stack, "/store/cms/hello.txt"
    token = stack.token("storage.read:/ storage.create:/ storage.modify:/")
    target = {"Destination": stack.https_url("/store/cms/new.txt"), "Content-Length": "0"}
    asked = "/store/cms/new" if method == "MKCOL" else path
    assert odd.ask(method, asked, token, target)[0] >= 400
    assert (stack.layout.storage / path.lstrip("/")).read_bytes() == content(path)
    assert not (stack.layout.store / "cms" / "new.txt").exists()
    assert not (stack.layout.store / "cms" / "new").exists()
