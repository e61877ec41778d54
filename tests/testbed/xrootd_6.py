"""The cache under test: the installed XRootD's, or that of another root.

The tests of ``tests/data/test_xcache_*.py`` take the fixture `xcache`. It is the cache of
`testbed.xrootd`, and where ``AF_XROOTD_ROOT`` names a root file system (``make test-xrootd-6``)
origin and cache run from that one.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from af_hub.embedded.files import write_atomically
from af_hub.embedded.xrootd import places
from af_hub.embedded.xrootd.part import cache_part
from af_hub.xcache.versions import FAULTS, Fault, Version, generation_of, parse_version
from testbed.xrootd import METER_PORT, SERVERS, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.embedded.xrootd.places import ServerFolders

Protocol = Literal["https", "root"]

PROTOCOLS: Final[tuple[Protocol, ...]] = ("https", "root")

UPSTREAM: Final = (
    *FAULTS,
    Fault(
        code="scope-way-up",
        sentence="storage.read:/store/cms/../other opens /store/other (scitokens-cpp < 1.4.1)",
        fixed=(6, 2, 0),  # with scitokens-cpp 1.4.1, that is
        security=True,
    ),
)
"""Faults of XRootD and scitokens-cpp that the tests meet."""


class UnclearError(Exception):
    """An answer that is neither the file nor a refusal: a fault of the test or of the server."""


@dataclass(frozen=True)
class XCache:
    """A cache whose configuration may be changed.

    Parameters
    ----------
    stack
        The running servers.
    version
        Version of XRootD that they are.
    root
        Root file system that they run from; None: this system's.
    """

    stack: Stack
    version: Version
    root: Path | None

    def reads(self, protocol: Protocol, path: str, token: str | None) -> bool:
        """Tell whether a client gets the file, whole and right, or is refused.

        Raises
        ------
        UnclearError
            Neither.
        """
        if protocol == "https":
            status, body = self.stack.get(path, token)
            said = f"{status} {body[:300]!r}"
            refused = status in {401, 403}
            answered = status == 200
        else:
            done = self.stack.client("xrdcp", "-s", "-f", self.stack.url(path), "-", token=token)
            body, said = done.stdout, done.stderr.decode(errors="replace")
            refused = done.returncode != 0 and ("[3010]" in said or "Auth failed" in said)
            answered = done.returncode == 0
        if refused:
            return False
        if not answered or body != content(path.partition("?")[0]):
            raise UnclearError(said)
        return True

    def ask(
        self, method: str, target: str, token: str | None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Make one https request whose target is sent exactly as it is given."""
        context = ssl.create_default_context(cafile=str(self.stack.layout.ca_certificate))
        line = http.client.HTTPSConnection(
            "127.0.0.1", self.stack.https_port, timeout=60, context=context
        )
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            line.request(method, target, None, given | (headers or {}))
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    @contextmanager
    def configured(self, **values: Any) -> Iterator[None]:
        """Let the cache run with other values in section ``xcache`` of the facility file."""
        self._configure(values)
        try:
            yield
        finally:
            self._configure({})

    def _configure(self, values: dict[str, Any]) -> None:
        stack, facility = self.stack, self.stack.facility
        xcache = facility.require_xcache().model_copy(update=values)
        facility = facility.model_copy(update={"xcache": xcache})
        cache_part(stack.layout, facility, generation_of(self.version), origin_port=METER_PORT)
        self.use_root(places.cache_folders(stack.layout))
        stack.restart("xcache")

    def use_root(self, folders: ServerFolders) -> None:
        """Let a server run from the other root at its next start."""
        if self.root is not None:
            settings = json.loads(folders.settings.read_text())
            write_atomically(folders.settings, json.dumps({**settings, "root": str(self.root)}))

    def expect_fault(self, request: pytest.FixtureRequest, code: str | None) -> None:
        """Mark a test as one that must fail if this version has an upstream fault."""
        if code is None:
            return
        fault = next(each for each in UPSTREAM if each.code == code)
        if fault.is_in(self.version):
            fixed = ".".join(map(str, fault.fixed)) if fault.fixed else "no version so far"
            reason = f"XRootD: {fault.sentence} (fixed in {fixed})"
            mark = pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason)
            request.applymarker(mark)


def content(path: str) -> bytes:
    """Return what stands in a small file of the tests."""
    return f"This is {path}.\n".encode()


def _version(root: Path | None) -> Version:
    command = ["xrootd", "-v"] if root is None else ["chroot", str(root), "xrootd", "-v"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return parse_version((answer.stdout + answer.stderr).strip())


SMALL_FILES: Final = tuple(
    f"/store/{path}/hello.txt" for path in ("cms", "cms/deep", "cmsx", "other", "atlas")
)
"""What the tests read."""


def cache_under_test(stack: Stack) -> XCache:
    """Give the cache of running servers, which are moved to the other root if there is one."""
    named = os.environ.get("AF_XROOTD_ROOT")
    root = Path(named) if named else None
    cache = XCache(stack, _version(root), root)
    if root is not None:
        cache.use_root(places.origin_folders(stack.layout))
        stack.restart("xrootd-origin")
        with cache.configured():
            pass
    number = ".".join(map(str, cache.version))
    for name in SERVERS:
        started = stack.log(name).rpartition("xrd version v")[2]
        assert started.startswith(number), f"{name} is {started[:20]!r}, not {number}"
    return cache


@pytest.fixture(scope="session")
def xcache(xrootd_stack: Stack) -> XCache:
    """Give the cache under test, with `SMALL_FILES` behind it; see the module's text."""
    for path in SMALL_FILES:
        xrootd_stack.write(path, content(path))
    return cache_under_test(xrootd_stack)
