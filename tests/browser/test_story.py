"""The whole story as a physicist lives it: login, profile, data, cluster, notebook, Z peak.

The pictures in the README are made here (``make screenshots``).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import expect

from testbed.notebook import run
from testbed.person import Person

pytestmark = pytest.mark.browser

NOTEBOOK = "examples/zmumu.ipynb"


@pytest.fixture
def person(facility: Any, new_page: Any) -> Any:
    """Give a function that seats a demo user in front of a fresh browser, without a Lab."""
    seated = []
    administrator = facility.log_in("dora")

    def stop_lab(name: str) -> None:
        user = replace(administrator, name=name)
        if user.server() is not None:
            user.stop_server()

    def seat(name: str) -> Person:
        stop_lab(name)
        seated.append(name)
        return Person(new_page(), facility.base_url, name)

    yield seat
    for name in seated:
        stop_lab(name)


def test_physicist_sees_the_z_peak_when_walking_the_whole_story(person: Any, shoot: Any) -> None:
    """From the login page to the histogram, on one page, by clicks."""
    alice = person("alice")
    page = alice.page

    alice.open_login()
    shoot(page, "login")
    alice.log_in()
    alice.choose("Analysis")
    alice.start()
    status = alice.hook("status-item").inner_text()
    assert "Alice" in status
    assert re.search(r"token \d+ min", status), status
    assert re.search(r"server \d+ (d|h)", status), status

    alice.hook("status-item").click()
    for token in alice.hook("status-token").all():
        expect(token).to_have_attribute("data-state", "ok")
    expect(alice.hook("status-scope").first).to_contain_text("storage.read:/store")
    expect(alice.hook("status-command")).to_have_text("oidc-token af")
    shoot(page, "tokens", around=alice.hook("status-details"))
    page.keyboard.press("Escape")

    alice.open_notebook(NOTEBOOK)
    alice.browse("cms", "zmumu")
    alice.hook("row", name="zmumu_0.root").click()

    alice.fill_cluster_dialog(2)
    shoot(page, "dask")
    alice.hook("dialog-create").click()
    alice.hook("cluster-card").wait_for(timeout=3_000)
    alice.wait_for_workers(2)

    alice.run_all()
    sentence = page.locator(".jp-OutputArea-output", has_text="The highest bin is at")
    sentence.wait_for(timeout=120_000)
    peak = float(re.search(r"at ([\d.]+) GeV", sentence.inner_text()).group(1))  # type: ignore[union-attr]
    assert abs(peak - 91.2) < 1.0
    read = page.locator(".jp-OutputArea-output", has_text="million events per second")
    assert read.inner_text().startswith("400,000 events")
    picture = page.locator(".jp-OutputArea-output img").last
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("image => image.naturalWidth") > 300
    shoot(page, "zmumu")

    alice.hook("cluster-dashboards").click()
    alice.hook("dashboard-link").first.click()
    pane = alice.hook("dashboard-pane").locator("iframe")
    frame = pane.content_frame
    frame.locator(".bk-Figure, .bk-root, [class*=bk-]").first.wait_for(timeout=30_000)
    shoot(page, "dashboard")

    alice.hook("cluster-shutdown").click()
    alice.hook("shutdown-confirm").click()
    alice.hook("cluster-card", state="running").wait_for(state="detached", timeout=30_000)
    assert page.console_errors == []


def test_inserted_code_reads_the_file_when_run(person: Any) -> None:
    """The button beside a file puts a cell into the notebook, and the cell works as it stands."""
    bob = person("bob")
    bob.log_in()
    bob.choose("Small")
    bob.start()
    bob.open_notebook(NOTEBOOK)
    bob.browse("open", "zmumu")
    row = bob.hook("row", name="zmumu_small.root")
    row.hover()
    row.locator('[data-af="row-insert"]').click()
    cell = bob.page.locator(".jp-Notebook .jp-Cell", has_text="zmumu_small.root")
    cell.wait_for()
    run(bob.page, cell, "Events;1")


def test_restricted_profile_is_hidden_and_file_refused_when_group_is_missing(
    person: Any, shoot: Any
) -> None:
    """Carol of /atlas sees no profile of /cms/uscms, and storage refuses her the files of /cms."""
    carol = person("carol")
    carol.log_in()
    carol.page.goto(f"{carol.base_url}/hub/spawn")
    titles = carol.page.locator(".af-title").all_inner_texts()
    assert titles
    assert not any("GPU" in title for title in titles)

    carol.choose("Small")
    carol.start()
    carol.browse()
    expect(carol.hook("row", name="atlas")).to_have_count(1)
    expect(carol.hook("row", name="cms")).to_have_count(0)
    shoot(carol.page, "refused")
    # what the panel does not show, she asks for by hand, with her own cookies
    status, body = carol.page.evaluate(
        """async base => {
             const url = `${base}af/storage/demo/list?path=/cms/zmumu`;
             const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
             const answer = await fetch(url, {headers: {'X-XSRFToken': xsrf}});
             return [answer.status, await answer.json()];
           }""",
        f"{carol.base_url}/user/carol/",
    )
    assert status == 403
    assert re.search("not allow|may not|refuse|permission", body["message"], re.IGNORECASE), body


def test_login_is_refused_with_a_sentence_when_user_is_in_no_group(person: Any, shoot: Any) -> None:
    """Eve is told why, and what to do; there is no traceback and no loop."""
    eve = person("eve")
    eve.log_in()
    text = eve.page.inner_text("body")
    assert "group" in text.lower()
    assert "Traceback" not in text
    shoot(eve.page, "no-group")
