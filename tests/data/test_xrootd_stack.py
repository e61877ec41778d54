"""The origin behind its cache: what it gives, to whom, and what a restart leaves as it was."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from af_hub.embedded.guard import find_processes
from af_hub.embedded.xrootd import grid_pki
from af_hub.embedded.xrootd.proxy_certificate import renew_proxy
from af_hub.embedded.xrootd.server import ServerConfig
from testbed.facility import living, wait_for
from testbed.small_disk import small_disk
from testbed.xrootd import started_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.iam import IAM
    from testbed.xrootd import Stack

CONTENT = os.urandom(700_001)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give servers that the tests of this module may stop."""
    # a name that XRootD's configuration could not hold, and longer than a socket's may be
    folder = tmp_path_factory.mktemp("of a user") / ("a long way down/" * 8)
    folder.mkdir(parents=True)
    with started_stack(folder / "data") as made:
        yield made


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def grid(stack: Stack, name: str = "proxy.pem") -> dict[str, str]:
    """Return the environment of a client with a certificate, in the inner network."""
    return {
        "X509_CERT_DIR": str(stack.grid.trusted),
        "X509_USER_PROXY": str(stack.grid.folder / name),
        "XRD_CONNECTIONRETRY": "1",
    }


def own_proxy(stack: Stack, common_name: str) -> dict[str, str]:
    """Return the environment of a client whose certificate the grid's authority has signed."""
    folder = stack.layout.state / common_name
    folder.mkdir(exist_ok=True)
    files = grid_pki.GridFiles(folder)
    signed, key = grid_pki.sign(
        grid_pki.read_pair(stack.grid.authority), common_name, dt.datetime.now(dt.UTC)
    )
    files.service.write_text(grid_pki.pem(signed))
    grid_pki.key_of(files.service).write_text(grid_pki.key_pem(key))
    renew_proxy(files)
    return grid(stack) | {"X509_USER_PROXY": str(files.proxy)}


@pytest.mark.parametrize("reader", ["xrdcp", "https", "bindings"])
def test_file_is_read_by_token_and_fetched_by_certificate(xrootd_stack: Stack, reader: str) -> None:
    path = f"/store/cms/read by {reader}.bin".replace(" ", "-")
    xrootd_stack.write(path, CONTENT)
    token = xrootd_stack.token()
    if reader == "xrdcp":
        assert xrootd_stack.read(path, token) == CONTENT
    elif reader == "https":
        assert xrootd_stack.get(path, token) == (200, CONTENT)
    else:
        code = (
            "import sys; from XRootD import client; file = client.File()\n"
            "status, _ = file.open(sys.argv[1]); assert status.ok, status.message\n"
            "status, data = file.read(); assert status.ok, status.message\n"
            "sys.stdout.buffer.write(data)"
        )
        done = xrootd_stack.client(
            sys.executable, "-c", code, xrootd_stack.url(path), token=token, check=True
        )
        assert done.stdout == CONTENT
    assert "login as xcachesvc" in xrootd_stack.log("xrootd-origin")


@pytest.mark.parametrize("token", [None, "another audience", "another path", "no token at all"])
def test_nothing_is_read_when_the_token_does_not_allow_it(
    xrootd_stack: Stack, token: str | None
) -> None:
    path = "/store/atlas/theirs.bin"
    xrootd_stack.write(path, CONTENT)
    sent = {
        None: None,
        "another audience": xrootd_stack.token("storage.read:/", aud="https://else.example"),
        "another path": xrootd_stack.token("storage.read:/store/cms"),
        "no token at all": "no token at all",
    }[token]
    assert xrootd_stack.get(path, sent)[0] in {401, 403}
    done = xrootd_stack.client("xrdcp", "-s", xrootd_stack.url(path), "-", token=sent)
    assert done.returncode != 0
    assert done.stdout == b""


def test_development_iam_is_believed_when_it_is_the_issuer(iam: IAM) -> None:
    with started_stack(iam.layout.root, iam=iam.issuer) as stack:
        stack.write("/store/cms/iam.bin", CONTENT)
        login = iam.log_in("alice")["access_token"]
        answer = iam.exchange(login, "storage.read:/store/cms", audience=stack.audience)
        token = answer.json["access_token"]
        assert stack.read("/store/cms/iam.bin", token) == CONTENT
        assert stack.get("/store/cms/iam.bin", stack.token())[0] in {401, 403}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("xrdcp", ("-s", "{origin}//config.json", "-")),
        ("xrdcp", ("-s", "{origin}//store/../config.json", "-")),
        ("xrdcp", ("-s", "{origin}//run/grid/host.key", "-")),
        ("xrdfs", ("{origin}", "ls", "/")),
        ("xrdfs", ("{origin}", "rm", "/store/open/kept.bin")),
        ("xrdcp", ("-s", "/etc/hostname", "{origin}//store/open/written.bin")),
    ],
)
def test_origin_gives_only_the_store_and_only_to_read(
    xrootd_stack: Stack, command: str, arguments: tuple[str, ...]
) -> None:
    kept = xrootd_stack.write("/store/open/kept.bin", CONTENT)
    (xrootd_stack.layout.storage / "config.json").write_text("not for clients")
    origin = xrootd_stack.origin_url("").rstrip("/")
    renew_proxy(xrootd_stack.grid)
    done = xrootd_stack.inside(
        command, *(each.format(origin=origin) for each in arguments), environment=grid(xrootd_stack)
    )
    assert done.returncode != 0
    assert b"[3010]" in done.stderr  # not authorized
    assert kept.read_bytes() == CONTENT
    assert sorted(path.name for path in kept.parent.iterdir()) == ["kept.bin"]


def test_store_is_read_only_for_the_origin_whatever_its_configuration_says(
    xrootd_stack: Stack,
) -> None:
    (origin,) = children(xrootd_stack.pid("xrootd-origin"))
    mounts = Path(f"/proc/{origin}/mountinfo").read_text().splitlines()
    (store,) = [line.split() for line in mounts if line.split()[4] == "/run/root/store"]
    assert "ro" in store[5].split(",")


@pytest.mark.parametrize("name", ["xrootd-origin", "xcache"])
def test_server_sees_nothing_else_of_the_data_folder(xrootd_stack: Stack, name: str) -> None:
    (server,) = children(xrootd_stack.pid(name))
    inside = Path(f"/proc/{server}/root")
    assert list((inside / xrootd_stack.layout.root.relative_to("/")).iterdir()) == []
    assert Path(f"/proc/{server}/cwd").readlink() == Path("/")
    shown = {path.name for path in (inside / "run").iterdir()}
    assert shown <= {"admin", "cache", "config", "grid", "root", "tls"}


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_origin_refuses_everybody_but_the_cache(xrootd_stack: Stack, who: str) -> None:
    xrootd_stack.write("/store/open/kept.bin", CONTENT)
    environment = (
        own_proxy(xrootd_stack, "stranger") if who == "stranger" else grid(xrootd_stack, "none")
    )
    url = xrootd_stack.origin_url("/store/open/kept.bin")
    done = xrootd_stack.inside("xrdcp", "-s", url, "-", environment=environment)
    assert done.returncode != 0
    assert done.stdout == b""
    # the same with the service's name works: it is the name that decides
    good = own_proxy(xrootd_stack, grid_pki.SERVICE)
    assert xrootd_stack.inside("xrdcp", "-s", url, "-", environment=good).stdout == CONTENT


def test_origin_and_cache_are_not_on_the_host(xrootd_stack: Stack) -> None:
    done = xrootd_stack.client("xrdfs", xrootd_stack.origin_url("").rstrip("/"), "ls", "/store")
    assert done.returncode != 0


@pytest.mark.parametrize("name", ["xrootd-origin", "xcache", "network"])
def test_cached_file_is_still_there_when_a_part_was_killed(stack: Stack, name: str) -> None:
    path = f"/store/cms/kept-{name}.bin"
    stack.write(path, CONTENT)
    stack.read(path, stack.token())
    # what is kept on disk is complete when the file is closed
    before = wait_for(lambda: stack.meter.counters().down, "the first read")
    stack.kill(name)
    if name == "network":
        for each in ("xrootd-origin", "xcache", "meter"):
            stack.processes[each].wait(60)
        stack.start("network", "xrootd-origin", "xcache", "meter")
        before = stack.meter.counters().down
    else:
        stack.start(name)
    assert stack.read(path, stack.token()) == CONTENT
    # a new connection's handshake, not the file
    assert stack.meter.counters().down - before < 50_000


@pytest.mark.parametrize("name", ["xrootd-origin", "xcache"])
def test_part_ends_when_its_xrootd_is_killed(stack: Stack, name: str) -> None:
    (server,) = children(stack.pid(name))
    os.kill(server, 9)
    assert stack.processes[name].wait(60) == 128 + 9
    stack.start(name)


def test_issuers_keys_are_forgotten_when_the_cache_starts(stack: Stack) -> None:
    stack.write("/store/cms/keys.bin", CONTENT)
    stack.read("/store/cms/keys.bin", stack.token())
    keys = stack.layout.xrootd / "cache" / "keys"
    (known,) = keys.rglob("scitokens_cpp.*")
    known.with_name("mark").touch()
    stack.restart("xcache")
    assert not list(keys.rglob("mark"))
    assert stack.read("/store/cms/keys.bin", stack.token()) == CONTENT


@pytest.mark.parametrize("renewed", [True, False])
def test_running_cache_goes_on_when_its_certificate_is_renewed(stack: Stack, renewed: bool) -> None:
    settings = stack.layout.xrootd / "cache" / "server.json"
    usual = settings.read_text()
    short = ServerConfig.model_validate_json(usual).model_copy(
        update={"proxy_lifetime": 3.0, "proxy_renewal": 0.5 if renewed else 600.0}
    )
    try:
        settings.write_text(short.model_dump_json())
        stack.restart("xcache")
        first = x509.load_pem_x509_certificate(stack.grid.proxy.read_bytes())
        path = f"/store/cms/renewed-{renewed}-{{}}.bin"
        for number in (1, 2):
            stack.write(path.format(number), CONTENT)
        assert stack.read(path.format(1), stack.token()) == CONTENT
        wait_for(
            lambda: dt.datetime.now(dt.UTC) > first.not_valid_after_utc + dt.timedelta(seconds=1),
            "the end of the first certificate",
        )
        # the cache has to log in anew
        stack.restart("xrootd-origin")
        status, body = stack.get(path.format(2), stack.token())
        assert (status == 200 and body == CONTENT) == renewed
    finally:
        settings.write_text(usual)
        stack.restart("xcache")


def test_files_are_read_and_no_token_is_logged_when_the_caches_disk_is_full(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "xrootd" / "cache"
    folder.parent.mkdir(parents=True)
    content = os.urandom(5_000_000)
    with small_disk(folder, megabytes=16), started_stack(tmp_path / "data") as stack:
        token = stack.token()
        for number in range(5):
            path = f"/store/cms/{number}.bin"
            stack.write(path, content)
            assert stack.get(path, token) == (200, content)
            assert stack.read(path, token) == content
        said = stack.log("xcache")
        # upstream's message, which shows the address with the token in it
        assert "no space left on device" in said
        assert "?authz=(hidden)" in said
        for name in ("xcache", "xrootd-origin", "network"):
            assert token.rpartition(".")[2] not in stack.log(name)
            assert token.split(".")[1] not in stack.log(name)


def test_nothing_is_left_when_all_is_killed_at_once(tmp_path: Path) -> None:
    with started_stack(tmp_path / "data") as stack:
        everything = find_processes(stack.instance)
        assert len(everything) == 8  # two of the network, launcher and program of three
        for process in stack.processes.values():
            process.kill()
        wait_for(lambda: not living(everything), "every process to end", 30)
    assert "/run/grid" not in Path("/proc/self/mountinfo").read_text()
