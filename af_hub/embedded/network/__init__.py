"""A network of its own for programs that cannot be told where to listen.

XRootD has no directive for the address that it binds to: it listens on every one of them, and on a
laptop that is the whole café. So the origin and the cache live in a network namespace that has
nothing but its own loopback, and a relay carries the few ports that the facility needs across.

A process makes the namespaces, so everything vanishes with the processes that are in them: no name
in ``/run/netns``, no mount that anybody else sees, and no privilege, for they are a user's own.
"""

from __future__ import annotations
