"""The hub's image: what JupyterHub, our parts and the Zero-to-JupyterHub chart need is in it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.image_programs import CHART, HEALTH, TRUST
from testbed.require import require

if TYPE_CHECKING:
    from testbed.images import Inside

IMAGE = "hub"

CHART_IMPORTS = (
    "jupyterhub.utils",
    "kubernetes_asyncio.client",
    "kubespawner",
    "jupyterhub_idle_culler",
    "tornado.curl_httpclient",
    "yaml",
    # its hub.db.type
    "psycopg2",
    "pymysql",
)
"""What jupyterhub_config.py and z2jh.py of the chart 4.4 import or start, beside Python's own."""

SHORT_NAMES = {
    "jupyterhub.authenticators": {"af-iam", "dummy", "generic-oauth", "null", "pam"},
    "jupyterhub.spawners": {"af-local", "simple"},
}
"""What may stand in ``authenticator_class`` and ``spawner_class``."""

NAMES = {"hub": "HUB", "proxy-api": "PROXY_API", "user-scheduler": "scheduler", "priority": "p"}
"""Kubernetes objects that the chart tells its configuration the names of, as for variables."""

SECRETS = ("hub.config.JupyterHub.cookie_secret", "hub.config.CryptKeeper.keys")

CULLER = (
    "url",
    "timeout",
    "cull-every",
    "concurrency",
    "cull-users",
    "cull-admin-users",
    "remove-named-servers",
    "max-age",
)
"""Options with which the chart starts its service that ends idle servers."""


def test_version_is_safe_when_jupyterhub_is_asked(opened: Inside) -> None:
    version = tuple(int(part) for part in opened.run("jupyterhub", "--version").split("."))
    # 5.5.3 and 6.1.0 close GHSA-hx46-2cv3-mh6g; 6.0 never got the fix
    assert (5, 5, 3) <= version < (6, 0) or version >= (6, 1)


@pytest.mark.parametrize("module", CHART_IMPORTS)
def test_chart_finds_what_it_imports_when_started(opened: Inside, module: str) -> None:
    opened.python(f"import {module}")


def test_classes_have_their_short_names_when_a_values_file_names_them(opened: Inside) -> None:
    program = (
        "import json; from importlib.metadata import entry_points as points\n"
        f"names = {SHORT_NAMES}\n"
        "found = {g: [p.name for p in points(group=g) if p.name in names[g] and p.load()] "
        "for g in names}\n"
        "print(json.dumps(found))"
    )
    found = json.loads(opened.python(program))
    for group, names in SHORT_NAMES.items():
        assert set(found[group]) == names


def test_culler_knows_the_charts_words_when_started(opened: Inside) -> None:
    words = opened.run("python3", "-m", "jupyterhub_idle_culler", "--help")
    missing = [word for word in CULLER if not re.search(rf"--{word}\b", words.replace("_", "-"))]
    assert missing == []


@pytest.mark.parametrize("client", ["curl", "simple", "aiohttp", "requests"])
def test_clients_trust_one_file_when_they_are_told_nothing(opened: Inside, client: str) -> None:
    # the chart makes curl the hub's client, and a wheel's libcurl might look elsewhere
    for word, expected in (("unknown", "refused"), ("known", "200")):
        told = opened.run("python", "-c", TRUST, client, word, user="0:0")
        assert told.splitlines()[-1] == expected, told


def test_proxy_answers_when_asked_for_its_version(opened: Inside) -> None:
    assert re.fullmatch(r"5\.\d+\.\d+", opened.run("configurable-http-proxy", "--version"))


def test_hub_and_proxy_answer_when_started_with_kubespawner(opened: Inside) -> None:
    assert opened.python(HEALTH).endswith("healthy")


def test_charts_own_configuration_loads_when_the_chart_is_given(opened: Inside) -> None:
    """By hand: ``Z2JH_CHART=/path/to/the/chart``, the folder with ``files/hub``."""
    chart = os.environ.get("Z2JH_CHART")
    require("z2jh", chart, "Z2JH_CHART names no chart")
    assert chart
    folder = opened.root / "usr/local/etc/jupyterhub"
    folder.mkdir(parents=True)
    for name in ("jupyterhub_config.py", "z2jh.py"):
        shutil.copyfile(Path(chart, "files", "hub", name), folder / name)
    # what the chart's templates would fill in
    filled = {"config": NAMES, "secret": dict.fromkeys(SECRETS, "00" * 32)}
    for part, contents in filled.items():
        (folder / part).mkdir()
        for name, text in contents.items():
            (folder / part / name).write_text(text)
    shutil.copyfile(Path(chart, "values.yaml"), folder / "secret/values.yaml")
    told = opened.python(CHART)
    assert told.endswith("kubespawner.KubeSpawner"), told
