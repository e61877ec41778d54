"""A test run that is killed leaves none of its servers behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from af_hub.embedded.guard import find_processes
from testbed.facility import wait_for
from testbed.xrootd import require_xrootd

PROGRAM = """
    import sys
    from pathlib import Path
    from testbed.iam import start_iam
    from testbed.xrootd import started_stack

    root = Path(sys.argv[1])
    iam = start_iam(root / "iam")
    with started_stack(root / "stack") as stack:
        print(stack.instance, iam.process.pid, flush=True)
        sys.stdin.read()
"""


def test_servers_end_when_the_tests_are_killed(tmp_path: Path) -> None:
    require_xrootd()
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)],
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin:/usr/sbin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        instance, iam = run.stdout.readline().split()
        wait_for(lambda: len(find_processes(instance)) >= 6, "the XRootD servers")
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_for(lambda: not find_processes(instance), "the end of the XRootD servers")
    # a zombie has no command line
    wait_for(
        lambda: not Path(f"/proc/{iam}").exists() or not Path(f"/proc/{iam}/cmdline").read_bytes(),
        "the end of the IAM",
    )
