"""The routes of the extension, found in a running server."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler

from testbed.lab_server import BASE_URL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.lab_server import LabServer

EXAMPLES = ("x1", "a" * 32, "a" * 43, "11111111-1111-1111-1111-111111111111", "local.x1", "/x1")
"""Texts for the groups of the patterns."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
TICKETED = re.compile(r"/dashboard/")
"""Routes that a ticket in their own path opens: sandboxed frames send no cookies."""


def routes_of(lab: LabServer) -> list[tuple[str, type[RequestHandler]]]:
    """Return pattern and handler of each of our routes, wherever they lie."""
    found: list[tuple[str, type[RequestHandler]]] = []
    for rule in lab.app.web_app.default_router.rules:
        for inner in getattr(rule.target, "rules", []):
            pattern = getattr(inner.matcher, "regex", None)
            target: Any = inner.target
            if (
                pattern is not None
                and inspect.isclass(target)
                and issubclass(target, RequestHandler)
                and ("/af/" in pattern.pattern or target.__module__.startswith("af_labextension"))
            ):
                found.append((pattern.pattern, target))
    return found


def example_path(pattern: str, base_url: str) -> str:
    """Fill the groups of a pattern; return the path below the base URL."""
    path = re.sub(r"\((?:\?P<\w+>)?([^()]*)\)\??", lambda group: example(group[1]), pattern)
    path = re.sub(r"\\(.)", r"\1", path.removesuffix("$").removesuffix("/?"))
    assert re.fullmatch(pattern, path), f"no example for {pattern}: add one to EXAMPLES"
    return path.removeprefix(base_url)


def example(group: str) -> str:
    """Return a text that fits a group of a pattern."""
    return next(text for text in EXAMPLES if re.fullmatch(group, text))


def implemented(handler: type[RequestHandler], method: str) -> bool:
    """Tell whether a handler answers a method itself."""
    return getattr(handler, method.lower()) is not getattr(RequestHandler, method.lower())


def questions(lab: LabServer, *methods: str) -> Iterator[tuple[str, str]]:
    """Give method and path, below the base URL, of everything that our routes answer."""
    for pattern, handler in routes_of(lab):
        for method in methods or METHODS:
            if implemented(handler, method):
                yield method, example_path(pattern, BASE_URL)


def refused(path: str) -> set[int]:
    """Return the statuses that refuse: a wrong ticket leads nowhere."""
    return {403, 404} if TICKETED.search(path) else {403}
