"""What KubeSpawner's settings are for Labs of ours, unless an administrator says otherwise."""

from __future__ import annotations

from typing import Any

from traitlets import default
from traitlets.config import LoggingConfigurable

from af_hub.spawner.kube import pod


class PodDefaults(LoggingConfigurable):
    """Mixin that stands before ``kubespawner.KubeSpawner`` in the list of bases."""

    @default("cmd")
    def _default_cmd(self) -> list[str]:
        return ["jupyterhub-singleuser"]

    @default("default_url")
    def _default_default_url(self) -> str:
        return "/lab"

    @default("notebook_dir")
    def _default_notebook_dir(self) -> str:
        return str(pod.PLACES.home)

    @default("uid")
    def _default_uid(self) -> int:
        return pod.UID

    @default("gid")
    def _default_gid(self) -> int:
        return pod.GID

    @default("fs_gid")
    def _default_fs_gid(self) -> int:
        """Let the Lab write to its volumes."""
        return pod.GID

    @default("container_security_context")
    def _default_container_security_context(self) -> dict[str, Any]:
        """Pass the pod security standard "restricted"."""
        return dict(pod.CONTAINER_SECURITY)

    @default("automount_service_account_token")
    def _default_automount_service_account_token(self) -> bool:
        """Give users no way into the cluster."""
        return False

    @default("delete_pvc")
    def _default_delete_pvc(self) -> bool:
        """Keep a user's files when somebody removes the user from the hub."""
        return False

    @default("pvc_name_template")
    def _default_pvc_name_template(self) -> str:
        """Name the home volume by the login where it is known, else by the user name."""
        return "home-{username}"

    @default("poll_interval")
    def _default_poll_interval(self) -> int:
        """Look for pods that are gone every 5 s; it asks the hub's own copy, not the cluster."""
        return 5

    @default("start_timeout")
    def _default_start_timeout(self) -> int:
        """Leave time to pull a large image and to add a node."""
        return 300
