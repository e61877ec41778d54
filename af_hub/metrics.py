"""Metrics of the facility, on the hub's ``/hub/metrics`` beside JupyterHub's own.

`TABLE` is the one list of names. Label values come from fixed lists or from the facility's own
settings, never from a request, so that nobody outside can make new time series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

from af_hub.errors import IAMUnavailable, SessionOver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from af_hub.errors import AFError


@dataclass(frozen=True, slots=True)
class Row:
    """A metric's name and meaning.

    Parameters
    ----------
    name
        As Prometheus shows it.
    meaning
        One sentence.
    labels
        Names of its labels.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


IAM_CALLS: Final = Row(
    "af_iam_call_duration_seconds",
    "Duration of each call to the identity provider, repeated ones counted each",
    ("purpose", "outcome"),
)
REFRESHES: Final = Row("af_refreshes_total", "Tries to refresh a login", ("outcome",))
TOKENS: Final = Row(
    "af_tokens_issued_total", "Access tokens given to servers and services", ("audience", "to")
)
REFUSALS: Final = Row("af_refusals_total", "Refused logins, tokens and starts", ("what", "reason"))
ENDS: Final = Row(
    "af_servers_ended_total",
    "Servers that ended by themselves, by the limit they reached",
    ("why",),
)
KEYS_AGE: Final = Row(
    "af_iam_keys_age_seconds", "Age of the identity provider's keys; NaN before they are known"
)

TABLE: Final = (IAM_CALLS, REFRESHES, TOKENS, REFUSALS, ENDS, KEYS_AGE)
"""Every metric of the facility."""

_iam_calls = Histogram(
    IAM_CALLS.name,
    IAM_CALLS.meaning,
    IAM_CALLS.labels,
    # a call ends after 10 s at the latest, see `af_hub.iam.http`
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_refreshes = Counter(REFRESHES.name, REFRESHES.meaning, REFRESHES.labels)
_tokens = Counter(TOKENS.name, TOKENS.meaning, TOKENS.labels)
_refusals = Counter(REFUSALS.name, REFUSALS.meaning, REFUSALS.labels)
_ends = Counter(ENDS.name, ENDS.meaning, ENDS.labels)
_keys_age = Gauge(KEYS_AGE.name, KEYS_AGE.meaning)


def iam_called(purpose: str, outcome: str, seconds: float) -> None:
    """Count a call to the identity provider.

    Parameters
    ----------
    purpose
        ``discovery``, ``keys``, ``userinfo``, ``revoke``, or the grant at the token endpoint:
        ``code``, ``refresh``, ``exchange``.
    outcome
        ``2xx`` to ``5xx``, or the code of an `IAMUnavailable`.
    seconds
        How long it took.
    """
    _iam_calls.labels(purpose, outcome).observe(seconds)


def refreshed(error: AFError | None = None) -> None:
    """Count a refresh as ``ok``, ``over``, ``unavailable`` or ``refused``.

    Parameters
    ----------
    error
        Why it did not work; None if it did.
    """
    outcome = "ok"
    if error is not None:
        kinds = ((SessionOver, "over"), (IAMUnavailable, "unavailable"))
        outcome = next((name for kind, name in kinds if isinstance(error, kind)), "refused")
    _refreshes.labels(outcome).inc()


def token_issued(audience: str, to: str) -> None:
    """Count a token given to ``server`` or ``service:NAME`` for a configured audience."""
    _tokens.labels(audience, to).inc()


def refused(what: str, reason: str) -> None:
    """Count a refused ``login``, ``token`` or ``start`` under its stable code."""
    _refusals.labels(what, reason).inc()


def expect_refusals(what: str, reasons: Iterable[str]) -> None:
    """Show refusals that nobody has met yet as 0, so that the first one counts in a rate."""
    for reason in reasons:
        _refusals.labels(what, reason)


def server_ended(why: str) -> None:
    """Count a server that ended by itself: ``lifetime``, ``idle`` or ``gpu-idle``."""
    _ends.labels(why).inc()


def expect_ends(whys: Iterable[str]) -> None:
    """Show ends that have not come yet as 0, as `expect_refusals`."""
    for why in whys:
        _ends.labels(why)


def watch_keys(age: Callable[[], float]) -> None:
    """Show from now on what `age` returns: seconds, NaN if there are no keys."""
    _keys_age.set_function(age)
