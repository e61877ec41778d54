"""``python -m testbed.kube.enforcer SETTINGS``: keep the rules of `policies` in force.

Three threads follow pods, namespaces and policies; the main one compiles and loads. After each load
a file tells the hash of what is in force, so that a test knows when its policy is. Whatever fails is
tried again: while the API server is away the last rules stay.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed.kube.api import Api
from testbed.kube.policies import compile_rules

if TYPE_CHECKING:
    from testbed.kube.policies import Object

LISTS: Final = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}

AGAIN: Final = 0.3
"""Seconds until something that failed is tried again."""


def digest(rules: str) -> str:
    """Return the hash by which rules are known."""
    return hashlib.sha256(rules.encode()).hexdigest()


class Follower(threading.Thread):
    """Keeps one list of the API in memory.

    Parameters
    ----------
    api
        The way to the API server.
    path
        Of the list.
    changed
        Set at each change.
    """

    def __init__(self, api: Api, path: str, changed: threading.Event) -> None:
        super().__init__(daemon=True)
        self._api, self._path, self._changed = api, path, changed
        self._objects: dict[str, Object] | None = None

    def objects(self) -> list[Object] | None:
        """Return all of them, None before the first list."""
        found = self._objects
        return None if found is None else list(found.values())

    def run(self) -> None:
        """Follow for ever."""
        while True:
            try:
                self._follow()
            except (OSError, ValueError) as error:
                print(self._path, error, flush=True)
                time.sleep(AGAIN)

    def _follow(self) -> None:
        answer = self._api.json(self._path, timeout=30)
        self._objects = {each["metadata"]["uid"]: each for each in answer["items"]}
        self._changed.set()
        for event in self._api.watch(self._path, answer["metadata"]["resourceVersion"]):
            if event["type"] == "ERROR":
                return  # what we knew is too old: list again
            self._take(event["type"], event["object"])

    def _take(self, kind: str, each: Object) -> None:
        known = dict(self._objects or {})
        if kind == "DELETED":
            known.pop(each["metadata"]["uid"], None)
        else:
            known[each["metadata"]["uid"]] = each
        self._objects = known
        self._changed.set()


def load(rules: str, settings: dict[str, Any]) -> None:
    """Put rules in force, then say so.

    Raises
    ------
    OSError
        They were refused.
    """
    done = subprocess.run(
        [settings["nft"], "-f", "-"], input=rules, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(done.stderr[:1000])
    state = Path(settings["state"])
    half = state.with_suffix(".half")
    half.write_text(digest(rules))
    half.replace(state)


def main() -> None:
    """Enforce until killed."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    api = Api(settings["server"], Path(settings["pki"]), "policies")
    changed = threading.Event()
    followers = [Follower(api, path, changed) for path in LISTS.values()]
    for follower in followers:
        follower.start()
    last = None
    while True:
        changed.wait()
        changed.clear()
        lists = [follower.objects() for follower in followers]
        if any(each is None for each in lists):
            continue
        rules = compile_rules(*(each or [] for each in lists))
        try:
            if rules != last:
                load(rules, settings)
                last = rules
        except OSError as error:
            print(error, flush=True)
            time.sleep(AGAIN)
            changed.set()


if __name__ == "__main__":
    main()
