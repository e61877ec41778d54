"""Every route of the extension refuses whoever may not come; the test finds the routes itself."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest
from tornado.web import RequestHandler

from testbed.lab_hub import SERVER_TOKEN, lab_config
from testbed.lab_server import BASE_URL, LAB_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.lab_hub import LabHub
    from testbed.lab_server import LabServer, StartLab

EXAMPLES = ("x1", "a" * 32, "a" * 43, "11111111-1111-1111-1111-111111111111", "local.x1")
"""Texts for the groups of the patterns."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
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


def questions(lab: LabServer, *methods: str) -> Iterator[tuple[str, str]]:
    """Give method and path of everything that our routes answer."""
    for pattern, handler in routes_of(lab):
        for method in methods or METHODS:
            if implemented(handler, method):
                yield method, example_path(pattern, BASE_URL)


async def cookies(lab: LabServer) -> tuple[str, str]:
    """Log in as a browser does, the token in the URL once; return its cookies and XSRF token."""
    form = await lab.fetch("login", anonymous=True)
    page = await lab.fetch("api/status", token=LAB_TOKEN, anonymous=True)
    lines = form.headers.get_list("Set-Cookie") + page.headers.get_list("Set-Cookie")
    cookie = "; ".join(line.split(";")[0] for line in lines)
    token = re.search(r"_xsrf=([^;]+)", cookie)
    assert token is not None
    return cookie, token[1]


def refused(path: str) -> set[int]:
    """Return the statuses that refuse: a wrong ticket leads nowhere."""
    return {403, 404} if TICKETED.search(path) else {403}


async def test_the_routes_are_found(lab_hub: LabHub, start_lab: StartLab) -> None:
    lab = await start_lab(lab_hub)
    found = set(questions(lab))
    assert {
        ("GET", "af/status"),
        ("POST", "af/renew"),
        ("GET", "af/storage"),
        ("GET", "af/storage/x1/list"),
        ("GET", "af/storage/x1/code"),
        ("POST", "af/clusters"),
        ("PATCH", f"af/clusters/{'a' * 32}"),
        ("DELETE", f"af/clusters/{'a' * 32}"),
    } <= found
    assert all(path.startswith("af/") for _, path in found)


WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
STRANGERS = {
    "anonymous": {},
    "wrong token": {"Authorization": "token not-the-lab-access-token"},
    "the hub's token": {"Authorization": f"token {SERVER_TOKEN}"},
    "wrong cookie": {"Cookie": "username-127-0-0-1=2|1:0|10:1|1:x|1:y|ab"},
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("upgrade", [{}, WEBSOCKET], ids=["http", "websocket"])
async def test_every_route_refuses_when_somebody_else_asks(
    lab_hub: LabHub, start_lab: StartLab, stranger: str, upgrade: dict[str, str]
) -> None:
    lab_hub.config = lab_config(
        storage=[{"name": "x1", "title": "x", "url": "https://h/s", "audience": "storage"}]
    )
    lab = await start_lab(lab_hub)
    asked = list(questions(lab, *(["GET"] if upgrade else METHODS)))
    assert len(asked) >= 10
    # what anybody gets from the login page, so that not only the XSRF check refuses
    form = await lab.fetch("login", anonymous=True)
    xsrf = form.headers["Set-Cookie"].split(";")[0]
    own = {"Cookie": xsrf, "X-XSRFToken": xsrf.removeprefix("_xsrf=")}
    for method, path in asked:
        headers = {**own, **upgrade, **STRANGERS[stranger]}
        if "Cookie" in STRANGERS[stranger]:
            headers["Cookie"] += f"; {xsrf}"
        answer = await lab.fetch(path, method=method, anonymous=True, headers=headers)
        assert answer.code in refused(path), f"{method} {path}: {answer.code}"
    assert not lab_hub.requests


async def test_every_route_refuses_when_the_login_is_for_another_lab(
    lab_hub: LabHub, start_lab: StartLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = await start_lab(lab_hub)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "of-another-user"))
    other = await start_lab(lab_hub)
    cookie, token = await cookies(other)
    headers = {"Cookie": cookie}
    assert (await other.fetch("af/status", anonymous=True, headers=headers)).code == 200
    # cookies are named after host and port, so a thief has to rename them
    here, there = (str(each.url.split(":")[2].split("/")[0]) for each in (lab, other))
    stolen = cookie.replace(f"-{there}=", f"-{here}=")
    lab_hub.requests.clear()
    for method, path in questions(lab):
        headers = {"Cookie": stolen, "X-XSRFToken": token}
        answer = await lab.fetch(path, method=method, anonymous=True, headers=headers)
        assert answer.code in refused(path), f"{method} {path}: {answer.code}"
    assert not lab_hub.requests


CHANGING = ("POST", "PUT", "PATCH", "DELETE")


@pytest.mark.parametrize("sent", ["wrong", "none", "of another login", "in the query"])
async def test_every_changing_route_refuses_when_the_xsrf_token_is_wrong(
    lab_hub: LabHub, start_lab: StartLab, sent: str
) -> None:
    lab = await start_lab(lab_hub)
    cookie, _ = await cookies(lab)
    _, other = await cookies(lab)
    assert (await lab.fetch("af/status", anonymous=True, headers={"Cookie": cookie})).code == 200
    token = {"wrong": "wrong", "of another login": other}.get(sent)
    headers = {"Cookie": cookie, **({"X-XSRFToken": token} if token else {})}
    query = "?_xsrf=wrong" if sent == "in the query" else ""
    asked = list(questions(lab, *CHANGING))
    assert {method for method, _ in asked} >= {"POST", "PATCH", "DELETE"}
    for method, path in asked:
        answer = await lab.fetch(path + query, method=method, anonymous=True, headers=headers)
        assert answer.code == 403, f"{method} {path}: {answer.code}"
        assert b"xsrf" in answer.body.lower(), f"{method} {path}: {answer.body!r}"


async def test_changing_routes_answer_when_the_xsrf_token_is_right(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    cookie, token = await cookies(lab)
    headers = {"Cookie": cookie, "X-XSRFToken": token}
    for method, path in questions(lab, *CHANGING):
        answer = await lab.fetch(path, method=method, anonymous=True, headers=headers)
        assert answer.code != 403, f"{method} {path}: {answer.body!r}"
    answer = await lab.fetch("af/renew", method="POST", anonymous=True, headers=headers)
    assert answer.code == 200


async def test_answers_are_json_with_code_when_a_route_fails(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    answer = await lab.fetch("af/storage/nothing/list")
    assert answer.code == 404
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert b'"code": "unknown-door"' in answer.body


async def test_another_site_gets_nothing_when_a_browser_asks_for_it(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    evil = "https://evil.example"
    cookie, token = await cookies(lab)
    headers = {"Cookie": cookie, "X-XSRFToken": token, "Origin": evil, "Referer": evil}
    for method, path in questions(lab):
        answer = await lab.fetch(path, method=method, anonymous=True, headers=headers)
        assert answer.code in {403, 404}, f"{method} {path}: {answer.code}"
