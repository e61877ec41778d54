"""What the administrator's page on identity tells to type works, word by word."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.iam import free_ports, start_iam
from testbed.iam_hub import Hub, write_config
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs/administrator/identity.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the first code of a language on the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Give a hub with the page's ``jupyterhub_config.py``; only addresses are the test's."""
    root = tmp_path_factory.mktemp("page")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    iam = start_iam(root / "iam", callbacks=(f"{url}/hub/oauth_callback",))
    given = {
        "iam-client-secret": iam.secret,
        "transfers-token": secrets.token_hex(16),
        "crypt-key": secrets.token_hex(32),
    }
    (root / "secrets").mkdir()
    for name, value in given.items():
        (root / "secrets" / name).write_text(f"{value}\n")
    config = block("python")
    for here, there in (
        ("https://iam.example.org/", iam.issuer),
        ("https://af.example.org", url),
        ("/etc/af/", f"{root}/"),
    ):
        assert here in config
        config = config.replace(here, there)
    write_config(root, url, {"ca_file": str(iam.layout.ca_bundle)}, more=config)
    services = {"transfers": given["transfers-token"]}
    made = Hub(url, root, services, iam.process, iam)
    made.start()
    yield made
    made.stop()
    iam.stop()


def test_people_log_in_and_services_get_tokens_when_the_configuration_is_the_pages(
    hub: Hub,
) -> None:
    browser, _ = hub.log_in("alice")
    assert hub.api(browser, "user").json["name"] == "alice"
    answer = hub.ask("users/alice/token?audience=storage", hub.services["transfers"])
    assert answer.json["audience"] == "https://xcache.example.org"
    assert answer.json["scope"] == "storage.read:/store/cms"


def test_a_lab_gets_a_token_when_the_pages_command_is_typed(hub: Hub) -> None:
    require("curl", shutil.which("curl"), "curl is not installed")
    browser, _ = hub.log_in("bob")
    hub.start_server(browser, "bob")
    command = block("console").removeprefix("$ ")
    environment = hub.environment("bob")
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert set(answer) == set(json.loads(block("json")))
    # an argument can be read by everybody on the machine
    assert command.index("JUPYTERHUB_API_TOKEN") > command.index("<<<")
    hub.stop_server(browser, "bob")
