"""Whose server a token belongs to."""

from __future__ import annotations

import hmac
from typing import Any

from jupyterhub.utils import compare_token


def server_of(user: Any, token: str) -> Any | None:
    """Find the running server that was started with a token.

    A user can make any number of tokens with a server's scopes and note, so neither tells. The
    hub keeps a server's token also as the secret of the server's OAuth client, hashed, and that
    survives a restart of the hub.

    Parameters
    ----------
    user
        JupyterHub's user, the token's owner.
    token
        The token as it was sent.

    Returns
    -------
    Spawner or None
        The spawner of the active server, or None: the token is not a server's.
    """
    active = [spawner for spawner in user.spawners.values() if spawner.active]
    for spawner in active:
        if spawner.api_token and hmac.compare_digest(spawner.api_token.encode(), token.encode()):
            return spawner
    # only after a restart: each comparison hashes for some milliseconds
    for spawner in active:
        client = spawner.orm_spawner.oauth_client
        secret = None if spawner.api_token or client is None else client.secret
        if secret and compare_token(secret, token):
            return spawner
    return None
