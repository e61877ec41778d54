"""The processes of one cluster: start, find, kill, pause."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from af_hub.embedded.files import write_atomically
from testbed.kube import processes
from testbed.kube.host import PATH, program_path
from testbed.kube.recipes import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.kube.processes import Process
    from testbed.kube.settings import Settings

NICE: Final = 20.0
"""Seconds that a part has to end by itself."""


@dataclass(frozen=True)
class Parts:
    """The parts of a cluster, by name as in `PARTS`.

    Their command lines are kept beside their state: a part that is started again is the one that
    was started first, whatever checkout asks for it.
    """

    settings: Settings

    def keep(self, commands: Mapping[str, Sequence[str]]) -> None:
        """Write down the command lines; those of before that have another name stay."""
        known = {**self._commands(), **commands}
        write_atomically(self._file, json.dumps(known, indent=1))

    def start(self, name: str) -> Process:
        """Start a part in the cluster's network; do nothing if it runs."""
        if running := self.process(name):
            return running
        nsenter = shutil.which("nsenter", path=program_path())
        assert nsenter, "nsenter was there when the cluster was started"
        enter = [nsenter, f"--net={self.settings.netns}"]
        temporary = self.settings.run / "tmp"
        environment = {
            "PATH": PATH,
            "HOME": os.environ.get("HOME", "/root"),
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        temporary.mkdir(exist_ok=True)
        return processes.start(
            [*enter, *self._commands()[name]],
            log=self.log(name),
            record=self.settings.pids / name,
            environment=environment,
        )

    def process(self, name: str) -> Process | None:
        """Return a part's process, None if it does not run."""
        return processes.recorded(self.settings.pids / name)

    def names(self) -> list[str]:
        """Return the parts that were started, those of every cluster first."""
        if not self.settings.pids.is_dir():
            return []
        found = {path.name for path in self.settings.pids.iterdir() if path.name[0] != "."}
        return [*(name for name in PARTS if name in found), *sorted(found - set(PARTS))]

    def log(self, name: str) -> Path:
        """Return a part's log."""
        return self.settings.logs / f"{name}.log"

    def last_line(self, name: str) -> str:
        """Return the end of a part's log."""
        try:
            lines = self.log(name).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "it said nothing"

    def end(self, *names: str, grace: float = NICE) -> None:
        """End parts: ask them, wait for them, kill what is left."""
        asked = [process for name in names if (process := self.process(name))]
        for process in asked:
            process.send(signal.SIGCONT)
            process.send(signal.SIGTERM)
        processes.end(lambda: {each.pid for each in asked if each.alive}, grace=grace)

    def kill(self, name: str) -> None:
        """Kill a part as a crash would, and wait for its end."""
        process = self.process(name)
        assert process, f"{name} does not run"
        process.send(signal.SIGKILL)
        deadline = time.monotonic() + NICE
        while process.alive:
            assert time.monotonic() < deadline, f"{name} does not die"
            time.sleep(0.01)

    def _commands(self) -> dict[str, list[str]]:
        try:
            found: dict[str, list[str]] = json.loads(self._file.read_text())
        except OSError:
            return {}
        return found

    @property
    def _file(self) -> Path:
        return self.settings.run / "commands.json"
