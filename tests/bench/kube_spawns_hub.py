"""Start many pods as a hub does, by our spawner or by plain KubeSpawner, and tell what it took."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import kubespawner
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User

from af_hub.spawner.kube.spawner import KubeSpawner

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner

TOGETHER = 100
"""JupyterHub's own limit of starts at a time."""

GIB = 2**30

SAME: dict[str, Any] = {
    "image": "localhost/lab:1",
    "extra_pod_config": {"schedulerName": "nobody"},
    "start_timeout": 300,
}

TRAITS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "ours": (
        KubeSpawner,
        {"profiles": [{"name": "small", "title": "Small", "cpu": 1, "ram": "1G"}]},
    ),
    "plain": (
        kubespawner.KubeSpawner,
        {
            "cmd": ["jupyterhub-singleuser"],
            "cpu_limit": 1,
            "cpu_guarantee": 0.25,
            "mem_limit": GIB,
            "mem_guarantee": GIB,
            "profile_list": [{"display_name": "Small", "slug": "small", "default": True}],
        },
    ),
}


def make(variant: str, namespace: str, number: int, db: Any) -> Spawner:
    """Make the spawner of one user."""
    spawner_class, traits = TRAITS[variant]
    user = orm.User(name=f"user{number}")
    row = orm.Spawner(name="", user=user)
    db.add_all([user, row])
    return spawner_class(
        user=User(user, {"base_url": "/"}),
        hub=Hub(ip="hub"),
        orm_spawner=row,
        db=db,
        namespace=namespace,
        **SAME,
        **traits,
    )


async def main(variant: str, namespace: str, count: int) -> None:
    """Start all, and print the seconds, the processor time and the slowest percent."""
    logging.disable(logging.WARNING)
    db = orm.new_session_factory("sqlite:///:memory:")()
    spawners = [make(variant, namespace, number, db) for number in range(count + 1)]
    db.commit()
    for each in spawners:
        # JupyterHub reads them when it makes the server's token, before it calls a spawner
        list(each.user.groups)
    # the watches begin with the first
    await spawners.pop().start()
    places = asyncio.Semaphore(TOGETHER)

    async def one(spawner: Spawner) -> float:
        async with places:
            begin = time.perf_counter()
            await spawner.start()
            return time.perf_counter() - begin

    begin, spent = time.perf_counter(), time.process_time()
    seconds = await asyncio.gather(*(one(each) for each in spawners))
    found = {
        "pods": count,
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - spent,
        "p99": statistics.quantiles(seconds, n=100)[-1],
    }
    print(json.dumps(found), flush=True)
    # without waiting for the watches; nobody stops the pods one by one
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
