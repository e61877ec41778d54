"""How a facility on one machine starts its inner network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from af_hub.embedded.network.holder import is_held
from af_hub.embedded.network.serve import NetworkConfig
from af_hub.embedded.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from af_hub.embedded.layout import Layout


def holder_file(layout: Layout) -> Path:
    """Return the file in which the holder of the facility's inner network says who it is."""
    return layout.state / "network-holder.json"


def network_part(layout: Layout, *, inward: Iterable[int], outward: Iterable[int]) -> Part:
    """Write the configuration and say how to start the process.

    Parameters
    ----------
    layout
        Paths of the facility.
    inward, outward
        Ports that lead into the network and out of it, see `NetworkConfig`.
    """
    holder = holder_file(layout)
    config = NetworkConfig(holder=holder, inward=tuple(inward), outward=tuple(outward))
    path = layout.state / "network.json"
    write_atomically(path, config.model_dump_json(indent=1) + "\n")

    async def ready() -> bool:
        return is_held(holder)

    return Part(
        name="network",
        title="Inner network",
        command=(sys.executable, "-m", "af_hub.embedded.network", "--config", str(path)),
        ready=ready,
        address="ports " + ", ".join(map(str, config.inward)),
        optional=True,
    )
