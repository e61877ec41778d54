"""Values for the Zero-to-JupyterHub chart, made from the facility file. Pure."""

from __future__ import annotations

from af_hub.kube_values.files import is_authority
from af_hub.kube_values.places import HUB_FILE, Site
from af_hub.kube_values.render import AUTHORITIES, FILE, XCACHE, render, wanted_files

__all__ = [
    "AUTHORITIES",
    "FILE",
    "HUB_FILE",
    "XCACHE",
    "Site",
    "is_authority",
    "render",
    "wanted_files",
]
