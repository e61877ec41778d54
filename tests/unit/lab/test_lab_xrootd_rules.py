"""What may be asked of which XRootD server, what its refusals mean, what its worker may know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.data.xrootd.environment import environment
from af_labextension.data.xrootd.rules import failure_of, lists_with_stat


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("v5.5.3", False),
        ("v5.8.1", False),
        ("v5.8.2", True),
        ("5.10.0", True),
        ("v5.8.2-rc1", True),
        ("v5.8", False),
        ("v6.0", True),
        ("v6.2.0\n", True),
        ("v20260101-abcdef", False),
        ("", False),
        ("version", False),
        ("v5.8.2x", False),
    ],
)
def test_sizes_are_listed_only_when_the_version_is_known_to_be_quick(
    version: str, expected: bool
) -> None:
    assert lists_with_stat(version) is expected


@given(st.text())
def test_any_version_text_is_taken(version: str) -> None:
    assert lists_with_stat(version) in {True, False}


@pytest.mark.parametrize(
    ("code", "errno", "reason"),
    [
        (204, 0, "token"),
        (110, 11, "tls"),
        (108, 0, "unreachable"),
        (206, 0, "silent"),
        (400, 3010, "not-allowed"),
        (400, 3011, "not-there"),
        (400, 3030, "token"),
        (400, 3012, "other"),
        (108, 3010, "unreachable"),
        (999, 0, "other"),
    ],
)
def test_a_status_has_its_reason(code: int, errno: int, reason: str) -> None:
    failure = failure_of(code, errno, "x" * 1000)
    assert failure.reason == reason
    assert len(failure.detail) < 400


def test_a_worker_gets_none_of_the_labs_secrets() -> None:
    surroundings = {
        "PATH": "/bin",
        "X509_CERT_DIR": "/certs",
        "X509_USER_PROXY": "/proxy",
        "XRD_NETWORKSTACK": "IPv4",
        "XRD_LOGLEVEL": "Dump",
        "JUPYTERHUB_API_TOKEN": "secret",
        "BEARER_TOKEN": "secret",
        "BEARER_TOKEN_FILE": "/somewhere",
    }
    kept = environment(surroundings, with_token=True)
    assert {"PATH", "X509_CERT_DIR", "XRD_NETWORKSTACK"} < set(kept)
    assert not {"XRD_LOGLEVEL", "X509_USER_PROXY", "BEARER_TOKEN", "BEARER_TOKEN_FILE"} & set(kept)
    assert "secret" not in kept.values()
    assert kept["XrdSecPROTOCOL"] == "ztn"


def test_no_token_goes_to_a_door_that_wants_none() -> None:
    assert "ztn" not in environment({}, with_token=False)["XrdSecPROTOCOL"]
