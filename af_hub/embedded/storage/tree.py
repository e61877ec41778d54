"""The files behind the gate, as WsgiDAV resources."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from wsgidav.dav_error import ERROR_DESCRIPTIONS, HTTP_BAD_REQUEST, DAVError
from wsgidav.fs_dav_provider import FileResource, FilesystemProvider, FolderResource

from af_hub.embedded.storage.gate import GRANTS, SHARE

FULL = HTTPStatus.INSUFFICIENT_STORAGE
# WsgiDAV does not know it and would answer "507 Status"
ERROR_DESCRIPTIONS[FULL.value] = f"{FULL.value} {FULL.phrase}"

READ_ON = 64 * 2**20
"""Bytes of a failed upload that are still read: an answer to a client that goes on sending is lost
when the connection is closed. Who has more to send learns it by the broken connection."""


def as_answer(error: OSError) -> OSError | DAVError:
    """Return the answer 507 for a full disk, any other error as it is."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DAVError(FULL.value, "The storage is full. Nothing of this file was kept.")
    return error


class Upload:
    """A new file beside the one that it is to replace.

    Parameters
    ----------
    target
        Path of the file to be.
    """

    def __init__(self, target: Path) -> None:
        self.path = beside(target)
        self._stream: IO[bytes] = self.path.open("xb")

    def write(self, data: bytes) -> None:
        """Add `data`."""
        try:
            self._stream.write(data)
        except OSError as error:
            raise as_answer(error) from error

    def close(self) -> None:
        """Write what is still in memory."""
        try:
            self._stream.close()
        except OSError as error:
            raise as_answer(error) from error

    def discard(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # what is still in memory may find the disk full once more
            self._stream.close()
        self.path.unlink(missing_ok=True)


def beside(target: Path) -> Path:
    """Return a new name in the same folder; names with a dot in front are never listed."""
    return target.with_name(f".{target.name[:200]}.{os.urandom(4).hex()}")


class StoreFile(FileResource):  # type: ignore[misc]
    """A file that is replaced as a whole: an upload that breaks off leaves the old content."""

    fresh = False
    """Whether this request has just made the file, empty, in order to write it."""

    _upload: Upload | None = None

    def begin_write(self, *, content_type: str | None = None) -> Upload:  # noqa: ARG002
        """Open a temporary file beside the target."""
        try:
            self._upload = Upload(Path(self._file_path))
        except OSError as error:
            raise as_answer(error) from error
        return self._upload

    def end_write(self, *, with_errors: bool) -> None:
        """Put the uploaded file in place, or remove it.

        Raises
        ------
        DAVError
            400 if the connection broke off: WsgiDAV takes its end for the end of the file.
        """
        upload = self._upload
        if with_errors or upload is None:
            self._undo()
            self._read_on()
            return
        announced = self.environ.get("CONTENT_LENGTH") or None
        if announced is not None and upload.path.stat().st_size != int(announced):
            self._undo()
            raise DAVError(HTTP_BAD_REQUEST, "the upload broke off")
        upload.path.replace(self._file_path)
        self.file_stat = Path(self._file_path).stat()

    def _undo(self) -> None:
        if self._upload is not None:
            self._upload.discard()
        if self.fresh:
            Path(self._file_path).unlink()

    def _read_on(self) -> None:
        left = READ_ON
        with suppress(OSError):
            while left > 0 and (block := self.environ["wsgi.input"].read(2**20)):
                left -= len(block)

    def copy_move_single(self, dest_path: str, *, is_move: bool) -> None:  # noqa: ARG002
        """Copy the file, as a whole or not at all."""
        target = Path(self.provider._loc_to_file_path(dest_path, self.environ))  # noqa: SLF001
        copy = beside(target)
        try:
            shutil.copy2(self._file_path, copy)
            copy.replace(target)
        except OSError as error:
            copy.unlink(missing_ok=True)
            raise as_answer(error) from error


class StoreFolder(FolderResource):  # type: ignore[misc]
    """A folder that shows what its reader may see."""

    def get_member_names(self) -> list[str]:
        """List the members that the token gives, or that lead to something it gives."""
        grants = self.environ[GRANTS]
        base = f"{SHARE}{self.path.rstrip('/')}"
        return [
            name
            for name in sorted(super().get_member_names())
            # files that are being written begin with a dot
            if not name.startswith(".") and grants.show(f"{base}/{name}")
        ]

    def create_empty_resource(self, name: str) -> Any:
        """Make an empty file, remembered as such until its content has arrived."""
        resource = super().create_empty_resource(name)
        resource.fresh = True
        return resource


class StoreProvider(FilesystemProvider):  # type: ignore[misc]
    """The store, with the two kinds of resource above. Symbolic links are not followed."""

    def get_resource_inst(self, path: str, environ: dict[str, Any]) -> Any:
        """Return the resource at `path`, None if there is none."""
        found = super().get_resource_inst(path, environ)
        if isinstance(found, FolderResource):
            return StoreFolder(path, environ, found._file_path)  # noqa: SLF001
        if isinstance(found, FileResource):
            return StoreFile(path, environ, found._file_path)  # noqa: SLF001
        return found
