"""``rucio.cfg`` for the terminal: ``rucio whoami`` works at once. Pure.

What Rucio's client 41.5 does, and why the file says what it says:

- With ``auth_type = oidc`` it looks for a token as WLCG Bearer Token Discovery says *before* it
  reads ``auth_token_file_path``. It would send the storage's token from ``$BEARER_TOKEN_FILE``;
  Rucio refuses that, and the client asks for a login on the terminal.
- With every other type it takes ``auth_token_file_path`` first. ``userpass`` with a name that no
  Rucio knows fails with one clear line when the token has expired: no prompt, and nothing is
  written, for only a login that succeeds writes into the token file.
- ``X509_CERT_DIR`` wins over ``ca_cert``; without either it uses its own list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import RucioServer

MARK = "# Made by the analysis facility's Lab extension: changes are lost."
"""First line of our file. A file that begins otherwise is the user's own and is left alone."""


def rendered(server: RucioServer, token_folder: Path, ca_bundle: str | None) -> str:
    """Write the file.

    Parameters
    ----------
    token_folder
        Where the token files of the audiences are.
    ca_bundle
        PEM file with the authorities for https, ``None`` for the client's own list.
    """
    lines = [
        MARK,
        "[client]",
        f"rucio_host = {server.url}",
        f"auth_host = {server.url}",
        "# the token in the file below is used; the name stands for nothing when it has expired",
        "auth_type = userpass",
        "username = token-file",
        "password = none",
        f"auth_token_file_path = {_value(token_folder / server.audience)}",
    ]
    if server.account is not None:
        lines.append(f"account = {server.account}")
    if ca_bundle:
        lines.append(f"ca_cert = {_value(ca_bundle)}")
    return "\n".join(lines) + "\n"


def is_ours(text: str) -> bool:
    """Tell whether a file's content is of our making."""
    return text.partition("\n")[0] == MARK


def _value(text: Path | str) -> str:
    """Write a value; the client's parser takes ``%`` for a reference."""
    return str(text).replace("%", "%%")
