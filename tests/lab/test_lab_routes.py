"""Every route of the extension refuses whoever may not come; the test finds the routes itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from af_labextension import settings
from testbed.lab_hub import SERVER_TOKEN, lab_config
from testbed.lab_routes import CHANGING, METHODS, questions, refused
from testbed.lab_server import LAB_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.lab_hub import LabHub
    from testbed.lab_server import LabServer, StartLab


async def cookies(lab: LabServer) -> tuple[str, str]:
    """Log in as a browser does, the token in the URL once; return its cookies and XSRF token."""
    form = await lab.fetch("login", anonymous=True)
    page = await lab.fetch("api/status", token=LAB_TOKEN, anonymous=True)
    lines = form.headers.get_list("Set-Cookie") + page.headers.get_list("Set-Cookie")
    cookie = "; ".join(line.split(";")[0] for line in lines)
    token = re.search(r"_xsrf=([^;]+)", cookie)
    assert token is not None
    return cookie, token[1]


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
        ("GET", f"af/clusters/{'a' * 32}/logs"),
        ("GET", "af/events"),
        ("GET", "af/memory"),
        ("PUT", "dask/clusters"),
        ("PATCH", f"dask/clusters/{'a' * 32}"),
        ("GET", f"dask/dashboard/{'a' * 32}/x1"),
        ("GET", "dask/dashboard-check/x1"),
    } <= found
    assert all(path.startswith(("af/", "dask/")) for _, path in found)


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
    # the Lab itself asks once for its limits
    await lab.app.web_app.settings[settings.ENDS].look()
    lab_hub.requests.clear()
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
