"""``%load_ext af_labextension`` and ``token(…)`` in real IPython, and on a real Dask worker."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "planted.token-of.storage"

CELLS = r"""
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in sys.argv[1:]:
    assert shell.run_cell(cell, store_history=True).success or "fails" in cell
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a kernel in a Lab."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "storage").write_text(SECRET)
    (tmp_path / "bt").write_text(SECRET)
    (tmp_path / "bt").chmod(0o600)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AF_")}
    return kept | {
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "AF_TOKEN_DIR": str(tmp_path / "tokens"),
        "BEARER_TOKEN_FILE": str(tmp_path / "bt"),
    }


def cells(environment: dict[str, str], *texts: str) -> str:
    """Run cells in IPython; return what they show."""
    run = subprocess.run(
        [sys.executable, "-c", CELLS, *texts],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout


def test_a_cell_does_not_show_the_token_it_ends_with(environment: dict[str, str]) -> None:
    shown = cells(
        environment,
        "from af_labextension import token",
        "token('storage')",
        "{'Authorization': token('storage')}",
        "%xmode Verbose",
        "secret = token('storage'); fails = 1 / 0",
        "print('Bearer', len(f'{token()}'))",
    )
    assert "ZeroDivisionError" in shown
    assert f"Bearer {len(SECRET)}" in shown
    assert shown.count(f"<token of {len(SECRET)} characters>") >= 2
    assert "planted" not in shown


def test_the_extension_brings_token_and_readers_and_takes_nothing_of_the_user(
    environment: dict[str, str],
) -> None:
    shown = cells(
        environment | {"AF_READERS": "off"},
        "import os; del os.environ['AF_READERS']",
        "%load_ext af_labextension",
        "import sys; print('watch', type(sys.meta_path[0]).__name__)",
        "print('length', len(token('storage')))",
        "%unload_ext af_labextension",
        "print('gone', 'token' not in globals())",
        "token = 'mine'",
        "%load_ext af_labextension",
        "%reload_ext af_labextension",
        "%unload_ext af_labextension",
        "print('left', token)",
    )
    for line in ("watch ImportWatch", f"length {len(SECRET)}", "gone True", "left mine"):
        assert line in shown


WORKER = """
from distributed import Client, LocalCluster

def ask(name):
    from af_labextension import NoToken, token
    try:
        return len(f"{token(name)}")
    except NoToken as error:
        return error.code

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            print([client.submit(ask, name).result(60) for name in ("storage", "rucio", None)])
"""


def test_a_worker_has_the_token_of_its_own_audience_and_no_other(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # as the gateway starts one: no folder, and the doors of the token's audience only
    del environment["AF_TOKEN_DIR"]
    script = tmp_path / "ask.py"
    script.write_text(WORKER)
    run = subprocess.run(
        [sys.executable, str(script)],
        env=environment | {"AF_DOORS": "storage=root://cache//store"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stdout.strip() == f"[{len(SECRET)}, 'unknown-audience', {len(SECRET)}]"
