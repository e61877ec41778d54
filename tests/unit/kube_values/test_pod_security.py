"""Our checker of the pod security standard: one change at a time takes the label away."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.pod_faults import FAULTS, GOOD, changed
from testbed.pod_security import pods_in, violations


def test_pod_is_restricted_when_it_asks_for_nothing() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize("name", FAULTS)
def test_pod_is_not_restricted_when_one_thing_is_wrong(name: str) -> None:
    assert violations(changed(*FAULTS[name]))


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Pod", "spec": GOOD},
        {"kind": "Deployment", "spec": {"template": {"spec": GOOD}}},
        {"kind": "Job", "spec": {"template": {"spec": GOOD}}},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": GOOD}}}}},
        {"kind": "List", "items": [{"kind": "Pod", "spec": GOOD}]},
    ],
    ids=lambda document: document["kind"],
)
def test_pods_are_found_when_something_makes_them(document: Any) -> None:
    assert [spec for _name, spec in pods_in(document)] == [GOOD]


@pytest.mark.parametrize("document", [None, [], {"kind": "Service", "spec": {}}, {"kind": "Role"}])
def test_no_pod_is_found_when_there_is_none(document: Any) -> None:
    assert list(pods_in(document)) == []
