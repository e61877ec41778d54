"""The way to what a token allows, where a server shows less. Pure.

A token for ``storage.read:/store/cms`` does not let its holder list ``/store`` at an XRootD server.
Somebody who begins at the top would find a closed door, though there is something behind it.
"""

from __future__ import annotations

from urllib.parse import unquote

_READ = "storage.read"


def leading_names(scope: str, folder: str) -> tuple[str, ...]:
    """Return the names in a folder that lead to paths which may be read.

    Parameters
    ----------
    scope
        Granted scopes, separated by spaces (WLCG Common JWT Profile 1.3: ``storage.read:PATH``,
        the path escaped as in URLs and hierarchical by component).
    folder
        Absolute path on the server.

    Returns
    -------
    tuple of str
        Sorted; empty if no readable path is strictly below the folder.

    Examples
    --------
    >>> leading_names("storage.read:/store/cms/a storage.read:/store/open", "/store")
    ('cms', 'open')
    """
    above = _components(folder)
    names = set()
    for word in scope.split():
        right, colon, path = word.partition(":")
        if right != _READ or not colon or not path.startswith("/"):
            continue
        parts = _components(unquote(path))
        if len(parts) > len(above) and parts[: len(above)] == above and ".." not in parts:
            names.add(parts[len(above)])
    return tuple(sorted(names))


def _components(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in {"", "."})
