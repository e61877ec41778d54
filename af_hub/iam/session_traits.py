"""The settings of `IAMAuthenticator` that are about what comes after a login."""

from __future__ import annotations

from traitlets import Bool, Float, HasTraits, Integer


class SessionTraits(HasTraits):
    """How long a login is believed, and what ends it."""

    refresh_leeway = Float(
        300.0,
        min=0,
        config=True,
        help="""
        Seconds before the end of the access token at which it is refreshed: what a server or
        service is given lives at least that long. Default: five minutes.

        Keep it well below the lifetime of the provider's access tokens (INDIGO IAM: an hour), or
        each request is a refresh. It is also how long the provider may be away without anybody
        noticing.
        """,
    )

    min_token_lifetime = Float(
        60.0,
        min=0,
        config=True,
        help="""
        Seconds that the access token must live on for a server to start while the identity
        provider is away; otherwise the start is refused with a sentence that says so. Default: a
        minute. While the provider answers, each start gets a new token.
        """,
    )

    offline_grace = Float(
        3600.0,
        min=0,
        config=True,
        help="""
        Seconds after the end of the access token in which nobody is logged out because the
        identity provider does not answer. Default: an hour; running servers and pages work on,
        only storage asks for a token in vain.

        A provider that answers "this login is over" ends it at once, whatever is set here.
        """,
    )

    recheck_on_refresh = Bool(
        True,
        config=True,
        help="""
        Ask again who may log in whenever the login is refreshed, so that a lost group ends
        access (``group-not-allowed``). The stock authenticator asks at login only.

        Without it a lost group ends access at the next login; admin rights and JupyterHub groups
        follow the provider in any case.
        """,
    )

    group_check_interval = Float(
        600.0,
        min=1,
        config=True,
        help="""
        Seconds after which the identity provider is asked again about login and groups of an
        active user, spread by a tenth so that users do not ask at once. A start always asks.
        Default: ten minutes.

        It is how long a lost group or a disabled account goes unnoticed, and one call per user
        and interval. People who do nothing cause no calls.
        """,
    )

    revoke_on_logout = Bool(
        True,
        config=True,
        help="""
        Revoke the user's tokens at the identity provider at logout (RFC 7009): those of the login
        and those that servers and services have got.

        Without it the hub only forgets them, and what was given out works until it expires. The
        browser's own login at the provider lives on in either case; the page says so.
        """,
    )

    enable_auth_state = Bool(
        True,
        config=True,
        help="""
        Keep the login's tokens in the hub's database, encrypted. Needed: without it there is no
        refresh, no broker and no pin. Set ``JUPYTERHUB_CRYPT_KEY`` or ``CryptKeeper.keys``.
        """,
    )

    auth_refresh_age = Integer(
        60,
        config=True,
        help="""
        Seconds after which a request looks at the user's login again. The look is free while the
        token is fresh and `group_check_interval` has not passed.
        """,
    )
