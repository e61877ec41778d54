"""Starting in order, saying what failed, and bringing parts back: with small real processes."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded import logs, supervisor
from af_hub.embedded.environment import part_environment
from af_hub.embedded.guard import find_processes
from af_hub.embedded.layout import Layout
from af_hub.embedded.parts import Part
from af_hub.embedded.probe import accepts, status
from af_hub.embedded.supervisor import Supervisor
from af_hub.errors import SetupError
from testbed.iam import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "data")
    made.create()
    return made


@pytest.fixture
async def parent(layout: Layout) -> AsyncIterator[tuple[Supervisor, list[str], str]]:
    said: list[str] = []
    instance = secrets.token_hex(8)
    made = Supervisor(layout, instance, said.append)
    yield made, said, instance
    await made.stop()
    assert find_processes(instance) == set()


def part(name: str, code: str = SLEEP, *, ready: object = True, **more: object) -> Part:
    """Return a part that runs some Python; `ready` is the answer of its probe."""

    async def probe() -> bool:
        return bool(ready() if callable(ready) else ready)

    command = (sys.executable, "-c", code)
    return Part(name=name, title=name.title(), command=command, ready=probe, **more)  # type: ignore[arg-type]


async def until(condition: object) -> None:
    """Wait until a condition is true."""
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what it asks about has no event
            await asyncio.sleep(0.02)


async def test_log_is_shown_when_a_part_ends_at_its_start(
    parent: tuple[Supervisor, list[str], str], layout: Layout
) -> None:
    broken = part("broken", "import sys; sys.exit('no such thing')", ready=False)
    with pytest.raises(SetupError, match="no such thing") as caught:
        await parent[0].start([broken, part("other")])
    assert caught.value.code == "part-failed"
    assert str(layout.log("broken")) in caught.value.message


async def test_part_is_named_when_it_is_too_slow(
    parent: tuple[Supervisor, list[str], str],
) -> None:
    with pytest.raises(SetupError, match=r"Slow did not answer within 0 s") as caught:
        await parent[0].start([part("slow", ready=False, start_timeout=0.3)])
    assert caught.value.code == "part-slow"


async def test_others_start_when_an_optional_part_does_not_and_it_is_tried_again(
    parent: tuple[Supervisor, list[str], str], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said, _ = parent
    monkeypatch.setattr(supervisor, "PAUSES", (0.05,))
    mended = layout.state / "mended"
    code = f"import pathlib, sys, time; pathlib.Path({str(mended)!r}).exists() or sys.exit('no')"
    extra = part("extra", f"{code}; time.sleep(600)", ready=mended.exists, optional=True)
    await made.start([extra, part("after it", after=("extra",))])
    assert said[0].startswith("Going on without Extra: Extra ended at its start")
    assert said[1].startswith("After It is up")
    mended.touch()
    await until(lambda: "Extra is up again" in said)


async def test_part_waits_when_it_comes_after_another(
    parent: tuple[Supervisor, list[str], str],
) -> None:
    made, said, _ = parent
    await made.start([part("second", after=("first",)), part("first")])
    assert [line.split()[0] for line in said] == ["First", "Second"]


async def test_part_is_started_again_when_it_dies(
    parent: tuple[Supervisor, list[str], str],
) -> None:
    made, said, instance = parent
    told: list[int] = []

    async def restarted() -> None:
        told.append(1)

    await made.start([part("one", restarted=restarted)])
    before = made.pid("one")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    await until(lambda: told)
    after = made.pid("one")
    assert after not in {None, before}
    assert after in find_processes(instance)
    await until(lambda: "One is up again" in said)


async def test_pauses_grow_when_a_part_keeps_dying(
    parent: tuple[Supervisor, list[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said, _ = parent
    monkeypatch.setattr(supervisor, "PAUSES", (0.0, 0.0, 600.0))
    alive = [True]
    await made.start([part("sick", "import time; time.sleep(0.3)", ready=lambda: alive[0])])
    alive[0] = False
    # two quick attempts, then the long pause
    await until(lambda: len([line for line in said if "starting it again" in line]) == 3)
    assert len([line for line in said if "ended at its start" in line]) == 2


async def test_part_is_killed_when_it_does_not_stop(
    parent: tuple[Supervisor, list[str], str], layout: Layout
) -> None:
    made, _, instance = parent
    mark = layout.state / "armed"
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    )
    await made.start([part("stubborn", code, ready=mark.exists, stop_timeout=0.2)])
    await made.stop()
    assert find_processes(instance) == set()


async def test_orphans_are_removed_when_they_die(
    parent: tuple[Supervisor, list[str], str], layout: Layout
) -> None:
    made, _, _ = parent
    note = layout.state / "orphan"
    # a part that leaves a child behind, as a hub that dies leaves Labs behind
    code = (
        "import subprocess, sys, pathlib, time;"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True);"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(600)"
    )
    await made.start([part("hub", code, ready=lambda: note.exists() and note.read_text())])
    orphan = int(note.read_text())
    hub = made.pid("hub")
    assert hub is not None
    os.kill(hub, signal.SIGKILL)
    await until(lambda: made.pid("hub") not in {None, hub})
    os.kill(orphan, signal.SIGKILL)

    def gone() -> bool:
        try:
            os.kill(orphan, 0)  # a zombie still answers
        except ProcessLookupError:
            return True
        return False

    await until(gone)


async def test_probe_says_no_when_nobody_answers() -> None:
    (port,) = free_ports(1)
    assert not await accepts(port)
    assert await status(port, "/") is None


def test_environment_is_clean_when_the_caller_has_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("BEARER_TOKEN", "planted")
    monkeypatch.setenv("no_proxy", "example.org")
    made = part_environment("0123456789abcdef", {"X": "y"})
    assert "planted" not in made.values()
    assert made["AF_INSTANCE"] == "0123456789abcdef"
    assert made["X"] == "y"
    assert made["no_proxy"] == "example.org,127.0.0.1,localhost,::1"
    assert made["PATH"].startswith(f"{sys.prefix}/bin:")


def test_log_is_put_aside_when_it_has_grown(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LARGEST", 10)
    path = layout.log("hub")
    for text in (b"first, and long enough\n", b"second\n"):
        with logs.open_log(path) as stream:
            stream.write(text)
    assert path.read_text() == "second\n"
    assert path.with_suffix(".log.1").read_text() == "first, and long enough\n"
    assert path.stat().st_mode & 0o777 == 0o600
