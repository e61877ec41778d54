"""The development IAM: a small OpenID provider that behaves as a real INDIGO IAM does.

It exists so that a facility on one machine, and every test, logs in through the same code as a
facility that has the experiment's IAM. Authlib does the protocol; what is ours is IAM's
behaviour: two forms of the issuer, its token profiles, its refresh rules and its error codes.
Its accounts have public passwords, so it must never be reachable from another machine.
"""

from __future__ import annotations
