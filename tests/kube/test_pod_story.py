"""The story of a physicist whose Lab is a pod: login, profile, token, protected file, histogram."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from testbed.notebook import run
from testbed.person import Person

if TYPE_CHECKING:
    from testbed.kube_facility import PodFacility

pytestmark = pytest.mark.browser

HISTOGRAM = """\
import os
import hist
import numpy as np
import uproot

url = os.environ["AF_STORAGE_URL"] + "/cms/zmumu/zmumu_0.root"
with uproot.open({url: "Events"}) as events:
    pt = events["Muon_pt"].array()
    print(f"{events.num_entries:,} events")
histogram = hist.Hist.new.Reg(50, 0, 100, name="pt").Double().fill(np.concatenate(list(pt)))
histogram.plot1d();
"""


def notebook(source: str) -> str:
    """Write a notebook with one cell."""
    cell = {"cell_type": "code", "id": "a", "source": source, "outputs": [], "metadata": {}}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [{**cell, "execution_count": None}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells})


def test_physicist_sees_a_histogram_when_the_lab_is_a_pod(
    pod_facility: PodFacility, new_page: Any, shoot: Any
) -> None:
    """From the login page to a picture of the events that only members of /cms may read."""
    pod_facility.stop("alice")
    alice = Person(new_page(), pod_facility.base_url, "alice")
    alice.log_in()
    alice.choose("Small")
    # nothing to read here about one machine
    expect(alice.page.locator("body")).not_to_contain_text("not isolated")
    alice.start()

    pod = pod_facility.lab("alice")
    assert pod is not None
    assert pod["spec"]["containers"][0]["image"] == pod_facility.images["lab"]
    status = alice.hook("status-item").inner_text()
    assert "Alice" in status
    assert re.search(r"token \d+ min", status), status

    alice.browse("cms", "zmumu")
    expect(alice.hook("row", name="zmumu_0.root")).to_have_count(1)

    write = ("exec", "--stdin", "jupyter-alice", "--", "sh", "-c", "cat > pt.ipynb")
    pod_facility.kubectl(*write, input=notebook(HISTOGRAM))
    alice.open_notebook("pt.ipynb")
    cell = alice.page.locator(".jp-Notebook .jp-Cell").first
    cell.locator(".cm-content").click()
    outputs = run(alice.page, cell, "20,000 events")
    picture = outputs.locator("img").last
    picture.wait_for(timeout=60_000)
    assert picture.evaluate("image => image.naturalWidth") > 300
    shoot(alice.page, "pod-histogram")
    assert alice.page.console_errors == []
