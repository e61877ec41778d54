"""Identity: verified logins, groups, refresh and the token broker.

The pure modules (`claims`, `groups`, `names`, `verify`, `answers`) can be imported without
JupyterHub; `IAMAuthenticator` is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from af_hub.iam.authenticator import IAMAuthenticator

__all__ = ["IAMAuthenticator"]


def __getattr__(name: str) -> Any:
    if name == "IAMAuthenticator":
        from af_hub.iam.authenticator import IAMAuthenticator  # noqa: PLC0415  on demand

        return IAMAuthenticator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
