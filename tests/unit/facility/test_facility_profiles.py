"""Profiles and limits of the facility file: what is read, what is refused, with which sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from af_hub.errors import ConfigError
from af_hub.facility.load import load
from af_hub.facility.profiles import Profile
from af_hub.facility.warnings import warnings_of
from af_hub.kube_values.section import pods_of

ROOT = Path(__file__).parents[3]
IDENTITY = {"issuer": "https://iam.example.org/", "client_id": "hub", "client_secret_env": "HOME"}


def written(folder: Path, profile: dict[str, Any], **sections: Any) -> Path:
    """Write a facility file with one profile."""
    path = folder / "facility.yaml"
    content = {"identity": IDENTITY, "profiles": [{"name": "one", "title": "One", **profile}]}
    path.write_text(yaml.safe_dump({**content, **sections}, sort_keys=False))
    return path


FULL: dict[str, Any] = {
    "cpu": {"min": 1, "max": 8, "default": 2},
    "ram": {"choices": ["2G", {"value": "64G", "allowed_groups": ["/cms"]}], "default": "2G"},
    "gpu": {
        "counts": [0, {"value": 2, "denied_groups": ["/x"]}],
        "resource": "nvidia.com/mig-1g.5gb",
    },
    "image": {
        "choices": [{"name": "base", "title": "Base", "image": "a/b@sha256:" + "0" * 64}],
        "own": {"patterns": ["ghcr\\.io/x/.*"], "allowed_groups": ["/cms"]},
    },
    "options": [
        {
            "name": "release",
            "title": "Release",
            "choices": [{"name": "old", "title": "Old", "tolerations": [{"key": "a"}]}],
        }
    ],
    "volumes": [
        {"kind": "cvmfs"},
        {"kind": "shared", "claim": "cms", "path": "/data"},
        {"kind": "scratch", "size": "5G"},
    ],
    "home": False,
    "start_timeout": "20m",
    "idle_timeout": "2h",
    "gpu_idle_timeout": "30m",
    "hub_url": "https://hub.example.org",
    "max_concurrent": {"per_user": 1, "per_group": 2, "total": 3},
    "allowed_groups": ["/cms/**"],
}


def test_everything_is_read_when_it_is_written_right(tmp_path: Path) -> None:
    limits = [{"groups": ["/cms"], "per": "group", "gpus": 8, "ram": "1T"}]
    facility = load(written(tmp_path, FULL, limits=limits))
    (profile,) = facility.profiles
    assert list(profile.cpu.steps()) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert profile.ram.choices[1].value == 64 * 1024**3
    assert profile.start_timeout == 1200
    assert facility.limits[0].ram == 1024**4
    # traits take the same again
    assert Profile.model_validate(profile.model_dump()) == profile


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        ({"cpu": {"min": 1}}, "profiles[0].cpu: a range has both min and max"),
        ({"cpu": {"min": 4, "max": 1}}, "profiles[0].cpu: max is below min"),
        (
            {"cpu": {"min": 1, "max": 8, "step": 2}},
            "profiles[0].cpu: steps from min do not reach max",
        ),
        (
            {"cpu": {"min": 1, "max": 9, "step": 2, "default": 2}},
            "profiles[0].cpu: the default is not among the choices",
        ),
        (
            {"cpu": {"choices": [1], "min": 1, "max": 2}},
            "profiles[0].cpu: offers either choices or a range (min, max and step)",
        ),
        ({"cpu": {}}, "profiles[0].cpu: offers nothing: say choices, or min and max"),
        ({"cpu": {"choices": [1, 1]}}, "profiles[0].cpu: a choice stands twice"),
        (
            {"ram": {"choices": ["1G", {"value": "2G", "allowed_group": ["/a"]}]}},
            "profiles[0].ram.choices[1].allowed_group: unknown key; did you mean 'allowed_groups'?",
        ),
        (
            {"image": {"own": {"patterns": ["a)|(b"]}}},
            "profiles[0].image.own.patterns[0]: is not a regular expression (look-around is not supported)",
        ),
        (
            {"image": {"own": {"patterns": ["(?!a)b"]}}},
            "profiles[0].image.own.patterns[0]: is not a regular expression (look-around is not supported)",
        ),
        ({"image": {}}, "profiles[0].image: offers nothing: say a reference, choices or own"),
        (
            {"volumes": [{"kind": "shared", "path": "/d"}]},
            "profiles[0].volumes[0]: a shared volume needs claim",
        ),
        ({"volumes": [{"kind": "scratch"}]}, "profiles[0].volumes[0]: a scratch volume needs size"),
        (
            {"volumes": [{"kind": "cvmfs", "size": "1G"}]},
            "profiles[0].volumes[0]: a cvmfs volume has no size",
        ),
        (
            {"volumes": [{"kind": "shared", "claim": "a", "path": "/home"}]},
            "profiles[0].volumes[0].path: would hide the home folder",
        ),
        (
            {"volumes": [{"kind": "shared", "claim": "a", "path": "/data/../etc"}]},
            "profiles[0].volumes[0].path: holds . or ..",
        ),
        (
            {"volumes": [{"kind": "cvmfs"}, {"kind": "shared", "claim": "a", "path": "/cvmfs"}]},
            "profiles[0]: two volumes appear at /cvmfs",
        ),
        (
            {"max_concurrent": {"per_group": 1}},
            "profiles[0]: max_concurrent.per_group needs allowed_groups: they say which groups are counted",
        ),
        (
            {"tolerations": [{}]},
            "profiles[0].tolerations[0]: a toleration without a key has the operator Exists",
        ),
        (
            {"environment": {"AF_X": "1"}},
            "profiles[0].environment.AF_X: AF_X is set by the facility itself",
        ),
    ],
)
def test_mistake_is_named_with_its_place_when_a_profile_is_wrong(
    tmp_path: Path, profile: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, profile))
    assert problem in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({"per": "user"}, "limits[0]: limits nothing: say servers, gpus, cpu or ram"),
        ({"per": "group", "gpus": 1}, "limits[0]: a limit per group says which groups are counted"),
        ({"per": "users", "gpus": 1}, "limits[0].per: Input should be 'user', 'group' or 'total'"),
        ({"per": "user", "gpu": 1}, "limits[0].gpu: unknown key; did you mean 'gpus'?"),
    ],
)
def test_mistake_is_named_with_its_place_when_a_limit_is_wrong(
    tmp_path: Path, limit: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, {}, limits=[limit]))
    assert problem in str(caught.value), str(caught.value)


def test_places_of_one_options_choices_may_be_the_same_since_only_one_is_chosen() -> None:
    def choice(name: str, path: str) -> dict[str, Any]:
        volume = {"kind": "shared", "claim": name, "path": path}
        return {"name": name, "title": name, "volumes": [volume]}

    option = {"name": "data", "title": "D", "choices": [choice("aa", "/d"), choice("bb", "/d")]}
    assert Profile.model_validate({"name": "one", "title": "One", "options": [option]}).options
    other = {"name": "more", "title": "D", "choices": [choice("cc", "/d")]}
    with pytest.raises(ValidationError, match="two volumes appear at /d"):
        Profile.model_validate({"name": "one", "title": "One", "options": [option, other]})


def test_image_is_chosen_in_one_place_only() -> None:
    option = {
        "name": "release",
        "title": "R",
        "choices": [{"name": "aa", "title": "A", "image": "a"}],
    }
    image = {"choices": [{"name": "base", "title": "B", "image": "b"}]}
    with pytest.raises(ValidationError, match="chosen twice"):
        Profile.model_validate({"name": "one", "title": "One", "options": [option], "image": image})


def test_every_image_that_is_known_beforehand_is_in_the_values_for_the_puller(
    tmp_path: Path,
) -> None:
    option = {
        "name": "release",
        "title": "R",
        "choices": [{"name": "aa", "title": "A", "image": "a:2"}],
    }
    kubernetes = {"lab_image": "lab:1"}
    file = written(tmp_path, {"options": [option], "image": "lab:2"}, kubernetes=kubernetes)
    assert pods_of(load(file)).images == ("lab:2", "a:2")


def test_check_warns_when_users_may_name_images(tmp_path: Path) -> None:
    own = {"image": {"own": {"patterns": ["x"]}}}
    found = warnings_of(load(written(tmp_path, own, kubernetes={"lab_image": "lab:1"})))
    assert any("profiles[0].image.own" in each and "subdomain" in each for each in found)


def test_check_warns_when_a_profile_can_never_be_started(tmp_path: Path) -> None:
    limits = [{"per": "user", "cpu": 1}]
    found = warnings_of(load(written(tmp_path, {"cpu": {"min": 2, "max": 4}}, limits=limits)))
    assert any("limits[0]" in each and "profiles[0]" in each for each in found)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"gpu_idle_timeout": "1h"}, "gpu_idle_timeout has no effect: the profile offers no GPU"),
        ({"idle_timeout": "8h", "max_lifetime": "8h"}, "idle_timeout has no effect: max_lifetime"),
        ({"idle_timeout": 599}, "idle_timeout is shorter than 10 min"),
    ],
)
def test_check_warns_when_a_limit_on_idleness_makes_no_sense(
    tmp_path: Path, limits: dict[str, object], words: str
) -> None:
    (found,) = (
        each for each in warnings_of(load(written(tmp_path, limits))) if "profiles[" in each
    )
    assert words in found


def test_documents_example_is_right_and_warns_of_nothing_but_own_images(tmp_path: Path) -> None:
    text = (ROOT / "docs/administrator/catalogue.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "facility.yaml"
    file.write_text(f"{yaml.safe_dump({'identity': IDENTITY})}\n{example}")
    facility = load(file)
    assert [profile.name for profile in facility.profiles] == [
        *("small", "analysis", "gpu", "gpu-part", "remote")
    ]
    named = [each for each in warnings_of(facility) if "profiles[" in each]
    assert [each.partition(":")[0] for each in named] == ["profiles[1].image.own"]
    # every key that there is stands in it
    said = {key for profile in yaml.safe_load(example)["profiles"] for key in profile}
    assert set(Profile.model_fields) - said == set()
