"""The simulated events: physics, branches, determinism, whole files only."""

from __future__ import annotations

import errno
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest
import uproot

from af_hub.embedded.events import dataset
from af_hub.embedded.events.dataset import Sample, simulate, write
from af_hub.embedded.events.processes import (
    MASS_RANGE,
    MUON_MASS,
    PHOTON_SHARE,
    Z_MASS,
    Z_WIDTH,
    drell_yan,
    drell_yan_mass,
)

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = Sample("cms/zmumu/test.root", events=60_000, seed=7)
TYPES = {
    "run": "uint32_t",
    "luminosityBlock": "uint32_t",
    "event": "uint64_t",
    "nMuon": "int32_t",
    "Muon_pt": "float[]",
    "Muon_eta": "float[]",
    "Muon_phi": "float[]",
    "Muon_mass": "float[]",
    "Muon_charge": "int32_t[]",
    "Muon_tightId": "bool[]",
    "Muon_pfRelIso04_all": "float[]",
    "Muon_dxy": "float[]",
    "Muon_dz": "float[]",
    "MET_pt": "float",
    "PV_npvs": "int32_t",
    "HLT_IsoMu24": "bool",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return uproot.open(write(SAMPLE, tmp_path_factory.mktemp("store")))["Events"]


def mass(pt: Any, eta: Any, phi: Any) -> Any:
    """Return the mass of two (nearly massless) muons."""
    return np.sqrt(
        2
        * pt[..., 0]
        * pt[..., 1]
        * (np.cosh(eta[..., 0] - eta[..., 1]) - np.cos(phi[..., 0] - phi[..., 1]))
    )


def test_branches_have_nanoaod_types_when_written(tree: Any) -> None:
    found = {name: tree[name].typename for name in tree.iterkeys()}
    assert {name: found.get(name) for name in TYPES} == TYPES
    assert tree.num_entries == SAMPLE.events
    assert tree.file.compression.name == "ZSTD"


def test_peak_lies_at_the_z_when_measured(tree: Any) -> None:
    muons = tree.arrays(
        ["Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge", "Muon_tightId", "Muon_pfRelIso04_all"]
    )
    good = muons.Muon_tightId & (muons.Muon_pfRelIso04_all < 0.15) & (muons.Muon_pt > 20)
    pairs = ak.sum(good, axis=1) == 2
    pt, eta, phi, charge = (
        muons[name][good][pairs] for name in ("Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge")
    )
    opposite = charge[:, 0] * charge[:, 1] == -1
    values = ak.to_numpy(mass(pt, eta, phi))
    near = values[opposite & (abs(values - Z_MASS) < 10)]
    assert len(near) > 0.2 * SAMPLE.events
    # the photon continuum pulls a little to the left
    assert abs(np.median(near) - Z_MASS) < 0.15
    low, high = np.quantile(near, (0.16, 0.84))
    # width of the Z and resolution together
    assert 1.4 < (high - low) / 2 < 3.0
    # a background beside the peak; the one of like sign is soft and not isolated
    assert 0.005 < np.mean(abs(values[opposite] - 130) < 10) < 0.05
    two = muons.Muon_charge[ak.num(muons.Muon_charge) == 2]
    assert 0.01 < np.mean(two[:, 0] == two[:, 1]) < 0.2


def test_true_mass_follows_breit_wigner_when_drawn() -> None:
    drawn = drell_yan_mass(np.random.default_rng(1), 400_000)
    assert drawn.min() >= MASS_RANGE[0]
    assert drawn.max() <= MASS_RANGE[1]
    # a Breit-Wigner has half of its area within half a width of the pole
    inside = np.mean(abs(drawn - Z_MASS) < Z_WIDTH / 2)
    assert inside == pytest.approx(0.5 * (1 - PHOTON_SHARE), abs=0.015)


def test_decay_gives_back_the_mass_when_boosted() -> None:
    seed = 3
    muons = drell_yan(np.random.default_rng(seed), np.arange(5000))
    drawn = drell_yan_mass(np.random.default_rng(seed), 5000)  # the first numbers that are used
    two = [np.reshape(getattr(muons, name), (2, -1)).T for name in ("pt", "eta", "phi")]
    pt, eta, phi = two
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + MUON_MASS**2).sum(axis=1)
    momentum = np.stack(
        [
            (pt * np.cos(phi)).sum(axis=1),
            (pt * np.sin(phi)).sum(axis=1),
            (pt * np.sinh(eta)).sum(axis=1),
        ]
    )
    rebuilt = np.sqrt(energy**2 - (momentum**2).sum(axis=0))
    np.testing.assert_allclose(rebuilt, drawn, rtol=1e-6)


def test_muons_are_ordered_and_in_acceptance_when_reconstructed(tree: Any) -> None:
    muons = tree.arrays(["nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "HLT_IsoMu24"])
    assert ak.all(muons.nMuon == ak.num(muons.Muon_pt))
    assert ak.all(muons.Muon_pt[:, :-1] >= muons.Muon_pt[:, 1:])
    assert ak.all(abs(muons.Muon_eta) < 2.4)
    assert ak.all(abs(muons.Muon_phi) <= np.float32(np.pi))
    assert set(np.unique(muons.nMuon)) >= {0, 1, 2, 3}
    assert 0.3 < ak.mean(muons.HLT_IsoMu24) < 0.8


def test_events_are_the_same_when_the_seed_is(tree: Any) -> None:
    first, *_ = simulate(SAMPLE)
    again, *_ = simulate(SAMPLE)
    other, *_ = simulate(Sample(SAMPLE.path, SAMPLE.events, seed=8))
    assert ak.array_equal(first["Muon"], again["Muon"])
    assert not ak.array_equal(first["Muon"].pt, other["Muon"].pt)
    written = tree.arrays(["Muon_pt"], entry_stop=len(first["Muon"])).Muon_pt
    assert ak.array_equal(written, first["Muon"].pt)


def test_event_numbers_are_unique_when_files_follow(tree: Any) -> None:
    numbers = tree["event"].array(library="np")
    assert numbers[0] == 1
    assert np.array_equal(np.diff(numbers.astype(np.int64)), np.ones(SAMPLE.events - 1))


def test_nothing_is_left_when_the_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        yield from ()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset, "simulate", fail)
    with pytest.raises(OSError, match="No space"):
        write(SAMPLE, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_present_file_stays_when_written_again(tmp_path: Path) -> None:
    small = Sample("a.root", events=10, seed=1)
    (tmp_path / "a.root").write_text("mine")
    write(small, tmp_path)
    assert (tmp_path / "a.root").read_text() == "mine"


def test_store_is_filled_when_run_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "af_hub.embedded.events", str(tmp_path)]
    subprocess.run([*command, "--files", "2", "--events", "200"], check=True, capture_output=True)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.root"))
    assert files == [
        "atlas/zmumu/zmumu_small.root",
        "cms/zmumu/zmumu_0.root",
        "cms/zmumu/zmumu_1.root",
        "open/zmumu/zmumu_small.root",
    ]
