"""Which volume is whose home: no two users ever share one, whatever they are called.

Names of claims alone cannot promise that. KubeSpawner's two ways of writing a user name meet: the old
one makes ``a-2db`` of ``a-b``, the new one leaves the user ``a-2db`` as it is; and who chooses a name
can search for one with the same eight digits of a hash. So the claim says whose it is, and is asked.
"""

from __future__ import annotations

import asyncio
from string import Formatter
from typing import TYPE_CHECKING, Any

from kubespawner.slugs import escape_slug
from traitlets.config import LoggingConfigurable

from af_hub.spawner.kube import pod

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER = "hub.jupyter.org/username"
"""Annotation of claims and pods, from KubeSpawner: the user's name as it is."""


class OwnHomes(LoggingConfigurable):
    """Mixin that stands before ``kubespawner.KubeSpawner`` in the list of bases."""

    # what it uses of KubeSpawner, which is untyped
    api: Any
    namespace: Any
    pvc_name: Any
    pvc_name_template: Any
    user: Any
    _default_pvc_name_template: Any
    _expand_user_properties: Any
    _pvc_exists: Any

    _of_login: str | None = None
    """The claim that is named after the login, so that the user's name does not matter; None if that
    is not known."""

    def name_home(self, login: Mapping[str, Any] | None) -> None:
        """Choose the home volume's name, unless the user has one or the administrator chose.

        Parameters
        ----------
        login
            ``iss`` and ``sub`` of the user's login; None: not known.
        """
        template = self.pvc_name_template
        if self._pvc_exists or template != self._default_pvc_name_template():
            return
        slug = self._expand_user_properties("{username}")
        self.pvc_name = pod.claim_name(self.user.name, slug, login)
        known = self.pvc_name != pod.claim_name(self.user.name, slug, None)
        self._of_login = self.pvc_name if known else None

    async def _make_create_pvc_request(self, pvc: Any, request_timeout: float) -> bool:
        """Create the claim if there is none; False asks for another try.

        Where it is somebody else's, the next try is with a name that nobody else can have.
        """
        if not await super()._make_create_pvc_request(pvc, request_timeout):  # type: ignore[misc]  # KubeSpawner's
            return False
        name = pvc.metadata.name
        if await asyncio.wait_for(self._is_own(name, self.namespace), request_timeout):
            return True
        self.pvc_name = pvc.metadata.name = pod.claim_apart(name, self.user.name)
        self.log.warning(
            "The claim %s is not of %s: its annotation %s says so. Taking %s",
            *(name, self.user.name, OWNER, self.pvc_name),
        )
        return False

    async def _check_pvc_exists(self, pvc_name: str, namespace: str) -> bool:
        """Tell whether there is such a claim from before, and it is not somebody else's."""
        there = await super()._check_pvc_exists(pvc_name, namespace)  # type: ignore[misc]  # KubeSpawner's
        return bool(there) and await self._is_own(pvc_name, namespace)

    async def _is_own(self, name: str, namespace: str) -> bool:
        """Tell whether a claim is this user's, or nobody has said whose it is."""
        if not _is_per_user(self.pvc_name_template):
            return True
        claim = await self.api.read_namespaced_persistent_volume_claim(
            name=name, namespace=namespace
        )
        owner = (claim.metadata.annotations or {}).get(OWNER, self.user.name)
        if owner == self.user.name or name != self._of_login:
            return bool(owner == self.user.name)
        # the same person under another name, unless that name is all that the claim is called after
        return name not in {f"home-{owner}", f"home-{escape_slug(owner)}"}


def is_of(username: str, metadata: Mapping[str, Any]) -> bool:
    """Tell whether an object of the cluster is a user's, or nobody has said whose it is.

    Parameters
    ----------
    username
        The user's name at the hub.
    metadata
        As Kubernetes writes it.
    """
    owner = (metadata.get("annotations") or {}).get(OWNER, username)
    return bool(owner == username)


def _is_per_user(template: str) -> bool:
    """Tell whether each user has a claim; else one is shared on purpose."""
    return any("user" in (field or "") for _, field, _, _ in Formatter().parse(template))
