"""The facility file and the files beside it, as files of pods. Pure."""

from __future__ import annotations

import base64
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import ConfigError
from af_hub.kube_values.places import FOLDER, SECRET_NAME, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from af_hub.facility import FacilityConfig
    from af_hub.kube_values.section import Pods

BUNDLE: Final = "ca-bundle.pem"
"""Key of the authorities of ``identity.ca_file`` in the ConfigMap; the spawner mounts it."""

LARGEST: Final = 256 * 1024
"""Bytes of all files in the hub's values: they stand twice in one Kubernetes secret, of at most
1 MiB."""

LARGEST_MAP: Final = 768 * 1024
"""Bytes of the authorities: a ConfigMap takes 1 MiB, and kubectl keeps a copy."""

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.(r?[0-9]{1,3}|signing_policy|namespaces)")

_PATH: Final = re.compile(r"[A-Za-z0-9/._+-]{1,200}")


def is_authority(name: str) -> bool:
    """Tell an authority in a folder of them by its name, ``5ab23cd9.0`` or ``5ab23cd9.r0``."""
    return _HASHED.fullmatch(name) is not None


def beside(facility: FacilityConfig) -> tuple[str, ...]:
    """List the files that the facility file names by a path relative to itself.

    Parameters
    ----------
    facility
        Parsed as the file at its place in the hub's pod.

    Raises
    ------
    ConfigError
        ``kube-path`` for what can be no file of a pod, ``kube-secret`` for a client secret that
        is not a key of the Kubernetes secret.
    """
    identity = facility.identity
    _check_secret(identity.client_secret_file)
    named = {"about.logo": facility.about.logo, "identity.ca_file": identity.ca_file}
    found = (_relative(key, path) for key, path in named.items())
    return tuple(dict.fromkeys(name for name in found if name is not None))


def folder_beside(facility: FacilityConfig) -> str | None:
    """Return the folder of hashed authorities, if its path is relative to the facility file.

    Raises
    ------
    ConfigError
        ``kube-path``.
    """
    return _relative("identity.ca_directory", facility.identity.ca_directory)


def for_hub(text: str, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """Write ``hub.extraFiles``: the facility file and the files beside it.

    Parameters
    ----------
    text
        Of the facility file.
    contents
        Of the files beside it, by their relative path.

    Raises
    ------
    ConfigError
        ``kube-size`` if they are too large together, ``kube-private-key`` if one holds a key.
    """
    size = len(text.encode()) + sum(map(len, contents.values()))
    if size > LARGEST:
        raise ConfigError(
            "kube-size",
            f"The facility file and the files beside it are {size} bytes; a Kubernetes secret has "
            f"room for {LARGEST}. Put large ones into the image, and name them by absolute paths.",
        )
    return {"facility.yaml": _file("facility.yaml", text.encode()), **_files(contents)}


def authorities(
    facility: FacilityConfig, pods: Pods, contents: Mapping[str, bytes]
) -> dict[str, Any] | None:
    """Write the ConfigMap ``kubernetes.ca_config_map``: what Labs trust.

    Parameters
    ----------
    facility, pods
        The facility, parsed as the file in the hub's pod.
    contents
        Of the files beside the facility file, also those of `folder_beside`.

    Returns
    -------
    dict or None
        None if no ConfigMap is named, or the authorities are not beside the file.

    Raises
    ------
    ConfigError
        ``kube-size`` or ``kube-private-key``.
    """
    bundle = _relative("identity.ca_file", facility.identity.ca_file)
    hashed = folder_beside(facility)
    data = {}
    for name, content in contents.items():
        if name == bundle:
            data[BUNDLE] = _certificates(name, content)
        elif hashed is not None and PurePosixPath(name).parent == PurePosixPath(hashed):
            data[PurePosixPath(name).name] = _certificates(name, content)
    if pods.ca_config_map is None or not data:
        return None
    size = sum(map(len, data.values()))
    if size > LARGEST_MAP:
        raise ConfigError(
            "kube-size",
            f"The authorities are {size} bytes; a ConfigMap has room for {LARGEST_MAP}. Mount them "
            "in the Labs in another way, and name them by absolute paths.",
        )
    metadata = {"name": pods.ca_config_map}
    if pods.namespace is not None:
        metadata["namespace"] = pods.namespace
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _check_secret(path: Path | None) -> None:
    if path is not None and PurePosixPath(path).parent != SECRETS:
        raise ConfigError(
            "kube-secret",
            f"identity.client_secret_file: in a pod, secrets are files in {SECRETS}, one for each "
            f"key of the Kubernetes secret {SECRET_NAME!r}; write secrets/client-secret.",
        )


def _relative(key: str, path: Path | None) -> str | None:
    """Return a path as it stood in the file; None if there is none, or an absolute one."""
    pure = PurePosixPath(path or "/")
    if not pure.is_relative_to(FOLDER):
        return None
    relative = str(pure.relative_to(FOLDER))
    hidden = relative == "." or pure.is_relative_to(SECRETS)
    if hidden or not _PATH.fullmatch(relative) or ".." in pure.parts:
        raise ConfigError(
            "kube-path",
            f"{key}: {relative[:80]!r} cannot be given to a pod; use letters, digits and . _ + - "
            "only, below the facility file's folder and not below secrets.",
        )
    return relative


def _files(contents: Mapping[str, bytes]) -> dict[str, Any]:
    return {name.replace("/", "-"): _file(name, data) for name, data in contents.items()}


def _file(name: str, data: bytes) -> dict[str, Any]:
    _check_public(name, data)
    place = {"mountPath": str(FOLDER / name)}
    try:
        return {**place, "stringData": data.decode()}
    except UnicodeDecodeError:
        return {**place, "binaryData": base64.b64encode(data).decode()}


def _certificates(name: str, data: bytes) -> str:
    _check_public(name, data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigError("kube-path", f"{name} is no text: authorities are PEM files.") from None


def _check_public(name: str, data: bytes) -> None:
    if b"PRIVATE KEY" in data:
        raise ConfigError("kube-private-key", f"{name} holds a private key: values hold no secret.")
