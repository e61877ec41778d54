"""A hub in which every secret that a browser, a service or the hub itself gets is remembered.

What was answered is kept as well, so that at the end all of it can be searched for each of them.
Short time-outs and no pauses: faults cost tenths of seconds.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import psutil
from cryptography.fernet import Fernet

from testbed.iam import Answer, Browser
from testbed.iam_hub import start_hub

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.iam_hub import Hub

QUICK = """
import asyncio
import af_hub.iam.broker, af_hub.iam.http, af_hub.iam.logout, af_hub.iam.pace, af_hub.iam.session
af_hub.iam.http.REQUEST_TIMEOUT = 0.6
af_hub.iam.http._PAUSES = (0.01, 0.02)
af_hub.iam.logout.PATIENCE = 0.5
af_hub.iam.pace.OUTAGE_PAUSE = af_hub.iam.session.OUTAGE_PAUSE = 0.0
af_hub.iam.broker.NARROWED_PER_USER = 3
# a locked database is an error soon
c.JupyterHub.db_kwargs = {"connect_args": {"timeout": 0.2}}
"""

JWT = re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.")
_CODE = re.compile(r"<code>([a-z0-9-]+)</code>")


@dataclass
class Witness:
    """Remembers secrets and what was answered.

    Parameters
    ----------
    hub
        What is watched.
    secrets
        Value → what it is.
    answers
        Name of a path → everything that the hub answered on it.
    """

    hub: Hub
    secrets: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    processes: dict[str, str] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    path: str = ""

    @property
    def service(self) -> str:
        """API token of the service that may have tokens on users' behalf."""
        return self.hub.services["dask-gateway"]

    def learn(self, kind: str, *values: str | None) -> None:
        """Remember secrets."""
        self.secrets.update({value: kind for value in values if value})

    def see(self, answer: Answer) -> None:
        """Keep an answer of the hub, without what has to be in it."""
        headers = [
            f"{name}: {value}"
            for name, value in answer.headers.items()
            # state and nonce go to the identity provider by the browser, cookies to the browser
            if name != "Set-Cookie" and not (name == "Location" and "/authorize?" in value)
        ]
        self.answers[self.path].append("\n".join([*headers, answer.text]))
        self.codes.add(code_of(answer))

    def browser(self) -> Watched:
        """Return a browser that has never been here."""
        return Watched(self)

    def log_in(self, username: str) -> tuple[Watched, Answer]:
        """Log in; returns the browser and the page where that ended."""
        browser, callback = self.come_back(username)
        page = browser.follow(browser.send(callback))
        self.learn_stored()
        return browser, page

    def come_back(self, username: str) -> tuple[Watched, str]:
        """Log in at the identity provider; returns the address to which it sends the browser."""
        browser = self.browser()
        begun = browser.send(f"{self.hub.url}/hub/oauth_login?next=%2Fhub%2Fhome")
        page = browser.follow(browser.send(begun.location))
        answer = browser.log_in(page, username)
        answer = browser.follow(answer, until=f"{self.hub.url}/hub/oauth_callback")
        query = parse_qs(urlsplit(answer.location).query)
        self.learn("code", *query["code"])
        self.learn("state", *query["state"])
        return browser, answer.location

    def ask(self, path: str, token: str) -> Answer:
        """Ask the broker; what it gives is a secret everywhere else."""
        answer = self.hub.ask(path, token)
        if answer.status == 200:
            self.learn("brokered token", answer.json["access_token"])
        else:
            self.see(answer)
        return answer

    def start(self, browser: Browser, username: str) -> Answer:
        """Ask for the start of a server; keeps what the refresh before it has brought."""
        answer = self.hub.api(browser, f"users/{username}/server", "POST")
        self.learn_stored()
        return answer

    def stored(self) -> dict[str, dict[str, Any]]:
        """Return what the hub's database holds encrypted: user → auth_state."""
        key = json.loads((self.hub.root / "settings.json").read_text())["crypt_key"]
        fernet = Fernet(base64.urlsafe_b64encode(bytes.fromhex(key)))
        database = sqlite3.connect(self.hub.root / "hub.sqlite")
        rows = database.execute("select name, encrypted_auth_state from users").fetchall()
        database.close()
        return {name: json.loads(fernet.decrypt(blob)) for name, blob in rows if blob}

    def learn_stored(self) -> None:
        """Remember the tokens of all logins."""
        for state in self.stored().values():
            for kind in ("access_token", "refresh_token", "id_token"):
                self.learn(kind, state.get(kind))

    def keep_processes(self) -> None:
        """Keep environment and arguments of the hub and of the servers that are running."""
        hub = psutil.Process(self.hub.process.pid)
        for process in (hub, *hub.children(recursive=True)):
            self.processes[f"environment of {process.pid}"] = str(process.environ())
            self.processes[f"arguments of {process.pid}"] = " ".join(process.cmdline())

    def places(self) -> dict[str, str]:
        """Return everything that must hold no secret: name → text."""
        root = self.hub.root
        found = {
            "log of the hub": self.hub.log,
            "log of the identity provider": self.hub.iam.log,
            "events": (root / "events.jsonl").read_text(),
        }
        for path in (*root.glob("hub.sqlite*"), *self.hub.iam.config.data.glob("*.sqlite*")):
            found[path.name] = path.read_bytes().decode("latin-1")
        found |= self.processes
        for name, answers in self.answers.items():
            found[f"answers to {name}"] = "\n".join(answers)
        return found


class Watched(Browser):
    """A browser whose cookies are secrets, and whose pages are kept."""

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness.hub.iam.layout.ca_bundle)
        self._witness = witness

    def send(self, url: str, *args: Any, **kwargs: Any) -> Answer:
        """Make one request."""
        answer = super().send(url, *args, **kwargs)
        if url.startswith(self._witness.hub.url):
            self._witness.see(answer)
        for cookie in self.jar:
            if cookie.name == "jupyterhub-hub-login":
                self._witness.learn("login cookie", cookie.value)
            if cookie.name == "oauthenticator-state":
                self._witness.learn("state cookie", cookie.value)
                self._witness.learn("verifier", _verifier(str(cookie.value)))
        return answer


def _verifier(cookie: str) -> str:
    """Return the PKCE verifier of a state cookie, which is signed and not encrypted."""
    value = cookie.strip('"').split("|")[4].partition(":")[2]
    state = base64.b64decode(value).decode()
    return str(json.loads(base64.urlsafe_b64decode(state))["code_verifier"])


def code_of(answer: Answer) -> str:
    """Return the code that a page or the broker gives."""
    if "application/json" in str(answer.headers["Content-Type"]):
        return str(answer.json.get("code", ""))
    found = _CODE.search(answer.text)
    return found[1] if found else ""


def forms_of(secret: str) -> set[str]:
    """Return how a secret may be written down: whole, quoted, encoded, or its tail alone."""
    encoded = base64.b64encode(secret.encode()).decode()
    # the head of a JWT is the same for all, and a few last characters may be shown
    tail = {secret[-24:]} if len(secret) > 60 else set()
    return {secret, quote(secret, safe=""), encoded} | tail


def start_canary_hub(root: Path) -> Witness:
    """Start a hub and its identity provider below `root`; the caller stops both."""
    hub = start_hub(
        root,
        client={"reuse_refresh_token": False},
        more=QUICK,
        max_calls_per_second=1000.0,
        # while the provider is away no server starts, so that each start tells how it went
        min_token_lifetime=10.0**6,
        token_audiences={
            "storage": {"audience": "https://storage.example", "scope": "storage.read:/store/cms"},
            "rotating": {
                "audience": "https://other.example",
                "scope": "storage.read:/store/cms",
                "method": "refresh",
            },
        },
        token_services={"dask-gateway": {"audiences": ["storage", "rotating", "typo"]}},
    )
    witness = Witness(hub)
    basic = f"{hub.iam.client.client_id}:{hub.iam.secret}"
    witness.learn("client secret", hub.iam.secret, basic)
    return witness
