"""Groups of the four token profiles in one form, patterns, names, provider errors."""

from __future__ import annotations

import contextlib
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.errors import IAMUnavailable, IdentityError, SessionOver
from af_hub.iam.answers import error_of, scrub
from af_hub.iam.claims import groups_of, identity_of
from af_hub.iam.groups import check_pattern, is_group, matches, matches_any, select
from af_hub.iam.names import hub_name, names_of


@pytest.mark.parametrize("profile", ["auto", "explicit"])
@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("wlcg", {"wlcg.groups": ["/cms/uscms", "/cms"]}),
        ("iam", {"groups": ["cms/uscms", "cms"]}),
        ("kc", {"roles": ["cms", "cms/uscms"]}),
        (
            "aarc",
            {
                "eduperson_entitlement": [
                    "urn:geant:x:group:cms#iam.example",
                    "urn:geant:x:group:cms:uscms",
                    "urn:geant:x:group:cms:role=member",
                    "https://not.a.group/",
                ]
            },
        ),
    ],
)
def test_groups_have_one_form_when_profiles_differ(
    name: Any, claims: dict[str, Any], profile: str
) -> None:
    assert groups_of(claims, name if profile == "explicit" else "auto") == ("/cms", "/cms/uscms")


@pytest.mark.parametrize("profile", ["auto", "iam", "wlcg", "aarc", "kc"])
def test_groups_are_empty_when_the_claim_is_missing(profile: Any) -> None:
    assert groups_of({"sub": "x", "scope": "wlcg.groups:/cms"}, profile) == ()


@pytest.mark.parametrize(
    "value",
    [
        "/cms",
        {"/cms": 1},
        ["/cms", 7],
        ["/cms", None],
        ["cms"],
        ["/cms\n"],
        ["/cms/../x"],
        ["/"],
        1,
    ],
)
def test_groups_are_refused_when_the_claim_is_malformed(value: Any) -> None:
    with pytest.raises(IdentityError) as caught:
        groups_of({"wlcg.groups": value})
    assert caught.value.code == "groups-malformed"


@pytest.mark.parametrize("version", ["2.0", "0.9", "1", "1.", "1.x", "01.0", "1.0\n", "", 1.0, []])
def test_token_is_refused_when_its_major_version_is_unknown(version: object) -> None:
    assert groups_of({"wlcg.ver": "1.9", "wlcg.groups": ["/cms"]}) == ("/cms",)
    with pytest.raises(IdentityError) as caught:
        groups_of({"wlcg.ver": version, "wlcg.groups": ["/cms"]})
    assert caught.value.code == "profile-version"


def test_identity_is_refused_when_the_name_claim_is_missing() -> None:
    with pytest.raises(IdentityError) as caught:
        identity_of({"iss": "i", "sub": "s"}, username_claim="preferred_username")
    assert caught.value.code == "claims-malformed"


@pytest.mark.parametrize(
    ("group", "pattern", "expected"),
    [
        ("/cms", "/cms", True),
        ("/cms/uscms", "/cms", False),
        ("/CMS", "/cms", False),
        ("/cms/uscms", "/cms/*", True),
        ("/cms/uscms/x", "/cms/*", False),
        ("/cms/uscms/x", "/cms/**", True),
        ("/cms", "/cms/**", False),
        ("/cms-x", "/cms/**", False),
        ("/cms", "/*", True),
        ("/cms/uscms", "/**", True),
    ],
)
def test_pattern_matches_by_component(group: str, pattern: str, expected: bool) -> None:
    assert matches(group, check_pattern(pattern)) is expected
    assert matches_any([group], [pattern]) is expected


@pytest.mark.parametrize(
    "pattern", ["", "cms", "/cms/", "/cms*", "/cms/***", "/*/cms", "//", "/cms\n"]
)
def test_pattern_is_refused_when_it_is_none(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a group pattern"):
        check_pattern(pattern)


_COMPONENT = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,5}", fullmatch=True)
_GROUP = st.lists(_COMPONENT, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(_GROUP, _GROUP)
def test_patterns_divide_the_tree_when_groups_are_arbitrary(group: str, base: str) -> None:
    below = group.startswith(base + "/")
    assert matches(group, f"{base}/**") is below
    assert matches(group, f"{base}/*") is (below and group.count("/") == base.count("/") + 1)
    assert is_group(group)


def test_groups_are_selected_quickly_when_there_are_ten_thousand() -> None:
    groups = [f"/cms/g{number}" for number in range(10_000)]
    assert len(select(groups, [*groups, "/atlas/**"])) == 10_000


@pytest.mark.parametrize("name", ["", "a/b", "..", "älice", "x" * 64, "a b", "-x", "alice\n", "ﬁ"])
def test_user_name_is_refused_when_it_is_unusable(name: str) -> None:
    with pytest.raises(IdentityError):
        hub_name(name)


# with half characters, which JSON can carry, and which `st.text` leaves out
_ANY = st.lists(st.characters() | st.sampled_from("\ud800\udfff"), max_size=20).map("".join)
_PERSON = st.tuples(_ANY, _ANY)


@st.composite
def _near(draw: st.DrawFn) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return two persons, alike as those are who want to be taken for each other."""
    iss, sub = draw(_PERSON)
    text = iss + sub
    cut = draw(st.integers(0, len(text)))
    form: Any = draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    other = draw(
        st.sampled_from(
            [
                (text[:cut], text[cut:]),
                (unicodedata.normalize(form, iss), unicodedata.normalize(form, sub)),
                (iss.casefold(), sub.casefold()),
                (iss, sub + "\0"),
                (iss + "/", sub),
                (iss, "/" + sub),
                (sub, iss),
            ]
        )
    )
    return (iss, sub), other


@st.composite
def _joined(draw: st.DrawFn) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return two persons who are one where issuer and subject are only put together by a mark."""
    one, two, three = draw(_ANY), draw(_ANY), draw(_ANY)
    mark = draw(st.sampled_from("/:#|@ \0\n"))
    return (one + mark + two, three), (one, two + mark + three)


@given(st.tuples(_PERSON, _PERSON) | _near() | _joined())
def test_names_differ_when_persons_differ(
    persons: tuple[tuple[str, str], tuple[str, str]],
) -> None:
    one, two = (names_of(iss, sub, "alice") for iss, sub in persons)
    same = len({(iss.removesuffix("/"), sub) for iss, sub in persons}) == 1
    assert (one.slug == two.slug) is same
    assert (one.account == two.account) is same
    assert (one.ledger == two.ledger) is same


@given(_ANY | st.from_regex(r"[A-Za-z0-9._@+-]{1,70}", fullmatch=True), _ANY)
def test_user_names_are_kept_but_for_case_or_refused(name: str, suffix: str) -> None:
    for username in (name, name + suffix, unicodedata.normalize("NFKC", name)):
        try:
            made = hub_name(username)
        except IdentityError as error:
            assert error.code == "name-not-usable"  # noqa: PT017  both ends are right
        else:
            # nothing is replaced or left out: other names cannot become this one
            assert len(made) == len(username)
            assert made == username.lower()
            assert made.isascii()
            assert "/" not in made


@given(_ANY, _ANY)
def test_names_never_crash_when_text_is_arbitrary(iss: str, sub: str) -> None:
    with contextlib.suppress(IdentityError):
        names_of(iss, sub, sub)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "invalid_grant"}, SessionOver, "login-over"),
        (
            401,
            {"error": "invalid_token", "error_description": "Invalid refresh token: x"},
            SessionOver,
            "login-over",
        ),
        (
            401,
            {"error": "unauthorized", "error_description": "User alice is not active."},
            SessionOver,
            "account-disabled",
        ),
        (
            400,
            {
                "error": "invalid_request",
                "error_description": "There is no 'user' for this token.",
            },
            SessionOver,
            "account-disabled",
        ),
        (
            400,
            {"error": "invalid_request", "error_description": "Missing 'refresh_token'"},
            IAMUnavailable,
            "iam-refused-hub",
        ),
        (
            401,
            {"error": "unauthorized", "error_description": "Bad credentials"},
            IAMUnavailable,
            "iam-refused-hub",
        ),
        (401, {"error": "invalid_client"}, IAMUnavailable, "iam-refused-hub"),
        (
            400,
            {"error": "invalid_grant", "error_description": "User alice needs to sign AUP for x"},
            SessionOver,
            "aup-not-signed",
        ),
        (400, {"error": "invalid_scope"}, IdentityError, "token-not-granted"),
        (403, {}, IAMUnavailable, "iam-refused-hub"),
    ],
)
def test_refusals_are_told_apart_when_iam_answers(
    status: int, body: dict[str, str], kind: type[Exception], code: str
) -> None:
    error = error_of(status, body)
    assert type(error) is kind
    assert error.code == code


@given(st.text(alphabet=st.characters(codec="utf-8")), st.binary(min_size=30, max_size=60))
def test_no_token_is_left_when_foreign_text_is_scrubbed(text: str, token: bytes) -> None:
    secret = token.hex()
    assert secret not in scrub(f"{text} {secret} {text}")
    assert "\n" not in scrub(text)
