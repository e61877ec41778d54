"""A Jupyter Server extension that gives the front end alone what it asks for.

A folder of 100,000 files (a WebDAV server would take minutes to fill), a catalogue with a dataset
of as many and names that no real one takes (``front_end_rucio``), and Dask clusters that do as a test
wants, with hostile content, which no real server would send (``front_end_clusters``).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from testbed.front_end_clusters import ROUTES as CLUSTERS
from testbed.front_end_rucio import ROUTES as RUCIO

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

ROWS = 100_000
BATCH = 1000
URL = "https://storage.example/store"


SCENE = {"name": "good"}
"""What the status tells, by the last ``POST af/scene``: good, long, over."""

GROUPS = [f"/cms/uscms/analysis-group-{number}/with-a-long-name" for number in range(40)]
SCOPES = [f"storage.read:/store/user/physics-group-{number}/a-path" for number in range(12)]
SENTENCE = "Your login has ended at the identity provider. Log in again at the hub; " * 3


class SceneHandler(APIHandler):
    """``POST af/scene``."""

    @authenticated
    def post(self) -> None:
        """Change what the status tells."""
        SCENE.update(self.get_json_body() or {})
        self.finish({})


class LoginHandler(JupyterHandler):
    """The hub's login page, where everybody is let in at once."""

    @authenticated
    def get(self) -> None:
        """Let the next try of the Lab succeed."""
        SCENE["name"] = "good"
        self.finish("<title>Logged in</title>")


class StatusHandler(APIHandler):
    """``GET af/status``, ``POST af/renew``."""

    @authenticated
    def get(self) -> None:
        """Answer as the scene is."""
        long, over = SCENE["name"] == "long", SCENE["name"] == "over"
        lifetime = {"at": time.time() + 7230, "why": "lifetime", "limit": 7290, "lead": 1800}
        server = {"started_at": time.time() - 60, "expires_at": lifetime["at"]}
        server |= {"ends": [lifetime], "gpus": []}
        token = {
            "audience": "storage",
            "state": "error" if over else "valid",
            "expires_at": time.time() + 3030,
            "message": "Log in again at the hub." if over else SENTENCE if long else None,
            "scope": " ".join(SCOPES) if long else "storage.read:/store/cms",
            "needed": True,
        }
        self.finish(
            {
                "identity": {
                    "user": "alice",
                    "display_name": "Alice Adams",
                    "issuer": "https://iam.example/",
                    "groups": GROUPS if long else ["/cms", "/cms/uscms"],
                },
                "tokens": [token, {**token, "audience": "rucio", "scope": ""}],
                "programs": {
                    "file": "/run/user/1000/bt_u1000",
                    "socket": "/run/user/1000/oidc-agent",
                    "account": "af",
                    "problem": {"code": "agent-socket", "message": SENTENCE} if long else None,
                },
                # a hostile address must not become a link
                "server": {**server, "stop_url": "/hub/home", "profile_url": "javascript:alert(1)"},
                "hub": {
                    "home_url": "/hub/home",
                    "login_url": url_path_join(self.base_url, "af/login"),
                },
                "facility": {"name": "Test", "support": None, "notice": None},
            }
        )

    post = get


class DoorsHandler(APIHandler):
    """``GET af/storage``."""

    @authenticated
    def get(self) -> None:
        """Answer with two doors; the panel opens the first by itself."""
        cache = "root://127.0.0.1:3094//store"
        self.finish(
            {
                "doors": [
                    {"name": "many", "title": "Facility storage", "url": URL, "kind": "webdav"},
                    {
                        "name": "cache",
                        "title": "Experiment data (XCache)",
                        "url": cache,
                        "kind": "xrootd",
                    },
                ]
            }
        )


class MemoryHandler(APIHandler):
    """``GET af/memory``."""

    @authenticated
    def get(self) -> None:
        """Tell nothing."""
        self.finish({"notices": []})


class ListHandler(APIHandler):
    """``GET af/storage/many/list``."""

    @authenticated
    async def get(self) -> None:
        """Stream the rows."""
        self.set_header("Content-Type", "application/x-ndjson")
        for start in range(0, ROWS, BATCH):
            rows = (
                {
                    "name": f"nano_{number:06d}.root",
                    "type": "file",
                    "size": number * 1024,
                    "modified": 1_790_000_000 + number,
                    "url": f"{URL}/nano_{number:06d}.root",
                }
                for number in range(start, start + BATCH)
            )
            self.write("".join(json.dumps(row) + "\n" for row in rows))
            await self.flush()
        self.finish(json.dumps({"done": True, "count": ROWS}) + "\n")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(  # type: ignore[no-untyped-call]  # tornado's
        ".*$",
        [
            (url_path_join(base, "af/status"), StatusHandler),
            (url_path_join(base, "af/renew"), StatusHandler),
            (url_path_join(base, "af/scene"), SceneHandler),
            (url_path_join(base, "af/login"), LoginHandler),
            (url_path_join(base, "af/memory"), MemoryHandler),
            (url_path_join(base, "af/storage"), DoorsHandler),
            (url_path_join(base, "af/storage/many/list"), ListHandler),
            *((url_path_join(base, route), handler) for route, handler in (*RUCIO, *CLUSTERS)),
        ],
    )
