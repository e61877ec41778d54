"""The Dask panel in a real browser: news, cards, the dialog, odd content, by mouse and keyboard."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.cluster_panel import OWN, THEMES, ClusterPanel
from testbed.front_end_clusters import BATCH, GIB, IN_LAB, LOCAL, cluster
from testbed.front_end_lab import TOKEN
from testbed.pace import slowness

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.browser

FIRST_CARD = 0.3
"""Seconds from the click to the card."""

WATCH = """() => {
  window.watched = {};
  document.addEventListener('click', event => {
    if (event.target.closest('[data-af="dialog-create"]')) {
      watched.click = performance.now();
    }
  }, true);
  const look = () => {
    const card = document.querySelector('[data-af="cluster-card"][data-state="pending"]');
    if (watched.click && card) {
      watched.card = performance.now();
      watched.node = card;
      watched.height = card.getBoundingClientRect().height;
    } else {
      requestAnimationFrame(look);
    }
  };
  look();
}"""


def test_a_card_is_there_at_once_and_stays_in_its_place_when_a_cluster_is_made(
    cluster_panel: ClusterPanel,
) -> None:
    panel, page = cluster_panel, cluster_panel.page
    # the server thinks for 2 s, the answer takes 2 s more, and the push is there before it
    panel.stage(clusters=[], thinking=2.0, delay=2.0)
    panel.open().live()
    page.evaluate(WATCH)
    panel.hook("new-cluster").click()
    panel.hook("dialog-workers").fill("2")
    panel.hook("dialog-create").click()
    panel.card(state="pending").wait_for()
    took = page.evaluate("(watched.card - watched.click) / 1000")
    print(f"click to card: {took:.3f} s")
    assert took < FIRST_CARD * slowness()
    panel.card(state="running", workers="2").wait_for()
    expect(panel.card()).to_have_count(1)
    assert page.evaluate("document.contains(watched.node)")
    expect(panel.card()).to_contain_text("This machine")
    # buttons do not move under the mouse: what comes later stands below them
    assert page.evaluate(
        "watched.node.querySelector('.af-card-buttons').getBoundingClientRect().bottom"
        " - watched.node.getBoundingClientRect().top <= watched.height"
    )
    (body,) = panel.bodies()
    assert body == {
        "type": "local",
        "options": {"image": "base", "worker_cores": 1, "worker_memory": GIB, "worker_gpus": 0},
        "scale": {"mode": "fixed", "workers": 2},
    }
    assert page.console_errors == []


def test_news_are_pushed_to_every_tab_and_nobody_asks(
    cluster_panel: ClusterPanel, new_page: Callable[..., Any]
) -> None:
    panel = cluster_panel
    requests: list[Any] = []
    panel.page.on("request", lambda each: requests.append(each) if "/af/" in each.url else None)
    panel.open().live()
    other = ClusterPanel(new_page(), panel.address).open().live()
    # another tab, or a notebook, has made a cluster
    made = cluster("beef00", title="From a notebook", workers=0, wanted=3)
    panel.stage(clusters=[cluster("one"), made])
    for tab in (panel, other):
        tab.card(id="beef00", workers="0").wait_for()
    for workers in (1, 2, 3):
        panel.stage(clusters=[cluster("one"), {**made, "workers": workers}])
        for tab in (panel, other):
            tab.card(id="beef00", workers=str(workers)).wait_for()
    told = panel.told()
    assert told["listening"] == 2
    assert told["asked"].count("GET clusters") == 0
    (stream,) = [each for each in requests if each.url.split("?")[0].endswith("/af/events")]
    assert "token" not in stream.url
    assert stream.headers["authorization"].startswith("token ")
    assert "x-xsrftoken" in stream.headers or "_xsrf" not in panel.page.context.cookies()
    heard = panel.hook("announce").inner_text()
    assert heard == "From a notebook local-beef00: 3 workers ready."
    assert panel.page.console_errors == other.page.console_errors == []


def test_the_connection_is_open_only_while_the_panel_is_in_sight_or_something_changes(
    cluster_panel: ClusterPanel,
) -> None:
    panel, page = cluster_panel, cluster_panel.page
    panel.open().live()
    assert panel.told()["listening"] == 1
    tab = page.locator('.lm-TabBar-tab[data-id="af-dask"]')
    tab.click()  # closes the sidebar
    _until(lambda: panel.told()["listening"] == 0)
    # what happened meanwhile is there at once
    panel.stage(clusters=[cluster("one", state="stopping")])
    tab.click()
    panel.card(id="one", state="stopping").wait_for()
    # out of sight it is followed to its end
    tab.click()
    time.sleep(3)  # longer than a connection lingers that nobody wants
    assert panel.told()["listening"] == 1
    panel.stage(clusters=[])
    _until(lambda: panel.told()["listening"] == 0)
    assert panel.told()["opened"] >= 2
    # likewise when another window covers the page
    tab.click()
    panel.live()
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    _until(lambda: panel.told()["listening"] == 0)
    assert page.console_errors == []


def test_a_broken_connection_is_replaced_unseen_and_questions_stand_in_for_it(
    cluster_panel: ClusterPanel,
) -> None:
    panel = cluster_panel
    panel.settings(OWN, interval=5)
    panel.open().live()
    time.sleep(3)  # a connection that breaks sooner counts as one that does not work
    panel.stage(cut=True)
    panel.hook("dask-panel", state="connecting").wait_for()
    panel.live()
    panel.stage(clusters=[cluster("one", workers=1)])
    panel.card(id="one", workers="1").wait_for()
    assert panel.told()["asked"].count("GET clusters") == 0

    panel.stage(events="refused")
    panel.hook("feed", state="away").wait_for()
    expect(panel.hook("feed")).to_have_text("No live news; asking every 5 s")
    expect(panel.hook("notice")).to_have_count(0)  # nothing is wrong with the clusters
    panel.stage(clusters=[cluster("one", workers=2)])
    panel.card(id="one", workers="2").wait_for(timeout=60_000)
    panel.stage(events="open")
    panel.hook("feed", state="live").wait_for(timeout=90_000)
    asked = panel.told()["asked"].count("GET clusters")
    assert 1 <= asked <= 30
    panel.stage(clusters=[cluster("one", workers=3)])
    panel.card(id="one", workers="3").wait_for()
    assert panel.told()["asked"].count("GET clusters") == asked


def test_clusters_are_there_when_a_proxy_holds_the_events_back(cluster_panel: ClusterPanel) -> None:
    panel = cluster_panel
    panel.stage(events="silent")
    panel.open()
    panel.card(id="one").wait_for(timeout=60_000)
    expect(panel.hook("feed", state="away")).to_be_visible()


def test_the_dialog_shows_what_can_be_had_and_what_is_wrong_where_it_is(
    cluster_panel: ClusterPanel,
) -> None:
    panel, page = cluster_panel, cluster_panel.page
    panel.open().live()
    panel.hook("new-cluster").click()
    expect(panel.hook("dialog-type", name="local")).to_be_checked()
    expect(panel.hook("dialog-type", name="batch")).to_be_disabled()
    assert panel.hook("dialog-reason").inner_text() == BATCH["reason"]
    # a click on one that is away does nothing
    page.get_by_text("HTCondor, with a queue.").click(force=True)
    expect(panel.hook("dialog-type", name="local")).to_be_checked()
    assert page.locator(".af-type").first.inner_text().split("\n")[0].startswith("This machine")
    expect(page.locator(".af-type").first).to_contain_text("CERN")
    options = panel.hook("dialog-image").locator("option").all_inner_texts()
    assert options == ["Python 3.13", "coffea and ROOT"]

    panel.hook("dialog-worker_cores").fill("2")
    panel.hook("dialog-workers").fill("15")
    cores = panel.page.locator('.af-form [data-af="quota"][data-resource="cores"]')
    expect(cores).to_have_text("20 of 400 cores left for /cms")
    assert cores.get_attribute("data-over") is not None
    short = "20 of 400 cores left for /cms: 10 of 15 workers can start now."
    expect(panel.hook("dialog-short")).to_have_text(short)
    assert panel.hook("dialog-total").inner_text().split("\n")[-1] == "30 cores · 15 GiB"
    # somebody else has given cores back
    told = panel.told()["scene"]["quotas"]
    panel.stage(quotas=[{**one, "used": 2} for one in told])
    panel.page.locator('.af-form [data-af="quota"][data-resource="cores"]').get_by_text(
        "62 of 64 cores left for you"
    ).wait_for()
    expect(panel.hook("dialog-short")).to_have_text("")

    top = panel.hook("dialog-workers").bounding_box()["y"]
    panel.hook("dialog-worker_memory").fill("17")
    problem = panel.hook("dialog-problem", field="worker_memory")
    expect(problem).to_have_text("Must be a number: 0.5 to 16 GiB.")
    expect(panel.hook("dialog-worker_memory")).to_have_attribute("aria-invalid", "true")
    panel.hook("dialog-workers").fill("0x3")
    assert panel.hook("dialog-problem").count() >= 1
    assert panel.hook("dialog-workers").bounding_box()["y"] == top
    page.keyboard.press("Enter")
    assert panel.hook("dialog-problem").count() >= 1  # it stays open
    assert panel.bodies() == []

    panel.hook("dialog-type", name="inside").check()
    expect(panel.hook("dialog-in-lab")).to_contain_text("outside the quota")
    expect(panel.hook("dialog-short")).to_have_count(0)
    panel.hook("dialog-mode").select_option("adaptive")
    panel.hook("dialog-minimum").fill("3")
    panel.hook("dialog-maximum").fill("2")
    panel.hook("dialog-problem", field="minimum").wait_for()
    panel.hook("dialog-maximum").fill("4")
    panel.hook("dialog-create").click()
    panel.card(state="running").first.wait_for()
    assert panel.bodies() == [
        {
            "type": "inside",
            "options": {},
            "scale": {"mode": "adaptive", "minimum": 3, "maximum": 4},
        }
    ]
    assert page.console_errors == []


def test_a_cluster_is_made_scaled_and_ended_by_keyboard(cluster_panel: ClusterPanel) -> None:
    panel, page = cluster_panel, cluster_panel.page
    panel.stage(clusters=[])
    panel.open().live()
    panel.hook("new-cluster").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-af="dialog-type"][data-name="local"]:focus')
    page.keyboard.press("ArrowDown")  # over the one that is away
    page.wait_for_selector('[data-af="dialog-type"][data-name="inside"]:focus:checked')
    page.keyboard.press("Tab")
    page.wait_for_selector('[data-af="dialog-mode"]:focus')
    page.keyboard.press("Tab")
    page.wait_for_selector('[data-af="dialog-workers"]:focus')
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    panel.card(state="running", workers="3").wait_for()
    assert panel.bodies()[0]["scale"] == {"mode": "fixed", "workers": 3}
    assert panel.bodies()[0]["type"] == "inside"

    panel.hook("cluster-scale").focus()
    page.keyboard.press("Enter")
    panel.hook("cluster-scale-mode").focus()
    page.keyboard.press("ArrowDown")
    panel.hook("cluster-scale-minimum").fill("1")
    panel.hook("cluster-scale-maximum").fill("2")
    page.keyboard.press("Enter")
    panel.card().get_by_text("(1\N{EN DASH}2)").wait_for()
    assert panel.bodies()[-1] == {"mode": "adaptive", "minimum": 1, "maximum": 2}

    panel.hook("cluster-shutdown").focus()
    page.keyboard.press("Enter")
    loss = page.locator(".jp-Dialog-body").inner_text()
    assert loss.startswith("3 workers, 3 cores, 3 GiB of memory will stop")
    assert "results that only the workers hold are lost" in loss
    page.keyboard.press("Enter")
    panel.card().wait_for(state="detached")
    # the keyboard is not lost with the card
    page.wait_for_selector('[data-af="new-cluster"]:focus')
    assert page.console_errors == []


def test_what_is_refused_can_be_changed_and_asked_for_again(cluster_panel: ClusterPanel) -> None:
    panel, page = cluster_panel, cluster_panel.page
    sentence = "/cms: 380 of 400 cores in use; you can start 20."
    panel.stage(clusters=[], refusal={"status": 409, "code": "quota", "message": sentence})
    panel.open().live()
    panel.hook("new-cluster").click()
    panel.hook("dialog-worker_cores").fill("4")
    panel.hook("dialog-workers").fill("30")
    panel.hook("dialog-create").click()
    panel.card(state="failed").wait_for()
    expect(panel.hook("cluster-reason")).to_have_text(sentence)
    panel.stage(refusal=None)
    panel.hook("cluster-again").click()
    expect(panel.hook("dialog-worker_cores")).to_have_value("4")
    expect(panel.hook("dialog-workers")).to_have_value("30")
    panel.hook("dialog-workers").fill("5")
    panel.hook("dialog-create").click()
    panel.card(state="running", workers="5").wait_for()
    expect(panel.card()).to_have_count(1)
    # one that failed later is taken off the list
    panel.stage(clusters=[cluster("gone", state="failed", reason="It broke.")])
    panel.card(state="failed").wait_for()
    assert panel.hook("announce").inner_text().startswith("This machine local-gone: failed.")
    panel.hook("cluster-dismiss").click()
    panel.card().wait_for(state="detached")
    assert "DELETE clusters/gone" in panel.told()["asked"]
    errors = [each for each in page.console_errors if "409" not in each]
    assert errors == []


def test_time_and_quota_are_on_the_card(cluster_panel: ClusterPanel) -> None:
    panel, now = cluster_panel, time.time()
    held = "/cms: 380 of 400 cores in use; you can start 20."
    warning = "Nothing is computed; it ends soon."
    panel.stage(
        clusters=[
            cluster("idle", ends_at=now + 400, ends_why="idle", warning=warning),
            cluster("held", wanted=40, held=held, ends_at=now + 7300, ends_why="lifetime", gpus=2),
            cluster("over", token={"state": "valid", "expires_at": now - 1, "message": None}),
            cluster("lost", token={"state": "error", "expires_at": None, "message": "Log in."}),
        ]
    )
    panel.open().live()
    ends = panel.card(id="idle").locator('[data-af="cluster-ends"]')
    assert ends.inner_text().startswith("Without work it ends in 6:")
    before = ends.inner_text()
    _until(lambda: ends.inner_text() != before)  # it counts down without any news
    expect(panel.hook("cluster-warning")).to_have_text(warning)
    card = panel.card(id="held")
    expect(card.locator('[data-af="cluster-held"]')).to_have_text(held)
    assert (
        card.locator('[data-af="cluster-ends"]').inner_text() == "Its lifetime ends in 2 h 01 min"
    )
    expect(card).to_contain_text("2 of 40")
    expect(card).to_contain_text("GPUs")
    expect(card.locator('[data-af="cluster-token"][data-state="valid"]')).to_be_visible()
    assert panel.card(id="over").locator('[data-state="expired"]').count() >= 1
    lost = panel.card(id="lost").locator('[data-af="cluster-token"][data-state="error"]')
    expect(lost).to_have_text("No valid token on the workers: Log in.")
    panel.page.locator(".af-quotas summary").click()
    quota = panel.hook("dask-panel").locator('[data-af="quota"][data-name="/cms"]').first
    assert quota.inner_text().split() == ["Cores", "·", "/cms", "20", "of", "400"]


def test_other_types_work_when_one_backend_is_away(cluster_panel: ClusterPanel) -> None:
    panel = cluster_panel
    away = {"code": "gateway-unreachable", "message": "The Dask service does not answer now."}
    inside = cluster("lab-" + "0" * 32, name="inside-1", backend="in-lab", title="In this server")
    panel.stage(
        types=[{**LOCAL, "available": False, "reason": away["message"]}, IN_LAB],
        problem=away,
        clusters=[inside],
    )
    panel.open().live()
    assert away["message"] in panel.hook("notice").inner_text()
    panel.card(id=inside["id"]).wait_for()
    panel.hook("new-cluster").click()
    expect(panel.hook("dialog-type", name="local")).to_be_disabled()
    expect(panel.hook("dialog-type", name="inside")).to_be_checked()
    panel.hook("dialog-create").click()
    panel.card(state="running", workers="1").wait_for()
    panel.stage(problem=None, types=[LOCAL, IN_LAB])
    panel.hook("notice").wait_for(state="detached")
    panel.hook("new-cluster").click()
    panel.page.wait_for_selector('[data-af="dialog-type"][data-name="local"]:enabled')


def test_the_panel_is_fetched_again_when_its_content_did_not_come(
    cluster_panel: ClusterPanel,
) -> None:
    panel, page = cluster_panel, cluster_panel.page
    # nothing of it is fetched at Lab's start
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.route("**/af-labextension/static/dask.*.js*", lambda route: route.abort())
    page.goto(f"{panel.address}/lab/workspaces/clusters?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Launcher")
    assert not [each for each in fetched if "/static/dask." in each or "/af/events" in each]
    page.locator('.lm-TabBar-tab[data-id="af-dask"]').click()
    panel.hook("notice").get_by_text("cannot be loaded").wait_for()
    page.unroute("**/af-labextension/static/dask.*.js*")
    panel.hook("retry").click()
    panel.live().card(id="one").wait_for()


def test_types_are_asked_for_again_when_they_did_not_come(cluster_panel: ClusterPanel) -> None:
    panel, page = cluster_panel, cluster_panel.page
    away = {"status": 502, "json": {"code": "away", "message": "It does not answer."}}
    page.route("**/af/clusters/types*", lambda route: route.fulfill(**away))
    panel.open().live()
    panel.hook("notice").get_by_text("It does not answer.").wait_for()
    panel.stage(clusters=[cluster("one", workers=1)])
    panel.card(id="one", workers="1").wait_for()
    assert panel.hook("notice").is_visible()  # a push does not hide it
    expect(panel.hook("new-cluster")).to_be_disabled()
    page.unroute("**/af/clusters/types*")
    panel.hook("retry").click()
    panel.hook("notice").wait_for(state="detached")
    expect(panel.hook("new-cluster")).to_be_enabled()


LONG = "a-very-long-name-without-any-place-to-break-" * 30
HTML = "<img src=x onerror=\"window.hacked='{0}'\"><b>{0}</b> &amp; <script>hacked=1</script>"
RTL = "\u202eabc \u05d0\u05d1\u05d2 \u0001 \U0001f4a9"


@pytest.mark.parametrize("text", [HTML, LONG, RTL * 20], ids=["html", "long", "unicode"])
def test_what_others_wrote_is_shown_as_text_and_breaks_nothing(
    cluster_panel: ClusterPanel, text: str
) -> None:
    panel, page = cluster_panel, cluster_panel.page
    words = {
        key: text.replace("{0}", key)
        for key in ("name", "title", "site", "image", "group", "reason", "held", "warning")
    }
    broken = {**words, "description": text, "available": False}
    odd = {
        **LOCAL,
        "title": text,
        "site": text,
        "description": text,
        "options": {
            "properties": {
                "image": {"type": "string", "title": text, "enum": [text], "description": text},
                **LOCAL["options"]["properties"],
            }
        },
    }
    quotas = [{**each, "name": text} for each in panel.told()["scene"]["quotas"]]
    token = {"state": "error", "expires_at": None, "message": text}
    log = {"name": text, "text": text * 20, "truncated": True}
    panel.stage(
        types=[odd, broken],
        clusters=[cluster("one", **words, token=token), cluster("two", **words, state="failed")],
        quotas=quotas,
        problem={"code": "odd", "message": text},
        links=[{"title": text, "url": "/af/clusters/one/dashboard/ticket1/status"}],
        logs=[log, {**log, "name": "scheduler"}],
    )
    panel.open().live()
    card = panel.card(id="one")
    card.locator('[data-af="cluster-dashboards"]').click()
    panel.hook("dashboard-link").wait_for()
    card.locator('[data-af="cluster-scale"]').click()
    page.locator(".af-quotas summary").click()
    page.evaluate("document.querySelector('#af-dask').style.width = '250px'")
    assert panel.sticks_out("#af-dask .af-panel-body") == []
    panel.hook("new-cluster").click()
    panel.hook("dialog-create").wait_for()
    assert panel.sticks_out(".af-cluster-dialog .jp-Dialog-content") == []
    page.get_by_role("button", name="Cancel").click()
    card.locator('[data-af="cluster-shutdown"]').click()
    panel.hook("shutdown-confirm").wait_for()
    assert panel.sticks_out(".jp-Dialog-content") == []
    page.get_by_role("button", name="Cancel").click()
    card.locator('[data-af="cluster-dashboards"]').click()
    panel.hook("dashboard-link").click()
    panel.hook("dashboard-pane", state="shown").wait_for()
    card.locator('[data-af="cluster-logs"]').click()
    panel.hook("logs-pane", state="shown").wait_for()
    assert text[:40].split("\u0001", maxsplit=1)[0].strip() in panel.hook("logs-text").inner_text()
    assert panel.sticks_out('[data-af="logs-pane"]') == []
    # a sentence of the server in Lab's own corner
    refusal = {"status": 409, "json": {"code": "odd", "message": text}}
    page.route("**/af/clusters/one/code*", lambda route: route.fulfill(**refusal))
    card.locator('[data-af="cluster-insert"]').click()
    page.locator(".Toastify__toast-body").wait_for()
    expect(page.locator("img[src=x]")).to_have_count(0)
    assert page.evaluate("window.hacked") is None
    errors = [each for each in page.console_errors if not re.search("sandboxed|409", each)]
    assert errors == []


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1360, 420])
def test_the_panel_fits_in_every_theme_and_width(
    cluster_panel: ClusterPanel, shoot: Any, theme: str, width: int
) -> None:
    panel, page, now = cluster_panel, cluster_panel.page, time.time()
    page.set_viewport_size({"width": width, "height": 850})
    panel.settings(THEMES, theme=theme)
    panel.stage(
        clusters=[
            cluster("aaaaaa", state="starting", workers=0, cores=0, memory=0, token=None),
            cluster(
                "bbbbbb",
                title="HTCondor",
                site="Bologna",
                workers=20,
                wanted=40,
                cores=160,
                memory=320 * GIB,
                gpus=20,
                held="/cms: 380 of 400 cores in use; you can start 20.",
                created_at=now - 4000,
                ends_at=now + 10_000,
                ends_why="lifetime",
            ),
            cluster("cccccc", ends_at=now + 300, ends_why="idle", warning="Nothing is computed."),
        ]
    )
    panel.open().live()
    panel.card(id="bbbbbb").wait_for()
    name = f"clusters-{theme.split()[1].lower()}-{width}"
    shoot(page, name)
    assert panel.sticks_out("#af-dask .af-panel-body") == []
    panel.hook("new-cluster").click()
    panel.hook("dialog-workers").fill("30")
    panel.hook("dialog-short").get_by_text("can start now").wait_for()
    shoot(page, f"{name}-dialog")
    assert panel.sticks_out(".af-cluster-dialog .jp-Dialog-content") == []
    create = panel.hook("dialog-create")
    create.scroll_into_view_if_needed()
    box = create.bounding_box()
    assert box["y"] + box["height"] <= 850


def _until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds that the page does not show."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
