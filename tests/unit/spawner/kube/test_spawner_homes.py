"""Whose home is whose, over all that can happen to the names of claims."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import kubespawner.slugs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes_asyncio.client import ApiException
from kubespawner.slugs import escape_slug, safe_slug

from af_hub.iam.names import names_of
from af_hub.spawner.kube.homes import OWNER
from testbed.kube_spawner import bare
from testbed.virtual_time import VirtualTime

ISSUER = "https://iam.example.org/"


class Claims:
    """A cluster's claims, and whose they say they are."""

    def __init__(self, **owners: str | None) -> None:
        self.owners: dict[str, str | None] = {
            name.replace("_", "-"): owner for name, owner in owners.items()
        }

    async def create_namespaced_persistent_volume_claim(self, namespace: str, body: Any) -> None:
        """Make one, unless there is one of this name."""
        assert namespace == "labs"
        if body.metadata.name in self.owners:
            raise ApiException(status=409)
        self.owners[body.metadata.name] = body.metadata.annotations[OWNER]

    async def read_namespaced_persistent_volume_claim(self, name: str, namespace: str) -> Any:
        """Show one."""
        assert namespace == "labs"
        if name not in self.owners:
            raise ApiException(status=404)
        owner = self.owners[name]
        annotations = None if owner is None else {OWNER: owner}
        return SimpleNamespace(metadata=SimpleNamespace(annotations=annotations))


class EnoughError(Exception):
    """The home is there; what comes then is the pod."""


async def home(
    claims: Claims, name: str, state: dict[str, Any], *, login: str = "", **traits: Any
) -> str:
    """Start a user's server as far as the home; return the claim, change the state as a hub does."""

    async def enough() -> None:
        raise EnoughError

    async def nothing() -> None:
        """Watch no pods."""

    with pytest.MonkeyPatch.context() as patch:
        made = bare(patch, name, events_enabled=False, **traits)
        made.load_state(state)
        made.api = claims
        patch.setattr(made, "_start_watching_pods", nothing)
        patch.setattr(made, "get_pod_manifest", enough)
        made.name_home({"iss": ISSUER, "sub": login} if login else None)
        with pytest.raises(EnoughError):
            await made._start()
        made.clear_state()
        state.clear()
        state.update(made.get_state())
        return str(made.pvc_name)


SUBJECTS = ["1", "2", "3"]
_slugs = [names_of(ISSUER, subject, "x").slug for subject in SUBJECTS]
# a login whose slug the old way of writing makes of a name, too
ODD = next(
    subject
    for subject in map(str, range(100_000))
    if names_of(ISSUER, subject, "x").slug.startswith("u-2d")
)
_parts = st.sampled_from(["a", "b", "-", "--", ".", "@", "2d", "2e", "x", "---", "jovyan" * 8])
_plain = st.lists(_parts, min_size=1, max_size=5).map(lambda parts: "a" + "".join(parts)[:62])
# people who are called as others are written
_names = st.one_of(
    _plain,
    _plain.map(lambda name: escape_slug(name)[:63]),
    _plain.map(lambda name: safe_slug(name, max_length=48)),
    st.sampled_from([*_slugs, "u-" + names_of(ISSUER, ODD, "x").slug[4:]]),
)
_hubs = st.fixed_dictionaries(
    {
        "scheme": st.sampled_from(["safe", "escape", "of KubeSpawner 6"]),
        "template": st.sampled_from([None, "claim-{username}", "claim-{user_server}"]),
        "forgotten": st.booleans(),
        "hash": st.sampled_from([1, 8]),
    }
)


@given(
    st.lists(_names, unique=True, min_size=2, max_size=6),
    st.lists(_hubs, min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_no_two_users_share_a_home_when_hubs_come_and_go(
    names: list[str], hubs: list[dict[str, Any]], chance: Any
) -> None:
    """Other names of claims, other ways of writing names, a lost database, an older KubeSpawner."""
    # some have logins that are known, and their names do not matter
    logins = dict(zip(names, SUBJECTS, strict=False)) if chance.random() < 0.5 else {}
    logins["somebody"] = ODD

    async def story() -> None:
        claims, states = Claims(), {name: dict[str, Any]() for name in [*names, "somebody"]}
        holders: dict[str, set[str]] = {}
        for hub in hubs:
            if hub["forgotten"]:
                states = {name: {} for name in states}
            traits = {} if hub["template"] is None else {"pvc_name_template": hub["template"]}
            for name in chance.sample(list(states), len(states)):
                if hub["scheme"] == "of KubeSpawner 6":
                    claim = f"{hub['template'] or 'home-{username}'}".split("{")[0]
                    claim += escape_slug(name)
                    if claims.owners.setdefault(claim, name) != name:
                        # that one had no protection; what it did is not ours
                        continue
                    states[name] = {"pod_name": "jupyter-x"}
                else:
                    claim = await home(
                        claims,
                        name,
                        states[name],
                        login=logins.get(name, ""),
                        slug_scheme=hub["scheme"],
                        **traits,
                    )
                holders.setdefault(claim, set()).add(name)
                assert holders[claim] == {name}, claim

    with pytest.MonkeyPatch.context() as patch:
        # an eighth of the digits: so two names meet as if somebody had searched for them
        patch.setattr(kubespawner.slugs, "_hash_length", hubs[0]["hash"])
        with asyncio.Runner(loop_factory=VirtualTime) as runner:
            runner.run(story())


async def test_home_is_ones_own_when_another_is_written_alike() -> None:
    """A hub that wrote ``-2d`` for ``-`` has volumes of before, and a user has such a name."""
    claims, hers, his = Claims(home_a_2db="a-b"), dict[str, Any](), dict[str, Any]()
    his_home = await home(claims, "a-2db", his)
    assert his_home.startswith("home-a-2db---")
    assert claims.owners == {"home-a-2db": "a-b", his_home: "a-2db"}
    assert await home(claims, "a-b", hers, slug_scheme="escape") == "home-a-2db"
    # each finds it again, also a hub that has forgotten all
    assert await home(claims, "a-2db", his) == await home(claims, "a-2db", {}) == his_home
    assert await home(claims, "a-b", hers) == "home-a-2db"


async def test_home_of_before_is_ones_own_when_an_older_hub_wrote_names_otherwise() -> None:
    """Upstream takes the first one that exists, and that is somebody else's."""
    claims = Claims(claim_a_2db="a-b", claim_a_2d2db="a-2db")
    template = {"pvc_name_template": "claim-{username}"}
    assert await home(claims, "a-2db", {"pod_name": "of-version-6"}, **template) == "claim-a-2d2db"


async def test_home_is_taken_as_it_is_when_nobody_has_said_whose_it_is() -> None:
    claims = Claims(home_alice=None, everybodys="bob")
    assert await home(claims, "alice", {}) == "home-alice"
    shared = {"pvc_name_template": "everybodys"}
    assert await home(claims, "alice", {}, **shared) == "everybodys"


async def test_home_of_a_login_stays_when_its_user_is_called_otherwise() -> None:
    claims = Claims()
    one = await home(claims, "alice", {}, login="7")
    assert await home(claims, "alice.smith", {}, login="7") == one
    assert await home(claims, one.removeprefix("home-"), {}) != one
