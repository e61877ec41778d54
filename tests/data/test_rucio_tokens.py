"""Which tokens Rucio takes, and that none of them is ever in its log (SQLite)."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from testbed.rucio import start_rucio, wait_until
from testbed.storage import Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.iam import IAM
    from testbed.rucio import RucioServer

WHOAMI = "/accounts/whoami"


@pytest.fixture(scope="module")
def rucio(tmp_path_factory: pytest.TempPathFactory, iam: IAM) -> Iterator[RucioServer]:
    """Give a server that takes the development IAM's tokens."""
    with start_rucio(tmp_path_factory.mktemp("rucio-tokens"), iam) as server:
        yield server


@dataclass(frozen=True)
class Signed:
    """A server that takes the tokens of an issuer which signs whatever a test wants."""

    server: RucioServer
    issuer: Issuer
    curl: Path

    def status(self, drop: tuple[str, ...] = (), **claims: Any) -> int:
        """Ask who a token is; claims that are given replace the good ones."""
        return self.server.get(WHOAMI, token=self.token(drop, **claims)).status

    def token(self, drop: tuple[str, ...] = (), **claims: Any) -> str:
        """Return a token of alice."""
        sub = self.server.settings.people[0].sub
        good = {"sub": sub, "aud": "rucio", "scope": "openid profile"}
        return self.issuer.token(drop=drop, **(good | claims))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, iam: IAM) -> Iterator[Signed]:
    """Give a server with an issuer of the tests' own, and a curl in the PATH that takes notes."""
    folder = tmp_path_factory.mktemp("rucio-signed")
    curl = folder / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(f'#!/bin/sh\necho "$@" >> {folder}/curl\n')
    curl.chmod(0o755)
    issuer = Issuer(iam.layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(curl.parent), prepend=":")
        with start_rucio(folder, iam, issuer=issuer.url.rstrip("/")) as server:
            yield Signed(server, issuer, folder / "curl")
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "dora"])
def test_account_is_the_users_own_when_the_token_is_good(rucio: RucioServer, user: str) -> None:
    answer = rucio.get(WHOAMI, user=user)
    assert (answer.status, answer.json["account"]) == (200, user)


def test_admin_may_add_a_scope_and_others_may_not(rucio: RucioServer) -> None:
    refused = rucio.post("/scopes/alice/planted", {}, user="alice")
    assert (refused.status, refused.json["ExceptionClass"]) == (500, "AccessDenied")
    assert rucio.post("/scopes/dora/user.dora", {}, user="dora").status == 201


def test_token_is_refused_when_it_is_for_somebody_else(rucio: RucioServer) -> None:
    storage = rucio.token("alice", audience="https://storage.example")
    assert rucio.get(WHOAMI, token=storage).status == 401
    login = rucio.iam.log_in("alice")["access_token"]
    assert rucio.get(WHOAMI, token=login).status == 401


def test_token_is_refused_when_its_scope_is_too_small(rucio: RucioServer) -> None:
    token = rucio.token("alice", scope="openid")
    assert rucio.get(WHOAMI, token=token).status == 401


def test_token_is_refused_when_its_owner_has_no_account(rucio: RucioServer) -> None:
    assert rucio.get(WHOAMI, user="eve").status == 401


def test_token_is_refused_when_one_letter_differs(rucio: RucioServer) -> None:
    head, body, signature = rucio.token("alice").split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    broken = signature[:middle] + other + signature[middle + 1 :]
    assert rucio.get(WHOAMI, token=f"{head}.{body}.{broken}").status == 401


def test_token_is_refused_when_a_claim_is_not_as_it_must_be(signed: Signed) -> None:
    assert signed.status() == 200
    assert signed.status(aud=["rucio", "other"]) == 200
    assert signed.status(aud="rucio2") == 401
    assert signed.status(iss="https://127.0.0.1:9") == 401
    assert signed.status(iss=signed.issuer.url) == 401  # with a slash it is another one
    assert signed.status(sub="somebody-else") == 401
    assert signed.status(scope="openid") == 401
    assert signed.status(exp=time.time() - 1) == 401
    assert signed.status(drop=("exp",)) == 401


def test_token_is_refused_when_another_key_signed_it(signed: Signed) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert signed.status(key=stranger) == 401
    assert signed.status(key=stranger, kid="unknown") == 401
    head, body, _ = signed.token().split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert signed.server.get(WHOAMI, token=f"{unsigned}.{body}.").status == 401
    assert signed.server.get(WHOAMI, token=f"{head}.{body}.").status == 401


def test_token_is_refused_when_it_expires_after_its_first_use(signed: Signed) -> None:
    token = signed.token(exp=time.time() + 2)
    assert signed.server.get(WHOAMI, token=token).status == 200
    wait_until(lambda: signed.server.get(WHOAMI, token=token).status == 401, "the end", None)


def test_no_program_gets_the_token_when_it_has_no_audience(signed: Signed) -> None:
    """Rucio would ask the issuer by curl, with the token in the arguments, for all to see."""
    assert signed.status(drop=("aud",)) == 401
    assert signed.status(drop=("scope",)) == 401
    assert not signed.curl.exists()


def test_passwords_and_keys_open_nothing(rucio: RucioServer) -> None:
    """Rucio's own setup gives its root account a well-known password and a well-known key."""
    assert rucio.get("/accounts/root/identities", user="dora").rows == []
    for method, headers in (
        ("userpass", {"X-Rucio-Username": "ddmlab", "X-Rucio-Password": "secret"}),
        ("x509", {"SSL_CLIENT_S_DN": "CN=DDMLAB Client", "SSL_CLIENT_VERIFY": "SUCCESS"}),
        ("gss", {"REMOTE_USER": "ddmlab@CERN.CH"}),
    ):
        request = urllib.request.Request(
            f"{rucio.url}/auth/{method}", headers=headers | {"X-Rucio-Account": "root"}
        )
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=20)
        error.value.close()
        assert "X-Rucio-Auth-Token" not in error.value.headers, method


def test_no_first_request_is_refused_when_several_come_at_once(rucio: RucioServer) -> None:
    seen: Counter[int] = Counter()
    with ThreadPoolExecutor(12) as pool:
        for _ in range(4):
            login = rucio.iam.log_in("bob")["access_token"]
            fresh = rucio.iam.exchange(login, "openid profile", audience="rucio")
            token = fresh.json["access_token"]
            ask = partial(rucio.get, token=token)
            answers = pool.map(ask, [WHOAMI, "/scopes/"] * 6)
            seen.update(answer.status for answer in answers)
    assert seen == {200: 48}


def test_no_token_is_in_the_log_whatever_happens_to_it(rucio: RucioServer) -> None:
    good = rucio.token("alice")
    bad = rucio.token("alice", audience="elsewhere")
    for token in (good, bad, good[:-9], "planted-not-a-token", f"{good}.{good}", good * 12):
        for path in (WHOAMI, "/dids/cms/none/files", "/nowhere", "/dids/cms/dids/search?type=%00"):
            rucio.get(path, token=token)
    log = rucio.log
    for token in (good, bad, "planted-not-a-token"):
        head, _, rest = token.partition(".")
        assert (rest[:40] or head) not in log


@pytest.mark.faults
@pytest.mark.parametrize("broken", [".well-known", "jwk"])
def test_tokens_are_taken_again_when_the_issuer_was_of_no_use_at_first(
    signed: Signed, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    token = signed.token()
    good = signed.issuer.document
    _, worker = signed.server.pids
    with monkeypatch.context() as patch:
        patch.setattr(signed.issuer, "document", lambda path: {} if broken in path else good(path))
        os.kill(worker, signal.SIGKILL)  # the next one knows no keys yet
        wait_until(signed.server.is_up, "another worker", signed.server.process)
        assert signed.server.get(WHOAMI, token=token).status == 401
    assert signed.server.get(WHOAMI, token=token).status == 200


def test_settings_hold_no_secret(rucio: RucioServer) -> None:
    texts = [path.read_text() for path in rucio.home.folder.glob("*.json")]
    texts.append(rucio.home.config.read_text())
    for text in texts:
        assert rucio.iam.secret not in text
        assert "secret" not in text.replace("idpsecrets", "")
    assert json.loads(rucio.home.issuers.read_text())["af"]["client_id"] == "none"
