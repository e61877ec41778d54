"""An XCache for a facility: tokens in front, a service certificate behind."""

from __future__ import annotations

from af_hub.xcache.places import Places, production_places
from af_hub.xcache.render import XCacheFiles, render

__all__ = ["Places", "XCacheFiles", "production_places", "render"]
