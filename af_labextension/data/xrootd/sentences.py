"""Failures of the worker in words for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_labextension.errors import LabError, NotAnswering, Refused

if TYPE_CHECKING:
    from af_labextension.data.doors import Door

    from .protocol import Failure


def error_from(failure: Failure, door: Door, path: str) -> LabError:
    """Say what a failure means for somebody who looks at `path` of `door`."""
    detail = f"{door.url}: {failure.detail}"
    place = f"{path or '/'} in {door.title}"
    match failure.reason:
        case "not-there":
            return Refused(
                "no-such-folder", f"There is no folder {place}.", status=404, detail=detail
            )
        case "is-file":
            return Refused("not-a-folder", f"{path} is a file, not a folder.", 400, detail)
        case "not-allowed":
            return Refused(
                "storage-forbidden",
                f"You may not look into {place}. Access follows your groups.",
                detail=detail,
            )
        case "token":
            return Refused(
                "storage-token-refused",
                f"{door.title} does not take your token. Log in again from the hub page; if that"
                " does not help, ask the facility's support.",
                detail=detail,
            )
        case "names":
            return Refused(
                "storage-names",
                f"{place} holds a name that is not UTF-8, which XRootD's Python client cannot"
                " read. Look into it through a WebDAV door, or have the file renamed.",
                status=502,
                detail=detail,
            )
        case _:
            return _not_answering(failure, door, place, detail)


def _not_answering(failure: Failure, door: Door, place: str, detail: str) -> LabError:
    """Say what is wrong with a door that gives no useful answer."""
    match failure.reason:
        case "unreachable":
            return NotAnswering(
                "unreachable",
                f"{door.title} does not answer. Try again in a moment; other storage and notebooks"
                " that read from elsewhere go on working.",
                detail=detail,
            )
        case "tls":
            return NotAnswering(
                "untrusted-certificate",
                f"No secure connection to {door.title}: this Lab does not trust its certificate"
                " (X509_CERT_DIR names the folder of trusted authorities). Tell the facility's"
                " support.",
                detail=detail,
            )
        case "silent":
            return NotAnswering(
                "storage-silent",
                f"{door.title} takes connections but gives no listing: the storage behind it may be"
                " away or slow. Files that are in the cache already can still be read. Try again in"
                " a few minutes.",
                detail=detail,
            )
        case _:
            return NotAnswering(
                "storage-trouble",
                f"{door.title} has trouble with {place}. Try again in a moment; if it stays so,"
                " tell the facility's support.",
                detail=detail,
            )
