"""An XRootD origin and an XCache in front of it, on one machine.

The origin knows only certificates, as the experiments' federations do; the cache knows only
tokens. So a read proves the translation from one to the other, with the same cache configuration
(`af_hub.xcache`) that is deployed on a cluster.
"""

from __future__ import annotations
