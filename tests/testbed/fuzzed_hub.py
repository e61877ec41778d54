"""Requests by the thousand to a live hub, by every way in which options reach a start.

Each user stands for one set of groups. What policy grants is written down by the hub (`plan_hook`) and
ended there, so that a thousand grants start no thousand Labs; the tests compare it with what
`option_fuzz` knows.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import jupyterhub
from yarl import URL

from af_hub.facility.placement import Toleration
from af_hub.facility.volumes import Volume
from af_hub.spawner.policy.plan import Plan
from testbed import option_fuzz as fuzz
from testbed.hub_config import TOKEN

if TYPE_CHECKING:
    import aiohttp

    from testbed.profile_hub import ProfileHub

WAYS: Final = (
    ("form", "query", "rest", "patch")
    if jupyterhub.version_info[0] >= 6
    else ("form", "query", "rest")
)
"""PATCH of a server came with JupyterHub 6."""

USERS: Final = {
    "nobody": frozenset[str](),
    "cms": frozenset({"/cms"}),
    "us": frozenset({"/cms", "/cms/uscms"}),
    "us-only": frozenset({"/cms/uscms", "/atlas"}),
    "banned": frozenset({"/cms", "/cms/banned/a"}),
    "near": frozenset({"/cmsx", "/CMS", "/cms/uscms/x"}),
    "boss": frozenset({"/cms/af-admins", "/cms"}),
    "out": frozenset({"/none", "/atlas"}),
}
"""Name to groups."""

LATE: Final = frozenset({202, 302})
"""Answers of a hub that has not decided yet."""

GRANTED: Final = "granted-and-ended"

_LIMITS: Final = [
    {"per": "user", "servers": 3, "cpu": 72},
    {"per": "group", "groups": ["/cms", "/atlas"], "gpus": 5},
]

PROFILES_AND_LIMITS: Final = f"profiles = {fuzz.CATALOGUE!r}\nlimits = {_LIMITS!r}"
"""For a hub's configuration."""

FACILITY: Final = (
    "identity: {issuer: 'https://iam.example.org/', client_id: hub, client_secret_env: HOME}\n"
    f"profiles: {json.dumps(fuzz.CATALOGUE)}\n"
    f"limits: {json.dumps(_LIMITS)}\n"
)

CONFIG: Final = f"""
import dataclasses, json
from af_hub.errors import Refusal
from af_hub.spawner.refusals import start_refused

def ended(spawner, plan):
    '''Write down what was granted; start nothing.'''
    kept = {{name: getattr(plan, name) for name in plan.__dataclass_fields__}}
    kept["volumes"] = [volume.model_dump() for volume in plan.volumes]
    kept["tolerations"] = [each.model_dump() for each in plan.tolerations]
    with open("plans.jsonl", "a") as file:
        file.write(json.dumps([spawner.user.name, kept]) + "\\n")
    raise start_refused(spawner, Refusal({GRANTED!r}, "Granted, and ended.", status=400))

c.Spawner.plan_hook = ended
c.JupyterHub.active_server_limit = 0
"""


@dataclass(frozen=True)
class _Sender:
    """One user's browser, and the dice."""

    draw: random.Random
    user: str
    session: aiohttp.ClientSession


@dataclass
class Fuzzed:
    """What came of the requests by one way.

    Parameters
    ----------
    hub
        The hub.
    users
        Name to groups.
    statuses
        How often the hub answered what.
    reasons
        How often it gave which reason.
    nameless
        What it answered without a reason of ours.
    late
        How often it answered before it knew.
    """

    hub: ProfileHub
    users: dict[str, frozenset[str]]
    statuses: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    nameless: Counter[int] = field(default_factory=Counter)
    late: int = 0

    async def send(self, way: str, number: int, seed: int) -> None:
        """Send so many requests by one way, each user one at a time."""
        numbers = count()
        send = {"form": self._form, "query": self._query, "rest": self._rest, "patch": self._patch}

        async def work(user: str) -> None:
            draw = random.Random(f"{seed} {way} {user}")  # noqa: S311  repeatable
            async with self.hub.browser(user) as session:
                while next(numbers) < number:
                    await send[way](_Sender(draw, user, session))

        await asyncio.gather(*(work(user) for user in self.users))

    async def _form(self, sender: _Sender) -> None:
        body = urlencode(_pairs(fuzz.fields(sender.draw, query=False)))
        query = urlencode({"_xsrf": self.hub.xsrf(sender.session)})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        async with sender.session.post(
            f"/hub/spawn?{query}", data=body, headers=kind, allow_redirects=False
        ) as answer:
            self._note(answer)
        await self._settle(sender.user)

    async def _query(self, sender: _Sender) -> None:
        pairs = _pairs(fuzz.fields(sender.draw, query=True), "opt-")
        # without any the hub shows the page
        query = urlencode(pairs or [("opt-profile", "small")])
        url = URL(f"/hub/spawn?{query}", encoded=True)
        async with sender.session.get(url, allow_redirects=False) as answer:
            self._note(answer)
        await self._settle(sender.user)

    async def _rest(self, sender: _Sender) -> None:
        body = {"user_options": fuzz.raw_options(sender.draw)}
        await self._call("POST", f"/users/{sender.user}/server", body)
        await self._settle(sender.user)

    async def _patch(self, sender: _Sender) -> None:
        body = {"user_options": fuzz.raw_options(sender.draw)}
        if await self._call("PATCH", f"/users/{sender.user}/servers/", body):
            await self._call("POST", f"/users/{sender.user}/server", None)
        await self._settle(sender.user)

    async def _call(self, method: str, path: str, body: Any) -> bool:
        """Call the API as an administrator's service; tell whether it was content."""
        text = None if body is None else json.dumps(body)
        if method == "POST" and body and jupyterhub.version_info[0] < 6:
            # JupyterHub 5 takes the whole body as user_options
            text = json.dumps(body["user_options"])
        async with self.hub.http.request(
            method,
            f"{self.hub.url}/hub/api{path}",
            data=text,
            headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        ) as answer:
            if method == "PATCH" and answer.status == 200:
                return True
            self._note(answer)
            return False

    async def _settle(self, user: str) -> None:
        """Wait for the end of a start that was slower than the answer."""
        if self.late:
            await self.hub.gone(user)

    def _note(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status in LATE:
            # a busy hub answers before policy has: the refusal stands on the page that follows
            self.late += 1
            return
        self.statuses[answer.status] += 1
        self.reasons[answer.headers.get("AF-Refusal", "")] += 1
        if "AF-Refusal" not in answer.headers:
            self.nameless[answer.status] += 1

    def granted(self) -> list[tuple[str, dict[str, Any]]]:
        """Read what the hub has granted."""
        file = self.hub.root / "plans.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(user, plan) for user, plan in map(json.loads, lines)]


def as_plan(kept: dict[str, Any]) -> Plan:
    """Read a plan that the hub wrote down."""
    pairs = ("environment", "options", "node_selector", "annotations")
    made = kept | {name: tuple((key, value) for key, value in kept[name]) for name in pairs}
    made["volumes"] = tuple(
        Volume.model_validate(each, strict=False) for each in map(_said, kept["volumes"])
    )
    made["tolerations"] = tuple(Toleration.model_validate(each) for each in kept["tolerations"])
    return Plan(**made)


def _said(volume: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in volume.items() if value not in (None, False, [], ())}


def _pairs(fields: dict[str, list[str]], prefix: str = "") -> list[tuple[str, str]]:
    """List names and values, without halves of characters, which nobody can send."""
    return [
        (prefix + _clean(name), _clean(value))
        for name, values in fields.items()
        for value in values
    ]


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
