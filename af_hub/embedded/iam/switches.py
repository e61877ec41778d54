"""What may be changed in a running development IAM: other providers' ways, faults, the clock.

There is no door for it: the process reads ``switches.json`` of a folder that its configuration
names, and notes its calls there in ``calls.jsonl``. Tests name such a folder, and
``analysis-facility iam --switches``; no facility that ``analysis-facility run`` starts does.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("af_hub.iam")

Endpoint = Literal[
    "any",
    "discovery",
    "jwk",
    "token",
    "userinfo",
    "revoke",
    "introspect",
    "devicecode",
    "authorize",
    "device",
]
Kind = Literal["status", "slow", "hang", "drop", "lost", "cut", "garbage", "echo"]
Algorithm = Literal["RS256", "ES256", "HS256", "none"]

PATHS: Final[dict[str, Endpoint]] = {
    "/.well-known/openid-configuration": "discovery",
    "/jwk": "jwk",
    "/token": "token",
    "/userinfo": "userinfo",
    "/revoke": "revoke",
    "/introspect": "introspect",
    "/devicecode": "devicecode",
    "/authorize": "authorize",
    "/device": "device",
}
"""Path of a door → name of the endpoint."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Model):
    """Something that goes wrong at an endpoint.

    ``status``: that status, the request is not processed. ``slow``: processed after `seconds`.
    ``hang``: no answer until `seconds` have gone or the switches change, then the connection
    ends. ``drop``: the connection ends, nothing was processed. ``lost``: processed, but the
    connection ends before the answer. ``cut``: processed, and half of the body is sent.
    ``garbage``: `body`, with a good status, in place of an answer; not processed.
    ``echo``: a refusal with `status` and `error`, whose description and header repeat all that
    was sent, secrets too; not processed.
    """

    at: Endpoint = "token"
    kind: Kind = "status"
    grant: str = ""
    """At ``token``: only for this grant type; empty means every one."""

    times: int | None = Field(default=None, ge=0)
    """How often it strikes; None means always."""

    skip: int = Field(default=0, ge=0)
    """Matching calls that go well before the first one that does not."""

    percent: float = Field(default=100.0, ge=0, le=100)
    """Share of the matching calls, drawn with a fixed seed."""

    status: int = Field(default=503, ge=400, le=599)
    retry_after: int | None = None
    seconds: float = Field(default=60.0, ge=0)
    body: str = '{"access_token": '
    repeat: int = Field(default=1, ge=0)
    """How many times `body` is sent, for answers without end."""

    content_type: str = "application/json"
    error: str = "invalid_request"


class Switches(_Model):
    """Everything that can be switched; the defaults are the real IAM's behaviour.

    In the mappings of claims a value of None takes the claim away, any other one replaces it.
    """

    serial: int = 0
    """Differs at each change, so that the counts of the faults begin anew."""

    faults: tuple[Fault, ...] = ()
    skew_seconds: float = 0.0
    """How far the IAM's clock is ahead of the machine's."""

    revoke_family_on_reuse: bool = False
    """A refresh token that comes twice ends every token of that login (RFC 9700, 4.14.2)."""

    standard_errors: bool = False
    """A dead refresh token is 400 ``invalid_grant`` (RFC 6749), without the token in the text."""

    id_token_on_refresh: bool = True
    refused_audiences: bool = False
    """Exchange and refresh refuse every ``audience`` with 400 ``invalid_target`` (RFC 8693)."""

    standard_device_flow: bool = False
    """A device that asks often gets ``slow_down``, a denied one ``access_denied`` (RFC 8628)."""

    signing_key: int = Field(default=0, ge=0)
    """Number of the key that signs; a new number is a new key."""

    published_keys: tuple[int, ...] | None = None
    """Numbers of the keys in the key set; None means only the one that signs."""

    algorithm: Algorithm = "RS256"
    """By which ID tokens are signed; HS256 takes the client's secret."""

    spoil_signature: bool = False
    """The signature of ID tokens does not fit."""

    id_token_header: dict[str, Any] = {}
    id_token: dict[str, Any] = {}
    access_token: dict[str, Any] = {}
    userinfo: dict[str, Any] = {}
    discovery: dict[str, Any] = {}
    token_answer: dict[str, Any] = {}


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `claims` with those of `changes` replaced, and without those that are None there."""
    merged = claims | changes
    return {name: value for name, value in merged.items() if changes.get(name, "") is not None}


class Control:
    """Reads the switches at each use, and notes the calls.

    Parameters
    ----------
    folder
        Holds ``switches.json``, and gets ``calls.jsonl``; None means that nothing can be switched.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._raw = b""
        self._switches = Switches()
        self._seen: list[int] = []
        self._draws: list[random.Random] = []
        self.closed = threading.Event()

    @property
    def enabled(self) -> bool:
        """Whether anything can be switched."""
        return self._folder is not None

    def switches(self) -> Switches:
        """Return how the switches stand now."""
        with self._lock:
            return self._read()

    def now(self) -> float:
        """Return the IAM's time in seconds since the epoch."""
        return time.time() + self.switches().skew_seconds

    def strike(self, at: Endpoint, grant: str) -> Fault | None:
        """Return the first fault that strikes a call, and count the call.

        Parameters
        ----------
        at
            The endpoint.
        grant
            Grant type of a call of the token endpoint, else empty.
        """
        with self._lock:
            for number, fault in enumerate(self._read().faults):
                if fault.at not in {at, "any"} or (fault.grant and fault.grant != grant):
                    continue
                if 100 * self._draws[number].random() >= fault.percent:
                    continue
                self._seen[number] += 1
                struck = self._seen[number] - fault.skip
                if struck > 0 and (fault.times is None or struck <= fault.times):
                    return fault
        return None

    def note(self, at: Endpoint, grant: str, status: int, fault: Fault | None) -> None:
        """Append a call to ``calls.jsonl``; nothing secret is in it. Status 0 is no answer."""
        if self._folder is None:
            return
        line = {
            "at": at,
            "grant": grant,
            "status": status,
            "fault": fault.kind if fault else "",
            "time": time.time(),
        }
        with self._lock, (self._folder / "calls.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self) -> Switches:
        if self._folder is None:
            return self._switches
        try:
            raw = (self._folder / "switches.json").read_bytes()
        except FileNotFoundError:
            raw = b"{}"
        if raw != self._raw:
            self._raw = raw
            try:
                self._switches = Switches.model_validate_json(raw)
            except ValidationError as error:
                # it may have been written by hand; what stood before goes on
                log.warning("switches.json is not right, nothing is switched by it: %s", error)
                return self._switches
            self._seen = [0] * len(self._switches.faults)
            # a test must see the same run of luck each time
            self._draws = [random.Random(n) for n in range(len(self._seen))]  # noqa: S311
        return self._switches
