"""The facility file: what an administrator decides, once, for every part of the facility."""

from __future__ import annotations

from af_hub.facility.default import default_facility
from af_hub.facility.load import FacilityFileError, load
from af_hub.facility.models import FacilityConfig
from af_hub.facility.schema import schema

__all__ = [
    "FacilityConfig",
    "FacilityFileError",
    "default_facility",
    "load",
    "schema",
]
