"""Verification of tokens: whatever is wrong is refused, by its own code."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from af_hub.errors import IdentityError
from af_hub.iam.signature import UnknownKeyError
from af_hub.iam.verify import verify_access_token, verify_id_token

NOW = 1_800_000_000.0
ISSUER = "https://iam.example/"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {
    "keys": [
        # like IAM's: no alg, no use
        {**_, "kid": kid}
        for kid, _ in {
            "rsa": RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True),
            "ec": ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True),
        }.items()
    ]
}
for key in KEYS["keys"]:
    key.pop("key_ops", None)


def claims(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": ISSUER,
        "sub": "alice-sub",
        "aud": "af-hub",
        "iat": int(NOW),
        "exp": int(NOW) + 600,
        "nonce": "n",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(
    payload: dict[str, Any], key: Any = RSA_KEY, alg: str = "RS256", kid: str | None = "rsa"
) -> str:
    # JWS, not JWT: PyJWT's JWT layer refuses to write the claims that the tests are about
    return jwt.api_jws.encode(
        json.dumps(payload).encode(), key, algorithm=alg, headers={"kid": kid} if kid else None
    )


def verify(token: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "issuer": ISSUER,
        "client_id": "af-hub",
        "nonce": "n",
        "now": NOW,
    } | changes
    return verify_id_token(token, KEYS, **given)


def code_of(token: str, **changes: Any) -> str:
    with pytest.raises(IdentityError) as caught:
        verify(token, **changes)
    assert token not in repr(caught.value) + str(caught.value) + caught.value.detail
    return caught.value.code


def test_token_is_accepted_when_everything_is_right() -> None:
    assert verify(sign(claims()))["sub"] == "alice-sub"
    assert verify(sign(claims(), EC_KEY, "ES256", "ec"))["sub"] == "alice-sub"


def test_token_is_accepted_when_only_the_issuers_slash_differs() -> None:
    assert verify(sign(claims(iss=ISSUER.rstrip("/"))))
    assert code_of(sign(claims(iss=ISSUER + "/"))) == "token-issuer"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://evil.example/"}, "token-issuer"),
        ({"iss": None}, "token-issuer"),
        ({"sub": None}, "token-claims"),
        ({"sub": ""}, "token-claims"),
        ({"aud": "somebody"}, "token-audience"),
        ({"aud": None}, "token-audience"),
        ({"aud": ["af-hub", "untrusted"]}, "token-audience"),
        ({"aud": []}, "token-audience"),
        ({"azp": "somebody"}, "token-azp"),
        ({"nonce": "replayed"}, "token-nonce"),
        ({"nonce": None}, "token-nonce"),
        ({"exp": None}, "token-claims"),
        ({"exp": int(NOW) - 61}, "token-expired"),
        ({"exp": float("nan")}, "token-claims"),
        ({"exp": True}, "token-claims"),
        ({"iat": None}, "token-claims"),
        ({"iat": int(NOW) + 600}, "token-clock"),
        ({"iat": int(NOW) - 600}, "token-clock"),
        ({"nbf": int(NOW) + 3600}, "token-not-yet-valid"),
    ],
)
def test_token_is_refused_when_a_claim_is_wrong(changes: dict[str, Any], code: str) -> None:
    assert code_of(sign(claims(**changes))) == code


@pytest.mark.parametrize("skew", [-30, 30])
def test_token_is_accepted_when_clocks_differ_by_half_a_minute(skew: int) -> None:
    assert verify(sign(claims(exp=int(NOW) + 1, nbf=int(NOW))), now=NOW + skew)


def test_token_is_refused_when_the_signature_is_of_another_key() -> None:
    assert code_of(sign(claims(), OTHER_KEY)) == "token-signature"


def test_token_is_refused_when_a_claim_was_changed_after_signing() -> None:
    head, _, signature = sign(claims()).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(sub="bob")).encode()).rstrip(b"=").decode()
    assert code_of(f"{head}.{body}.{signature}") == "token-signature"


def test_token_is_refused_when_it_is_not_signed() -> None:
    assert code_of(jwt.encode(claims(), "", algorithm="none")) == "token-algorithm"


def test_token_is_refused_when_the_public_key_is_used_as_a_secret() -> None:
    pem = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # by hand: PyJWT refuses to make such a token
    parts = [{"alg": "HS256", "kid": "rsa"}, claims()]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
    digest = hmac.digest(pem, signed, "sha256")
    token = f"{signed.decode()}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    assert code_of(token) == "token-algorithm"


def test_unknown_key_is_told_apart_when_the_key_may_have_been_rotated() -> None:
    with pytest.raises(UnknownKeyError):
        verify(sign(claims(), kid="new"))


def test_key_is_found_without_id_when_only_one_fits() -> None:
    assert verify(sign(claims(), kid=None))
    twice = {"keys": [*KEYS["keys"], {**KEYS["keys"][0], "kid": "rsa2"}]}
    with pytest.raises(UnknownKeyError):
        verify_id_token(sign(claims(), kid=None), twice, issuer=ISSUER, client_id="af-hub", now=NOW)


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"kid": "other"}])
def test_key_is_not_used_when_it_is_for_something_else(change: dict[str, str]) -> None:
    keys = {"keys": [KEYS["keys"][0] | change]}
    with pytest.raises(UnknownKeyError):
        verify_id_token(sign(claims()), keys, issuer=ISSUER, client_id="af-hub", now=NOW)


def test_token_is_refused_when_it_has_extensions_that_must_be_understood() -> None:
    body = json.dumps(claims()).encode()
    header = {"kid": "rsa", "crit": ["exp"]}
    token = jwt.api_jws.encode(body, RSA_KEY, algorithm="RS256", headers=header)
    # newer versions of PyJWT refuse by themselves, before we look
    assert code_of(token) in {"token-malformed", "token-algorithm"}


def test_token_is_refused_when_it_is_not_ascii() -> None:
    assert code_of(sign(claims()) + "é") == "token-malformed"


def test_nonce_may_be_missing_when_the_token_comes_from_a_refresh() -> None:
    assert verify(sign(claims(nonce=None)), nonce=None)


def access(token: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"issuer": ISSUER, "audience": "https://storage", "now": NOW} | changes
    return verify_access_token(token, KEYS, **given)


def test_access_token_is_accepted_when_one_of_its_audiences_fits() -> None:
    assert access(sign(claims(aud=["https://x", "https://storage"])))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://other"}, "token-audience"),
        ({"aud": None}, "token-audience"),
        ({"iss": ISSUER.rstrip("/")}, "token-issuer"),  # bytes are compared here
        ({"exp": int(NOW) - 61}, "token-expired"),
        ({"nbf": int(NOW) + 61}, "token-not-yet-valid"),
        ({"iat": int(NOW) + 61}, "token-not-yet-valid"),
    ],
)
def test_access_token_is_refused_when_a_claim_is_wrong(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(IdentityError) as caught:
        access(sign(claims(**({"aud": "https://storage"} | changes))))
    assert caught.value.code == code


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_only_our_errors_come_out_when_the_token_is_garbage(token: str) -> None:
    with pytest.raises(IdentityError):
        verify(token)


@given(st.sampled_from(["iss", "sub", "aud", "azp", "nonce", "exp", "iat", "nbf"]), _JSON)
def test_only_our_errors_come_out_when_a_claim_is_hostile(name: str, value: Any) -> None:
    with contextlib.suppress(IdentityError):
        verify(sign(claims() | {name: value}))


@given(_JSON, _JSON)
def test_only_our_errors_come_out_when_header_and_keys_are_hostile(header: Any, keys: Any) -> None:
    part = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    with pytest.raises(IdentityError):
        verify_id_token(
            f"{part}.e30.AAAA", {"keys": keys}, issuer=ISSUER, client_id="af-hub", now=NOW
        )
