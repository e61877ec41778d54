"""Reservations and the queue: nothing is given twice, nobody is passed over."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from af_hub.spawner.kube.gpus.count import Place, read_claim, read_node
from af_hub.spawner.kube.gpus.line import Request, in_order
from af_hub.spawner.kube.gpus.pool import Pool
from af_hub.spawner.policy.site import GpuModel
from testbed.gpu_objects import A100, GPU, T4, node, pod

if TYPE_CHECKING:
    from af_hub.spawner.kube.gpus.count import Claim, Node

ANY = Place(GPU)


def claim(gpus: int = 1, on: str | None = "n1", **more: str) -> Claim:
    found = read_claim(pod(gpus, on, **more))  # type: ignore[arg-type]
    assert found is not None
    return found


def some_node(name: str = "n1", gpus: int = 8, product: str = A100) -> Node:
    found = read_node(node(name, gpus, product=product))
    assert found is not None
    return found


@pytest.fixture
def pool() -> Pool:
    """Give a pool with one node of eight devices."""
    made = Pool({"/cms": 1.0})
    made.know_nodes([some_node()])
    made.know_pods({})
    made.counted = True
    return made


def ask(pool: Pool, user: str, number: int = 1, *, mark: str = "", group: str = "") -> bool:
    return pool.ask(user, user, ANY, number, mark=mark or user, groups=(group,) if group else ())


def queue(
    pool: Pool,
    user: str,
    served: list[str],
    number: int = 1,
    *,
    group: str = "",
    place: Place = ANY,
) -> bool:
    return pool.ask(
        user,
        user,
        place,
        number,
        mark=user,
        groups=(group,) if group else (),
        when_served=lambda: served.append(user),
    )


def test_exactly_as_many_are_served_as_there_are_devices(pool: Pool) -> None:
    assert sum(ask(pool, f"u{n}") for n in range(500)) == 8
    assert pool.stock(ANY).free == 0
    assert pool.waiting == 0


def test_reservation_counts_once_when_its_pod_is_seen(pool: Pool) -> None:
    assert ask(pool, "alice", 2)
    assert pool.stock(ANY).free == 6
    pool.know_pod("labs/jupyter-alice", claim(2, None, mark="alice"))
    assert pool.stock(ANY).free == 6
    pool.know_pod("labs/jupyter-alice", claim(2, "n1", mark="alice"))
    assert pool.stock(ANY).free == 6


def test_reservation_is_over_when_its_pod_is_gone(pool: Pool) -> None:
    """At once, not when the hub notices that the server has ended."""
    assert ask(pool, "alice", 8)
    pool.know_pod("labs/jupyter-alice", claim(8, mark="alice"))
    pool.know_pod("labs/jupyter-alice", None)
    assert pool.stock(ANY).free == 8


def test_old_pod_counts_beside_the_new_start_of_the_same_server(pool: Pool) -> None:
    pool.know_pod("labs/jupyter-alice", claim(2, mark="the start before"))
    assert ask(pool, "alice", 2)
    assert pool.stock(ANY).free == 4


def test_devices_come_back_when_a_start_is_given_up(pool: Pool) -> None:
    assert ask(pool, "alice", 8)
    assert not ask(pool, "bob")
    pool.release("alice")
    assert ask(pool, "bob")


def test_server_may_keep_its_devices_when_it_asks_again(pool: Pool) -> None:
    assert ask(pool, "alice", 8)
    assert pool.stock(ANY, without="alice").free == 8
    assert ask(pool, "alice", 8)


def test_pods_of_a_killed_hub_count_when_it_is_back() -> None:
    fresh = Pool()
    fresh.restore("alice", "alice", ANY, 2, mark="alice", groups=())
    fresh.restore("lost", "lost", ANY, 2, mark="lost", groups=())
    fresh.know_nodes([some_node()])
    fresh.know_pods({"labs/jupyter-alice": claim(2, mark="alice"), "x/y": claim(3)})
    fresh.counted = True
    # what was reserved and never became a pod is free
    assert fresh.stock(ANY).free == 3


def test_everything_is_granted_when_nothing_is_counted() -> None:
    pool = Pool()
    assert all(ask(pool, f"u{n}", 8) for n in range(9))
    assert pool.models([ANY]) is None


def test_next_is_served_when_devices_come_back(pool: Pool) -> None:
    served: list[str] = []
    assert ask(pool, "alice", 8)
    for user in ("bob", "carol"):
        assert not queue(pool, user, served)
    assert (pool.position("bob"), pool.position("carol")) == (1, 2)
    pool.know_pod("labs/jupyter-alice", claim(8, mark="alice"))
    pool.serve()
    assert served == []
    pool.know_pod("labs/jupyter-alice", claim(7, mark="alice"))
    pool.serve()
    assert served == ["bob"]
    assert pool.position("carol") == 1
    assert pool.position("bob") is None
    pool.know_nodes([some_node(), some_node("n2", 1)])
    pool.serve()
    assert served == ["bob", "carol"]


def test_nobody_overtakes_a_large_request(pool: Pool) -> None:
    served: list[str] = []
    assert ask(pool, "alice", 4)
    assert not queue(pool, "bob", served, 8)
    # four are free, and would be enough
    assert not queue(pool, "carol", served, 1)
    assert not ask(pool, "dora", 1)
    pool.release("alice")
    pool.serve()
    assert served == ["bob"]


def test_request_for_other_devices_does_not_wait(pool: Pool) -> None:
    served: list[str] = []
    pool.know_nodes([some_node(), some_node("n2", 2, T4)])
    assert ask(pool, "alice", 8)
    assert not queue(pool, "bob", served, 8, place=Place(GPU, A100))
    assert queue(pool, "carol", served, 2, place=Place(GPU, T4))
    assert pool.position("bob") == 1


def test_who_gives_up_leaves_the_queue(pool: Pool) -> None:
    served: list[str] = []
    assert ask(pool, "alice", 8)
    for user in ("bob", "carol"):
        assert not queue(pool, user, served)
    pool.release("bob")
    assert pool.position("carol") == 1
    pool.release("alice")
    pool.serve()
    assert served == ["carol"]


def test_group_that_holds_least_is_next(pool: Pool) -> None:
    """Not who was first: /cms has eight and three in line, /atlas has nothing."""
    served: list[str] = []
    for n in range(8):
        assert ask(pool, f"cms{n}", group="/cms")
    for n in range(3):
        assert not queue(pool, f"late-cms{n}", served, group="/cms")
    assert not queue(pool, "atlas0", served, group="/atlas")
    assert pool.position("atlas0") == 1
    assert pool.position("late-cms0") == 2
    pool.release("cms0")
    pool.serve()
    assert served == ["atlas0"]


def test_user_who_holds_least_is_next_within_a_group() -> None:
    requests = [
        Request("a/2", "a", ANY, 1, ("/cms",), 1),
        Request("b/", "b", ANY, 1, ("/cms",), 2),
        Request("a/3", "a", ANY, 1, ("/cms",), 3),
        Request("c/", "c", ANY, 1, ("/cms",), 4),
    ]
    ordered = in_order(requests, [("a", "/cms", 1)], {})
    assert [request.key for request in ordered] == ["b/", "c/", "a/2", "a/3"]


def test_weights_decide_when_groups_have_different_shares() -> None:
    requests = [
        Request(f"{group}{n}", f"{group}{n}", ANY, 1, (group,), n)
        for n in range(9)
        for group in ("big", "small")
    ]
    numbered = [
        Request(each.key, each.user, ANY, 1, each.groups, came)
        for came, each in enumerate(requests)
    ]
    first = in_order(numbered, [], {"big": 2.0, "small": 1.0})[:9]
    assert sum(request.groups == ("big",) for request in first) == 6


def test_request_counts_for_the_group_that_holds_least() -> None:
    both = Request("x/", "x", ANY, 1, ("/atlas", "/cms"), 1)
    only = Request("y/", "y", ANY, 1, ("/atlas",), 2)
    held = [("z", "/atlas", 1)]
    # x counts for /cms, which has nothing, so it does not add to /atlas
    assert [request.key for request in in_order([only, both], held, {})] == ["x/", "y/"]


def test_order_is_that_of_the_definition_when_it_is_taken_one_by_one() -> None:
    """The heaps of `in_order` against choosing the best of all each time."""
    dice = random.Random(7)  # noqa: S311  no secret
    for _ in range(50):
        groups = ["/a", "/b", "/c"]
        waiting = [
            Request(
                f"k{n}",
                f"u{dice.randrange(6)}",
                ANY,
                dice.randrange(1, 4),
                tuple(sorted(dice.sample(groups, dice.randrange(0, 3)))),
                n,
            )
            for n in range(dice.randrange(1, 20))
        ]
        held = [(f"u{dice.randrange(6)}", dice.choice(groups), dice.randrange(1, 5)) for _ in "123"]
        weights = {"/a": 2.0}
        assert in_order(waiting, held, weights) == _by_definition(waiting, held, weights)


def _by_definition(
    waiting: list[Request], held: list[tuple[str, str, int]], weights: dict[str, float]
) -> list[Request]:
    groups: dict[str, int] = {}
    users: dict[str, int] = {}

    def add(user: str, group: str, number: int) -> None:
        groups[group] = groups.get(group, 0) + number
        users[user] = users.get(user, 0) + number

    def share(request: Request) -> tuple[float, str]:
        return min((groups.get(g, 0) / weights.get(g, 1.0), g) for g in request.groups or ("",))

    for user, group, number in held:
        add(user, group, number)
    left, ordered = list(waiting), []
    while left:
        best = min(left, key=lambda r: (share(r)[0], users.get(r.user, 0), r.came))
        left.remove(best)
        ordered.append(best)
        add(best.user, share(best)[1], best.number)
    return ordered


def test_devices_are_never_given_twice_whatever_happens() -> None:
    """Starts, ends, pods that come late or on any node, a hub that is killed, in every order."""
    dice = random.Random(9)  # noqa: S311
    for _ in range(200):
        nodes = [some_node("n1", 4), some_node("n2", 8)]
        pool = _counting(nodes, {})
        starting: set[str] = set()
        running: dict[str, str] = {}
        for step in range(80):
            user, what = f"u{step}", dice.random()
            if what < 0.5:
                granted = ask(pool, user)
                assert granted == (len(starting) + len(running) < 12)
                starting |= {user} if granted else set()
            elif what < 0.75 and starting:
                mine = dice.choice(sorted(starting))
                starting.remove(mine)
                used = list(running.values())
                rooms = [each.name for each in nodes if used.count(each.name) < each.devices[GPU]]
                running[mine] = dice.choice(rooms)
                pool.know_pod(f"labs/{mine}", claim(1, None, mark=mine))
                pool.know_pod(f"labs/{mine}", claim(1, running[mine], mark=mine))
            elif what < 0.95 and running:
                mine = dice.choice(sorted(running))
                del running[mine]
                pool.know_pod(f"labs/{mine}", None)
                if dice.random() < 0.5:
                    pool.release(mine)
            elif what >= 0.98:
                pods = {f"labs/{key}": claim(1, on, mark=key) for key, on in running.items()}
                pool = _counting(nodes, pods)
                for key in running:
                    pool.restore(key, key, ANY, 1, mark=key, groups=())
                starting.clear()
            assert pool.stock(ANY).free == 12 - len(starting) - len(running)


def _counting(nodes: list[Node], pods: dict[str, Claim]) -> Pool:
    pool = Pool()
    pool.know_nodes(nodes)
    pool.know_pods(pods)
    pool.counted = True
    return pool


def test_models_are_named_as_the_catalogue_writes_them(pool: Pool) -> None:
    pool.know_nodes([some_node(), some_node("n2", 2), some_node("n3", 4, T4)])
    pool.know_pod("x/y", claim(3))
    assert pool.models([ANY], ["NVIDIA A100-SXM4-40GB"]) == (
        GpuModel("NVIDIA A100-SXM4-40GB", 10, 7, GPU),
        GpuModel(T4, 4, 4, GPU),
    )
    # what no profile can use is not shown
    assert pool.models([Place(GPU, T4)]) == (GpuModel(T4, 4, 4, GPU),)


def test_holders_are_listed_with_the_model_they_have(pool: Pool) -> None:
    pool.know_pod("x/y", claim(3, namespace="training"))
    (holder,) = pool.holders()
    assert (holder.product, holder.owner, holder.number) == (A100, "training", 3)
