"""``jupyter lab`` on a laptop: the extension alone, no hub, no facility."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from bench.lab_process import lab_process
from testbed.facility import wait_for
from testbed.iam import start_iam
from testbed.oidc_agent import running_agent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bench.lab_process import LabProcess
    from testbed.iam import IAM
    from testbed.webdav import WebDAVDoor

NOT_INSTALLED = (
    *("af_hub", "jupyterhub", "oauthenticator", "dask", "distributed", "dask_gateway"),
    *("uproot", "awkward", "fsspec", "rucio"),
)

SITECUSTOMIZE = f"import sys\nsys.modules.update(dict.fromkeys({NOT_INSTALLED!r}))\n"
"""What a process of a laptop's environment cannot import."""


def plain_lab(
    folder: Path, door: WebDAVDoor, environment: Mapping[str, str], **traits: Any
) -> AbstractContextManager[LabProcess]:
    """Start ``jupyter lab`` with one door of its own."""
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    row = {"name": "demo", "title": "Storage", "url": door.url, "audience": "storage"}
    config = {"FacilityExtension": {"storage_doors": [row], **traits}}
    more = {"SSL_CERT_FILE": str(door.ca_file), "PYTHONPATH": str(folder / "site")}
    return lab_process(sys.executable, folder, config, {**more, **environment})


@pytest.fixture(autouse=True)
def no_facility(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take everything away that a hub's Lab would find in its environment."""
    for name in os.environ:
        if name.startswith(("AF_", "JUPYTERHUB")) or name in {"BEARER_TOKEN_FILE", "OIDC_SOCK"}:
            monkeypatch.delenv(name)


def names(lab: LabProcess) -> list[str]:
    """Return the names that the data panel gets for the door's top folder."""
    with lab.request("af/storage/demo/list?path=/") as answer:
        lines = [json.loads(line) for line in answer.read().splitlines()]
    return sorted(line["name"] for line in lines if "name" in line)


def token_row(lab: LabProcess) -> dict[str, Any]:
    """Return what the status bar shows of the token."""
    with lab.request("af/status") as answer:
        told = json.load(answer)
    assert told["hub"] is None
    assert told["problem"] is None
    (row,) = told["tokens"]
    found: dict[str, Any] = row
    return found


def unsigned(**claims: Any) -> str:
    """Return a token as a provider's file has it."""
    return jwt.encode({"exp": time.time() + 600, **claims}, "k" * 32, algorithm="HS256")


def test_data_is_listed_when_somebody_keeps_the_token_file_fresh(
    tmp_path: Path, webdav_door: WebDAVDoor
) -> None:
    (webdav_door.store / "a.root").write_bytes(b"a")
    first, second, old = unsigned(jti="1"), unsigned(jti="2"), unsigned(exp=time.time() - 10)
    webdav_door.accepted = {first}
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(first)
    with plain_lab(tmp_path / "lab", webdav_door, {"BEARER_TOKEN_FILE": str(file)}) as lab:
        assert names(lab) == ["a.root"]
        assert token_row(lab)["state"] == "valid"
        # somebody renews it: no word to the Lab is needed
        webdav_door.accepted = {second}
        file.write_text(second + "\n")
        assert names(lab) == ["a.root"]
        # somebody forgets it
        file.write_text(old)
        with pytest.raises(urllib.error.HTTPError) as refused:
            names(lab)
        with refused.value as answer:
            assert "Get a new one into the file" in json.load(answer)["message"]
        row = token_row(lab)
        assert (row["state"], "Get a new one" in row["message"]) == ("expired", True)
        file.write_text(second)
        assert names(lab) == ["a.root"]
        assert token_row(lab)["message"] is None
    # it is somebody else's file, and stays
    assert file.read_text() == second


class Active(set[str | None]):
    """The tokens that an identity provider calls active."""

    def __init__(self, iam: IAM) -> None:
        super().__init__()
        self.iam = iam

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and self.iam.is_active(token)


@pytest.fixture(scope="module")
def agent_iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IAM]:
    iam = start_iam(tmp_path_factory.mktemp("plain-iam"), more_clients={"agent": {}})
    yield iam.acting_as("agent")
    iam.stop()


def test_data_is_listed_when_the_user_runs_an_oidc_agent(
    tmp_path: Path, webdav_door: WebDAVDoor, agent_iam: IAM
) -> None:
    (webdav_door.store / "a.root").write_bytes(b"a")
    webdav_door.accepted = Active(agent_iam)
    file = tmp_path / "kept" / "token"
    with running_agent(tmp_path / "agent", agent_iam) as agent:
        agent.make_account("mine", "alice")
        environment = {"OIDC_SOCK": str(agent.socket)}
        traits = {"token_source": "oidc-agent", "bearer_token_file": str(file)}
        with plain_lab(tmp_path / "lab", webdav_door, environment, **traits) as lab:
            assert names(lab) == ["a.root"]
            assert token_row(lab)["state"] == "valid"
            wait_for(file.exists, "the token file")
            assert agent_iam.is_active(file.read_text())
            assert {sent for _, _, sent in webdav_door.requests} == {file.read_text()}
        assert not file.exists()
