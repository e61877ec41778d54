"""From an answer of the token endpoint to a login that may be believed."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from af_hub.errors import IdentityError
from af_hub.iam.claims import TokenProfile, groups_of, identity_of
from af_hub.iam.names import same_issuer
from af_hub.iam.session import Login
from af_hub.iam.signature import refused
from af_hub.iam.verify import verify_id_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_hub.iam.discovery import Issuer
    from af_hub.iam.tokens import TokenAnswer, TokenEndpoint

_COMPUTED_NAME = "af_username"


class LoginReader:
    """Verifies the ID token of each answer and reads person and groups.

    Parameters
    ----------
    provider, endpoint
        The identity provider.
    client_id
        Who the ID tokens must be for.
    profile
        How groups are written.
    username_claim
        Name of the claim with the user name, or a function of the claims.
    algorithms
        Accepted signature algorithms.
    """

    def __init__(
        self,
        provider: Issuer,
        endpoint: TokenEndpoint,
        *,
        client_id: str,
        profile: TokenProfile,
        username_claim: str | Callable[[dict[str, Any]], str],
        algorithms: tuple[str, ...],
    ) -> None:
        self._provider = provider
        self._endpoint = endpoint
        self._client_id = client_id
        self._profile = profile
        self._username_claim = username_claim
        self._algorithms = algorithms

    async def first(
        self, answer: TokenAnswer, *, nonce: str, code: str | None = None
    ) -> tuple[str, Login]:
        """Return claimed user name and login after the code was redeemed.

        Parameters
        ----------
        answer
            What the token endpoint answered.
        nonce
            What the browser's login was started with.
        code
            What was redeemed; ``c_hash`` must be of it if there is one.

        Raises
        ------
        IdentityError
            Something is wrong with a token or a claim.
        IAMUnavailable
            Keys or userinfo cannot be had.
        """
        if not nonce:  # it must not switch the check off
            raise refused("nonce")
        claims = await self._verified(answer, nonce, code)
        more = await self._endpoint.userinfo(answer.access_token, sub=str(claims["sub"]))
        # signed claims win; INDIGO IAM's wlcg profile has the user name in userinfo only
        everything = {**more, **claims}
        claim = self._username_claim
        if not isinstance(claim, str):
            everything[_COMPUTED_NAME], claim = _computed(claim, everything), _COMPUTED_NAME
        identity = identity_of(everything, profile=self._profile, username_claim=claim)
        by_userinfo = bool(identity.groups) and not groups_of(claims, self._profile)
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
            checked_at=time.time(),
            by_userinfo=by_userinfo,
        )
        return identity.username, login

    async def again(self, old: Login, answer: TokenAnswer) -> Login:
        """Return the login after a refresh: the same person, groups as of now.

        Raises
        ------
        IdentityError
            ``identity-changed``, or something is wrong with a token or a claim.
        IAMUnavailable
            Keys or userinfo cannot be had.
        """
        claims: dict[str, Any] = {"iss": old.iss, "sub": old.sub}
        if answer.id_token is not None:
            claims = await self._verified(answer, None)
        if claims["sub"] != old.sub or not same_issuer(str(claims["iss"]), old.iss):
            raise IdentityError(
                "identity-changed",
                "The identity provider answered for another person. Please log in again.",
            )
        if old.by_userinfo or answer.id_token is None:
            more = await self._endpoint.userinfo(answer.access_token, sub=old.sub)
            claims = {**more, **claims}
        return replace(
            old,
            access_token=answer.access_token,
            id_token=answer.id_token or old.id_token,
            expires_at=answer.expires_at,
            scope=answer.scope or old.scope,
            groups=groups_of(claims, self._profile),
            checked_at=time.time(),
        )

    async def _verified(
        self, answer: TokenAnswer, nonce: str | None, code: str | None = None
    ) -> dict[str, Any]:
        if answer.id_token is None:
            raise IdentityError(
                "token-missing", "The identity provider did not say who you are. Please try again."
            )
        return await self._provider.check(
            partial(
                verify_id_token,
                answer.id_token.reveal(),
                issuer=self._provider.issuer,
                client_id=self._client_id,
                nonce=nonce,
                access_token=answer.access_token.reveal(),
                code=code,
                algorithms=self._algorithms,
            )
        )


def _computed(name_of: Callable[[dict[str, Any]], str], claims: dict[str, Any]) -> str:
    """Call the facility's function of the claims; it may not have met such claims."""
    try:
        return name_of(dict(claims))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise IdentityError(
            "claims-malformed",
            "This facility could not make a user name of your identity provider's answer. "
            "Please tell the facility's support.",
            f"username_claim raised {type(error).__name__}",
        ) from None
