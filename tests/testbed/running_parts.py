"""Parts of a facility as processes of a test, without a supervisor that starts them again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from af_hub.embedded.environment import part_environment
from af_hub.embedded.logs import open_log

if TYPE_CHECKING:
    from af_hub.embedded.layout import Layout
    from af_hub.embedded.parts import Part

PATIENCE = 60.0


@dataclass(kw_only=True)
class RunningParts:
    """Some parts, each running or not."""

    layout: Layout
    instance: str
    parts: dict[str, Part]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log(self, name: str) -> str:
        """Return everything that a part has written."""
        return self.layout.log(name).read_text(encoding="utf-8", errors="replace")

    def pid(self, name: str) -> int:
        """Return the process id of a part; xrootd itself is its child."""
        return self.processes[name].pid

    def launch(self, name: str) -> None:
        """Start a part without waiting for it."""
        part = self.parts[name]
        with open_log(self.layout.log(name)) as stream:
            self.processes[name] = subprocess.Popen(
                part.command,
                env=part_environment(self.instance, part.environment),
                cwd=self.layout.root,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def wait_until_ready(self, *names: str) -> None:
        """Wait for parts that were launched."""

        async def ready() -> None:
            async with asyncio.timeout(PATIENCE):
                for name in names:
                    while not await self.parts[name].ready():
                        code = self.processes[name].poll()
                        assert code is None, f"{name} ended ({code}):\n{self.log(name)}"
                        await asyncio.sleep(0.02)

        asyncio.run(ready())

    def start(self, *names: str) -> None:
        """Start parts and wait for them."""
        for name in names:
            self.launch(name)
        self.wait_until_ready(*names)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a part, wait for its end, and return its code."""
        self.processes[name].send_signal(number)
        return self.processes[name].wait(PATIENCE)

    def restart(self, name: str) -> None:
        """Stop a part as the supervisor does and start it again."""
        self.kill(name, signal.SIGTERM)
        self.start(name)
