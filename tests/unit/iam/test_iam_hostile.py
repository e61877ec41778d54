"""Hostile tokens and claims: only our own errors come out, and soon.

``AF_EXAMPLES`` sets the examples of each test (``make soak``: 25,000, a hundred thousand in all).
"""

from __future__ import annotations

import base64
import gc
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from af_hub.errors import AFError, IdentityError
from af_hub.iam.answers import error_of
from af_hub.iam.claims import PROFILES, identity_of
from af_hub.iam.names import hub_name, issuer_of, names_of
from af_hub.iam.session import Login
from af_hub.iam.signature import MAX_LENGTH
from af_hub.iam.tokens import TokenAnswer
from af_hub.iam.verify import verify_id_token, verify_userinfo

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000
ISSUER = "https://iam.example/"
KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {"keys": [{**json.loads(ECAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}]}
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "sub-alice",
    "aud": "af-hub",
    "iat": NOW,
    "exp": NOW + 600,
    "nonce": "n",
    "preferred_username": "alice",
    "name": "Alice",
    "wlcg.ver": "1.0",
    "wlcg.groups": ["/cms"],
    "groups": ["cms"],
    "roles": ["cms"],
    "eduperson_entitlement": ["urn:x:group:cms"],
}
LONGEST = 0.5
"""Seconds of CPU for one token. The largest need up to 0.15, most a thousandth of a second."""

FULL = 770_000
"""Bytes of claims that make a token of nearly `MAX_LENGTH` characters."""

hostile = settings(
    max_examples=int(os.environ.get("AF_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# with half characters, which JSON can carry, and which `st.text` leaves out by itself
_TEXT = st.text(st.characters(exclude_categories=()), max_size=20) | st.text(
    "\ud800\udfffa", min_size=1, max_size=4
)
_NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -1, 2**63, 1e308, NOW])
_SCALARS = st.none() | st.booleans() | _NUMBERS | _TEXT | st.sampled_from(["/cms", "af-hub", "\0"])
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=8,
)
_CLAIMS = st.dictionaries(st.sampled_from(sorted(GOOD)) | _TEXT, _JSON, max_size=5)


def part(data: bytes) -> str:
    """Encode a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes) -> str:
    """Sign any bytes as a token."""
    text = f"{part(header)}.{part(payload)}"
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(text.encode(), KEY)
    return f"{text}.{part(signature)}"


def log_in(body: dict[str, Any], profile: Any = "auto") -> None:
    """Do everything that a login does with a token answer, but for the network."""
    answer = TokenAnswer.parse(body, asked="openid", now=NOW)
    if answer.id_token is None:
        raise IdentityError("token-missing", "As the reader says.")
    token = answer.id_token.reveal()
    claims = verify_id_token(
        token,
        KEYS,
        issuer=ISSUER,
        client_id="af-hub",
        nonce="n",
        access_token=answer.access_token.reveal(),
        code="code",
        now=NOW,
    )
    identity = identity_of(claims, profile=profile, username_claim="preferred_username")
    names_of(identity.iss, identity.sub, hub_name(identity.username))
    login = Login(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        id_token=answer.id_token,
        expires_at=answer.expires_at,
        scope=answer.scope,
        iss=identity.iss,
        sub=identity.sub,
        name=identity.name,
        groups=identity.groups,
        checked_at=NOW,
    )
    state = json.dumps(login.to_state(), allow_nan=False)
    assert Login.from_state(json.loads(state)) == login
    identity.name.encode()  # pages are UTF-8


def bounded(work: Callable[[], object]) -> bool:
    """Run `work`, which ends soon, and well or with an error of ours; tell whether well."""
    refusal = None
    gc.disable()  # the garbage of ten thousand examples is not the token's
    began = time.thread_time()
    try:
        work()
    except AFError as error:
        refusal = error
    finally:
        took = time.thread_time() - began
        gc.enable()
    assert took < LONGEST
    # an error of 500 would be the hub's own fault
    assert refusal is None or (refusal.code and refusal.status != 500)
    return refusal is None


def answer_with(token: str, **more: Any) -> dict[str, Any]:
    """Return a token answer."""
    return {"access_token": "a", "token_type": "Bearer", "id_token": token} | more


HEADER = b'{"alg": "ES256", "kid": "k"}'


def test_the_login_works_when_nothing_is_hostile() -> None:
    log_in(answer_with(signed(HEADER, json.dumps(GOOD).encode())))


@hostile
@given(_CLAIMS, st.sampled_from(PROFILES))
def test_only_our_errors_come_out_when_signed_claims_are_hostile(
    claims: dict[str, Any], profile: str
) -> None:
    token = signed(HEADER, json.dumps(GOOD | claims).encode())
    bounded(lambda: log_in(answer_with(token), profile))


def claims_with(**claims: Any) -> bytes:
    """Return good claims with changes."""
    return json.dumps(GOOD | claims).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * FULL,
        b'{"a":' * (FULL // 5),
        b'{"exp": ' + b"9" * FULL + b"}",
        b'{"a": "' + b"\\ud800" * (FULL // 6) + b'"}',
        b'{"a": 1' + b', "a": 1' * (FULL // 8) + b"}",
        claims_with(aud=[f"a{number:07}" for number in range(FULL // 13)]),
        claims_with(sub="a" * FULL),
        claims_with(name="a" * FULL),
        claims_with(preferred_username="a" * FULL),
        claims_with(**{"wlcg.groups": ["/a" * (FULL // 2)]}),
        claims_with(**{"wlcg.groups": [f"/a{number:07}" for number in range(FULL // 14)]}),
        claims_with(**{"wlcg.groups": ["/cms"] * (FULL // 8)}),
    ],
    ids=range(12),
)
def test_tokens_are_read_in_bounded_time_when_they_are_as_large_as_can_be(payload: bytes) -> None:
    token = signed(HEADER, payload)
    assert 0.9 * MAX_LENGTH < len(token) <= MAX_LENGTH
    bounded(lambda: log_in(answer_with(token)))


def test_login_is_refused_when_the_token_is_too_large() -> None:
    token = signed(HEADER, claims_with(name="a" * (FULL + 20_000)))
    assert len(token) > MAX_LENGTH
    with pytest.raises(IdentityError) as caught:
        log_in(answer_with(token))
    assert caught.value.code == "token-malformed"


_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["ES256", "none", "HS256", "RS256", "es256", ""]) | _JSON,
        "kid": st.sampled_from(["k", "../../etc/passwd", "' or 1=1"]) | _JSON,
        "jku": st.just("https://evil.example/keys") | _JSON,
        "x5u": st.just("https://evil.example/chain") | _JSON,
        "jwk": st.just(KEYS["keys"][0]) | _JSON,
        "x5c": _JSON,
        "crit": st.just(["exp"]) | _JSON,
        "b64": st.booleans() | _JSON,
        "typ": _JSON,
        "zip": st.just("DEF"),
    },
)
_PAYLOADS = st.sampled_from(
    [
        json.dumps(GOOD).encode(),
        b'{"sub": "a", "sub": "b"}',
        b"[" * 100_000,
        b'{"exp": ' + b"9" * 100_000 + b"}",
        b'{"exp": 1e999}',
        b'{"exp": NaN}',
        b"\xff\xfe",
        b"null",
        b"",
        b'{"wlcg.groups": [' + b'"/a",' * 50_000 + b'"/b"]}',
    ]
)


@hostile
@given(_HEADERS, _PAYLOADS)
def test_only_our_errors_come_out_when_headers_are_hostile(
    header: dict[str, Any], payload: bytes
) -> None:
    token = signed(json.dumps(header).encode(), payload)
    bounded(lambda: log_in(answer_with(token)))
    bounded(lambda: verify_userinfo(token, KEYS, issuer=ISSUER, client_id="af-hub"))


@hostile
@given(st.data())
def test_no_changed_token_is_accepted(data: st.DataObject) -> None:
    good = signed(HEADER, json.dumps(GOOD).encode())
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    middle = data.draw(st.text(max_size=30) | st.just("A" * 1_100_000) | st.just("." * 1000))
    changed = good[:start] + middle + good[end:]
    if bounded(lambda: log_in(answer_with(changed))):
        # base64 has spare bits: the last character may change without meaning
        assert changed[:-1] == good[:-1]


@hostile
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "access_token",
                "token_type",
                "id_token",
                "refresh_token",
                "expires_in",
                "scope",
                "error",
                "error_description",
            ]
        ),
        _JSON,
    ),
    st.integers(400, 499),
)
def test_only_our_errors_come_out_when_answers_are_hostile(
    body: dict[str, Any], status: int
) -> None:
    good = signed(HEADER, json.dumps(GOOD).encode())
    bounded(lambda: log_in(answer_with(good) | {k: v for k, v in body.items() if k != "id_token"}))
    error = error_of(status, body)
    assert error.code
    str(error).encode()

    def parse() -> None:
        answer = TokenAnswer.parse(body | {"token_type": "Bearer"}, asked="", now=NOW)
        issuer_of(answer.access_token).encode("utf-8", "surrogatepass")
        json.dumps(answer.expires_at, allow_nan=False)

    bounded(parse)
