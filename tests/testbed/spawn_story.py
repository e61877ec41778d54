"""What a hub does with its cluster, step by step, without a hub: ``python -m testbed.spawn_story``.

The spawner runs with the rights of a kubeconfig. It prints the first step that did not work, or
``null``, as a line of JSON: so a test can take a right away and see what breaks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import kubespawner.spawner
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from jupyterhub.utils import exponential_backoff
from kubernetes_asyncio.config import load_kube_config

from af_hub.spawner.kube.spawner import KubeSpawner

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0
PROFILES = [{"name": "small", "title": "Small", "cpu": 1, "ram": "128M"}]


class Complaints(logging.Handler):
    """Remembers errors, and that the cluster did not answer or said no to a watch."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember one."""
        if record.levelno >= logging.ERROR or record.msg.startswith("No answer"):
            self.seen.append(record.getMessage())


class Story:
    """One user's way through the spawner.

    Parameters
    ----------
    options
        The command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.db = orm.new_session_factory("sqlite:///:memory:")()
        self.user = orm.User(name="alice")
        self.row = orm.Spawner(name="", user=self.user)
        self.db.add_all([self.user, self.row])
        self.db.commit()
        self.complaints = Complaints()

    def spawner(self) -> KubeSpawner:
        """Make a spawner that knows nothing of an earlier one."""
        options = self.options
        made = KubeSpawner(
            user=User(self.user, {"base_url": "/"}),
            hub=Hub(ip="hub"),
            orm_spawner=self.row,
            db=self.db,
            profiles=PROFILES,
            namespace=options.namespace,
            image=options.image,
            image_pull_policy="Never",
            cmd=["wait"],
            storage_pvc_ensure=True,
            storage_capacity="1Mi",
            storage_class=options.storage_class,
            start_timeout=int(PATIENCE),
            delete_grace_period=0,
        )
        made.log.addHandler(self.complaints)
        return made

    async def run(self) -> str | None:
        """Go through all steps; return the first that did not work."""
        one = self.spawner()
        steps: dict[str, Callable[[], Any]] = {
            "start": one.start,
            "see-what-happens": lambda: self.until(lambda: one.told),
            "see-it-run": lambda: self.expect(one, running=True),
            "watch-quietly": self.watch_quietly,
            "see-it-gone": lambda: self.delete_and_see(one),
            "start-with-a-full-quota": self.start_with_a_full_quota,
            "stop": self.stop,
        }
        for name, step in steps.items():
            try:
                await asyncio.wait_for(step(), 2 * PATIENCE)
            except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
                print(f"{name}: {error!r}")
                return name
        return None

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition."""
        await exponential_backoff(condition, "it did not happen", max_wait=0.5, timeout=PATIENCE)

    async def expect(self, spawner: KubeSpawner, *, running: bool) -> None:
        """Wait until the spawner says so."""

        async def said() -> bool:
            return (await spawner.poll() is None) is running

        await self.until(said)

    async def watch_quietly(self) -> None:
        """Let reflectors work for longer than one watch, without a complaint."""
        await asyncio.sleep(1.5)
        if self.complaints.seen:
            raise RuntimeError(self.complaints.seen[0])

    async def delete_and_see(self, spawner: KubeSpawner) -> None:
        """Let the administrator delete the pod."""
        await self.kubectl("delete", "pod", spawner.pod_name, "--force", "--grace-period=0")
        await self.expect(spawner, running=False)

    async def start_with_a_full_quota(self) -> None:
        """Start again, from an empty database, where the quota lets no new volume in."""
        await self.kubectl("create", "quota", "full", "--hard=persistentvolumeclaims=1")
        full = ("get", "quota", "full", "--output=jsonpath={.status.used}")

        async def counted() -> bool:
            return '"1"' in await self.kubectl(*full)

        await self.until(counted)
        self.second = self.spawner()
        await self.second.start()

    async def stop(self) -> None:
        """Stop the Lab."""
        await self.second.stop(now=True)
        await self.expect(self.second, running=False)

    async def kubectl(self, *arguments: str) -> str:
        """Do something as the cluster's administrator."""
        program, kubeconfig = self.options.kubectl, self.options.admin
        process = await asyncio.create_subprocess_exec(
            *(program, "--kubeconfig", kubeconfig, "--namespace", self.options.namespace),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)} failed")
        return output.decode()


async def tell(options: argparse.Namespace, kubeconfig: str) -> str | None:
    """Tell the story once, with the rights of a kubeconfig."""
    await load_kube_config(config_file=kubeconfig)
    try:
        return await Story(options).run()
    finally:
        await KubeSpawner._stop_all_reflectors()


def main() -> None:
    """Tell the story in each place; the namespace is also the name of its class of volumes."""
    parser = argparse.ArgumentParser()
    for name in ("image", "kubectl", "admin"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--place", nargs=3, action="append", required=True)
    options = parser.parse_args()
    # what was read for the first story would hold for all
    kubespawner.spawner.load_config = lambda **_: None
    for namespace, storage_class, kubeconfig in options.place:
        here = argparse.Namespace(
            **vars(options) | {"namespace": namespace, "storage_class": storage_class}
        )
        broken = asyncio.run(tell(here, kubeconfig))
        print(json.dumps({"namespace": namespace, "broken": broken}), flush=True)


if __name__ == "__main__":
    main()
