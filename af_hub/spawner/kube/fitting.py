"""Traits that one start sets and the next finds as they were configured.

JupyterHub keeps a spawner after a start that failed; whatever that start had set would be part of
the next one.
"""

from __future__ import annotations

import inspect
from copy import copy
from typing import TYPE_CHECKING, Any

from af_hub.spawner.profile_list.overrides import merge

if TYPE_CHECKING:
    from collections.abc import Mapping

_ABSENT = object()


class Fitting:
    """Sets traits of a spawner for one start.

    Parameters
    ----------
    spawner
        Its traits are changed.
    """

    def __init__(self, spawner: Any) -> None:
        self._spawner = spawner
        self._before: dict[str, Any] = {}

    def begin(self) -> None:
        """Give back every trait that an earlier start has set."""
        for name, value in self._before.items():
            if value is _ABSENT:
                delattr(self._spawner, name)
            else:
                setattr(self._spawner, name, value)
        self._before.clear()

    def configured(self, name: str) -> Any:
        """Return a trait as it was configured, whatever a start has set."""
        return self._before[name] if name in self._before else getattr(self._spawner, name)

    def put(self, name: str, value: Any) -> None:
        """Set a trait until the next `begin`."""
        if name not in self._before:
            there = hasattr(self._spawner, name)
            self._before[name] = copy(getattr(self._spawner, name)) if there else _ABSENT
        setattr(self._spawner, name, value)

    async def override(self, overrides: Mapping[str, Any]) -> None:
        """Set what a ``profile_list`` says, as KubeSpawner does.

        Parameters
        ----------
        overrides
            Trait to its value, or to a function of the spawner that returns one and may be async.
            Dictionaries are added to dictionaries.
        """
        for name, given in overrides.items():
            value = given(self._spawner) if callable(given) else given
            if inspect.isawaitable(value):
                value = await value
            self.put(name, merge(getattr(self._spawner, name, None), value))
