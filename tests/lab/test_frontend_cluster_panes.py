"""Dashboards, logs and inserted code of Dask clusters in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from testbed.cluster_panel import ClusterPanel
from testbed.front_end_clusters import cluster
from testbed.front_end_lab import OWN_HOST

pytestmark = pytest.mark.browser


def open_dashboard(panel: ClusterPanel, title: str) -> Any:
    """Open a dashboard of the only cluster; its pane."""
    if panel.hook("dashboard-link").count() == 0:
        panel.hook("cluster-dashboards").click()
    panel.hook("dashboard-link", title=title).click()
    return panel.hook("dashboard-pane", title=title)


@pytest.mark.parametrize("host", ["127.0.0.1", OWN_HOST], ids=["one-host", "subdomains"])
def test_dashboard_cannot_touch_lab_when_its_pane_is_open(
    cluster_panel: ClusterPanel, host: str
) -> None:
    panel = ClusterPanel(cluster_panel.page, cluster_panel.address.replace("127.0.0.1", host))
    panel.open().live()
    pane = open_dashboard(panel, "Own")
    pane.and_(panel.hook("dashboard-pane", state="shown")).wait_for()
    frame = pane.locator("iframe")
    expect(frame).to_have_count(1)
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    pane.frame_locator("iframe").locator("#found").get_by_text("isolated").wait_for()
    # it has tried to take the whole window away
    assert panel.page.url.startswith(panel.address)
    expect(panel.card(id="one")).to_be_visible()


def test_dashboard_is_refused_when_it_lies_outside_the_server(cluster_panel: ClusterPanel) -> None:
    panel = cluster_panel.open().live()
    asked: list[str] = []
    panel.page.on("request", lambda request: asked.append(request.url))
    pane = open_dashboard(panel, "Foreign")
    pane.get_by_text("lies outside this server").wait_for()
    assert not any("x.example" in url for url in asked)


def test_panes_come_back_with_the_page_and_ask_for_fresh_tickets(
    cluster_panel: ClusterPanel,
) -> None:
    panel, page = cluster_panel, cluster_panel.page
    panel.open().live()
    for title in ("Own", "Task stream"):
        open_dashboard(panel, title).wait_for()
        panel.hook("dashboard-pane", title=title, state="shown").wait_for()
    panel.hook("cluster-logs").click()
    panel.hook("logs-pane", state="shown").wait_for()
    # three tabs in one place, beside the launcher
    tabs = page.locator("#jp-main-dock-panel .lm-DockPanel-tabBar", has_text="Task stream")
    expect(tabs.locator(".lm-TabBar-tab")).to_have_count(3)
    first = page.locator('[data-af="dashboard-pane"][data-title="Own"] iframe').get_attribute("src")
    with page.expect_response("**/lab/api/workspaces/**", timeout=60_000):
        pass  # Lab saves its layout a while after the last change

    panel.open(reset=False)
    tabs.wait_for()
    expect(tabs.locator(".lm-TabBar-tab")).to_have_count(3)
    tabs.get_by_text("Own", exact=True).click()
    panel.hook("dashboard-pane", title="Own", state="shown").wait_for()
    page.frame_locator('[data-title="Own"] iframe').locator("#found").get_by_text(
        "isolated"
    ).wait_for()
    again = page.locator('[data-af="dashboard-pane"][data-title="Own"] iframe').get_attribute("src")
    assert first.split("/dashboard/")[0] == again.split("/dashboard/")[0]
    assert first != again
    saved = panel.send("GET", "lab/api/workspaces/clusters").text()
    assert "af-dashboard-one-Own" in saved
    assert "ticket" not in saved
    tabs.get_by_text("Logs of").click()
    panel.hook("logs-text").get_by_text("scheduler starts").wait_for()


def test_a_pane_says_so_when_its_cluster_is_over(cluster_panel: ClusterPanel) -> None:
    panel, page = cluster_panel, cluster_panel.page
    panel.open().live()
    open_dashboard(panel, "Own")
    panel.hook("dashboard-pane", state="shown").wait_for()
    panel.stage(clusters=[])
    pane = panel.hook("dashboard-pane", state="problem")
    pane.get_by_text("The cluster is over").wait_for()
    # it is not sure: the user can try again
    panel.stage(clusters=[cluster("one")])
    pane.locator('[data-af="retry"]').click()
    panel.hook("dashboard-pane", state="shown").wait_for()
    before = page.locator('[data-af="dashboard-pane"] iframe').get_attribute("src")
    panel.hook("pane-reload").click()
    panel.page.wait_for_function(
        "before => document.querySelector('[data-af=dashboard-pane] iframe').src !== before",
        arg=before,
    )
    expect(page.locator('[data-af="dashboard-pane"] iframe')).to_have_count(1)


def test_logs_are_shown_chosen_read_again_and_copied(cluster_panel: ClusterPanel) -> None:
    panel, page = cluster_panel, cluster_panel.page
    lines = "\n".join(f"line {number}" for number in range(500))
    worker = {"name": "worker 0", "text": "\u001b[31mbad\u001b[0m token\n", "truncated": False}
    panel.stage(logs=[{"name": "scheduler", "text": lines, "truncated": True}, worker])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.open().live()
    panel.hook("cluster-logs").click()
    text = panel.hook("logs-text")
    text.get_by_text("line 499").wait_for()
    assert text.inner_text().startswith(
        "===== scheduler =====\n… earlier lines are left out\nline 0"
    )
    # the last lines are in sight
    assert text.evaluate("node => node.scrollTop + node.clientHeight >= node.scrollHeight - 4")
    panel.hook("logs-of").select_option("worker 0")
    expect(text).to_have_text("bad token")
    panel.stage(logs=[{**worker, "text": "bad token\nmended\n"}])
    panel.hook("logs-refresh").click()
    text.get_by_text("mended").wait_for()
    panel.hook("logs-copy").click()
    page.get_by_text("Logs copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "bad token\nmended"
    with page.expect_request("**/af/clusters/one/logs?lines=2000*"):
        panel.hook("logs-lines").select_option("2000")
    panel.stage(clusters=[])
    panel.hook("logs-refresh").click()
    panel.hook("logs-pane", state="problem").wait_for()
    assert "mended" in text.inner_text()  # what was read stays
    errors = [each for each in page.console_errors if "404" not in each]
    assert errors == []


def test_code_is_inserted_below_the_active_cell(cluster_panel: ClusterPanel) -> None:
    panel, page = cluster_panel.open().live(), cluster_panel.page
    panel.hook("cluster-insert").click()
    page.locator(".jp-Notebook .jp-Cell", has_text="connect('one')").wait_for(timeout=60_000)
    assert page.console_errors == []
