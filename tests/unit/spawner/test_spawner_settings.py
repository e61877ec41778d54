"""A hub makes a spawner for each of its users, always of the same settings: they are read once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from af_hub.facility.limits import Limit
from af_hub.facility.profiles import Profile
from testbed.kube_spawner import bare

SMALL: dict[str, Any] = {"name": "small", "title": "Small", "cpu": 1, "ram": "128M"}
LIMIT: dict[str, Any] = {"per": "user", "servers": 3}


@pytest.mark.parametrize("models", [False, True])
def test_catalogue_is_the_same_object_for_all_users(
    monkeypatch: pytest.MonkeyPatch, models: bool
) -> None:
    config = Config()
    config.KubeSpawner.profiles = [Profile.model_validate(SMALL) if models else SMALL]
    config.KubeSpawner.limits = [Limit.model_validate(LIMIT) if models else LIMIT]
    alice, bob = (bare(monkeypatch, name, config=config) for name in ("alice", "bob"))
    assert alice.profiles[0] is bob.profiles[0]
    assert alice.limits[0] is bob.limits[0]
    # the lists are each user's own
    alice.profiles.clear()
    assert bob.profiles == [Profile.model_validate(SMALL)]


def test_profile_is_its_own_copy() -> None:
    """Traitlets copies what is configured for each spawner, 1.5 ms for 16 profiles."""
    profile = Profile.model_validate(SMALL)
    assert copy.deepcopy([profile])[0] is profile


def test_catalogue_is_read_again_when_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for ram in ("128M", "256M", "128M"):
        config = Config()
        config.KubeSpawner.profiles = [SMALL | {"ram": ram}]
        (profile,) = bare(monkeypatch, "alice", config=config).profiles
        assert profile == Profile.model_validate(SMALL | {"ram": ram})


def test_mistake_is_told_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    config.KubeSpawner.profiles = [SMALL | {"ram": "much"}]
    for _ in range(2):
        with pytest.raises(TraitError, match=r"profiles: [\s\S]*expected an amount such as 4G"):
            bare(monkeypatch, "alice", config=config)
