"""The process of `testbed.canaille`: Canaille over https, its people and groups in memory.

Called with one argument, a file of `ServerSettings` in JSON.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server as WSGIServer
from joserfc.jwk import RSAKey


@dataclass(frozen=True)
class ServerSettings:
    """What the process must know.

    Parameters
    ----------
    port
        Of 127.0.0.1.
    certificate, key
        Files for TLS.
    secret
        Signs Canaille's cookies.
    password
        Of everybody.
    people
        User names and the groups of each.
    """

    port: int
    certificate: str
    key: str
    secret: str
    password: str
    people: dict[str, list[str]]


def configuration(settings: ServerSettings) -> dict[str, Any]:
    """Return Canaille's settings: its defaults, but for these."""
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    return {
        "SECRET_KEY": settings.secret,
        "SERVER_NAME": f"127.0.0.1:{settings.port}",
        "PREFERRED_URL_SCHEME": "https",
        "CANAILLE": {
            "DATABASE": "memory",
            "JAVASCRIPT": False,
            "ACL": {
                "DEFAULT": {"PERMISSIONS": ["use_oidc", "edit_self", "manage_own_groups"]},
                "ADMIN": {"FILTER": {"user_name": "dora"}, "PERMISSIONS": ["manage_users"]},
            },
        },
        "CANAILLE_OIDC": {
            "DYNAMIC_CLIENT_REGISTRATION_OPEN": True,
            "ACTIVE_JWKS": [key.as_dict(private=True)],
            "TRUSTED_DOMAINS": [],
            # the default is the display name, which anybody may change
            "USERINFO_MAPPING": {"PREFERRED_USERNAME": "{{ user.user_name }}"},
        },
    }


def fill(settings: ServerSettings) -> None:
    """Make people and groups."""
    members: dict[str, list[Any]] = {}
    for name, groups in settings.people.items():
        person = models.User(
            user_name=name,
            formatted_name=name.title(),
            family_name=name.title(),
            display_name=name.title(),
            emails=[f"{name}@example.org"],
            password=settings.password,
        )
        Backend.instance.save(person)
        for group in groups:
            members.setdefault(group, []).append(person)
    for group, persons in members.items():
        Backend.instance.save(models.Group(display_name=group, members=persons))


def main() -> None:
    """Serve until SIGTERM."""
    settings = ServerSettings(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    app = create_app(config=configuration(settings))
    with app.app_context():
        fill(settings)
    server = WSGIServer(("127.0.0.1", settings.port), app, numthreads=4)
    server.ssl_adapter = BuiltinSSLAdapter(settings.certificate, settings.key)

    def stop(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    try:
        server.start()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
