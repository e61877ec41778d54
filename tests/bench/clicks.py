"""What a person waits for: from the login click to a Lab, from *New cluster* to two workers."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.figure import Figure
from testbed.browser import ARGUMENTS, CHROMIUM
from testbed.facility import running_facility
from testbed.person import PASSWORD, Person

PEOPLE = ("alice", "bob", "dora")


def measure() -> list[Figure]:
    """Walk the story once for each of three people; the first one finds everything cold."""
    lab, cluster = [], []
    with (
        tempfile.TemporaryDirectory(prefix="af-bench-") as folder,
        running_facility(Path(folder) / "data") as facility,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for name in PEOPLE:
            page = browser.new_page(viewport={"width": 1360, "height": 850})
            page.set_default_timeout(60_000)
            person = Person(page, facility.base_url, name)
            person.open_login()
            page.click(f'.person[data-username="{name}"]')
            page.fill("#password", PASSWORD)
            begin = time.perf_counter()
            page.click("#login")
            page.locator(".af-card").first.wait_for()
            shown = time.perf_counter() - begin
            page.locator(".af-card", has_text="Analysis").locator("input[name=profile]").check()
            begin = time.perf_counter()
            person.start()
            lab.append(shown + time.perf_counter() - begin)

            begin = time.perf_counter()
            person.ask_for_cluster(2)
            person.wait_for_workers(2)
            cluster.append(time.perf_counter() - begin)
            person.hook("cluster-shutdown").click()
            person.hook("shutdown-confirm").click()
            person.hook("cluster-card", state="running").wait_for(state="detached")
        browser.close()
    return [
        Figure("login click to usable Lab", tuple(lab), "s", "≤ 10 s", lambda v: v <= 10),
        Figure(
            "*New cluster* click to two workers", tuple(cluster), "s", "≤ 4 s", lambda v: v <= 4
        ),
    ]
