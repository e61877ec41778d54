"""Two hubs that differ in the authenticator only: ours, and OAuthenticator as one would set it up.

The peer gets what its documentation recommends: PKCE, auth_state, refresh, groups from userinfo by
a function (its own setting for that cannot read a claim with a dot in its name), and the
authorities by ``SSL_CERT_FILE``: with ``ca_certs`` it would read them anew for each call. Both ask
for the same scopes and log the same; each has a development IAM of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from af_hub.embedded.iam.people import Person
from af_hub.embedded.layout import Layout
from testbed.clock_hub import CLOCK, ClockHub
from testbed.iam import LOGIN_SCOPE
from testbed.iam_hub import start_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.iam_hub import Hub

_QUIET = """
c.JupyterHub.log_level = "INFO"
"""

_PEER = """
iam = json.loads(Path({iam_config!r}).read_text())
issuer = given["authenticator"]["issuer"]
peer = c.GenericOAuthenticator
c.JupyterHub.authenticator_class = "generic-oauth"
peer.authorize_url = f"http://127.0.0.1:{{iam['login_port']}}/authorize"
peer.token_url = f"{{issuer}}token"
peer.userdata_url = f"{{issuer}}userinfo"
peer.client_id = given["authenticator"]["client_id"]
peer.client_secret = Path(given["authenticator"]["client_secret_file"]).read_text()
peer.scope = {scope!r}
peer.username_claim = "preferred_username"
peer.enable_auth_state = True
peer.enable_pkce = True
peer.manage_groups = True
peer.auth_state_groups_key = lambda state: state["oauth_user"].get("wlcg.groups", [])
peer.allowed_groups = {{"/cms", "/atlas"}}
peer.admin_groups = {{"/cms/af-admins"}}
"""


@dataclass(frozen=True)
class Side:
    """One of the two.

    Parameters
    ----------
    name
        ``ours`` or ``stock``.
    hub
        Its hub.
    """

    name: str
    hub: Hub

    @property
    def cpu(self) -> float:
        """Processor seconds of the hub's process so far."""
        times = psutil.Process(self.hub.process.pid).cpu_times()
        return float(times.user + times.system)

    def restart(self) -> None:
        """Stop and start the hub."""
        self.hub.stop()
        self.hub.start()


def session_of(name: str) -> str:
    """Return the value of a person's cookie at the identity provider, see `populate`."""
    return f"session-of-{name}"


def populate(side: Side, names: list[str]) -> None:
    """Make accounts with browsers that the identity provider knows already."""
    store = side.hub.iam.people()
    store._connection.execute("PRAGMA synchronous = OFF")  # thousands of transactions
    for name in names:
        groups = frozenset({"cms", "cms/uscms"})
        person = Person(f"sub-of-{name}", name, name.title(), f"{name}@example.org", groups)
        store.save_person(person)
        store.add_session(session_of(name), person.sub, 86_400)
    store.close()


@contextmanager
def both(root: Path) -> Iterator[tuple[Side, Side]]:
    """Start the two hubs, ours first."""
    ours = Side("ours", _start(root / "ours"))
    try:
        stock = Side("stock", _start(root / "stock", peer=True))
        try:
            yield ours, stock
        finally:
            _end(stock.hub)
    finally:
        _end(ours.hub)


@contextmanager
def clocked(root: Path, *, peer: bool) -> Iterator[ClockHub]:
    """Start one of them with a clock that can be moved."""
    hub = _start(root, CLOCK, peer=peer)
    try:
        yield ClockHub(hub.url, hub.root, hub.services, hub.process, hub.iam)
    finally:
        _end(hub)


def _start(root: Path, more: str = "", *, peer: bool = False) -> Hub:
    layout = Layout(root / "iam")
    root.mkdir()
    if peer:
        config = layout.iam / "config.json"
        more += _PEER.format(iam_config=str(config), scope=LOGIN_SCOPE.split())
    authorities = {"SSL_CERT_FILE": str(layout.ca_bundle)}
    return start_hub(root, more=_QUIET + more, more_environment=authorities)


def _end(hub: Hub) -> None:
    hub.stop()
    hub.iam.stop()
