"""The bearer-token file: where every tool of the field looks for a token.

WLCG Bearer Token Discovery: the file that ``BEARER_TOKEN_FILE`` names. XRootD's clients refuse a
file that group or others may touch (libXrdSecztn), so it is the owner's alone, and replaced as a
whole (`af_labextension.owner_file`).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from af_labextension.errors import FileTrouble
from af_labextension.owner_file import prepare_folder, replace_file, sweep_leftovers

if TYPE_CHECKING:
    from pathlib import Path

    from af_labextension.secret import Secret


class BearerFile:
    """One token file. Its methods block (briefly): call them in a thread.

    Parameters
    ----------
    path
        Where the file is. Missing folders are made with mode 0700; an existing folder stays as
        it is, but must not let others replace the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, token: Secret) -> None:
        """Put a token into the file, at once and as a whole.

        Raises
        ------
        FileTrouble
            The folder is full, read-only, gone or open to others; the old file is untouched.
        """
        try:
            prepare_folder(self.path.parent)
            replace_file(self.path, token.reveal().encode("ascii"))
        except OSError as error:
            raise FileTrouble(
                "token-file",
                f"The token file {self.path} cannot be written: {error.strerror or error}."
                " Programs in terminals and notebooks may lose access; free space or ask the"
                " facility's support.",
                detail=type(error).__name__,
            ) from error

    def holds(self, token: Secret) -> bool:
        """Tell whether the file has exactly this token and is closed to others."""
        try:
            with self.path.open("rb") as file:
                closed = not os.fstat(file.fileno()).st_mode & 0o077
                return closed and file.read() == token.reveal().encode("ascii")
        except OSError:
            return False

    def remove(self) -> None:
        """Take the file away; one that is gone already is no trouble."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed server left half-done."""
        sweep_leftovers(self.path)
