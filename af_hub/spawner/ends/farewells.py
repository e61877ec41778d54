"""How a server ended by itself, for users who wonder. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from af_hub.spawner.ends.rules import WHYS, Limit
from af_hub.spawner.policy.words import duration_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.spawner.ends.rules import Why

_WORDS: dict[Why, str] = {
    "lifetime": "the longest time of its profile, {}, was over",
    "idle": "no activity for {}",
    "gpu-idle": "no work on its GPUs for {}",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """A server that ended by itself.

    Parameters
    ----------
    at
        When it was stopped, in seconds since 1970.
    limit
        Why.
    """

    at: float
    limit: Limit

    @property
    def moment(self) -> str:
        """Write the time for a page's script, which knows the reader's zone."""
        return self._utc.isoformat(timespec="seconds").replace("+00:00", "Z")

    @property
    def moment_in_words(self) -> str:
        """Write the time for people whose browser runs no script."""
        return f"{self._utc:%Y-%m-%d %H:%M} UTC"

    @property
    def _utc(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def words(self) -> str:
        """Say why, after a colon.

        Examples
        --------
        >>> Ended(0, Limit("idle", 7200)).words
        'no activity for 2 h'
        """
        return _WORDS[self.limit.why].format(duration_in_words(self.limit.limit))

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON, for the hub's database."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Ended | None:
        """Read what `to_state` returned; None if another version of the hub had another reason."""
        limit = Limit(**state["limit"])
        return cls(state["at"], limit) if limit.why in WHYS else None
