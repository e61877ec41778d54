"""Tokens where scheduler and workers share no folder, and where somebody has switched TLS off."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.proxy import proxy_folder
from testbed.apart import CONFIG, TYPES
from testbed.gateway import running, until
from testbed.require import require
from testbed.token_client import exposed, living, looking, made, scale, token_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.gateway import Testbed

ROUTE = "/api/af/token"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Give a testbed of its own with these engines."""
    require("proxy", proxy_folder().exists(), "configurable-http-proxy is not set up: make setup")
    with running(tmp_path_factory.mktemp("apart"), types=TYPES, gateway=CONFIG) as bed:
        yield bed


def test_every_process_has_the_token_before_its_first_task_when_no_folder_is_shared(
    bed: Testbed, tmp_path: Path
) -> None:
    # one token for an hour: no renewal can bring it to the worker that comes late
    with living(bed, 3600), made(bed, "alice", "apart", 0) as cluster:
        with looking(bed, "alice", cluster, 3, tmp_path) as look:
            scale(bed, "alice", cluster, 2)
            scale(bed, "alice", cluster, 3)
            seen = look()
        assert seen.first["token"] is not None
        everybody = [seen.scheduler, *seen.workers]
        assert len(seen.workers) == 3
        assert {one["token"] for one in everybody} == {seen.first["token"]}
        assert {one["mode"] for one in everybody} == {0o600}
        assert len({one["path"] for one in everybody}) == 4
        folders = [Path(one["cwd"]) for one in everybody]
        assert len(set(folders)) == 4
        for one, folder in zip(everybody, folders, strict=True):
            assert Path(one["path"]).is_relative_to(folder)
        # a worker's environment needs nothing of us, not even Dask Gateway
        assert [one["can_import"] for one in seen.workers] == [["distributed"]] * 3

        places = exposed(bed, cluster, seen)
        assert len([place for place in places if place.startswith("/proc/")]) >= 2 * 7
        assert [place for place, text in places.items() if "planted-token" in text] == []


def test_all_files_are_renewed_when_no_folder_is_shared(bed: Testbed) -> None:
    with living(bed, 2), made(bed, "alice", "apart", 2) as cluster:
        first = token_files(bed, cluster)
        assert len(first) == 3
        until(
            lambda: all(text != first[path] for path, text in token_files(bed, cluster).items()),
            60,
            "the tokens are new",
        )
        assert bed.wait("alice", cluster, lambda one: one["token"]["state"] == "valid")


def test_a_cluster_without_tls_gets_no_token_and_the_reason_is_shown(bed: Testbed) -> None:
    with made(bed, "alice", "plain", 1) as cluster:
        found = bed.wait("alice", cluster, lambda one: one["token"]["state"] == "error")
        assert found["token"]["message"] == (
            "The cluster's connections are not all encrypted, so it gets no token."
        )
        assert token_files(bed, cluster) == {}
        log = (bed.folder(cluster) / "logs" / "scheduler.log").read_text()
        assert "tcp://" in log
        assert "tls://" not in log


def test_nobody_gives_a_cluster_a_token_but_who_has_its_certificate_and_secret(
    bed: Testbed,
) -> None:
    with made(bed, "alice", "apart", 0) as cluster:
        until(lambda: len(token_files(bed, cluster)) == 1, 30, "the scheduler has its token")
        before = token_files(bed, cluster)
        folder = bed.folder(cluster) / "scheduler"
        scheduler = next(one for one in bed.cluster_processes(cluster) if one.cwd() == str(folder))
        ports = {one.laddr.port for one in scheduler.net_connections() if one.status == "LISTEN"}
        secret = (folder / "gateway-token").read_text()
        right = {"Authorization": f"token {secret}"}
        message = json.dumps({"token": "planted-by-somebody"})

        def put(port: int, context: ssl.SSLContext | None, body: str, **headers: str) -> int | None:
            """Return the status, None if no answer comes."""
            connection = (
                http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                if context is None
                else http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            )
            try:
                connection.request("PUT", ROUTE, body, headers)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return None
            finally:
                connection.close()

        stranger = ssl.create_default_context()
        stranger.check_hostname = False
        stranger.verify_mode = ssl.CERT_NONE
        for port in ports:
            assert put(port, None, message, **right) in {None, 403, 404}
            assert put(port, stranger, message, **right) is None
        member = ssl.create_default_context(cafile=str(folder / "tls.crt"))
        member.check_hostname = False
        member.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        (door,) = [port for port in ports if put(port, member, message) == 403]
        assert put(door, member, message, Authorization="token guessed") == 403
        for nonsense in ("", "[]", "{}", '{"token": 1}', '{"token": ""}', '{"token": "a\\nb"}'):
            assert put(door, member, nonsense, **right) == 400
        assert token_files(bed, cluster) == before
        assert put(door, member, message, **right) == 200
        assert set(token_files(bed, cluster).values()) == {"planted-by-somebody"}
