"""Health of database and identity provider, with a disk that is really full."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from af_hub.iam import health as module
from af_hub.iam.discovery import Issuer
from af_hub.iam.health import KEYS_LIMIT, Health, keys_code, write
from af_hub.iam.http import IAMHttp
from testbed.iam import start_iam
from testbed.require import require

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Engine

FULL_DISK = """
import sys
from pathlib import Path
from sqlalchemy import create_engine
from af_hub.iam.health import write

folder = Path(sys.argv[1])
engine = create_engine(f"sqlite:///{folder}/hub.sqlite")
codes = [write(engine)]
filler = folder / "filler"
try:
    with filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
except OSError:
    codes.append(write(engine))
filler.unlink()
codes.append(write(engine))
print(codes)
"""


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    """Give a database in a file."""
    made = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    yield made
    made.dispose()


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_full_disk_is_told_and_forgotten_when_there_is_room_again(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    inside = [str(unshare), "--user", "--map-root-user", "--mount"]
    able = unshare and subprocess.run([*inside, "true"], check=False).returncode == 0
    require("namespaces", able, "no user namespaces here")
    script = tmp_path / "script.py"
    script.write_text(dedent(FULL_DISK))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=256k tmpfs "$1" && exec "$2" "$3" "$1"'
    done = subprocess.run(
        [*inside, "sh", "-c", mount, "sh", str(disk), sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['', 'database-full', '']", done.stderr


def test_database_is_not_writable_when_it_is_read_only(tmp_path: Path, engine: Engine) -> None:
    assert write(engine) == ""
    read_only = create_engine(f"sqlite:///file:{tmp_path}/hub.sqlite?mode=ro&uri=true")
    assert write(read_only) == "database-not-writable"
    read_only.dispose()
    assert write(engine) == ""


@pytest.mark.parametrize(
    ("age", "code"),
    [(None, "keys-unknown"), (0.0, ""), (KEYS_LIMIT, ""), (KEYS_LIMIT + 1, "keys-expired")],
)
def test_keys_are_judged_by_their_age(age: float | None, code: str) -> None:
    assert keys_code(age) == code


async def test_health_fails_when_discovery_was_never_had(engine: Engine) -> None:
    provider = Issuer("https://127.0.0.1:9/", IAMHttp())  # port 9 (discard) is never opened
    assert await Health(provider, engine).codes() == ["keys-unknown"]


async def test_health_follows_the_identity_provider_through_an_outage(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP", 0.0)
    clock = Clock()
    iam = start_iam(tmp_path / "iam")
    provider = Issuer(iam.issuer, IAMHttp(str(iam.layout.ca_bundle)), clock=clock)
    health = Health(provider, engine)
    try:
        assert await health.codes() == []
    finally:
        iam.stop()
    clock.now += KEYS_LIMIT - 60
    assert await health.codes() == []
    clock.now += 120
    assert await health.codes() == ["keys-expired"]
    iam.start()
    try:
        clock.now += 60  # the issuer is not asked again at once
        assert await health.codes() == []
    finally:
        iam.stop()


async def test_a_check_that_hangs_is_told_and_not_repeated_beside_itself(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = 0
    gate = asyncio.Event()

    class Hanging(Issuer):
        async def keys(self) -> dict[str, Any]:
            nonlocal begun
            begun += 1
            await gate.wait()
            self._mark("keys")
            return {}

    monkeypatch.setattr(module, "PATIENCE", 0.05)
    health = Health(Hanging("https://iam.example", IAMHttp()), engine)
    for codes in await asyncio.gather(*(health.codes() for _ in range(100))):
        assert "provider-slow" in codes
    assert "provider-slow" in await health.codes()
    assert begun == 1
    gate.set()
    monkeypatch.setattr(module, "PATIENCE", 5.0)
    assert await health.codes() == []


async def test_health_recovers_when_a_check_broke(engine: Engine) -> None:
    class Broken(Issuer):
        async def keys(self) -> dict[str, Any]:
            if self.key_age is None:
                self._mark("keys")
                raise RuntimeError("broken")
            return {}

    health = Health(Broken("https://iam.example", IAMHttp()), engine)
    with pytest.raises(RuntimeError):
        await health.codes()
    assert await health.codes() == []


async def test_one_check_serves_everybody_when_many_ask_at_once(engine: Engine) -> None:
    written: list[int] = []

    class Counted(Health):
        async def _database(self) -> str:
            written.append(1)
            return await super()._database()

    class Known(Issuer):
        async def keys(self) -> dict[str, Any]:
            self._mark("keys")
            return {}

    health = Counted(Known("https://iam.example", IAMHttp()), engine)
    for _ in range(3):
        assert await asyncio.gather(*(health.codes() for _ in range(200))) == [[]] * 200
    assert len(written) == 1
