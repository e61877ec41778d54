"""``GET af/status`` of a real Jupyter Server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed.lab_hub import LabHub, lab_config

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.lab_server import StartLab

DOOR = {
    "name": "demo",
    "title": "Storage",
    "url": "https://127.0.0.1:1/store",
    "audience": "storage",
}


async def test_status_tells_identity_and_token_when_the_hub_works(
    lab_hub: LabHub, start_lab: StartLab, tmp_path: Path
) -> None:
    lab_hub.config = lab_config(storage=[DOOR])
    lab = await start_lab(lab_hub, bearer_token_file=str(tmp_path / "run" / "bt"))
    answer = await lab.fetch("af/status")
    assert answer.code == 200, answer.body
    status = json.loads(answer.body)
    assert status["identity"]["groups"] == ["/cms", "/cms/uscms"]
    assert [row["audience"] for row in status["tokens"]] == ["storage"]
