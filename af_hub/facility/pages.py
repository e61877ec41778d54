"""The facility's name, notice and links on JupyterHub's own pages. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from af_hub.facility.about import About

TEMPLATES = Path(__file__).with_name("templates")
"""Small overrides of JupyterHub's templates."""


def page_variables(about: About) -> dict[str, Any]:
    """Make the variables that our template overrides read, for ``JupyterHub.template_vars``."""
    return {
        "af_about": {
            "name": about.name,
            "support": about.support,
            "notice": about.notice,
            "aup": about.aup,
        }
    }
