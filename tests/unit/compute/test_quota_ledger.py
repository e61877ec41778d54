"""Quotas: what fits, what is said, and that the sum is never more than the limits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.compute.ledger import Holding, Ledger
from af_hub.compute.quota import RESOURCES, Account, Amount, Limits
from af_hub.compute.types import QuotaConfig

GIB = 1024**3
ONE = Amount(workers=1, cores=1, memory=GIB)


def ledger(**groups: Limits) -> Ledger:
    """Make one with groups named ``/NAME``."""
    return Ledger(QuotaConfig(groups={f"/{name}": limits for name, limits in groups.items()}))


def fill(book: Ledger, cluster: str, workers: int) -> None:
    """Start so many workers."""
    for number in range(workers):
        book.reserve(cluster, f"{cluster}-{number}")


def test_the_sentence_says_what_is_left_when_a_group_has_used_most() -> None:
    book = ledger(cms=Limits(cores=400))
    book.open("c", Holding("alice", "/cms", ONE))
    fill(book, "c", 380)
    count, shortage = book.grant("c", 30)
    assert count == 20
    assert shortage is not None
    assert shortage.sentence == "/cms: 380 of 400 cores in use; you can start 20 workers."
    for number in range(20):
        book.reserve("c", f"more-{number}")
    _, shortage = book.grant("c", 1)
    assert shortage is not None
    assert shortage.sentence == "/cms: 400 of 400 cores in use; you can start none now."
    with pytest.raises(ValueError, match="no room"):
        book.reserve("c", "one more")


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(clusters=1), "Your quota: 1 of 1 clusters in use; shut one down first."),
        (Limits(memory=4 * GIB), "Your quota: 2G of 4G memory in use; you can start 1 worker."),
        (Limits(gpus=3), "Your quota: 2 of 3 GPUs in use; you can start 1 worker."),
        (Limits(workers=2), "Your quota: 2 of 2 workers in use; you can start none now."),
    ],
)
def test_each_resource_has_its_words_when_it_is_short(limits: Limits, sentence: str) -> None:
    book = Ledger(QuotaConfig(user=limits))
    book.open("c", Holding("alice", None, Amount(workers=1, cores=1, memory=GIB, gpus=1)))
    fill(book, "c", 2)
    new = Holding("alice", None, Amount(workers=1, cores=1, memory=2 * GIB, gpus=1))
    shortage = book.may_open(new, 2)
    assert shortage is not None
    assert shortage.sentence == sentence
    other = Holding("bob", None, new.worker)
    assert book.may_open(other, 1 if limits.clusters is None else 0) is None


def test_the_tightest_quota_is_named_when_several_are_short() -> None:
    book = Ledger(QuotaConfig(user=Limits(cores=10), groups={"/cms": Limits(cores=5)}))
    shortage = book.may_open(Holding("alice", "/cms", ONE), 20)
    assert shortage is not None
    assert (shortage.account, shortage.fits) == (Account("group", "/cms"), 5)


def test_a_cluster_counts_for_the_first_group_of_the_file_when_a_user_has_several() -> None:
    book = ledger(cms=Limits(), atlas=Limits())
    assert book.group_of({"/atlas", "/cms"}) == "/cms"
    assert book.group_of({"/atlas"}) == "/atlas"
    assert book.group_of({"/cms/sub", "/cmsx"}) is None


def test_usage_is_shown_by_resource_when_the_dialog_asks() -> None:
    book = Ledger(QuotaConfig(user=Limits(clusters=2), groups={"/cms": Limits(memory=GIB)}))
    book.open("c", Holding("alice", "/cms", ONE))
    fill(book, "c", 1)
    assert book.quotas("alice", {"/cms"}) == [
        {
            "scope": "user",
            "name": "alice",
            "resource": "clusters",
            "used": 1,
            "limit": 2,
            "unit": "",
        },
        {
            "scope": "group",
            "name": "/cms",
            "resource": "memory",
            "used": GIB,
            "limit": GIB,
            "unit": "bytes",
        },
    ]
    assert [row["used"] for row in book.quotas("bob", {"/cms"})] == [0, GIB]


def test_nothing_is_left_when_clusters_close_in_any_order() -> None:
    book = ledger(cms=Limits(cores=4))
    book.open("c", Holding("alice", "/cms", ONE))
    fill(book, "c", 3)
    assert book.release("c", "c-1")
    assert not book.release("c", "c-1")
    assert book.close("c")
    assert not book.close("c")
    assert not book.release("c", "c-0")
    assert book.used(Account("user", "alice")) == Amount()
    assert book.used(Account("group", "/cms")) == Amount()


def test_nothing_new_starts_when_limits_were_lowered_below_what_runs() -> None:
    book = ledger(cms=Limits(cores=2))
    book.open("c", Holding("alice", "/cms", ONE, {f"w{n}" for n in range(5)}))
    assert book.grant("c", 3)[0] == 0
    for number in range(4):
        book.release("c", f"w{number}")
    assert book.grant("c", 3)[0] == 1


SIZES = (
    Amount(workers=1, cores=1, memory=GIB),
    Amount(workers=1, cores=3, memory=2 * GIB, gpus=1),
    Amount(workers=1, cores=8, memory=GIB // 2, gpus=2),
)


def simulate(seed: int, users: int, groups: int, steps: int) -> tuple[int, int, int]:
    """Let users create, scale and close at random; count starts, refusals and violations."""
    draw = random.Random(seed)  # noqa: S311  not for secrets
    config = QuotaConfig(
        user=Limits(clusters=2, workers=12, cores=30, memory=40 * GIB, gpus=6),
        groups={
            f"/g{number}": Limits(
                clusters=draw.choice((None, 20)),
                workers=draw.choice((None, 90)),
                cores=draw.choice((120, 200)),
                memory=draw.choice((None, 150 * GIB)),
                gpus=draw.choice((None, 12)),
            )
            for number in range(groups)
        },
    )
    book = Ledger(config)
    # what is really there, counted apart from the ledger
    there: dict[str, tuple[str, str | None, Amount, set[str]]] = {}
    started = refused = violations = number = 0
    for _ in range(steps):
        user = draw.randrange(users)
        group = None if user % 9 == 8 else f"/g{user % groups}"
        mine = [name for name, entry in there.items() if entry[0] == str(user)]
        act = draw.random()
        if act < 0.25 or not mine:
            name, size = f"c{(number := number + 1)}", draw.choice(SIZES)
            holding = Holding(str(user), book.group_of({group} if group else ()), size)
            if book.may_open(holding, draw.randrange(4)) is None:
                book.open(name, holding)
                there[name] = (str(user), group, size, set())
            else:
                refused += 1
        elif act < 0.75:
            name = draw.choice(mine)
            # the scheduler lies: any number, as often as it likes
            count, _ = book.grant(name, draw.choice((1, 3, 50, 10**9)))
            for _ in range(count):
                worker = f"w{(number := number + 1)}"
                book.reserve(name, worker)
                there[name][3].add(worker)
                started += 1
        elif act < 0.9:
            name = draw.choice(mine)
            for worker in list(there[name][3]):
                if draw.random() < 0.5:
                    book.release(name, worker)
                    there[name][3].discard(worker)
        else:
            name = draw.choice(mine)
            book.close(name)
            del there[name]
        violations += broken(config, there, str(user), group)
    return started, refused, violations


def broken(
    config: QuotaConfig,
    there: dict[str, tuple[str, str | None, Amount, set[str]]],
    user: str,
    group: str | None,
) -> int:
    """Count limits that are exceeded."""
    found = 0
    for limits, entries in (
        (config.user, [one for one in there.values() if one[0] == user]),
        (
            config.groups.get(group or "", Limits()),
            [one for one in there.values() if group and one[1] == group],
        ),
    ):
        total = Amount(clusters=len(entries))
        for _, _, size, workers in entries:
            total = total.plus(size, len(workers))
        for resource in RESOURCES:
            limit = limits.of(resource)
            found += limit is not None and total.of(resource) > limit
    return found


def test_no_quota_is_exceeded_when_300_users_of_8_groups_do_as_they_like() -> None:
    started, refused, violations = simulate(seed=7, users=300, groups=8, steps=20_000)
    assert violations == 0
    # it was about something
    assert started > 2_000
    assert refused > 1_000


@given(seed=st.integers(0, 2**32))
def test_no_quota_is_exceeded_when_any_users_do_as_they_like(seed: int) -> None:
    assert simulate(seed, users=12, groups=3, steps=200)[2] == 0
