"""What a Lab reads from Rucio: who, scopes, containers, datasets, files, replicas."""

from __future__ import annotations

from testbed.rucio import BIG, BIG_FILES, RucioServer, in_path


def test_rucio_knows_alice_when_her_token_comes(rucio_server: RucioServer) -> None:
    answer = rucio_server.get("/accounts/whoami")
    assert answer.status == 200
    assert answer.json["account"] == "alice"


def test_files_come_all_when_the_dataset_is_huge(rucio_server: RucioServer) -> None:
    scope, name = BIG
    rows = rucio_server.get(f"/dids/{scope}/{in_path(name)}/files").rows
    assert len(rows) == BIG_FILES
