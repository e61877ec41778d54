"""Users of a hub who have all logged in, written into the databases of hub and identity provider.

A thousand logins by browser would take minutes.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from jupyterhub import orm
from tornado.web import create_signed_value

from af_hub.iam.session import Login
from testbed.logins import expired_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.iam_hub import Hub

COOKIE = "jupyterhub-hub-login"
"""Name of the hub's cookie."""


def add_crowd(
    hub: Hub,
    count: int,
    *,
    browsers: bool = False,
    state: Callable[[Login], dict[str, Any]] = Login.to_state,
) -> list[dict[str, str]]:
    """Give a stopped hub users whose access tokens have just expired.

    Parameters
    ----------
    hub
        It has run before, so that it has a database.
    count
        Users.
    browsers
        Whether they have browsers, instead of tokens of servers.
    state
        Makes the auth_state of a login.

    Returns
    -------
    list
        Headers of a request of each.
    """
    store = hub.iam.people()
    bob = store.person(username="bob")
    assert bob is not None
    cipher, db = _cipher(hub), _database(hub)
    cookie_secret = bytes.fromhex((hub.root / "cookie-secret").read_text(encoding="ascii"))
    headers = []
    with store.transaction(), db.no_autoflush:
        for number in range(count):
            refresh, api = secrets.token_hex(16), secrets.token_hex(16)
            login = expired_login(store, bob, hub.iam.issuer, refresh)
            user = orm.User(name=f"crowd-{number}")
            user.encrypted_auth_state = cipher.encrypt(json.dumps(state(login)).encode())
            user.cookie_id = secrets.token_hex(16)
            db.add(user)
            if browsers:
                cookie = create_signed_value(cookie_secret, COOKIE, user.cookie_id).decode()
                headers.append({"Cookie": f"{COOKIE}={cookie}"})
                continue
            token = orm.APIToken(client_id="jupyterhub", scopes=["inherit"], note="")
            token.generated = True  # its hash is a quick one then
            token.token = api
            db.add(token)
            token.user = user
            headers.append({"Authorization": f"token {api}"})
    db.commit()
    db.get_bind().dispose()
    db.close()
    store.close()
    return headers


def make_fresh(hub: Hub) -> None:
    """Let all logins of a stopped hub be as just after a refresh: nothing is due for long."""
    cipher, db = _cipher(hub), _database(hub)
    for user in db.query(orm.User):
        if user.encrypted_auth_state is None:
            continue
        state = json.loads(cipher.decrypt(user.encrypted_auth_state))
        state |= {"expires_at": time.time() + 3600, "checked_at": time.time()}
        user.encrypted_auth_state = cipher.encrypt(json.dumps(state).encode())
    db.commit()
    db.get_bind().dispose()
    db.close()


def _cipher(hub: Hub) -> Fernet:
    key = json.loads((hub.root / "settings.json").read_text(encoding="utf-8"))["crypt_key"]
    return Fernet(base64.urlsafe_b64encode(bytes.fromhex(key)))


def _database(hub: Hub) -> Any:
    return orm.new_session_factory(f"sqlite:///{hub.root}/hub.sqlite")()
