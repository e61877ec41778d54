"""What a user sees of a server that ends by itself: the warning, what keeps it, and why it ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from af_labextension.ends.nvml import LIBRARY
from testbed.front_end_lab import BUILT
from testbed.page_hub import PageHub, prepare
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.fake_nvml import FakeNvml

pytestmark = pytest.mark.browser

LIMIT = 24
"""Seconds; the warning is half of it. A busy machine must know of a click before it is over."""

FACILITY = """
about: {{name: Demo analysis facility}}
identity: {{issuer: https://iam.example.org/, client_id: hub, client_secret_env: HOME}}
profiles:
  - {{name: idle, title: Small, ram: 1G, idle_timeout: {limit}, allowed_groups: [/cms]}}
  - name: gpu
    title: With GPU
    ram: 1G
    gpu: {{counts: [1], product: NVIDIA A100}}
    gpu_idle_timeout: {limit}
    max_lifetime: 80
    environment: {environment}
    allowed_groups: [/cms]
"""

STATUS = '[data-af="status-item"]:not([data-state="unknown"])'


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, fake_nvml: FakeNvml) -> Iterator[PageHub]:
    """Run a hub whose Labs are real, behind a real proxy."""
    require("frontend", BUILT.is_file(), "the front end is not built (make setup)")
    assert (fake_nvml.folder / LIBRARY).is_file()
    facility = FACILITY.format(limit=LIMIT, environment=fake_nvml.variables)
    hub = prepare(tmp_path_factory.mktemp("ends-hub"), facility=facility, labs=True)
    try:
        hub.start()
        yield hub
        hub.release()
    finally:
        hub.stop()


def open_lab(hub: PageHub, page: Any, user: str, profile: str) -> None:
    """Log in and open a Lab; nobody touches it from then on."""
    page.goto(f"{hub.url}/hub/login")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", "x")
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url(lambda url: "/login" not in url)
    hub.take(user, profile=profile)
    page.goto(f"{hub.url}/user/{user}/lab")
    page.wait_for_selector(STATUS, timeout=60_000)


def warning(page: Any, words: str) -> Any:
    """Find the notification that says something."""
    return page.locator(".jp-toast-message, .Toastify__toast", has_text=words).first


def test_idle_server_warns_and_is_kept_and_ends_and_says_why(
    hub: PageHub, new_page: Any, shoot: Any
) -> None:
    page = new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    open_lab(hub, page, "alice", "idle")
    idle = warning(page, f"nothing has happened in it for a while, and {LIMIT} s are allowed")
    expect(idle).to_be_visible(timeout=60_000)
    expect(idle).to_contain_text(re.compile(r"This server stops at \d\d:\d\d: "))
    shoot(page, "ends-idle")
    page.click(STATUS)
    # that was a sign of life
    expect(idle).to_have_count(0)
    expect(page.locator('[data-af="status-details"]')).to_contain_text(
        re.compile(r"Without activity it will be stopped in \d+ s")
    )
    page.keyboard.press("Escape")
    expect(idle).to_be_visible(timeout=60_000)
    idle.get_by_role("button", name="Keep it running").click()
    expect(idle).to_have_count(0)
    assert page.console_errors == []
    # nobody keeps it again; the open page is no activity
    hub.until("alice", lambda server: server is None)
    assert f"ends by itself: no activity for {LIMIT} s" in hub.log
    page.goto(f"{hub.url}/hub/spawn")
    ended = page.locator('[data-af="ended"]')
    expect(ended).to_contain_text(
        re.compile(
            r"^\s*Your server was stopped at\s+\d?\d:\d\d( [AP]M)?: "
            f"no activity for {LIMIT} s\\."
        )
    )
    shoot(page, "ends-why")
    # once JupyterLab says so itself, `leave_out_polls` is not needed any more
    polls = [url for url in requests if "/api/sessions" in url]
    assert polls
    assert not any("no_track_activity" in url for url in polls)


def test_gpu_that_does_nothing_and_the_end_of_the_lifetime_are_announced(
    hub: PageHub, new_page: Any, shoot: Any, fake_nvml: FakeNvml
) -> None:
    page = new_page()
    fake_nvml.say(1, utilisation=70)
    open_lab(hub, page, "bob", "gpu")
    fake_nvml.say(1)
    gpu = warning(page, f"its GPU (NVIDIA A100) had no work for a while, and {LIMIT} s are allowed")
    expect(gpu).to_be_visible(timeout=60_000)
    shoot(page, "ends-gpu")
    expect(gpu.get_by_role("button", name="Change profile")).to_be_visible()
    fake_nvml.say(1, utilisation=70)
    expect(gpu).to_have_count(0)
    lifetime = warning(page, "its profile runs for 1 min at most")
    expect(lifetime).to_be_visible(timeout=90_000)
    shoot(page, "ends-lifetime")
    expect(lifetime.get_by_role("button", name="Save all")).to_be_visible()
