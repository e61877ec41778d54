"""Branches and files: events in chunks into ROOT files, each complete or absent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

from af_hub.embedded.events.detector import event_columns, muon_columns, reconstruct
from af_hub.embedded.events.processes import drell_yan, heavy_flavour, join, prompt_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 50_000
"""Events in memory at once, and in one basket of each branch."""

SHARES = (0.72, 0.10, 0.18)
"""Shares of Drell-Yan, prompt pairs and heavy flavour among the events."""

LUMI_BLOCK = 1000
"""Events in one luminosity block."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of simulated events.

    Parameters
    ----------
    path
        Path below ``/store``.
    events
        Number of events.
    seed
        The same seed gives the same events.
    first
        Number of the first event, so that the numbers are unique in a dataset of several files.
    """

    path: str
    events: int
    seed: int
    first: int = 1


def simulate(sample: Sample, chunk: int = CHUNK) -> Iterator[dict[str, Any]]:
    """Yield the events of a sample in chunks, as arrays by branch.

    ``Muon`` is an array of lists of records; the others hold one number per event. What is
    yielded depends on `chunk`, too: it is part of the sample's definition.
    """
    random = np.random.default_rng([sample.seed, sample.events])
    for start in range(0, sample.events, chunk):
        count = min(chunk, sample.events - start)
        kind = random.choice(len(SHARES), count, p=SHARES)
        muons = reconstruct(
            random,
            join(
                [
                    make(random, np.flatnonzero(kind == number))
                    for number, make in enumerate((drell_yan, prompt_pairs, heavy_flavour))
                ]
            ),
        )
        columns = muon_columns(random, muons)
        number = np.arange(count, dtype=np.uint64) + np.uint64(sample.first + start)
        yield {
            "run": np.ones(count, dtype=np.uint32),
            "luminosityBlock": (number // LUMI_BLOCK + 1).astype(np.uint32),
            "event": number,
            "genWeight": np.ones(count, dtype=np.float32),
            "Muon": ak.unflatten(ak.zip(columns), np.bincount(muons.event, minlength=count)),
            **event_columns(random, count, muons, columns),
        }


def write(sample: Sample, store: Path) -> Path:
    """Write a sample below `store` unless it is there, and return its path.

    The file appears under its name when it is complete, never before.

    Raises
    ------
    OSError
        For example when the disk is full; no part of the file is left then.
    """
    target = store / sample.path
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with uproot.recreate(temporary, compression=uproot.ZSTD(3)) as file:
            tree = None
            for columns in simulate(sample):
                if tree is None:
                    tree = file.mktree(
                        "Events",
                        {name: _type(column) for name, column in columns.items()},
                        title="Events",
                        counter_name=lambda collection: f"n{collection}",
                        field_name=lambda outer, inner: f"{outer}_{inner}" if outer else inner,
                    )
                tree.extend(columns)
            runs = file.mktree(
                "Runs", {"run": "uint32", "genEventCount": "int64", "genEventSumw": "float64"}
            )
            runs.extend(
                {
                    "run": np.ones(1, np.uint32),
                    "genEventCount": np.array([sample.events], np.int64),
                    "genEventSumw": np.array([sample.events], np.float64),
                }
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _type(column: Any) -> Any:
    return ak.type(column).content if isinstance(column, ak.Array) else column.dtype
