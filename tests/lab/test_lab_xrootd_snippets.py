"""The code that goes into notebooks is run, through the XCache and with nothing of ours."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import uproot

from af_labextension.data.doors import Door, door_from
from af_labextension.data.snippets import Library, library_named, reading_code, reading_urls_code
from af_labextension.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.xrootd import Stack

ODD = "Z #1 100%[a]:b é.root"
"""A name with everything that URLs, patterns and uproot's own path syntax trip over."""

PLAIN = ["a b.root", "100%.root", "c:d@é.root"]

XROOTD = Door("cache", "Cache", "root://cache:1094//store", "storage")
WEBDAV = Door("disk", "Disk", "https://disk/store", "storage")

Run = Any


@pytest.fixture(scope="module")
def folder(xrootd_stack: Stack) -> str:
    """Put ROOT files into the store; each has three events of 0, 1 and 2."""
    target = xrootd_stack.layout.store / "cms" / "snippets"
    target.mkdir(parents=True)
    for name in [ODD, *PLAIN]:
        with uproot.recreate(target / "new.root") as file:
            file.mktree("Events", {"pt": "float64"})
            file["Events"].extend({"pt": np.arange(3.0)})
        (target / "new.root").rename(target / name)
    (target / "notes.txt").write_text("hello")
    return "/cms/snippets"


@pytest.fixture
def door(xrootd_stack: Stack) -> Door:
    """Give the cache as a door."""
    url = f"root://127.0.0.1:{xrootd_stack.port}//store"
    return door_from({"name": "cache", "url": url, "audience": "storage"})


@pytest.fixture
def run(xrootd_stack: Stack, tmp_path: Path) -> Callable[[str], str]:
    """Give a function that runs code as a kernel would: a token file, and no token."""
    token_file = tmp_path / "bt"

    def run_code(code: str, token: str | None = None) -> str:
        token_file.touch(mode=0o600)
        token_file.write_text(token or xrootd_stack.token())
        (tmp_path / "notebook.py").write_text(code)
        done = subprocess.run(
            [sys.executable, str(tmp_path / "notebook.py")],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "BEARER_TOKEN_FILE": str(token_file),
                "X509_CERT_DIR": str(xrootd_stack.layout.certificates),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_code


TOTAL = "print(file['Events']['pt'].array(library='np').sum())\n"


def test_a_root_file_is_read_when_its_name_is_odd(folder: str, door: Door, run: Run) -> None:
    code = reading_code(door, f"{folder}/{ODD}")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert run(code + TOTAL).split() == ["3.0"]


def test_a_file_is_opened_again_when_the_token_was_replaced(
    folder: str, door: Door, run: Run, xrootd_stack: Stack
) -> None:
    # the second token sees more: only a new connection shows it
    (xrootd_stack.layout.store / "atlas" / "snippets").mkdir(parents=True)
    content = (xrootd_stack.layout.store / "cms" / "snippets" / PLAIN[0]).read_bytes()
    (xrootd_stack.layout.store / "atlas" / "snippets" / "a.root").write_bytes(content)
    first = reading_code(door, f"{folder}/{PLAIN[0]}") + TOTAL
    later = f"Path(os.environ['BEARER_TOKEN_FILE']).write_text({xrootd_stack.token('storage.read:/store')!r})\n"
    second = reading_code(door, "/atlas/snippets/a.root") + TOTAL
    assert run(first + later + second).split() == ["3.0", "3.0"]


def test_any_other_file_is_read_as_bytes(folder: str, door: Door, run: Run) -> None:
    code = reading_code(door, f"{folder}/notes.txt")
    assert run(code + "print(content.decode())").strip() == "hello"


def test_events_of_many_files_are_read(folder: str, door: Door, run: Run) -> None:
    urls = [f"{door.url}{folder}/{name}" for name in PLAIN]
    code = reading_urls_code(urls, "uproot", [door])
    for url in urls:
        assert f"    {url!r},\n" in code
    assert run(code).split() == ["3"] * len(PLAIN)


def test_a_fileset_is_read_by_uproot_as_coffea_does(folder: str, door: Door, run: Run) -> None:
    urls = [f"{door.url}{folder}/{name}" for name in PLAIN]
    code = reading_urls_code(urls, "coffea", [door], name="cms:/Z'\"\n/x")
    code += (
        "import uproot\n"
        "for name, dataset in fileset.items():\n"
        "    for url, tree in dataset['files'].items():\n"
        "        print(repr(name), uproot.open({url: tree}).num_entries)\n"
    )
    assert run(code).splitlines() == [repr("cms:/Z'\"\n/x") + " 3"] * len(PLAIN)


def test_a_data_frame_gets_the_addresses(folder: str, door: Door, run: Run) -> None:
    # ROOT itself is not in the test's environment: this one writes down what it is asked
    recorder = (
        "import sys, types\n"
        "ROOT = types.ModuleType('ROOT')\n"
        "ROOT.RDataFrame = lambda tree, urls: print(tree, len(urls), *urls) or types.SimpleNamespace(Describe=str)\n"
        "sys.modules['ROOT'] = ROOT\n"
    )
    urls = [f"{door.url}{folder}/{name}" for name in PLAIN]
    tree, count, *_ = run(recorder + reading_urls_code(urls, "rdataframe", [door])).split(" ")
    assert (tree, count) == ("Events", "3")
    assert reading_code(door, f"{folder}/{PLAIN[1]}", "rdataframe") == reading_urls_code(
        [urls[1]], "rdataframe", [door]
    )


# --- without a server -----------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["uproot", "rdataframe", "coffea"])
@pytest.mark.parametrize(
    "path", ["/a'b.root", '/a"b.root', "/a\\b.root", "/'); x=('.txt", "/a\\N{DIGIT ONE}.root"]
)
@pytest.mark.parametrize("door", [XROOTD, WEBDAV])
def test_a_name_cannot_leave_its_string(door: Door, path: str, library: Library) -> None:
    code = reading_code(door, path, library)
    strings = {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}
    if door is XROOTD:
        assert f"root://cache:1094//store{path}" in strings
    assert "x=" not in code.replace(path, "").replace(repr(path)[1:-1], "")


@pytest.mark.parametrize("name", ["a?b", "a?authz=Bearer%20x"])
@pytest.mark.parametrize("library", ["uproot", "rdataframe", "coffea"])
def test_a_name_is_refused_when_xrootd_would_cut_it(name: str, library: Library) -> None:
    with pytest.raises(BadRequest) as refusal:
        reading_code(XROOTD, f"/{name}.root", library)
    assert refusal.value.code == "bad-name"


@pytest.mark.parametrize("name", ["a*", "a[1]", "a#b"])
def test_a_name_is_refused_when_a_library_would_take_it_for_a_pattern(name: str) -> None:
    url = f"root://cache:1094//store/{name}.root"
    for library in ("uproot", "rdataframe", "coffea"):
        with pytest.raises(BadRequest):
            reading_urls_code([url], library_named(library), [XROOTD])
    with pytest.raises(BadRequest):
        reading_code(XROOTD, f"/{name}.txt")
    assert reading_code(XROOTD, f"/{name}.root")
    assert reading_code(WEBDAV, f"/{name}.root", "coffea")


def test_each_address_gets_what_it_needs_when_doors_are_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bt").write_text("token")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "bt"))
    urls = [f"{XROOTD.url}/cms/a.root", f"{WEBDAV.url}/cms/b.root", "root://else//c.root"]
    code = reading_urls_code(urls, "uproot", [XROOTD, WEBDAV])
    compile(code, "cell", "exec")
    assert "'https://disk/store/'" in code
    assert "connected(url)" in code
    room: dict[str, Any] = {}
    exec(code.partition("files =")[0].replace("import uproot", ""), room)  # noqa: S102 - the code is ours
    assert room["connected"](urls[1]) == urls[1]
    assert re.fullmatch(
        r"root://t[0-9a-f]{7}@cache:1094//store/cms/a.root", room["connected"](urls[0])
    )
    alone = reading_urls_code(urls[2:], "uproot", [XROOTD, WEBDAV])
    assert "BEARER_TOKEN_FILE" not in alone


def test_fsspec_gets_an_address_that_it_knows_when_the_door_is_roots() -> None:
    door = Door("cache", "Cache", "roots://cache:1094//store", "storage")
    for library, scheme in (("uproot", "root"), ("coffea", "root"), ("rdataframe", "roots")):
        code = reading_code(door, "/a.root", library_named(library))
        assert f"'{scheme}://cache:1094//store/a.root'" in code
        assert "connected(" in code


def test_a_library_is_refused_when_nobody_knows_it() -> None:
    assert library_named("coffea") == "coffea"
    with pytest.raises(BadRequest) as refusal:
        library_named("pandas")
    assert refusal.value.code == "unknown-library"
