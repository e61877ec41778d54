"""A small catalogue with one of everything, and a place to run it."""

from __future__ import annotations

from af_hub.facility.profiles import Profile
from af_hub.spawner.policy.site import GpuModel, Site, Usage

GIB = 1024**3
CATALOGUE = tuple(
    Profile.model_validate(entry)
    for entry in (
        {"name": "small", "title": "Small", "ram": "2G", "default": True},
        {
            "name": "large",
            "title": "Large {user.__class__}",
            "cpu": {"choices": [1, 2, 64]},
            "ram": {"choices": ["4G", "8G"]},
            "environment": {"TEMPLATE": "{unescaped_username.__class__}"},
            "max_concurrent": {"per_user": 1, "total": 3},
        },
        {
            "name": "gpu",
            "title": "GPU",
            "ram": "2G",
            "gpu": {"counts": [0, 1, 2], "product": "A100"},
            "allowed_groups": ["/cms/uscms"],
            "denied_groups": ["/cms/banned/**"],
        },
        {"name": "admin", "title": "Admin", "allowed_groups": ["/cms/af-admins"]},
    )
)
SITE = Site(cores=16, memory=64 * GIB, gpus=(GpuModel("A100", 2, 1), GpuModel("T4", 4, 4)))
NOBODY = Usage()
