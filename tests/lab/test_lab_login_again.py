"""The login ends while a notebook runs: the user logs in again, and everything goes on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from testbed.facility import wait_for
from testbed.front_end_lab import TOKEN, running_lab_process, wait_until_started
from testbed.login_hub import LoginHub, login_hub
from testbed.notebook import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

ITEM = '[data-af="status-item"]'
SERVER_TOKEN = "planted-server-token-0123456789"

READ = """
import base64, json, time
from af_labextension import token
def login():
    body = f"{token('storage')}".split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["login"]
print("began with login", login())
while login() == 1:
    time.sleep(0.2)
print("went on with login", login())
"""

ENVIRONMENT = """
import json, os
from pathlib import Path
Path("kernel.json").write_text(json.dumps(dict(os.environ)))
print("written")
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[LoginHub]:
    """Run a hub."""
    with login_hub() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the user's folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(hub: LoginHub, home: Path, front_end_wheel: Path) -> Iterator[str]:
    """Start a Lab as the spawner does, as far as tokens go; its address."""
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    variables = {
        "JUPYTERHUB_API_TOKEN": SERVER_TOKEN,
        "AF_HUB_API": f"{hub.url}/hub/api/af",
        "XDG_RUNTIME_DIR": str(runtime),
        "BEARER_TOKEN_FILE": str(runtime / f"bt_u{os.geteuid()}"),
        "AF_TOKEN_DIR": str(runtime / "tokens"),
        "OIDC_SOCK": str(runtime / "oidc-agent"),
        "AF_USER": "alice",
        "AF_GROUPS": "/cms,/cms/uscms",
        "AF_ISSUER": "https://iam.example/",
        "SHELL": "/bin/sh",
    }
    extensions = {"af_labextension": True}
    with running_lab_process(front_end_wheel, home, extensions, variables) as address:
        yield address


@pytest.fixture
def page(lab: str, new_page: Any) -> Any:
    """Open Lab with a good login."""
    page = new_page()
    page.goto(f"{lab}/lab/workspaces/again?token={TOKEN}&reset")
    page.wait_for_selector(f'{ITEM}[data-state="ok"], {ITEM}[data-state="renewing"]')
    wait_until_started(page)
    return page


def notebook(page: Any, code: str, text: str) -> Any:
    """Run code in a new notebook until it says `text`; return its outputs."""
    page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    page.locator(".jp-Notebook .cm-content").first.click()
    # typed text would be indented by the editor
    page.evaluate("text => document.execCommand('insertText', false, text)", code)
    return run(page, page.locator(".jp-Notebook .jp-Cell").first, text)


def test_a_running_notebook_goes_on_when_the_user_logs_in_again_in_another_tab(
    page: Any, hub: LoginHub
) -> None:
    output = notebook(page, READ, "began with login 1")
    page.evaluate("window.notReloaded = true")

    hub.over = True
    page.wait_for_selector(f'{ITEM}[data-state="error"]', timeout=60_000)
    page.click(ITEM)
    details = page.locator('[data-af="status-details"]')
    details.get_by_text("Your login has ended.").first.wait_for()
    output.get_by_text("Waiting").wait_for(timeout=30_000)  # the readers' word: the token has ended
    with page.context.expect_page() as opened:
        details.locator('.af-actions [data-af="status-login"]').click()
    opened.value.get_by_text("logged").wait_for()
    opened.value.close()

    page.wait_for_selector(
        '[data-af="status-token"][data-audience="storage"][data-state="ok"]', timeout=30_000
    )
    output.get_by_text("went on with login 2").wait_for(timeout=30_000)
    assert page.evaluate("window.notReloaded") is True
    details.locator('[data-af="status-renew"]').wait_for(state="detached")


def test_notebooks_and_terminals_are_told_places_and_no_secret(
    page: Any, hub: LoginHub, home: Path, lab: str
) -> None:
    notebook(page, ENVIRONMENT, "written")
    page.goto(f"{lab}/lab/workspaces/terminal?reset")
    page.locator('.jp-LauncherCard[title="Start a new terminal session"]').click()
    page.locator(".jp-Terminal .xterm-helper-textarea").wait_for(state="attached")
    page.locator(".jp-Terminal").click()
    page.keyboard.type("env -0 > terminal.new; mv terminal.new terminal.env\n", delay=5)
    listed = wait_for((home / "terminal.env").exists, "the terminal", 30) and (
        home / "terminal.env"
    ).read_text().split("\0")
    terminal = dict(line.split("=", 1) for line in listed if line)
    kernel = json.loads((home / "kernel.json").read_text())
    for environment in (terminal, kernel):
        runtime = home / "run"
        assert {name: environment[name] for name in ("AF_USER", "AF_GROUPS", "AF_ISSUER")} == {
            "AF_USER": "alice",
            "AF_GROUPS": "/cms,/cms/uscms",
            "AF_ISSUER": "https://iam.example/",
        }
        assert environment["OIDC_SOCK"] == str(runtime / "oidc-agent")
        assert environment["BEARER_TOKEN_FILE"] == str(runtime / f"bt_u{os.geteuid()}")
        assert environment["AF_TOKEN_DIR"] == str(runtime / "tokens")
        assert "BEARER_TOKEN" not in environment
        assert hub.given
        assert not [token for token in hub.given if token in "\0".join(environment.values())]
    log = (home / "lab.log").read_text()
    assert not [token for token in hub.given if token in log]
