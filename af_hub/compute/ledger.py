"""Who has what: the reservations of all clusters and workers, against the facility's quotas. Pure.

There is one truth, Gateway's database, and this is its sum: the record of a worker *is* its
reservation. The record is written before anything is started and says "stopped" only after all of
it is gone, so a gateway that is killed at any moment counts, when it starts again, whatever may
still be running. A table of our own could disagree with the records; it would have to be mended
each time, and by whom?

All calls come from one event loop, without waiting between `grant` and `reserve`: nobody comes
between looking and taking. The schedulers' wishes never get here; only what is started counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from af_hub.compute.quota import NO_LIMITS, NOTHING, Account, Amount, Balance, Shortage, granted
from af_hub.iam.groups import matches_any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from af_hub.compute.types import QuotaConfig

A_CLUSTER = Amount(clusters=1)
"""What a cluster takes beside its workers."""


@dataclass(slots=True)
class Holding:
    """What one cluster has.

    Parameters
    ----------
    user
        Owner.
    group
        Group pattern that it counts for; None if the facility file names none of the user's.
    worker
        What each worker takes.
    workers
        Names of the workers that have a reservation.
    """

    user: str
    group: str | None
    worker: Amount
    workers: set[str] = field(default_factory=set)

    def accounts(self) -> tuple[Account, ...]:
        """List for whom it counts."""
        mine = Account("user", self.user)
        return (mine,) if self.group is None else (mine, Account("group", self.group))


class Ledger:
    """Counts, and says no.

    Parameters
    ----------
    quotas
        What the facility allows.
    """

    def __init__(self, quotas: QuotaConfig) -> None:
        self._quotas = quotas
        self._holdings: dict[str, Holding] = {}
        self._used: dict[Account, Amount] = {}

    def group_of(self, groups: Collection[str]) -> str | None:
        """Return the group that a new cluster counts for: the file's first that fits."""
        return next((each for each in self._quotas.groups if matches_any(groups, (each,))), None)

    def may_open(self, holding: Holding, workers: int) -> Shortage | None:
        """Tell what stands against a new cluster with so many workers; None: nothing."""
        balances = [self._balance(account) for account in holding.accounts()]
        _, shortage = granted(balances, A_CLUSTER, 1)
        return shortage or granted(balances, holding.worker, workers)[1]

    def open(self, cluster: str, holding: Holding) -> None:
        """Count a cluster; one that is counted already stays as it is."""
        if cluster not in self._holdings:
            self._holdings[cluster] = holding
            self._book(holding, A_CLUSTER, 1)
            self._book(holding, holding.worker, len(holding.workers))

    def grant(self, cluster: str, wanted: int) -> tuple[int, Shortage | None]:
        """Tell how many more workers a cluster may start now.

        Returns
        -------
        tuple of (int, Shortage or None)
            At most `wanted`; if fewer, why.
        """
        holding = self._holdings[cluster]
        balances = [self._balance(account) for account in holding.accounts()]
        return granted(balances, holding.worker, wanted)

    def reserve(self, cluster: str, worker: str) -> None:
        """Count a worker that is about to start; `grant` must have allowed it.

        Raises
        ------
        ValueError
            There is no room.
        """
        holding = self._holdings[cluster]
        if worker in holding.workers:
            return
        if self.grant(cluster, 1)[0] < 1:
            raise ValueError(f"no room for a worker of {cluster}")
        holding.workers.add(worker)
        self._book(holding, holding.worker, 1)

    def release(self, cluster: str, worker: str) -> bool:
        """Take a worker off that is gone; tell whether it was counted."""
        holding = self._holdings.get(cluster)
        if holding is None or worker not in holding.workers:
            return False
        holding.workers.remove(worker)
        self._book(holding, holding.worker, -1)
        return True

    def close(self, cluster: str) -> bool:
        """Take a cluster off that is gone, with all of its workers; tell whether it was counted."""
        holding = self._holdings.pop(cluster, None)
        if holding is None:
            return False
        self._book(holding, A_CLUSTER, -1)
        self._book(holding, holding.worker, -len(holding.workers))
        return True

    def workers(self, cluster: str) -> int:
        """Return how many workers of a cluster are counted."""
        holding = self._holdings.get(cluster)
        return len(holding.workers) if holding else 0

    def used(self, account: Account) -> Amount:
        """Return what is in use."""
        return self._used.get(account, NOTHING)

    def quotas(self, user: str, groups: Collection[str]) -> list[dict[str, Any]]:
        """Return what the dialog shows one user: own limits first, then those of the group."""
        holding = Holding(user, self.group_of(groups), NOTHING)
        return [row for account in holding.accounts() for row in self._balance(account).as_json()]

    def balances(self) -> Iterator[Balance]:
        """List every group with limits, and every account in use."""
        groups = {Account("group", name) for name in self._quotas.groups}
        for account in sorted(groups | set(self._used), key=lambda each: (each.scope, each.name)):
            yield self._balance(account)

    def _balance(self, account: Account) -> Balance:
        limits = self._quotas.user
        if account.scope == "group":
            limits = self._quotas.groups.get(account.name, NO_LIMITS)
        return Balance(account, limits, self.used(account))

    def _book(self, holding: Holding, amount: Amount, times: int) -> None:
        for account in holding.accounts():
            total = self.used(account).plus(amount, times)
            if total == NOTHING:
                self._used.pop(account, None)
            else:
                self._used[account] = total
