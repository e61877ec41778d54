"""The secret files of one facility: made at the first start, kept for ever, mode 0600.

Parts read them from disk. None of them is ever in an environment variable or an argument.
"""

from __future__ import annotations

import secrets
import stat
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from af_hub.errors import SetupError
from af_hub.secret import Secret

if TYPE_CHECKING:
    from af_hub.embedded.layout import Layout

CLIENT_SECRET = "hub-client-secret"  # noqa: S105  names of files, not secrets
CRYPT_KEY = "hub-crypt-key"
COOKIE_SECRET = "hub-cookie-secret"  # noqa: S105
PROXY_TOKEN = "proxy-auth-token"  # noqa: S105
GATEWAY_CRYPT_KEY = "gateway-crypt-key"
GATEWAY_API_TOKEN = "gateway-api-token"  # noqa: S105
GATEWAY_PROXY_TOKEN = "gateway-proxy-token"  # noqa: S105
SUPERVISOR_TOKEN = "supervisor-api-token"  # noqa: S105

NAMES = (
    CLIENT_SECRET,
    CRYPT_KEY,
    COOKIE_SECRET,
    PROXY_TOKEN,
    GATEWAY_CRYPT_KEY,
    GATEWAY_API_TOKEN,
    GATEWAY_PROXY_TOKEN,
    SUPERVISOR_TOKEN,
)
"""``hub-crypt-key`` encrypts auth_state, ``hub-cookie-secret`` signs cookies (both 32 bytes in
hexadecimal, as JupyterHub wants); ``gateway-crypt-key`` encrypts clusters' keys; ``gateway-api-token`` and ``supervisor-api-token`` are
JupyterHub service tokens; the others are shared between the two parts in their name."""

BYTES = 32


def create_secrets(layout: Layout) -> None:
    """Make the secret files that do not exist yet.

    Raises
    ------
    SetupError
        ``secret-readable`` if other users of the machine may read one that exists.
    """
    for name in NAMES:
        path = layout.secret(name)
        if not path.exists():
            write_atomically(path, secrets.token_hex(BYTES) + "\n")
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SetupError(
                "secret-readable",
                f"Other users may read {path}. Delete it to get a new one, "
                f"or if nobody has seen it: chmod 600 {path}",
            )


def read_secret(layout: Layout, name: str) -> Secret:
    """Return the content of the secret file `name`."""
    return Secret(layout.secret(name).read_text(encoding="ascii").strip())
