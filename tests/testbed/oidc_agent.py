"""A real oidc-agent with an account of its own at the development IAM."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .require import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .iam import IAM

PATIENCE = 60.0
PASSWORD = "agent-password-of-the-test"
SCOPE = "openid profile offline_access"


@dataclass
class OidcAgent:
    """A running agent.

    Parameters
    ----------
    folder
        Its configuration and its socket; closed to others.
    iam
        Where its account is; the view of the client that the account uses.
    """

    folder: Path
    iam: IAM
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        """Where it listens: always at the same place, unlike by default."""
        return self.folder / "s"

    def start(self) -> None:
        """Start it; no account is loaded yet."""
        self.socket.unlink(missing_ok=True)
        self.environment = {
            **os.environ,
            "HOME": str(self.folder),
            "OIDC_CONFIG_DIR": str(self.folder),
            "OIDC_SOCK": str(self.socket),
            "OIDC_ENCRYPTION_PW": PASSWORD,
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["oidc-agent", "--console", f"--socket-path={self.socket}", "--no-autoload"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.socket.exists():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "oidc-agent"
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def run(self, *command: str, text: str = "") -> str:
        """Run one of its programs; it must succeed."""
        done = subprocess.run(
            command,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def make_account(self, name: str, user: str, scope: str = SCOPE) -> None:
        """Make and load an account with a refresh token of its own."""
        tokens = self.iam.log_in(user, scope)
        password = self.folder / "pw"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        self.run(
            "oidc-gen",
            name,
            f"--issuer={self.iam.issuer}",
            f"--client-id={self.iam.client.client_id}",
            f"--client-secret={self.iam.secret}",
            f"--scope={scope}",
            "--redirect-uri=",
            f"--rt={tokens['refresh_token']}",
            f"--pw-file={password}",
            f"--cp={self.iam.layout.ca_certificate}",
            "--confirm-default",
            "-m",
        )


@contextmanager
def running_agent(folder: Path, iam: IAM) -> Iterator[OidcAgent]:
    """Start an agent in `folder` and kill it at the end."""
    require("oidc-agent", shutil.which("oidc-agent"), "oidc-agent is not installed")
    folder.mkdir(mode=0o700, parents=True)
    agent = OidcAgent(folder, iam)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()
