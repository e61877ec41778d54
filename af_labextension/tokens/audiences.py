"""Which audiences there are tokens for, and which of them the Lab itself needs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from af_labextension.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from af_labextension.data.doors import Doors
    from af_labextension.rucio.settings import RucioPlace


class Audiences:
    """The names of audiences, asked for again and again: the facility may change.

    Parameters
    ----------
    doors
        Storage, whose audiences come first.
    place
        Rucio.
    listed
        Gives the names that are configured, whether the Lab needs them or not.
    """

    def __init__(
        self, doors: Doors, place: RucioPlace, listed: Callable[[], Awaitable[Iterable[str]]]
    ) -> None:
        self._doors = doors
        self._place = place
        self._listed = listed

    async def needed(self) -> list[str]:
        """Return the names that storage and Rucio need, each once.

        Raises
        ------
        LabError
            The hub does not answer, or its list of storage cannot be read.
        """
        used = [door.audience for door in await self._doors.all()]
        with suppress(LabError):  # a fault of what it says about Rucio is told where Rucio is shown
            used.append(await self._place.audience())
        return list(dict.fromkeys(audience for audience in used if audience))

    async def all(self) -> list[str]:
        """Return all names, each once: what the Lab needs, then what is configured besides.

        Raises
        ------
        LabError
            As `needed`.
        """
        return list(dict.fromkeys([*await self.needed(), *await self._listed()]))

    async def first(self) -> str | None:
        """Return the name whose token programs get that name none; ``None``: there is none.

        Raises
        ------
        LabError
            As `needed`.
        """
        # the settings may name storage: then a hub that does not answer holds up nothing
        names = await self.needed() or await self.all()
        return next(iter(names), None)


def listed_in(config: Mapping[str, Any]) -> dict[str, str]:
    """Read the configured audiences, ``aud`` by name, from what ``GET <hub>/api/af/lab`` answers.

    An entry that cannot be read is left out: the others shall work.

    Examples
    --------
    >>> listed_in({"identity": {"audiences": [{"name": "storage", "audience": "https://s"}, 7]}})
    {'storage': 'https://s'}
    """
    identity = config.get("identity")
    listed = identity.get("audiences") if isinstance(identity, dict) else None
    return {
        str(item["name"]): str(item["audience"])
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and {"name", "audience"} <= item.keys()
    }
