"""What the detector makes of true muons, and the quantities of a whole event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from af_hub.embedded.events.processes import MUON_MASS, Muons

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = dict[str, NDArray[np.generic]]

ACCEPTANCE = 2.4
"""Largest |η| of the muon chambers."""

THRESHOLD = 3.0
"""GeV; softer muons do not reach the chambers."""

EFFICIENCY = 0.975
"""Chance that a muon in acceptance is reconstructed."""

TRIGGER_PLATEAU = 0.93
"""Efficiency of the single-muon trigger far above its threshold."""


def resolution(pt: NDArray[np.float64], eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the relative momentum resolution: 1 % in the centre, more outside and when stiff."""
    return np.hypot(0.010 + 0.0022 * np.abs(eta) ** 2, 2e-4 * pt)


def reconstruct(random: np.random.Generator, muons: Muons) -> Muons:
    """Return the muons that are found, with measured momenta, hardest first in each event."""
    count = len(muons.pt)
    pt = muons.pt * (1 + resolution(muons.pt, muons.eta) * random.normal(size=count))
    eta = muons.eta + random.normal(0, 5e-4, count)
    phi = np.remainder(muons.phi + random.normal(0, 3e-4, count) + np.pi, 2 * np.pi) - np.pi
    found = (pt > THRESHOLD) & (np.abs(eta) < ACCEPTANCE) & (random.random(count) < EFFICIENCY)
    measured = Muons(muons.event, pt, eta, phi, muons.charge, muons.prompt)[found]
    return measured[np.lexsort((-measured.pt, measured.event))]


def muon_columns(random: np.random.Generator, muons: Muons) -> Columns:
    """Return the ``Muon_*`` quantities, one element per muon."""
    count = len(muons.pt)
    prompt = muons.prompt
    loose = random.random(count) < np.where(prompt, 0.997, 0.95)
    medium = loose & (random.random(count) < np.where(prompt, 0.985, 0.60))
    tight = medium & (random.random(count) < np.where(prompt, 0.98, 0.45))
    # a good part of prompt muons has nothing at all around it
    activity = random.exponential(np.where(prompt, 0.035, 0.55))
    alone = prompt & (random.random(count) < 0.4)
    flight = random.exponential(0.018, count) * np.where(random.random(count) < 0.5, 1, -1)
    dxy = random.normal(0, 0.0022, count) + np.where(prompt, 0, flight)
    dz = random.normal(0, 0.0045, count) + np.where(prompt, 0, 2 * flight)
    return {
        "pt": muons.pt.astype(np.float32),
        "eta": muons.eta.astype(np.float32),
        "phi": muons.phi.astype(np.float32),
        "mass": np.full(count, MUON_MASS, dtype=np.float32),
        "charge": muons.charge.astype(np.int32),
        "looseId": loose,
        "mediumId": medium,
        "tightId": tight,
        "isGlobal": loose,
        "pfRelIso04_all": np.where(alone, 0, activity).astype(np.float32),
        "dxy": dxy.astype(np.float32),
        "dz": dz.astype(np.float32),
        "ptErr": (muons.pt * resolution(muons.pt, muons.eta)).astype(np.float32),
    }


def event_columns(
    random: np.random.Generator, count: int, muons: Muons, columns: Columns
) -> Columns:
    """Return the quantities of whole events, one element per event.

    Parameters
    ----------
    random
        Source of chance.
    count
        Number of events.
    muons
        Measured muons.
    columns
        Their `muon_columns`.
    """
    vertices = random.poisson(32, count) + 1
    width = 7 + 0.35 * vertices
    missing = random.normal(size=(2, count)) * width
    good = columns["tightId"].astype(bool) & (columns["pfRelIso04_all"].astype(float) < 0.15)
    return {
        "PV_npvs": vertices.astype(np.int32),
        "PV_npvsGood": random.binomial(vertices, 0.8).astype(np.int32),
        "fixedGridRhoFastjetAll": (0.62 * vertices + random.normal(0, 2, count))
        .clip(0)
        .astype(np.float32),
        "MET_pt": np.hypot(*missing).astype(np.float32),
        "MET_phi": np.arctan2(missing[1], missing[0]).astype(np.float32),
        "MET_sumEt": (60 * np.sqrt(vertices) * random.gamma(9, 1 / 3, count)).astype(np.float32),
        "HLT_IsoMu24": _fires(random, count, muons, good, threshold=24, wanted=1),
        "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8": _fires(
            random, count, muons, good, threshold=17, wanted=1
        )
        & _fires(random, count, muons, good, threshold=8, wanted=2),
    }


def _fires(
    random: np.random.Generator,
    count: int,
    muons: Muons,
    good: NDArray[np.bool_],
    *,
    threshold: float,
    wanted: int,
) -> NDArray[np.bool_]:
    """Tell for each event whether `wanted` muons pass a trigger leg with a smooth turn-on."""
    chance = TRIGGER_PLATEAU / (1 + np.exp(-(muons.pt - threshold) / 0.35))
    passed = good & (random.random(len(muons.pt)) < chance)
    return np.bincount(muons.event[passed], minlength=count) >= wanted
