"""A person in front of the Dask panel, and the hand that sets its scene."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from testbed.front_end_lab import TOKEN, wait_until_started

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = "lab/api/settings/"
THEMES = f"{SETTINGS}@jupyterlab/apputils-extension:themes"
OWN = f"{SETTINGS}af-labextension:clusters"


class ClusterPanel:
    """The Dask panel of one browser tab.

    Parameters
    ----------
    page
        A Playwright page.
    address
        Where Lab is.
    """

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address

    def send(self, method: str, path: str, body: object = None) -> Any:
        """Send something to the server, past the page's own code."""
        answer = self.page.context.request.fetch(
            f"{self.address}/{path}",
            method=method,
            data=None if body is None else json.dumps(body),
            headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        )
        assert answer.ok, answer.text()
        return answer

    def stage(self, **scene: Any) -> None:
        """Change what the server tells; see ``front_end_clusters.good``."""
        self.send("PUT", "af/test/clusters", scene)

    def told(self) -> dict[str, Any]:
        """Return who listens, what was asked, and the scene."""
        found: dict[str, Any] = self.send("GET", "af/test/clusters").json()
        return found

    def bodies(self) -> list[Any]:
        """Return what was sent, in its order."""
        return [json.loads(each) for each in self.told()["asked"] if each.startswith("{")]

    def settings(self, path: str, **values: Any) -> None:
        """Change the user's settings of a plug-in."""
        self.send("PUT", path, {"raw": json.dumps(values)})

    def hook(self, af: str, /, **data: str) -> Any:
        """Find an element by its stable hook, see ``tokens.ts`` of the front end."""
        quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in data.items()}
        conditions = "".join(f"[data-{key}={value}]" for key, value in quoted.items())
        return self.page.locator(f'[data-af="{af}"]{conditions}')

    def card(self, **data: str) -> Any:
        """Find a cluster's card."""
        return self.hook("cluster-card", **data)

    def open(self, *, reset: bool = True) -> ClusterPanel:
        """Open Lab, and the panel in it, also while Lab still restores its layout."""
        suffix = "&reset" if reset else ""
        self.page.goto(f"{self.address}/lab/workspaces/clusters?token={TOKEN}{suffix}")
        self.page.wait_for_selector("#jp-main-dock-panel")
        self.page.wait_for_selector('.lm-TabBar-tab[data-id="af-dask"]')
        if reset:
            wait_until_started(self.page)
        return self.show()

    def show(self) -> ClusterPanel:
        """Bring the panel into sight."""
        tab = self.page.locator('.lm-TabBar-tab[data-id="af-dask"]')
        for _ in range(20):
            if self.hook("dask-panel").is_visible():
                break
            tab.click()  # on the tab of an open panel it would close it
            with suppress(PlaywrightTimeout):
                self.hook("dask-panel").wait_for(timeout=3000)
        self.hook("new-cluster").wait_for()
        return self

    def live(self) -> ClusterPanel:
        """Wait until the server pushes."""
        self.hook("dask-panel", state="live").wait_for()
        return self

    def wait_until(self, holds: str) -> None:
        """Wait until a JavaScript expression holds."""
        self.page.wait_for_function(holds)

    def sticks_out(self, root: str) -> list[str]:
        """Return what below an element sticks out of it or of the window, or scrolls sideways.

        What an ellipsis stands for does not stick out.
        """
        found: list[str] = self.page.evaluate(
            """root => {
                 const top = document.querySelector(root);
                 const edge = top.getBoundingClientRect();
                 const right = Math.min(edge.right, innerWidth) + 1;
                 const flow = node => getComputedStyle(node).overflowX;
                 const cut = node => {
                   for (let each = node.parentElement; each !== top; each = each.parentElement) {
                     if (['hidden', 'clip'].includes(flow(each))) return true;
                   }
                   return false;
                 };
                 return [...top.querySelectorAll('*')]
                   .filter(node => !node.closest('svg, option, [data-af=announce]'))
                   .filter(node => {
                     const box = node.getBoundingClientRect();
                     const out = box.right > right || box.left < edge.left - 1;
                     const sideways = node.scrollWidth > node.clientWidth + 1
                       && ['auto', 'scroll'].includes(flow(node));
                     return box.width > 0 && ((out && !cut(node)) || sideways);
                   })
                   .map(node => `${node.tagName}.${node.className}: ${node.textContent}`);
               }""",
            root,
        )
        return [each[:120] for each in found]


@pytest.fixture
def cluster_panel(front_end_lab: str, new_page: Any) -> Iterator[ClusterPanel]:
    """Set the good scene and open a page; afterwards the user's settings are as before."""
    panel = ClusterPanel(new_page(), front_end_lab)
    panel.stage(reset=True)
    yield panel
    panel.stage(reset=True, cut=True)
    panel.settings(THEMES)
    panel.settings(OWN)
