"""What happens in the collision: true muons of three kinds of event.

Every function takes a random generator and a number of events, and returns `Muons` as flat
arrays: element ``i`` belongs to event ``event[i]``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Z_MASS = 91.1876
"""GeV, Particle Data Group."""

Z_WIDTH = 2.4952
"""GeV, Particle Data Group."""

MUON_MASS = 0.1056583745
"""GeV, Particle Data Group."""

MASS_RANGE = (15.0, 250.0)
"""GeV; range of the generated di-muon mass."""

PHOTON_SHARE = 0.12
"""Share of Drell-Yan events that come from the photon continuum."""


@dataclass(frozen=True, slots=True)
class Muons:
    """True muons.

    Parameters
    ----------
    event
        Index of the event that each muon belongs to.
    pt, eta, phi
        Transverse momentum in GeV, pseudorapidity, azimuth in radians.
    charge
        +1 or -1.
    prompt
        False for a muon from the decay of a heavy-flavour hadron.
    """

    event: NDArray[np.int64]
    pt: Floats
    eta: Floats
    phi: Floats
    charge: NDArray[np.int32]
    prompt: NDArray[np.bool_]

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> Muons:
        """Select muons by a mask or by their positions."""
        return Muons(*(getattr(self, field.name)[index] for field in fields(self)))


def join(parts: Sequence[Muons]) -> Muons:
    """Put the muons of several sources together."""
    return Muons(
        *(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Muons))
    )


def mass_density(mass: Floats) -> Floats:
    """Return the density of the true Drell-Yan mass, not normalised to the range.

    The Z term is a Breit-Wigner with running width, ``1 / ((s - M²)² + s² Γ² / M²)``, times
    ``2 m`` for the change from s to m; the photon's falls as ``m⁻³``. Their interference, which
    changes sign at the peak, is left out.
    """
    s = mass**2
    z = 2 * mass / ((s - Z_MASS**2) ** 2 + (s * Z_WIDTH / Z_MASS) ** 2)
    z_area = np.pi / (Z_MASS * Z_WIDTH)
    low, high = MASS_RANGE
    photon = mass**-3
    photon_area = (low**-2 - high**-2) / 2
    return (1 - PHOTON_SHARE) * z / z_area + PHOTON_SHARE * photon / photon_area


def _tabulate() -> tuple[Floats, Floats]:
    grid = np.linspace(*MASS_RANGE, 50_001)
    density = mass_density(grid)
    cumulative = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    return cumulative / cumulative[-1], grid


_CUMULATIVE, _GRID = _tabulate()


def drell_yan_mass(random: np.random.Generator, count: int) -> Floats:
    """Draw true di-muon masses in GeV, by inversion of the tabulated distribution."""
    return np.interp(random.random(count), _CUMULATIVE, _GRID)


def drell_yan(random: np.random.Generator, event: NDArray[np.int64]) -> Muons:
    """Make one opposite-sign pair for each element of `event`."""
    count = len(event)
    mass = drell_yan_mass(random, count)
    # a power law with a soft peak near 6 GeV and a tail from recoiling jets
    pt = 8.5 * np.sqrt((1 - random.random(count)) ** (-1 / 1.2) - 1)
    pt = np.minimum(pt, 400.0)
    # flat in the centre, falling at the edges
    rapidity = random.uniform(-2.6, 2.6, count) + random.normal(0, 0.6, count)
    phi = random.uniform(-np.pi, np.pi, count)

    # 1 + cos² θ by inversion: c³ + 3c = 8u - 4 has one real root (Cardano)
    q = 4 * random.random(count) - 2
    root = np.sqrt(q**2 + 1)
    cosine = np.cbrt(q + root) + np.cbrt(q - root)
    azimuth = random.uniform(-np.pi, np.pi, count)
    momentum = np.sqrt(mass**2 / 4 - MUON_MASS**2)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, None))
    rest = momentum * np.stack((sine * np.cos(azimuth), sine * np.sin(azimuth), cosine))

    transverse = np.sqrt(mass**2 + pt**2)
    parent = np.stack((pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(rapidity)))
    energy = transverse * np.cosh(rapidity)
    plus = _boost(rest, parent, energy, mass)
    minus = _boost(-rest, parent, energy, mass)
    charge = np.ones(count, dtype=np.int32)
    prompt = np.ones(count, dtype=np.bool_)
    return join(
        [Muons(event, *_polar(plus), charge, prompt), Muons(event, *_polar(minus), -charge, prompt)]
    )


def _boost(rest: Floats, parent: Floats, energy: Floats, mass: Floats) -> Floats:
    """Carry momenta (3, n) of daughters of half the mass from the parent's frame to the lab."""
    along = (rest * parent).sum(axis=0)
    # p + P/m (p·P / (E + m) + E*), and each daughter has the energy E* = m/2
    boosted: Floats = rest + parent * (along / (mass * (energy + mass)) + 0.5)
    return boosted


def _polar(momentum: Floats) -> tuple[Floats, Floats, Floats]:
    x, y, z = momentum
    pt = np.hypot(x, y)
    return pt, np.arcsinh(z / pt), np.arctan2(y, x)


def prompt_pairs(random: np.random.Generator, event: NDArray[np.int64]) -> Muons:
    """Make one opposite-sign pair without a resonance for each element of `event`."""
    count = len(event)
    sign = np.where(random.random(count) < 0.5, 1, -1).astype(np.int32)
    charge = np.concatenate((sign, -sign))
    return _loose(random, np.concatenate((event, event)), charge, softest=10, mean=28, prompt=True)


def heavy_flavour(random: np.random.Generator, event: NDArray[np.int64]) -> Muons:
    """Make one to three soft non-prompt muons for each element of `event`."""
    owner = np.repeat(event, random.choice((1, 2, 3), len(event), p=(0.55, 0.38, 0.07)))
    charge = np.where(random.random(len(owner)) < 0.5, 1, -1).astype(np.int32)
    return _loose(random, owner, charge, softest=3, mean=7, prompt=False)


def _loose(
    random: np.random.Generator,
    event: NDArray[np.int64],
    charge: NDArray[np.int32],
    *,
    softest: float,
    mean: float,
    prompt: bool,
) -> Muons:
    count = len(event)
    return Muons(
        event=event,
        pt=softest + random.exponential(mean, count),
        eta=random.normal(0, 1.4, count),
        phi=random.uniform(-np.pi, np.pi, count),
        charge=charge,
        prompt=np.full(count, prompt),
    )
