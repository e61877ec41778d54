"""The book knows at any time what a recount would find, and looks at few things for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from af_hub.spawner.policy.reservations import Book, Reservation
from af_hub.spawner.policy.site import Usage

USERS = ("me", "alice", "bob")
PROFILES = ("small", "gpu")
GROUPS = ((), ("/cms",), ("/cms", "/cms/uscms"), ("/atlas",))
WHAT = ("servers", "gpus", "cpu", "ram")

entries = st.builds(
    Reservation,
    profile=st.sampled_from(PROFILES),
    user=st.sampled_from(USERS),
    groups=st.sampled_from(GROUPS),
    cpu=st.integers(0, 8),
    ram=st.integers(0, 2**40),
    gpu=st.integers(0, 4),
)
changes = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | entries), max_size=30)


def held(usage: Usage) -> dict[object, dict[str, int]]:
    """Ask whatever limits ask."""
    return {
        (mine, profile, group): {
            what: sum(
                each.amount(what)
                for each in usage.select(
                    mine=mine, profile=profile, groups=None if group is None else (group,)
                )
            )
            for what in WHAT
        }
        for mine in (True, False)
        for profile in (None, *PROFILES)
        for group in (None, "/cms", "/cms/uscms", "/atlas")
    }


@given(changes)
def test_the_book_says_what_a_recount_finds_when_servers_come_and_go(
    steps: list[tuple[str, Reservation | None]],
) -> None:
    book = Book()
    for name, entry in steps:
        if entry is None:
            book.release(name)
        else:
            book.write(name, entry)
    running = {key: entry.running(key) for key, entry in book.entries.items()}
    assert {each.key: each for each in book.running()} == running
    for user in USERS:
        own = [key for key, each in running.items() if each.user == user]
        assert book.holds(user) == bool(own)
        for without in (*own, ""):
            others = tuple(each for key, each in running.items() if key != without)
            assert held(book.usage(user, without=without)) == held(Usage(others, user))


def test_a_start_looks_at_kinds_of_servers_when_thousands_run() -> None:
    book = Book()
    for number in range(3000):
        key = f"user{number}/"
        book.write(key, Reservation("small", f"user{number}", groups=GROUPS[number % 4], cpu=1))
    usage = book.usage("user0", without="user0/")
    assert len(usage.running) == len(GROUPS)
    assert sum(each.cpu for each in usage.running) == 2999


def test_nothing_is_left_of_users_and_kinds_when_their_servers_have_ended() -> None:
    book, seen = Book(), set()
    for user in ("alice", "bob"):
        book.write(f"{user}/", Reservation("small", user, groups=(f"/{user}",)))
        seen.add(book.version)
        book.release(f"{user}/")
        seen.add(book.version)
    assert len(seen) == 4
    assert book.usage("carol").running == () == book.running()
    assert not any(vars(book._totals).values())
