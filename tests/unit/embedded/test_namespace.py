"""Running programs in the inner network, and what is left when something dies: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.guard import find_processes, sweep
from af_hub.embedded.network import holder
from af_hub.embedded.network.child import HOLDER_GONE
from testbed.facility import living, wait_for
from testbed.network import held_network, require_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.network import InnerNetwork

SLEEP = "import signal, time; signal.signal(signal.SIGTERM, signal.{how}); time.sleep(600)"
STUBBORN, OBEDIENT = SLEEP.format(how="SIG_IGN"), SLEEP.format(how="SIG_DFL")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[InnerNetwork]:
    """Give a network of the test's own."""
    with held_network(tmp_path / "data") as made:
        yield made


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def child(pid: int) -> int:
    """Return the only child of a process as soon as it has one."""
    (found,) = wait_for(lambda: children(pid), "the child")
    assert isinstance(found, int)
    return found


def test_program_has_no_privilege_when_it_runs_inside(inner_network: InnerNetwork) -> None:
    asks = (
        "import os, resource, socket\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(os.getuid(), int(status['CapEff'], 16), int(status['CapPrm'], 16),"
        " int(status['NoNewPrivs']), resource.getrlimit(resource.RLIMIT_CORE)[1],"
        " socket.gethostname())"
    )
    done = inner_network.inside(sys.executable, "-c", asks)
    assert done.stdout.split() == ["1000", "0", "0", "1", "0", "localhost"], done.stderr


def test_files_belong_to_the_caller_when_they_are_made_inside(
    inner_network: InnerNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "made"
    inner_network.inside(sys.executable, "-c", f"open({str(path)!r}, 'w')")
    assert path.stat().st_uid == os.getuid()


def test_bind_is_seen_by_the_program_and_by_nobody_else(
    inner_network: InnerNetwork, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("shown")
    target.write_text("covered")
    options = ("--bind", f"{source}:{target}")
    assert inner_network.inside("cat", str(target), options=options).stdout == "shown"
    assert target.read_text() == "covered"
    assert str(target) not in Path("/proc/self/mountinfo").read_text()


def test_code_of_the_program_is_returned_when_it_ends(inner_network: InnerNetwork) -> None:
    assert inner_network.inside("sh", "-c", "exit 7").returncode == 7
    assert inner_network.inside("sh", "-c", "kill -KILL $$").returncode == 128 + 9


def output(code: str) -> list[str]:
    """Return the lines that come out when a program's output is turned to capitals."""
    watching = (
        "import os, sys\n"
        "from af_hub.embedded.network.child import Child\n"
        "never = os.pipe()[0]\n"
        "child = Child([sys.executable, '-c', sys.argv[1]], environment=None,"
        " prepare=lambda: None, rewrite=bytes.upper)\n"
        "sys.exit(child.watch(never, None))"
    )
    done = subprocess.run(
        [sys.executable, "-c", watching, f"import os, sys, time; {code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_every_line_is_rewritten_when_it_comes_in_pieces_or_never_ends() -> None:
    assert output(
        "[(os.write(2, text), time.sleep(0.05)) for text in (b'one\\nt', b'wo', b'\\nthree')]"
    ) == ["ONE", "TWO", "THREE"]


def test_no_part_of_a_line_is_shown_when_it_is_too_long_to_be_looked_at() -> None:
    lines = output("print('first'); print('x' * 1_000_000); print('last')")
    assert [lines[0], lines[2]] == ["FIRST", "LAST"]
    assert "X" not in lines[1].replace("BYTES", "")
    assert len(lines) == 3


def test_all_lines_come_out_when_the_program_writes_much_and_ends() -> None:
    assert output("[print(number) for number in range(100_000)]") == [
        str(number) for number in range(100_000)
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_goes_on_to_the_program(network: InnerNetwork, number: signal.Signals) -> None:
    launcher = network.launch("sleep", network.enter("sleep", "600"))
    program = child(launcher.pid)
    wait_for(lambda: b"sleep" in Path(f"/proc/{program}/cmdline").read_bytes()[:6], "sleep")
    assert network.kill("sleep", number) == 128 + number
    assert not living([program])


def test_program_dies_when_its_launcher_is_killed(network: InnerNetwork) -> None:
    launcher = network.launch("sleep", network.enter(sys.executable, "-c", STUBBORN))
    program = child(launcher.pid)
    assert network.kill("sleep") == -signal.SIGKILL
    wait_for(lambda: not living([program]), "the program to die", 30)


@pytest.mark.parametrize("code", [OBEDIENT, STUBBORN])
def test_program_ends_when_the_holder_is_killed(network: InnerNetwork, code: str) -> None:
    launcher = network.launch("sleep", network.enter(sys.executable, "-c", code))
    program = child(launcher.pid)
    network.kill("network")
    assert launcher.wait(60) == HOLDER_GONE
    assert not living([program])
    assert not holder.is_held(network.holder)


def test_program_is_reached_again_when_network_and_program_were_started_again(
    network: InnerNetwork,
) -> None:
    network.kill("network")
    assert network.processes["server"].wait(60) == HOLDER_GONE
    # the server first, as it may happen under the supervisor: it waits for the new holder
    server = network.launch("server", network.processes["server"].args)  # type: ignore[arg-type]
    network.start_network()
    wait_for(lambda: holder.is_listening(network.holder, network.port), "the server", 20)
    assert server.poll() is None
    with network.connect("echo") as line:
        line.sendall(b"again")
        assert line.recv(9) == b"again"


def test_holder_ends_when_its_host_side_is_killed(network: InnerNetwork) -> None:
    process = network.processes["network"]
    os.kill(child(process.pid), signal.SIGKILL)
    assert process.wait(60) == 1
    assert network.processes["server"].wait(60) == HOLDER_GONE


def test_host_side_ends_when_the_holder_is_killed(network: InnerNetwork) -> None:
    host_side = child(network.processes["network"].pid)
    network.kill("network")
    wait_for(lambda: not living([host_side]), "the host side to die", 30)


def test_holder_ends_well_when_it_is_told_to(network: InnerNetwork) -> None:
    with network.connect("stall"):
        assert network.kill("network", signal.SIGTERM) == 0


def test_nothing_is_left_when_the_facility_is_swept(network: InnerNetwork) -> None:
    found = find_processes(network.instance)
    # holder, host side, launcher and program carry the mark, though their user is another inside
    assert len(found) == 4
    sweep(network.instance)
    wait_for(lambda: not living(found), "their end")  # killed, though not yet gone


def test_later_process_is_no_holder_when_it_got_the_number(tmp_path: Path) -> None:
    path = tmp_path / "holder.json"
    holder.announce(path)
    assert holder.is_held(path)
    noted = json.loads(path.read_text())
    path.write_text(json.dumps({**noted, "started": noted["started"] - 1}))
    assert not holder.is_held(path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"pid": 1}', '{"pid": -5, "started": 1}', '{"pid": null}']
)
def test_nobody_is_found_when_the_file_is_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "holder.json"
    path.write_text(text)
    assert holder.find(path) is None
    assert not holder.is_listening(path, 1)


def test_waiting_ends_when_there_is_no_holder(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        holder.wait_for_holder(tmp_path / "none", 0.05)


def test_refusal_is_told_when_the_system_allows_no_namespace() -> None:
    require_network()
    # the limit can be set for a user namespace and what is below it: the machine stays as it is
    refusing = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    trial = (sys.executable, "-m", "af_hub.embedded.network.trial", "/run")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", refusing, "sh", *trial],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stdout.startswith("unshare: "), done.stderr
