"""Python's garbage collector, kept from holding the hub's event loop."""

from __future__ import annotations

import gc


def spare_what_lasts() -> None:
    """Leave all that exists now out of every later collection.

    To be called once, at the end of the hub's start. A full collection looks at each object there
    is, 280,000 after the imports of a hub, and holds the event loop for 0.15 to 0.2 s meanwhile,
    some minutes apart. Hardly any of these objects ever becomes garbage.
    """
    gc.collect()
    gc.freeze()
