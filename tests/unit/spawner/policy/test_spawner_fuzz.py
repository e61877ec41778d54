"""No set of options, by whatever way it comes, reaches what its user's groups do not allow."""

from __future__ import annotations

import json
import os
import random
from collections import Counter

from af_hub.errors import Refusal
from af_hub.spawner.policy.catalogue import visible
from af_hub.spawner.policy.decision import decide, hindrance
from af_hub.spawner.policy.options import options_from_fields, options_from_query, read_options
from af_hub.spawner.policy.reasons import Reason
from af_hub.spawner.policy.site import Running, Usage
from testbed import option_fuzz as fuzz

COUNT = int(os.environ.get("AF_OPTION_SETS", "100000"))
SEED = 20261128


def some_usage(draw: random.Random, mine: frozenset[str]) -> Usage:
    """Let some servers run, some of them the asking user's."""
    running = tuple(
        Running(
            f"u{number}/",
            user := draw.choice(("me", "a", "b")),
            tuple(mine if user == "me" else fuzz.groups(draw)),
            draw.choice(("small", "large", "gpu")),
            draw.choice((1, 8)),
            draw.choice((1, 64)) * fuzz.GIB,
            draw.choice((0, 0, 1, 4)),
        )
        for number in range(draw.choice((0, 0, 1, 3, 8)))
    )
    return Usage(running, "me")


def check_limits(mine: frozenset[str], usage: Usage, cpu: int, ram: int, gpu: int) -> None:
    """Count again what the limits count, with the new server."""
    own = [each for each in usage.running if each.user == "me"]
    assert len(own) + 1 <= 3
    assert sum(each.cpu for each in own) + cpu <= 72
    for group in {"/cms", "/atlas"} & mine if gpu else ():
        assert sum(each.gpu for each in usage.running if group in each.groups) + gpu <= 5
    if any(group.startswith("/cms/") for group in mine):
        theirs = [
            each.ram
            for each in usage.running
            if any(group.startswith("/cms/") for group in each.groups)
        ]
        assert sum(theirs) + ram <= 200 * fuzz.GIB


def test_nothing_outside_policy_is_granted_when_a_hundred_thousand_option_sets_come() -> None:
    draw = random.Random(SEED)  # noqa: S311  repeatable
    ends: Counter[str] = Counter()
    for _ in range(COUNT):
        mine = fuzz.groups(draw)
        usage = some_usage(draw, mine)
        offered = visible(fuzz.PROFILES, mine, fuzz.LIMITS)
        way = draw.choice(("rest", "form", "query", "saved"))
        try:
            if way == "form":
                raw: object = options_from_fields(fuzz.fields(draw, query=False))
            elif way == "query":
                raw = options_from_query(fuzz.fields(draw, query=True))
            else:
                raw = fuzz.raw_options(draw)
            if way == "saved":
                raw = json.loads(json.dumps(raw))
            plan = decide(offered, usage, fuzz.SITE, read_options(raw))
        except Refusal as refusal:
            ends[Reason(refusal.reason) if refusal.message and refusal.status < 500 else ""] += 1
            continue
        ends["granted"] += 1
        assert fuzz.breach(mine, plan) is None, fuzz.breach(mine, plan)
        check_limits(mine, usage, plan.cpu, plan.ram, plan.gpu)
        # what was granted was not shown as impossible
        offer = next(each for each in offered if each.name == plan.profile)
        assert hindrance(offer, usage, fuzz.SITE) is None
    # every kind of end was reached, so the sets are neither all rubbish nor all right
    assert ends["granted"] > COUNT / 20, ends
    assert "" not in ends
    expected = set(Reason) - {
        *(Reason.CLUSTER_AWAY, Reason.CLUSTER_REFUSED, Reason.POD_LOST),
        *(Reason.GPU_WAITING, Reason.QUEUE_FULL, Reason.GPU_MISSING, Reason.TOO_LARGE),
    }
    assert expected <= set(ends), ends
