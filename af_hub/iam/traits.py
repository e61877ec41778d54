"""The settings of `IAMAuthenticator`."""

from __future__ import annotations

from typing import Any, cast

from traitlets import (
    Bool,
    Callable,
    Dict,
    Enum,
    List,
    Set,
    TraitError,
    Unicode,
    Union,
    default,
    validate,
)

from af_hub.iam.claims import PROFILES
from af_hub.iam.groups import STORED_LIMIT, check_pattern
from af_hub.iam.names import is_encrypted
from af_hub.iam.session_traits import SessionTraits
from af_hub.iam.signature import ALGORITHMS

_PROFILE_SCOPES = {"wlcg": ("wlcg.groups",), "aarc": ("eduperson_entitlement",)}


class IAMTraits(SessionTraits):
    """Settings, each with its reason; `IAMAuthenticator` adds what it inherits."""

    issuer = Unicode(
        config=True,
        help="""
        Address of the identity provider, as in its discovery document, for example
        ``https://cms-auth.cern.ch/``. Everything else about it is read from
        ``/.well-known/openid-configuration`` below it.

        Whether it ends in a slash makes no difference: INDIGO IAM writes both forms. It must be
        https (http on loopback only): whoever can change its answers can log in as anybody.
        """,
    )

    access_token_issuer = Unicode(
        config=True,
        help="""
        ``iss`` of access tokens, byte for byte, where it differs from `issuer`.

        XRootD, HTCondor and Rucio compare bytes. Empty (default): learnt from each token.
        """,
    )

    client_id_file = Unicode(
        config=True,
        help="File that holds the client id; an alternative to `client_id`.",
    )

    client_secret_file = Unicode(
        config=True,
        help="""
        File that holds the client secret; an alternative to `client_secret`. It is read for
        each request, so that a secret can be replaced without a restart.
        """,
    )

    ca_file = Unicode(
        config=True,
        help="""
        PEM file of the certificate authorities that may vouch for the identity provider.
        Empty (default): the system's.
        """,
    )

    token_profile = Enum(
        list(PROFILES),
        default_value="auto",
        config=True,
        help="""
        How the identity provider writes groups into tokens: INDIGO IAM's token profile of this
        client.

        - ``iam``: claim ``groups``, ``cms/uscms``
        - ``wlcg``: claim ``wlcg.groups``, ``/cms/uscms``
        - ``aarc``: entitlement URNs, ``urn:…:group:cms:uscms``
        - ``kc``: claim ``roles``
        - ``auto`` (default): told from the claims that are there

        All become one form, ``/cms/uscms``. A missing claim means no groups. A claim of the
        wrong form refuses the login, it is never repaired. With ``wlcg`` and ``aarc`` the
        profile's scope is asked for.
        """,
    )

    allowed_groups = Set(
        Unicode(),
        config=True,
        help="""
        Who may log in: ``/cms`` (members of exactly that group), ``/cms/*`` (of a group one
        level below), ``/cms/**`` (of a group on any level below).

        Names are compared byte by byte. A child does not imply its parent.
        """,
    )

    admin_groups = Set(
        Unicode(),
        config=True,
        help="""
        Who administers the hub; patterns as in `allowed_groups`.

        If set, admin rights come and go with the groups, except for users in `admin_users`.
        """,
    )

    stored_groups = List(
        Unicode(),
        default_value=["/**"],
        config=True,
        help=f"""
        Which groups become JupyterHub groups; patterns as in `allowed_groups`. Default: all.

        JupyterHub reads all groups of a user at each request, so at most {STORED_LIMIT} of a user are
        stored: first those that a pattern names exactly (here, in `allowed_groups` or in
        `admin_groups`), then the others in their alphabetical order. Set it where people have
        more. Rules of login and profiles look at all groups, whatever is stored.
        """,
    )

    username_claim = Union(
        [Unicode(), Callable()],
        default_value="preferred_username",
        config=True,
        help="""
        Which claim of ID token or userinfo becomes the hub user name, or a function of all the
        claims that returns it. Default: ``preferred_username``, as INDIGO IAM writes it.

        Names are made lower case. Other characters than ``a-z 0-9 . _ @ + -`` or more than 63 are
        refused, not replaced: a replacement could be somebody else's name. ``sub`` is safe with
        any provider, but nobody can read it. Whoever logs in first keeps the name, see
        `pin_subject`.
        """,
    )

    pin_subject = Bool(
        True,
        config=True,
        help="""
        Tie each hub user to the identity (issuer and subject) that first used the name.

        User names of an identity provider can change and come back to somebody else, who would
        get the former one's files; with the pin that login is refused (``name-taken``). The pin
        outlives logouts. To give a name away on purpose, delete the hub user. Switch it off only
        for as long as it takes to move to another identity provider, whose subjects are new.
        """,
    )

    id_token_algs = List(
        Unicode(),
        default_value=list(ALGORITHMS),
        config=True,
        help="""
        Signature algorithms of ID tokens (``alg``) that are accepted. Default: ``RS256`` and
        ``ES256``, which the WLCG profile makes mandatory; INDIGO IAM signs with ``RS256``.

        ``none`` and ``HS*`` are refused here: the first is no signature, for the others a public
        key is no secret.
        """,
    )

    token_audiences = Dict(
        config=True,
        help="""
        Access tokens that servers and services may ask the hub for:
        ``{name: {"audience": …, "scope": …, "method": "exchange"}}``.

        ``exchange`` (default) is RFC 8693 token exchange of the hub's client with itself; the
        client needs that grant type. ``refresh`` is the refresh grant with a narrower scope; it
        works only with a provider that does not rotate refresh tokens. The scopes are also asked
        for at login, since INDIGO IAM exchanges only what the login token has.
        """,
    )

    token_services = Dict(
        config=True,
        help="""
        Hub services that may get tokens on a user's behalf:
        ``{service: {"audiences": [name, …]}}``. The service also needs the scope
        ``custom:af:token:<service>``, see `af_hub.iam.scopes`.
        """,
    )

    extra_routes: List[Any] = List(
        config=True,
        help="""
        Further routes of the hub, ``(pattern, handler)`` or ``(pattern, handler, settings)``
        with patterns below ``/hub``. `af_hub.configure` puts ``/api/af/lab`` here, since
        ``JupyterHub.extra_handlers`` is deprecated.
        """,
    )

    # --- other defaults than the base classes' ---

    manage_groups = Bool(True, config=True, help="Whether groups become JupyterHub groups.")

    @default("login_service")
    def _default_login_service(self) -> str:
        return "IAM"

    @default("scope")
    def _default_scope(self) -> list[str]:
        wanted = ["openid", "profile", "email", "offline_access"]
        wanted += _PROFILE_SCOPES.get(str(self.token_profile), ())
        for audience in self.token_audiences.values():
            wanted += audience.get("scope", "").split()
        return list(dict.fromkeys(wanted))

    @validate("issuer")
    def _issuer(self, proposal: Any) -> str:
        if proposal.value and not is_encrypted(proposal.value):
            raise TraitError("issuer: an https address is needed")
        return str(proposal.value)

    @validate("allowed_groups", "admin_groups", "stored_groups")
    def _patterns(self, proposal: Any) -> Any:
        for pattern in proposal.value:
            try:
                check_pattern(pattern)
            except ValueError as error:
                raise TraitError(f"{proposal.trait.name}: {error}") from None
        return proposal.value

    @validate("id_token_algs")
    def _algorithms(self, proposal: Any) -> list[str]:
        accepted = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256"}
        wrong = sorted(set(proposal.value) - accepted)
        if wrong or not proposal.value:
            raise TraitError(
                f"id_token_algs: {wrong or 'an empty list'} is not safe for ID tokens; "
                f"choose from {sorted(accepted)}"
            )
        return cast("list[str]", proposal.value)

    @validate("token_audiences")
    def _audiences(self, proposal: Any) -> dict[str, Any]:
        for name, entry in proposal.value.items():
            keys = set(entry) if isinstance(entry, dict) else set()
            if not {"audience", "scope"} <= keys <= {"audience", "scope", "method"}:
                raise TraitError(
                    f"token_audiences[{name!r}] needs audience and scope, may have method"
                )
            if entry.get("method", "exchange") not in {"exchange", "refresh"}:
                raise TraitError(f"token_audiences[{name!r}].method is exchange or refresh")
        return cast("dict[str, Any]", proposal.value)
