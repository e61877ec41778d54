"""What a physicist does with mouse and keyboard, in words."""

from __future__ import annotations

import re
from typing import Any

from testbed.notebook import wait_for_kernel

PASSWORD = "demo"
LAB_READY = "#jp-main-dock-panel"


class Person:
    """A person in front of a browser.

    Parameters
    ----------
    page
        A Playwright page.
    base_url
        Address of the facility.
    name
        One of the demo users.
    """

    def __init__(self, page: Any, base_url: str, name: str) -> None:
        self.page = page
        self.base_url = base_url.rstrip("/")
        self.name = name

    def hook(self, af: str, /, **data: str) -> Any:
        """Find an element by its stable hook, see ``tokens.ts`` of the front end."""
        conditions = "".join(f'[data-{key}="{value}"]' for key, value in data.items())
        return self.page.locator(f'[data-af="{af}"]{conditions}')

    # --- hub ---

    def open_login(self) -> None:
        """Go to the facility and on to the identity provider's login page."""
        self.page.goto(f"{self.base_url}/")
        if "/authorize" not in self.page.url:
            self.page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
        self.page.wait_for_selector("#username")

    def log_in(self) -> None:
        """Log in; afterwards the spawn page, the Lab or a refusal is shown."""
        self.open_login()
        self.page.click(f'.person[data-username="{self.name}"]')
        self.page.fill("#password", PASSWORD)
        self.page.click("#login")
        self.page.wait_for_url(f"{self.base_url}/**")

    def choose(self, title: str) -> None:
        """Pick a profile on the spawn page, without starting it."""
        self.page.goto(f"{self.base_url}/hub/spawn")
        self.page.locator(".af-card", has_text=title).locator("input[name=profile]").check()

    def start(self) -> None:
        """Press Start and wait until JupyterLab can be used."""
        self.page.click("input[type=submit], button[type=submit]")
        self.wait_for_lab()

    def settle(self, title: str) -> None:
        """Go to the Lab; one that does not run is started with the profile of this title."""
        self.page.goto(f"{self.base_url}/hub/spawn")
        if "/hub/spawn" in self.page.url and self.page.locator(".af-card").count():
            self.choose(title)
            self.start()
        else:
            self.wait_for_lab()

    def wait_for_lab(self) -> None:
        """Wait for a Lab with its main area and our status item."""
        self.page.wait_for_url(re.compile("/user/"), timeout=60_000)
        self.page.wait_for_selector(LAB_READY, timeout=60_000)
        # the item is there before its first answer
        self.page.wait_for_selector('[data-af="status-item"]:not([data-state="unknown"])')

    # --- Lab ---

    def open_tab(self, identifier: str) -> None:
        """Open a tab of the left sidebar unless it is open."""
        tab = self.page.locator(f'.jp-SideBar .lm-TabBar-tab[data-id="{identifier}"]')
        if "lm-mod-current" not in (tab.get_attribute("class") or ""):
            tab.click()
        self.page.wait_for_selector(f"#{identifier}:visible")

    def browse(self, *folders: str) -> None:
        """Open the data panel at the facility's own storage and go down."""
        self.open_data("demo")
        for folder in folders:
            self.enter(folder)
        self.page.wait_for_selector('[data-af="list"][data-state="complete"]')

    def open_data(self, source: str) -> None:
        """Open the data panel at a source: ``datasets`` or the name of a door."""
        self.open_tab("af-data")
        self.hook("source", name=source).click()
        self.page.wait_for_selector('[data-af="list"][data-state="complete"]')

    def enter(self, folder: str) -> None:
        """Go into a folder of the open door."""
        self.hook("row", name=folder).dblclick()

    def enter_did(self, name: str) -> None:
        """Go into a container or dataset of the list."""
        self.hook("did-row", name=name).dblclick()
        self.hook("did-crumb", name=name).wait_for()
        self.page.wait_for_selector('[data-af="list"][data-state="complete"]')

    def fill_cluster_dialog(self, workers: int) -> None:
        """Press *New cluster* and fill in the dialog."""
        self.open_tab("af-dask")
        self.hook("new-cluster").click()
        self.hook("dialog-workers").fill(str(workers))

    def ask_for_cluster(self, workers: int) -> None:
        """Press *New cluster*, fill in the dialog, press *Create*."""
        self.fill_cluster_dialog(workers)
        self.hook("dialog-create").click()

    def wait_for_workers(self, workers: int, timeout: float = 60_000) -> None:
        """Wait until the card says that so many workers are there (milliseconds)."""
        self.hook("cluster-card", state="running", workers=str(workers)).wait_for(timeout=timeout)

    def open_notebook(self, path: str) -> None:
        """Open a notebook of the user's folder by Lab's own address for it."""
        at = self.page.url.split("/lab")[0]
        self.page.goto(f"{at}/lab/tree/{path}")
        self.wait_for_lab()
        self.page.wait_for_selector(".jp-Notebook:visible .jp-Cell")

    def run_all(self) -> None:
        """Run all cells by Lab's menu, once there is a kernel for them."""
        wait_for_kernel(self.page)
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
