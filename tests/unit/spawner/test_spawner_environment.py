"""What a Lab finds in its environment."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from af_hub.spawner.lab_environment import LabFacts, lab_variables
from af_hub.spawner.local.folders import Folders
from testbed.plans import SMALL

if TYPE_CHECKING:
    from pathlib import Path


def test_places_of_tokens_and_rucio_are_ours_when_a_profile_names_others(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "home", tmp_path / "run" / "alice", tmp_path / "lab.log")
    folders.create()
    theirs = {"RUCIO_CONFIG": "/elsewhere", "AF_TOKEN_DIR": "/elsewhere", "MY_OWN": "1"}
    plan = replace(SMALL, environment=tuple(theirs.items()))
    facts = LabFacts("alice", ("/cms",), plan, folders, "mark")
    variables = lab_variables({"X509_CERT_DIR": "/ca"}, facts)
    assert variables["RUCIO_CONFIG"] == str(folders.runtime / "rucio.cfg")
    assert variables["AF_TOKEN_DIR"] == str(folders.runtime / "tokens")
    assert variables["X509_CERT_DIR"] == "/ca"
    assert variables["MY_OWN"] == "1"
    # each token file is 0600 in a folder that nobody else enters
    assert stat.S_IMODE(folders.tokens.stat().st_mode) == 0o700
