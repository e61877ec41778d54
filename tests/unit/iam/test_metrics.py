"""Metrics: one table of names, and labels that nobody outside can multiply."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from af_hub import metrics
from af_hub.errors import AFError, IAMUnavailable, IdentityError, SessionOver
from af_hub.iam.http import IAMHttp

if TYPE_CHECKING:
    from testbed.iam import IAM


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_every_metric_of_ours_is_in_the_table() -> None:
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("af_")}
    assert ours == {row.name.removesuffix("_total") for row in metrics.TABLE}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (SessionOver("login-over", "x"), "over"),
        (IAMUnavailable("iam-unreachable", "x"), "unavailable"),
        (IdentityError("identity-changed", "x"), "refused"),
    ],
)
def test_refreshes_are_counted_by_outcome(error: AFError | None, outcome: str) -> None:
    before = value("af_refreshes_total", outcome=outcome)
    metrics.refreshed(error)
    assert value("af_refreshes_total", outcome=outcome) == before + 1


def test_age_of_keys_is_read_when_it_is_asked_for() -> None:
    ages = iter((math.nan, 5.0))
    metrics.watch_keys(lambda: next(ages))
    try:
        assert math.isnan(REGISTRY.get_sample_value("af_iam_keys_age_seconds") or 0.0)
        assert value("af_iam_keys_age_seconds") == 5.0
    finally:
        metrics.watch_keys(lambda: math.nan)


async def test_each_try_of_a_call_is_counted_by_purpose_and_outcome(
    iam: IAM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("af_hub.iam.http._PAUSES", (0.0, 0.0))
    name = "af_iam_call_duration_seconds_count"

    def counted() -> list[float]:
        outcomes = ("2xx", "4xx", "iam-unreachable")
        return [value(name, purpose="keys", outcome=outcome) for outcome in outcomes]

    before = counted()
    http = IAMHttp(str(iam.layout.ca_bundle))
    await http.get(f"{iam.issuer}jwk", purpose="keys")
    await http.get(f"{iam.issuer}nowhere", purpose="keys")
    with pytest.raises(IAMUnavailable):
        await http.get("https://127.0.0.1:9/", purpose="keys")
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 3]
