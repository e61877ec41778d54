"""``analysis-facility iam``: the development IAM alone, for a hub that is configured by hand."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.embedded.iam.config import ClientConfig, IAMConfig
from af_hub.embedded.iam.people import DEMO_PASSWORD
from af_hub.embedded.iam.serve import run
from af_hub.embedded.iam.store import Store
from af_hub.embedded.instance import instance_lock
from af_hub.embedded.pki import ensure_pki
from af_hub.embedded.ports import is_free
from af_hub.embedded.secrets import CLIENT_SECRET, create_secrets
from af_hub.embedded.wiring import LOOPBACK
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.iam.config import TokenProfile
    from af_hub.embedded.layout import Layout

CALLBACK = "http://127.0.0.1:8000/hub/oauth_callback"
"""Redirect URI of a hub on this machine with JupyterHub's default port."""


@dataclass(frozen=True, slots=True)
class AloneOptions:
    """What ``analysis-facility iam`` was asked for.

    Parameters
    ----------
    layout
        The data folder.
    port, login_port
        Ports of the machine door (https) and of the login page (http), both on loopback only.
    client_id
        Id of the one client.
    redirect_uris
        Where its logins may lead.
    profile
        Its token profile.
    reuse_refresh_token
        Whether its refresh token stays the same.
    clear_access_tokens
        Whether a refresh ends its earlier access tokens.
    access_token_seconds
        Lifetime of its access tokens.
    policy
        Text that everybody has to sign; None means no text.
    switches
        Folder of the switches (`af_hub.embedded.iam.switches`); None means that nothing can be
        switched.
    """

    layout: Layout
    port: int
    login_port: int
    client_id: str
    redirect_uris: tuple[str, ...]
    profile: TokenProfile
    reuse_refresh_token: bool
    clear_access_tokens: bool
    access_token_seconds: int
    policy: str | None
    switches: Path | None = None


def run_alone(options: AloneOptions) -> None:
    """Serve until SIGTERM or SIGINT; print what a client has to know first.

    Raises
    ------
    SetupError
        ``iam-port-taken``, or the data folder cannot be used.
    """
    layout = options.layout
    layout.create()
    with instance_lock(layout):
        for name, port in (("--port", options.port), ("--login-port", options.login_port)):
            if not is_free(LOOPBACK, port):
                raise SetupError(
                    "iam-port-taken",
                    f"Port {port} of this machine is taken by another program. "
                    f"Choose another one with {name}.",
                )
        if options.switches:
            options.switches.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_secrets(layout)
        ensure_pki(layout)
        config = _config(options)
        store = Store(config.data / "iam.sqlite")
        if store.policy() != options.policy:
            store.set_policy(options.policy)
        # Authlib's DEBUG lines hold whole tokens
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger("authlib").setLevel(logging.WARNING)
        run(config, lambda: _show(config, layout, store))


def _config(options: AloneOptions) -> IAMConfig:
    layout = options.layout
    return IAMConfig(
        https_port=options.port,
        login_port=options.login_port,
        certificate=layout.server_certificate,
        key=layout.server_key,
        data=layout.iam,
        control=options.switches,
        clients=(
            ClientConfig(
                client_id=options.client_id,
                secret_file=layout.secret(CLIENT_SECRET),
                redirect_uris=options.redirect_uris,
                token_profile=options.profile,
                reuse_refresh_token=options.reuse_refresh_token,
                clear_access_tokens_on_refresh=options.clear_access_tokens,
                access_token_seconds=options.access_token_seconds,
            ),
        ),
    )


def _show(config: IAMConfig, layout: Layout, store: Store) -> None:
    client = config.clients[0]
    people = store.people()
    store.close()
    width = max(len(person.username) for person in people)
    lines = [
        f"Users, the password of each is '{DEMO_PASSWORD}':",
        *(
            f"  {person.username:{width}}  "
            + (" ".join(f"/{group}" for group in sorted(person.groups)) or "no group")
            for person in people
        ),
        "",
        f"Issuer:         {config.issuer}",
        f"  in tokens:    {config.access_token_issuer} (access tokens have it without the slash)",
        f"Login page:     {config.login_url}",
        f"Authorities:    {layout.ca_bundle} (trust these for https)",
        f"Client id:      {client.client_id}",
        f"Client secret:  in {client.secret_file}",
        *(f"Redirect URI:   {uri}" for uri in client.redirect_uris),
        f"Token profile:  {client.token_profile}",
        *([f"Switches:       {config.control / 'switches.json'}"] if config.control else []),
        "",
        f"Ready: {config.issuer}.well-known/openid-configuration  (Ctrl-C stops it)",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
