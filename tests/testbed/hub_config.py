"""What the configurations of the tests' hubs have in common: no proxy, and anybody may log in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "hub-of-the-tests-token-0123456789"
"""API token of the service ``tester``, which the tests are."""

NO_PROXY = """
from jupyterhub.proxy import Proxy

class NoProxy(Proxy):
    '''The tests talk to the hub's own port.'''
    should_start = False
    async def add_route(self, routespec, target, data): pass
    async def delete_route(self, routespec): pass
    async def get_all_routes(self): return {}

c.JupyterHub.proxy_class = NoProxy
"""

_ANYBODY = """
from jupyterhub.auth import DummyAuthenticator
from af_hub.collector import spare_what_lasts

class Anybody(DummyAuthenticator):
    def get_handlers(self, app):
        spare_what_lasts()  # as ours does
        return [*super().get_handlers(app), *routes]

c.JupyterHub.authenticator_class = Anybody
c.DummyAuthenticator.allow_all = True
"""

_PLACE = """
c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = {url!r}
c.JupyterHub.db_url = "sqlite:///" + {root!r} + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = {root!r} + "/cookie-secret"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.services = [{{"name": "tester", "api_token": {token!r}}}]
scopes = ["admin:users", "admin:servers", "admin:groups", "tokens", "read:metrics", "access:servers"]
scopes.append("admin-ui")
c.JupyterHub.load_roles.append({{"name": "tester", "services": ["tester"], "scopes": scopes}})
"""

_FACILITY = """
import af_hub
af_hub.configure(c, {file!r}, spawner={spawner!r})
routes = c.IAMAuthenticator.extra_routes
del c.IAMAuthenticator  # there is no identity provider
c.Anybody.admin_users = {{"dora"}}
"""


def write_config(root: Path, url: str, first: str, more: str) -> None:
    """Write ``config.py`` of a hub without a proxy, to which anybody may log in.

    Parameters
    ----------
    root
        Folder of the hub.
    url
        Its address, without a slash at the end.
    first
        Lines at the beginning; they set ``routes``, the handlers beside JupyterHub's own.
    more
        Lines at the end.
    """
    place = _PLACE.format(url=url, root=str(root), token=TOKEN)
    (root / "config.py").write_text(first + NO_PROXY + _ANYBODY + place + more)


def facility_lines(root: Path, facility: str, spawner: str) -> str:
    """Write a facility file; return the lines that take it over, for the beginning of a configuration.

    Parameters
    ----------
    root
        Folder of the hub.
    facility
        Text of the file.
    spawner
        Entry point of the spawner.
    """
    file = root / "facility.yaml"
    file.write_text(facility)
    return _FACILITY.format(file=str(file), spawner=spawner)
