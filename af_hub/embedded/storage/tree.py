"""The files behind the gate, as WsgiDAV resources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError
from wsgidav.fs_dav_provider import FileResource, FilesystemProvider, FolderResource

from af_hub.embedded.storage.gate import GRANTS, SHARE


class StoreFile(FileResource):  # type: ignore[misc]
    """A file that is replaced as a whole: an upload that breaks off leaves the old content."""

    fresh = False
    """Whether this request has just made the file, empty, in order to write it."""

    _upload: IO[bytes] | None = None

    def begin_write(self, *, content_type: str | None = None) -> IO[bytes]:  # noqa: ARG002
        """Open a temporary file beside the target."""
        path = Path(self._file_path)
        self._upload = path.with_name(f".{path.name}.{os.urandom(4).hex()}").open("xb")
        return self._upload

    def end_write(self, *, with_errors: bool) -> None:
        """Put the uploaded file in place, or remove it.

        Raises
        ------
        DAVError
            400 if the connection broke off: WsgiDAV takes its end for the end of the file.
        """
        if self._upload is None:
            return
        self._upload.close()
        upload = Path(self._upload.name)
        announced = self.environ.get("CONTENT_LENGTH") or None
        short = announced is not None and upload.stat().st_size != int(announced)
        if not with_errors and not short:
            upload.replace(self._file_path)
            self.file_stat = Path(self._file_path).stat()
            return
        upload.unlink()
        if self.fresh:
            Path(self._file_path).unlink()
        if short and not with_errors:
            raise DAVError(HTTP_BAD_REQUEST, "the upload broke off")


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
