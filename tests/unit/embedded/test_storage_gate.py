"""The storage server and the tokens that it takes and refuses: real process, real https."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from af_hub.embedded.storage.keys import COOL_DOWN, Keys
from af_hub.errors import IAMUnavailable
from testbed.iam import free_ports
from testbed.small_disk import small_disk
from testbed.storage import CONTENT

if TYPE_CHECKING:
    from testbed.storage import Storage

FILE = "/store/cms/a.root"
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def names(listing: str) -> list[str]:
    return re.findall(r"<(?:ns0|D):href>([^<]+)<", listing)


def test_file_is_given_when_the_token_is_good(storage: Storage) -> None:
    reply = storage.send("GET", FILE, storage.issuer.token())
    assert reply.status == 200
    assert reply.body == CONTENT


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("token-expired", {"exp": time.time() - 120}),
        ("token-not-yet-valid", {"nbf": time.time() + 3600}),
        ("token-audience", {"aud": "https://rucio.example"}),
        ("token-audience", {"aud": "https://wlcg.cern.ch/jwt/v1/any"}),
        ("token-audience", {"aud": ["https://storage.example.org"]}),
        ("token-audience", {"drop": ("aud",)}),
        ("token-issuer", {"iss": "https://evil.example"}),
        ("token-claims", {"drop": ("exp",)}),
        ("token-signature", {"key": STRANGER}),
    ],
)
def test_token_is_refused_when_a_claim_is_wrong(
    storage: Storage, code: str, change: dict[str, Any]
) -> None:
    reply = storage.send("GET", FILE, storage.issuer.token(**change))
    assert reply.status == 401
    assert f"[{code}]" in reply.text
    assert f'error_description="{code}"' in str(reply.headers["WWW-Authenticate"])


def test_issuer_with_slash_is_refused_when_tokens_are_to_have_none(storage: Storage) -> None:
    reply = storage.send("GET", FILE, storage.issuer.token(iss=storage.issuer.url))
    assert reply.status == 401


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YWxpY2U6ZGVtbw==", "Bearer not.a.jwt"]
)
def test_request_is_refused_when_there_is_no_token(storage: Storage, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = storage.send("GET", FILE, headers=headers)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="storage"')
    assert CONTENT not in reply.body


def test_token_is_not_taken_when_it_stands_in_the_address(storage: Storage) -> None:
    token = storage.issuer.token()
    storage.sent.append(token)
    assert storage.send("GET", f"{FILE}?authz=Bearer%20{token}").status == 401
    assert storage.send("GET", f"{FILE}?access_token={token}").status == 401


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("storage.read:/store/cms", "/store/cms/deep/b.root", 200),
        ("storage.read:/store/cms/", FILE, 200),
        ("storage.read:/", FILE, 200),
        ("storage.read:/store/cms/a.root", FILE, 200),
        ("storage.read:/store/%63ms", FILE, 200),
        ("openid storage.read:/store/cms profile", FILE, 200),
        # a prefix of the text is no parent of the path
        ("storage.read:/store/cm", FILE, 403),
        ("storage.read:/store/cms", "/store/cmsx/c.root", 403),
        ("storage.read:/store/cms", "/store/atlas/d.root", 403),
        ("storage.read:/store/CMS", FILE, 403),
        ("storage.read:/store/cms", "/STORE/cms/a.root", 403),
        # a missing path is not "/"
        ("storage.read", FILE, 403),
        ("storage.read:", FILE, 403),
        ("storage.read:store/cms", FILE, 403),
        ("storage.read:/store/atlas/../cms", FILE, 403),
        ("storage.readx:/store/cms", FILE, 403),
        ("storage.create:/store/cms", FILE, 403),
        ("storage.modify:/store/cms", FILE, 403),
        ("storage.stage:/store/cms", FILE, 403),
        ("", FILE, 403),
    ],
)
def test_path_is_judged_by_component_when_scopes_name_paths(
    storage: Storage, scope: str, path: str, status: int
) -> None:
    reply = storage.send("GET", path, storage.issuer.token(scope))
    assert reply.status == status
    if status == 403:
        assert "insufficient_scope" in str(reply.headers["WWW-Authenticate"])
        assert "Your token does not allow" in reply.text


def test_groups_give_nothing_when_the_token_is_narrowed(storage: Storage) -> None:
    claims: dict[str, Any] = {"wlcg.groups": ["/cms", "/atlas"]}
    token = storage.issuer.token("storage.read:/store/open", **claims)
    assert storage.send("GET", FILE, token).status == 403
    assert storage.send("GET", "/store/open/e.root", token).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/store/cms/../atlas/d.root",
        "/store/cms/%2e%2e/atlas/d.root",
        "/store/cms/%2E%2E/%2e%2e/storage/config.json",
        "/store/cms/./a.root",
        "/store/cms/..",
        "/store/cms/%00",
        "/store/cms/a%0aroot",
        "/store/cms/%ff%fe",
    ],
)
def test_path_is_refused_when_it_is_not_plain(storage: Storage, path: str) -> None:
    reply = storage.send("GET", path, storage.issuer.token("storage.read:/"))
    assert reply.status == 400


@pytest.mark.parametrize(
    "path", ["/store/cms%2F..%2Fatlas/d.root", "/store/cms/%252e%252e/atlas/d.root", "/etc/passwd"]
)
def test_nothing_is_found_when_a_path_is_quoted_twice(storage: Storage, path: str) -> None:
    assert storage.send("GET", path, storage.issuer.token("storage.read:/")).status == 404


def test_double_slashes_are_one_when_judged_and_served(storage: Storage) -> None:
    token = storage.issuer.token()
    assert storage.send("GET", "/store//cms///a.root", token).status == 200
    assert storage.send("GET", "/store//atlas/d.root", token).status == 403


def test_link_is_not_followed_when_it_leads_out(storage: Storage) -> None:
    link = storage.root / "cms" / "way-out"
    link.symlink_to(storage.layout.secrets)
    try:
        token = storage.issuer.token()
        assert storage.send("GET", "/store/cms/way-out/hub-client-secret", token).status == 403
        assert (
            "way-out"
            not in storage.send("PROPFIND", "/store/cms", token, headers={"Depth": "1"}).text
        )
    finally:
        link.unlink()


def test_only_the_range_comes_when_one_is_asked_for(storage: Storage) -> None:
    reply = storage.send("GET", FILE, storage.issuer.token(), headers={"Range": "bytes=100-299"})
    assert reply.status == 206
    assert reply.body == CONTENT[100:300]
    assert reply.headers["Content-Range"] == f"bytes 100-299/{len(CONTENT)}"
    assert storage.send("HEAD", FILE, storage.issuer.token()).headers["Accept-Ranges"] == "bytes"


def test_listing_shows_the_folder_when_it_may_be_read(storage: Storage) -> None:
    reply = storage.send("PROPFIND", "/store/cms", storage.issuer.token(), headers={"Depth": "1"})
    assert reply.status == 207
    assert names(reply.text) == ["/store/cms/", "/store/cms/a.root", "/store/cms/deep/"]


def test_listing_shows_only_the_way_when_a_parent_is_listed(storage: Storage) -> None:
    token = storage.issuer.token("storage.read:/store/cms/deep storage.read:/store/open")
    reply = storage.send("PROPFIND", "/store", token, headers={"Depth": "1"})
    assert names(reply.text) == ["/store/", "/store/cms/", "/store/open/"]
    reply = storage.send("PROPFIND", "/store/cms", token, headers={"Depth": "1"})
    assert names(reply.text) == ["/store/cms/", "/store/cms/deep/"]
    assert storage.send("PROPFIND", "/store/atlas", token, headers={"Depth": "1"}).status == 403


@pytest.mark.parametrize("headers", [{}, {"Depth": "infinity"}, {"Depth": "2"}])
def test_listing_is_refused_when_it_would_be_deep(
    storage: Storage, headers: dict[str, str]
) -> None:
    assert (
        storage.send("PROPFIND", "/store/cms", storage.issuer.token(), headers=headers).status
        == 403
    )


@pytest.mark.parametrize("method", ["POST", "LOCK", "UNLOCK", "PROPPATCH", "TRACE", "PATCH"])
def test_method_is_refused_when_it_is_not_served(storage: Storage, method: str) -> None:
    assert storage.send(method, FILE, storage.issuer.token("storage.modify:/")).status == 405


def test_file_is_written_when_the_token_may_create(storage: Storage) -> None:
    create = storage.issuer.token("storage.create:/store/cms")
    path = "/store/cms/new.root"
    assert storage.send("PUT", path, storage.issuer.token(), body=b"x").status == 403
    assert storage.send("PUT", path, create, body=b"first").status == 201
    assert storage.send("PUT", path, create, body=b"second").status == 403
    assert storage.send("DELETE", path, create).status == 403
    modify = storage.issuer.token("storage.modify:/store/cms")
    assert storage.send("PUT", path, modify, body=b"third").status == 204
    assert (storage.root / "cms/new.root").read_bytes() == b"third"
    assert storage.send("DELETE", path, modify).status == 204
    assert not (storage.root / "cms/new.root").exists()


def test_move_is_judged_at_both_ends_when_asked_for(storage: Storage) -> None:
    (storage.root / "cms/move.root").write_bytes(CONTENT)
    modify = storage.issuer.token("storage.modify:/store/cms storage.read:/store/cms")
    host = f"https://127.0.0.1:{storage.config.port}"

    def move(method: str, to: str) -> int:
        return storage.send(
            method, "/store/cms/move.root", modify, headers={"Destination": to}
        ).status

    assert move("MOVE", f"{host}/store/atlas/x.root") == 403
    assert move("COPY", f"{host}/store/atlas/x.root") == 403
    assert move("COPY", f"{host}/store/cms/%2e%2e/atlas/x.root") == 400
    assert move("COPY", "https://elsewhere.example/store/cms/x.root") == 400
    assert move("COPY", f"{host}/store/cms/copy.root") == 201
    assert move("MOVE", f"{host}/store/cms/moved.root") == 201
    assert not (storage.root / "atlas/x.root").exists()
    for name in ("copy", "moved"):
        (storage.root / f"cms/{name}.root").unlink()


def test_old_content_stays_when_an_upload_breaks_off(storage: Storage) -> None:
    path = storage.root / "cms/kept.root"
    path.write_bytes(b"old")
    token = storage.issuer.token("storage.modify:/store/cms")
    before = storage.log.count("PUT /store/cms/kept.root")
    storage.break_off("/store/cms/kept.root", token)
    deadline = time.monotonic() + 15
    while storage.log.count("PUT /store/cms/kept.root") == before:
        assert time.monotonic() < deadline, storage.log
        time.sleep(0.02)
    assert path.read_bytes() == b"old"
    assert list(path.parent.glob(".kept.root.*")) == []
    path.unlink()


def test_new_key_is_found_when_the_issuer_has_rotated(storage: Storage) -> None:
    # the server may have asked moments ago, then it waits for its cool-down: so a fresh verifier
    now = [1000.0]
    keys = Keys(
        issuer=storage.config.issuer,
        token_issuer=storage.config.token_issuer,
        audience=storage.config.audience,
        ca_file=storage.config.ca_file,
        clock=lambda: now[0],
    )
    keys.verify(storage.issuer.token())
    before = storage.issuer.kid
    storage.issuer.rotate()
    token = storage.issuer.token()
    storage.issuer.kid = before  # for the other tests
    with pytest.raises(Exception, match="token-key-unknown"):
        keys.verify(token)
    now[0] += COOL_DOWN + 1
    assert keys.verify(token)["sub"]
    fetches = storage.issuer.fetches
    for _ in range(50):
        with pytest.raises(Exception, match="token-key-unknown"):
            keys.verify(storage.issuer.token(kid="made-up"))
    assert storage.issuer.fetches == fetches


def test_verdict_is_postponed_when_the_issuer_is_away(storage: Storage) -> None:
    (port,) = free_ports(1)
    keys = Keys(
        issuer=f"https://127.0.0.1:{port}/",
        token_issuer=storage.config.token_issuer,
        audience=storage.config.audience,
        ca_file=storage.config.ca_file,
    )
    with pytest.raises(IAMUnavailable):
        keys.verify(storage.issuer.token())


def test_log_holds_no_token_when_many_were_sent(storage: Storage) -> None:
    storage.send("GET", FILE, storage.issuer.token())
    storage.send("GET", FILE, storage.issuer.token(exp=1))
    assert "GET /store/cms/a.root 200" in storage.log
    for token in storage.sent:
        header, payload, signature = [*token.split("."), "", ""][:3]
        for part in (payload, signature):
            assert len(part) < 20 or part not in storage.log
        assert len(header) < 20 or header not in storage.log


@pytest.mark.parametrize("megabytes", [4, 40])
def test_nothing_truncated_stays_when_the_disk_is_full(storage: Storage, megabytes: int) -> None:
    scope = "storage.read:/store/small storage.create:/store/small storage.modify:/store/small"
    token = storage.issuer.token(scope)
    body = b"x" * (megabytes * 2**20)
    with small_disk(storage.root / "small") as folder:
        (folder / "old.root").write_bytes(CONTENT)
        for name in ("new.root", "old.root"):
            reply = storage.send("PUT", f"/store/small/{name}", token, body=body)
            assert reply.status == 507
            assert reply.reason == "Insufficient Storage"
            assert "The storage is full. Nothing of this file was kept." in reply.text
            assert str(storage.root) not in reply.text
        half = folder / "half.root"
        half.write_bytes(b"x" * (2 * 2**20))
        to = {"Destination": "/store/small/copy.root"}
        reply = storage.send("COPY", "/store/small/half.root", token, headers=to)
        assert reply.status == 507
        assert sorted(path.name for path in folder.iterdir()) == ["half.root", "old.root"]
        assert (folder / "old.root").read_bytes() == CONTENT
        half.unlink()
        assert storage.send("PUT", "/store/small/new.root", token, body=b"new").status == 201
    (storage.root / "small").rmdir()
