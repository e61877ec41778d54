"""The HTML of the spawn page."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_hub.spawner.page.content import Page


@cache
def environment() -> Environment:
    """Make the template environment: every value is escaped, a missing one is an error."""
    return Environment(
        loader=PackageLoader("af_hub.spawner.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def part(name: str) -> str:
    """Read a style sheet or script that stands in our pages: nothing is fetched from elsewhere."""
    return files("af_hub.spawner.page").joinpath("templates", name).read_text(encoding="utf-8")


def render(
    page: Page, *, remarks: Sequence[str], support: str, user: str = "", server: str = ""
) -> str:
    """Write the HTML that JupyterHub puts inside its form.

    Parameters
    ----------
    page
        What stands on it.
    remarks
        What users must know about this place.
    support
        Address for help, or an empty text.
    user, server
        For whom and which server; the page asks the hub what has changed for them.

    Returns
    -------
    str
        HTML; every text in it is escaped.
    """
    template = environment().get_template("profiles.html")
    return template.render(
        page=page,
        remarks=remarks,
        support=support,
        user=user,
        server=server,
        style=part("spawn.css"),
        script=part("live.js") + part("spawn.js"),
    )
