"""Rucio and an XRootD door as the front end sees them: long lists, odd names, slow answers.

Part of :mod:`testbed.front_end_server`. The real services are tested elsewhere; here the browser
gets what would take them minutes to set up.
"""

from __future__ import annotations

import asyncio
import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import authenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

FILES = 100_000
BATCH = 1000
STRIDE = 7919
"""Lists come in no order, as real ones do: this prime walks through all numbers."""
MANY = "/Many/Files/NANOAOD"
BROKEN = "/Broken/Half/NANOAOD"
SLOW_CODE = 1.0
"""Seconds that code for the large dataset takes."""

CONTAINERS = ["/ZMuMu/Simulated/CONTAINER"]
LONG = (
    "/DYJetsToLL_M-50_TuneCP5_13TeV-madgraphMLM-pythia8/"
    "RunIISummer20UL18NanoAODv9-106X_upgrade2018_realistic_v16_L1v1-v2/NANOAODSIM"
)
DATASETS = [
    MANY,
    BROKEN,
    "/ZMuMu/Simulated/NANOAOD",
    LONG,
    "<b onmouseover=alert(1)>bold</b> & //double%2fslash:colon",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u65e5\u672c\u8a9e",
    "/Long/" + "x" * 986 + "/NANOAOD",
]
SIZES = {MANY: (1_319_413_953_331, FILES), "/ZMuMu/Simulated/NANOAOD": (1_288_490_189, 3)}


def _did(name: str, kind: str) -> dict[str, Any]:
    size, files = SIZES.get(name, (None, None))
    return {"scope": "cms", "name": name, "type": kind, "bytes": size, "files": files}


def _file(name: str, number: int) -> dict[str, Any]:
    size = 13_000_000 + number
    return {"scope": "cms", "name": name, "type": "file", "bytes": size, "events": 40_000}


class _Stream(APIHandler):
    """Something that answers row by row."""

    async def stream(self, rows: Iterable[dict[str, Any]], last: dict[str, Any]) -> None:
        """Send rows in batches, and a last line."""
        self.set_header("Content-Type", "application/x-ndjson")
        lines: list[str] = []
        for row in rows:
            lines.append(json.dumps(row) + "\n")
            if len(lines) == BATCH:
                self.write("".join(lines))
                lines = []
                await self.flush()
        self.finish("".join(lines) + json.dumps(last) + "\n")


class RucioHandler(APIHandler):
    """``GET af/rucio``."""

    @authenticated
    def get(self) -> None:
        """Answer that there is a Rucio."""
        self.finish({"available": True, "url": "https://rucio.example", "account": "alice"})


class ScopesHandler(APIHandler):
    """``GET af/rucio/scopes``."""

    @authenticated
    def get(self) -> None:
        """Answer with three scopes."""
        self.finish({"scopes": ["atlas", "cms", "open"]})


class SearchHandler(_Stream):
    """``GET af/rucio/search``."""

    @authenticated
    async def get(self) -> None:
        """Search the names of the scope ``cms``; the others are empty."""
        pattern, kind = self.get_argument("name"), self.get_argument("type")
        dids = [_did(name, "container") for name in CONTAINERS]
        dids += [_did(name, "dataset") for name in DATASETS]
        if self.get_argument("scope") != "cms":
            dids = []
        kinds = {"collection": {"container", "dataset"}, "all": {"container", "dataset", "file"}}
        wanted = kinds.get(kind, {kind})
        found = [did for did in dids if fnmatchcase(did["name"], pattern)]
        rows = [did for did in found if did["type"] in wanted]
        await self.stream(rows, {"done": True, "count": len(rows), "truncated": False})


class ChildrenHandler(_Stream):
    """``GET af/rucio/children``."""

    @authenticated
    async def get(self) -> None:
        """Stream the content of a container or a dataset."""
        name = self.get_argument("name")
        if name in CONTAINERS:
            rows = [_did(each, "dataset") for each in (DATASETS[2], MANY)]
            return await self.stream(rows, {"done": True, "count": len(rows)})
        count = {MANY: FILES, BROKEN: 50}.get(name, 3)
        rows_of_files = (
            _file(f"/store/mc/many/NANOAOD/{number // 1000:04d}/nano_{number:06d}.root", number)
            for number in (index * STRIDE % count for index in range(count))
        )
        if name == BROKEN:
            sentence = "Rucio broke off its answer. Try again in a minute."
            problem = {"error": {"code": "rucio-broken", "message": sentence}}
            return await self.stream(rows_of_files, problem)
        await self.stream(rows_of_files, {"done": True, "count": count})
        return None


class ReplicasHandler(APIHandler):
    """``POST af/rucio/replicas``."""

    @authenticated
    async def post(self) -> None:
        """Answer with a replica behind the cache and one beside it; every fifth file has none."""
        dids = json.loads(self.request.body)["dids"]
        assert len(dids) <= 200
        await asyncio.sleep(0.05)
        answer = []
        for did in dids:
            name = did["name"]
            lfn = name.removeprefix("/store")
            cached = {
                "rse": "DEMO_ORIGIN",
                "pfn": f"root://localhost:1094/{name}",
                "url": f"root://127.0.0.1:3094/{name}",
                "via": "cache",
                "door": "cache",
            }
            disk = f"https://storage.example/store{lfn}"
            direct = {
                "rse": "DEMO_DISK",
                "pfn": disk.replace("https:", "davs:"),
                "url": disk,
                "via": "direct",
                "door": "many",
            }
            lost = name.endswith("4.root")
            answer.append({**did, "bytes": 1, "replicas": [] if lost else [cached, direct]})
        self.finish({"replicas": answer})


class RucioCodeHandler(APIHandler):
    """``GET af/rucio/code``."""

    @authenticated
    async def get(self) -> None:
        """Answer with a line that tells what was asked; late for the large dataset."""
        name, library = self.get_argument("name"), self.get_argument("library")
        if name == MANY:
            await asyncio.sleep(SLOW_CODE)
        self.finish({"code": f"# {library} {name}", "url": None, "files": 1})


class NamesHandler(_Stream):
    """``GET af/storage/cache/list``: an XRootD door that tells names only."""

    @authenticated
    async def get(self) -> None:
        """Stream folders with as many entries as their name says."""
        path = self.get_argument("path")
        if path == "/":
            names = ["30000", "100000", "readme.txt"]
        else:
            count = int(path[1:])
            names = [f"nano_{index * STRIDE % count:06d}.root" for index in range(count)]
        rows = (
            {
                "name": name,
                "type": "unknown",
                "size": None,
                "modified": None,
                "url": f"root://127.0.0.1:3094//store{path}/{name}",
            }
            for name in names
        )
        await self.stream(rows, {"done": True, "count": len(names)})


class StatHandler(APIHandler):
    """``POST af/storage/cache/stat``."""

    @authenticated
    async def post(self) -> None:
        """Tell what the names are: numbers are folders; ``…13.root`` vanished."""
        names = json.loads(self.request.body)["names"]
        assert len(names) <= 200
        await asyncio.sleep(0.02)
        entries = [
            {
                "name": name,
                "type": "directory" if name.isdigit() else "file",
                "size": None if name.isdigit() else 1_000_000 + len(name),
                "modified": 1_790_000_000,
            }
            for name in names
            if not name.endswith("13.root")
        ]
        self.finish({"entries": entries})


class StorageCodeHandler(APIHandler):
    """``GET af/storage/<door>/code``."""

    @authenticated
    def get(self, door: str) -> None:
        """Answer with a line that tells what was asked."""
        path, library = self.get_argument("path"), self.get_argument("library")
        self.finish({"code": f"# {library} {door}:{path}", "url": None})


ROUTES: list[tuple[str, type[APIHandler]]] = [
    ("af/rucio", RucioHandler),
    ("af/rucio/scopes", ScopesHandler),
    ("af/rucio/search", SearchHandler),
    ("af/rucio/children", ChildrenHandler),
    ("af/rucio/replicas", ReplicasHandler),
    ("af/rucio/code", RucioCodeHandler),
    ("af/storage/cache/list", NamesHandler),
    ("af/storage/cache/stat", StatHandler),
    ("af/storage/([^/]+)/code", StorageCodeHandler),
]
