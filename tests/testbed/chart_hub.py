"""What the chart's own ``jupyterhub_config.py`` makes of our values: settings, and one Lab's pod.

A process of its own, ``python -m testbed.chart_hub CONFIG``, since the file changes the process; it
prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from kubernetes_asyncio.client import ApiClient
from traitlets.config.loader import PyFileConfigLoader

from af_hub.spawner.kube.spawner import KubeSpawner
from af_hub.spawner.policy.plan import Plan

if TYPE_CHECKING:
    from traitlets.config import Config

PLAN = Plan("small", "Small", 2, 2**30, 0, None, (), None)


async def manifest(config: Config) -> dict[str, Any]:
    """Make the pod of a Lab, as it goes over the wire."""
    db = orm.new_session_factory("sqlite:///:memory:")()
    user = orm.User(name="alice")
    row = orm.Spawner(name="", user=user)
    db.add_all([user, row])
    db.commit()
    with (
        patch("kubespawner.spawner.load_config", lambda **_: None),
        patch("kubespawner.spawner.shared_client", lambda _: None),
    ):
        made = KubeSpawner(
            config=config,
            user=User(user, {"base_url": "/"}),
            hub=Hub(ip="hub"),
            orm_spawner=row,
            db=db,
        )
    made.record = made._apply(PLAN, frozenset({"/cms"}))
    async with ApiClient() as client:
        pod: dict[str, Any] = client.sanitize_for_serialization(await made.get_pod_manifest())
    return pod


def main() -> None:
    """Load the file, and print what came of it."""
    file = Path(sys.argv[1])
    config: Any = PyFileConfigLoader(file.name, str(file.parent)).load_config()
    hub = config.JupyterHub
    said = {
        "classes": [hub.authenticator_class, hub.spawner_class],
        "issuer": config.IAMAuthenticator.issuer,
        "client_secret_file": config.IAMAuthenticator.client_secret_file,
        "callback": config.IAMAuthenticator.oauth_callback_url,
        "services": {one["name"]: sorted(one) for one in hub.services},
        "roles": [role["name"] for role in hub.load_roles],
        "admin_access": hub.admin_access,
        "database": hub.db_url,
        "keys": list(config.CryptKeeper["keys"]),
        "cookie": hub.cookie_secret.hex(),
        "password": os.environ.get("PGPASSWORD"),
        "pod": asyncio.run(manifest(config)),
    }
    # the chart's file prints, too
    print("\n" + json.dumps(said))


if __name__ == "__main__":
    main()
