"""What Prometheus is told about an XCache, with names and units in one table. Pure.

Only Python's standard library is used, so that the image of the cache needs nothing else. Section
``cache`` of the summary report is left out, since XRootD leaves it at zero (5.5.3 but for two sizes,
6.2 all of it): that would look like a cache without hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from af_hub.xcache.closings import Totals
    from af_hub.xcache.report import Report


@dataclass(frozen=True, slots=True)
class Metric:
    """How a value of the report is told to Prometheus.

    Parameters
    ----------
    name
        Name with its unit at the end, as Prometheus' naming rules have it.
    path
        Where the value stands in the report.
    help
        What it is, one line.
    """

    name: str
    path: str
    help: str


METRICS: Final = (
    Metric("xcache_connections", "link.num", "Connections open now."),
    Metric("xcache_connections_total", "link.tot", "Connections since the start."),
    Metric("xcache_received_bytes_total", "link.in", "Bytes received from clients."),
    Metric("xcache_sent_bytes_total", "link.out", "Bytes sent to clients."),
    Metric("xcache_opens_total", "xrootd.ops.open", "Opens of files that clients asked for."),
    Metric("xcache_reads_total", "xrootd.ops.rd", "Read requests."),
    Metric("xcache_vector_reads_total", "xrootd.ops.rv", "Vector read requests."),
    Metric("xcache_errors_total", "xrootd.err", "Requests that ended in an error."),
    Metric("xcache_logins_total", "xrootd.lgn.num", "Logins that clients began."),
    Metric("xcache_logins_refused_total", "xrootd.lgn.af", "Logins that failed."),
    Metric("xcache_origin_opens_total", "pss.open", "Files opened at the origin."),
    Metric("xcache_origin_open_errors_total", "pss.open.errs", "Opens that the origin refused."),
)
"""Metrics that stand in the report as they are."""

_FACTS: Final = (("version", "ver"), ("server", "src"), ("instance_name", "ins"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One number for Prometheus.

    Parameters
    ----------
    name
        Name with its unit at the end; ``_total`` makes it a counter, else it is a gauge.
    help
        What it is, one line.
    value
        The number.
    label
        Labels as ``name="value"``; empty: none.
    """

    name: str
    help: str
    value: float
    label: str = ""


def report_samples(report: Report) -> Iterator[Sample]:
    """Turn a summary report into numbers; what it does not say is left out."""
    facts = ",".join(f'{label}="{_escaped(report.facts.get(key, ""))}"' for label, key in _FACTS)
    yield Sample("xcache_info", "Which server this is.", 1, facts)
    started = report.started
    if started is not None:
        text = "When the server started, in seconds since 1970."
        yield Sample("xcache_start_time_seconds", text, started)
    for mode, key in (("user", "usr"), ("system", "sys")):
        seconds, micro = report.number(f"proc.{key}.s"), report.number(f"proc.{key}.u")
        if seconds is not None and micro is not None:
            value, label = seconds + micro / 1e6, f'mode="{mode}"'
            yield Sample("xcache_cpu_seconds_total", "Processor time.", value, label)
    for metric in METRICS:
        number = report.number(metric.path)
        if number is not None:
            yield Sample(metric.name, metric.help, number)


def closing_samples(totals: Totals) -> Iterator[Sample]:
    """Turn what files told when they were closed into numbers."""
    yield Sample("xcache_files_closed_total", "Files that the cache has closed.", totals.files)
    text = "Bytes delivered: from the cache's disk, from the origin, and past the cache."
    for result in ("hit", "miss", "bypass"):
        value = getattr(totals, result)
        yield Sample("xcache_delivered_bytes_total", text, value, f'result="{result}"')
    text = "Blocks whose checksum was wrong."
    yield Sample("xcache_checksum_errors_total", text, totals.checksum_errors)


def exposition(samples: Iterable[Sample]) -> str:
    """Write numbers in Prometheus' text format 0.0.4; samples of one name stand together."""
    lines: list[str] = []
    last = ""
    for sample in samples:
        if sample.name != last:
            kind = "counter" if sample.name.endswith("_total") else "gauge"
            lines += [f"# HELP {sample.name} {sample.help}", f"# TYPE {sample.name} {kind}"]
            last = sample.name
        label = f"{{{sample.label}}}" if sample.label else ""
        lines.append(f"{sample.name}{label} {sample.value!r}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Escape a label's value; control characters have no place in one."""
    plain = "".join(character for character in text[:200] if character.isprintable())
    return plain.replace("\\", "\\\\").replace('"', '\\"')
