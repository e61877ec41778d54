"""Where everything of a facility on one machine lies, below its data folder."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from af_hub.errors import SetupError

FOLDER_MODE = 0o700
"""Only the owner enters the data folder: databases, keys and tokens lie in it."""


def default_data_folder() -> Path:
    """Return the folder that ``analysis-facility run`` uses without ``--data``.

    It follows the XDG base directory specification: ``$XDG_DATA_HOME/analysis-facility``,
    by default ``~/.local/share/analysis-facility``.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    # the specification: relative paths in these variables are to be ignored
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "analysis-facility"


def cache_folder() -> Path:
    """Return the folder for things that can be built again, by default ``~/.cache/…``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "analysis-facility"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one facility.

    Parameters
    ----------
    root
        The data folder, absolute.
    """

    root: Path

    @property
    def facility_file(self) -> Path:
        """The facility file that is written at the first start."""
        return self.root / "facility.yaml"

    @property
    def pki(self) -> Path:
        """Folder of the facility's own certificate authority."""
        return self.root / "pki"

    @property
    def ca_certificate(self) -> Path:
        """Certificate of the facility's own authority."""
        return self.pki / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Key of the facility's own authority."""
        return self.pki / "ca.key"

    @property
    def ca_bundle(self) -> Path:
        """The system's authorities and the facility's own one, for clients."""
        return self.pki / "ca-bundle.pem"

    @property
    def server_certificate(self) -> Path:
        """Certificate for ``127.0.0.1`` and ``localhost``, signed by the own authority."""
        return self.pki / "server.pem"

    @property
    def server_key(self) -> Path:
        """Key of `server_certificate`."""
        return self.pki / "server.key"

    @property
    def secrets(self) -> Path:
        """Folder of the secret files, each of mode 0600."""
        return self.root / "secrets"

    @property
    def certificates(self) -> Path:
        """The own authorities as XRootD's clients want them: a folder of hashed names."""
        return self.pki / "certificates"

    @property
    def iam(self) -> Path:
        """State of the development IAM."""
        return self.root / "iam"

    @property
    def hub(self) -> Path:
        """Configuration and database of JupyterHub."""
        return self.root / "hub"

    @property
    def storage(self) -> Path:
        """Configuration and content of the storage server."""
        return self.root / "storage"

    @property
    def store(self) -> Path:
        """What the storage server shows as ``/store``."""
        return self.storage / "store"

    @property
    def xrootd(self) -> Path:
        """Configuration and state of the XRootD origin and of the XCache."""
        return self.root / "xrootd"

    @property
    def rucio(self) -> Path:
        """Configuration and database of the Rucio server."""
        return self.root / "rucio"

    @property
    def gateway(self) -> Path:
        """State of Dask Gateway."""
        return self.root / "gateway"

    @property
    def users(self) -> Path:
        """Home folders, one per user."""
        return self.root / "users"

    @property
    def logs(self) -> Path:
        """Log files, one per part."""
        return self.root / "logs"

    @property
    def state(self) -> Path:
        """Instance lock, ports and other small state."""
        return self.root / "state"

    def secret(self, name: str) -> Path:
        """Return the path of the secret file `name`."""
        return self.secrets / name

    def log(self, part: str) -> Path:
        """Return the path of the log file of `part`."""
        return self.logs / f"{part}.log"

    def create(self) -> None:
        """Make all folders, closed to other users.

        Raises
        ------
        SetupError
            ``data-not-writable`` if a folder cannot be made or written.
        """
        folders = (
            self.root,
            self.pki,
            self.secrets,
            self.iam,
            self.hub,
            self.storage,
            self.store,
            self.xrootd,
            self.rucio,
            self.gateway,
            self.users,
            self.logs,
            self.state,
        )
        for folder in folders:
            try:
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            except OSError as error:
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise  # another sentence, another remedy
                raise _not_writable(folder, str(error.strerror)) from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise _not_writable(folder, "no permission")


def _not_writable(folder: Path, reason: str) -> SetupError:
    return SetupError(
        "data-not-writable",
        f"The folder {folder} cannot be written ({reason}). "
        "Choose another one with --data DIR, or correct its owner and mode.",
    )
