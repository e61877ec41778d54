"""Every route of the extension refuses whoever may not come; the test finds the routes itself."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest
from tornado.web import RequestHandler

from testbed.lab_hub import lab_config

if TYPE_CHECKING:
    from testbed.lab_hub import LabHub
    from testbed.lab_server import LabServer, StartLab

EXAMPLES = ("x1", "a" * 32, "a" * 43, "11111111-1111-1111-1111-111111111111", "local.x1")
"""Texts for the groups of the patterns."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TICKETED = re.compile(r"/dashboard/")
"""Routes that a ticket in their own path opens: sandboxed frames send no cookies."""


def routes_of(lab: LabServer) -> list[tuple[str, type[RequestHandler]]]:
    """Return pattern and handler of each of our routes."""
    found: list[tuple[str, type[RequestHandler]]] = []
    for rule in lab.app.web_app.default_router.rules:
        for inner in getattr(rule.target, "rules", []):
            pattern = getattr(inner.matcher, "regex", None)
            target: Any = inner.target
            if (
                pattern is not None
                and "/af/" in pattern.pattern
                and inspect.isclass(target)
                and issubclass(target, RequestHandler)
            ):
                found.append((pattern.pattern, target))
    return found


def example_path(pattern: str, base_url: str) -> str:
    """Fill the groups of a pattern; return the path below the base URL."""
    path = re.sub(r"\((?:\?P<\w+>)?([^()]*)\)", lambda group: example(group[1]), pattern)
    path = re.sub(r"\\(.)", r"\1", path.removesuffix("$"))
    assert re.fullmatch(pattern, path), f"no example for {pattern}: add one to EXAMPLES"
    return path.removeprefix(base_url)


def example(group: str) -> str:
    """Return a text that fits a group of a pattern."""
    return next(text for text in EXAMPLES if re.fullmatch(group, text))


def implemented(handler: type[RequestHandler], method: str) -> bool:
    """Tell whether a handler answers a method itself."""
    return getattr(handler, method.lower()) is not getattr(RequestHandler, method.lower())


async def test_the_routes_are_found(lab_hub: LabHub, start_lab: StartLab) -> None:
    lab = await start_lab(lab_hub)
    paths = {example_path(pattern, "/user/a%40b/") for pattern, _ in routes_of(lab)}
    assert {"af/status", "af/storage", "af/storage/x1/list", "af/storage/x1/code"} <= paths


async def test_every_route_refuses_when_nobody_is_logged_in(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab_hub.config = lab_config(
        storage=[{"name": "x1", "title": "x", "url": "https://h/s", "audience": "storage"}]
    )
    lab = await start_lab(lab_hub)
    checked = 0
    for pattern, handler in routes_of(lab):
        path = example_path(pattern, "/user/a%40b/")
        for method in METHODS:
            if implemented(handler, method):
                answer = await lab.fetch(path, method=method, anonymous=True)
                expected = {403, 404} if TICKETED.search(path) else {403}
                assert answer.code in expected, f"{method} {path}: {answer.code}"
                checked += 1
    assert checked >= 4
    assert not lab_hub.requests


async def test_every_changing_route_refuses_when_the_xsrf_token_is_wrong(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    # log in as a browser does: the token in the URL once, then cookies
    page = await lab.fetch("api/status", token="lab-access-token", anonymous=True)
    cookie = "; ".join(line.split(";")[0] for line in page.headers.get_list("Set-Cookie"))
    assert (await lab.fetch("af/status", anonymous=True, headers={"Cookie": cookie})).code == 200
    for pattern, handler in routes_of(lab):
        path = example_path(pattern, "/user/a%40b/")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            if implemented(handler, method):
                headers = {"Cookie": cookie, "X-XSRFToken": "wrong"}
                answer = await lab.fetch(path, method=method, anonymous=True, headers=headers)
                assert answer.code in {403, 404}, f"{method} {path}: {answer.code}"


async def test_answers_are_json_with_code_when_a_route_fails(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    answer = await lab.fetch("af/storage/nothing/list")
    assert answer.code == 404
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert b'"code": "unknown-door"' in answer.body


@pytest.mark.parametrize("origin", ["https://evil.example"])
async def test_another_site_gets_nothing_when_a_browser_asks_for_it(
    lab_hub: LabHub, start_lab: StartLab, origin: str
) -> None:
    lab = await start_lab(lab_hub)
    page = await lab.fetch("api/status", token="lab-access-token", anonymous=True)
    cookie = "; ".join(line.split(";")[0] for line in page.headers.get_list("Set-Cookie"))
    headers = {"Cookie": cookie, "Origin": origin, "Referer": origin}
    assert (await lab.fetch("af/status", anonymous=True, headers=headers)).code == 404
