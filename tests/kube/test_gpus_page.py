"""The spawn page and the progress page in a browser, where Labs are pods and devices are a node's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.page_hub import GPUS
from testbed.spawn_page import SpawnPage

if TYPE_CHECKING:
    from testbed.page_hub import PageHub

pytestmark = pytest.mark.browser


@pytest.fixture
def at(kube_page_hub: PageHub, new_page: Any) -> Any:
    """Give a function that seats a user in front of the page, in a browser of their own."""

    def seat(user: str) -> SpawnPage:
        return SpawnPage(new_page(), kube_page_hub, user).open()

    return seat


def test_count_falls_in_a_second_browser_and_the_ninth_waits_in_line(
    at: Any, kube_page_hub: PageHub, shoot: Any
) -> None:
    """Two GPUs by the page, six by others; who comes then is told the place, and gets the next."""
    hub = kube_page_hub
    alice, ninth = at("alice"), at("user9")
    ninth.choose("gpu")
    assert ninth.free() == f"NVIDIA A100: {GPUS} of {GPUS} free"
    alice.choose("gpu")
    counts = alice.card("gpu").get_by_role("group", name="GPUs")
    counts.get_by_role("radio", name="2").check()
    alice.start()
    free = ninth.card("gpu").locator('[data-af="free"]')
    expect(free).to_contain_text(f"NVIDIA A100: {GPUS - 2} of {GPUS} free")
    hub.until("alice", lambda server: bool(server and server["ready"]))

    hub.take("user1", profile="gpu", gpu=4)
    hub.take("user2", profile="gpu", gpu=2)
    expect(free).to_contain_text(f"0 of {GPUS} free")
    shoot(ninth.page, "spawn-kube-full")
    ninth.start()
    told = "No free NVIDIA A100: 8 of 8 in use, you are 1st in line."
    expect(ninth.page.locator("body")).to_contain_text(told)
    shoot(ninth.page, "spawn-kube-line")

    hub.api("DELETE", "/users/user2/server")
    hub.until("user9", lambda server: bool(server and server["ready"]))
    assert alice.page.console_errors == []
