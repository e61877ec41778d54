"""Option sets of every kind of mischief, and what may come of them, said in other words than policy's.

The catalogue has one of everything. `allowed` knows its contents by heart instead of reading them by the
code under test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from af_hub.facility.limits import Limit
from af_hub.facility.profiles import Profile
from af_hub.spawner.policy.site import GpuModel, Site

if TYPE_CHECKING:
    import random

    from af_hub.spawner.policy.plan import Plan

GIB: Final = 1024**3
DIGEST: Final = "registry.example.org/lab/root@sha256:" + "a" * 64
OWN: Final = r"ghcr\.io/experiment/[a-z0-9-]+(:[a-z0-9.]+)?"

CATALOGUE: Final[list[dict[str, Any]]] = [
    {
        "name": "small",
        "title": "Small",
        "cpu": {"min": 1, "max": 4},
        "ram": {"min": "512M", "max": "4G", "step": "512M"},
        "default": True,
        "denied_groups": ["/none"],
    },
    {
        "name": "large",
        "title": "Large",
        "cpu": {"choices": [1, 2, {"value": 8, "allowed_groups": ["/cms/uscms"]}]},
        "ram": {
            "choices": ["1G", {"value": "64G", "allowed_groups": ["/cms/**"]}],
            "default": "1G",
        },
        "image": {
            "choices": [
                {"name": "base", "title": "Base", "image": "registry.example.org/lab:1"},
                {
                    "name": "root",
                    "title": "ROOT",
                    "image": DIGEST,
                    "denied_groups": ["/atlas"],
                },
            ],
            "own": {"patterns": [OWN], "allowed_groups": ["/cms"]},
        },
        "options": [
            {
                "name": "release",
                "title": "Release",
                "choices": [
                    {"name": "old", "title": "Old", "environment": {"RELEASE": "{user.name}"}},
                    {
                        "name": "new",
                        "title": "New",
                        "allowed_groups": ["/cms/uscms"],
                        "environment": {"RELEASE": "new"},
                        "volumes": [{"kind": "shared", "claim": "new", "path": "/opt/new"}],
                        "node_selector": {"disk": "fast"},
                        "tolerations": [{"key": "new", "operator": "Exists"}],
                        "annotations": {"example.org/note": "{nokey}"},
                    },
                ],
            },
            {
                "name": "secret",
                "title": "Secret",
                "allowed_groups": ["/cms/af-admins"],
                "choices": [
                    {"name": "off", "title": "Off"},
                    {"name": "on", "title": "On", "environment": {"SECRET": "on"}},
                ],
            },
        ],
        "volumes": [
            {"kind": "cvmfs"},
            {"kind": "shared", "claim": "cms", "path": "/data/cms", "allowed_groups": ["/cms/**"]},
        ],
        "denied_groups": ["/none"],
    },
    {
        "name": "gpu",
        "title": "GPU",
        "gpu": {
            "counts": [0, 1, {"value": 4, "allowed_groups": ["/cms/uscms"]}],
            "product": "A100",
            "default": 1,
        },
        "allowed_groups": ["/cms", "/cms/*"],
        "denied_groups": ["/none", "/cms/banned/**"],
        "max_concurrent": {"per_user": 1, "total": 20},
    },
    {
        "name": "part",
        "title": "Part",
        "gpu": {"counts": [1, 2], "resource": "nvidia.com/mig-1g.5gb"},
        "allowed_groups": ["/atlas"],
    },
    {
        "name": "admin",
        "title": "Admin",
        "cpu": 64,
        "ram": "64G",
        "allowed_groups": ["/cms/af-admins"],
    },
]
PROFILES: Final = tuple(Profile.model_validate(each) for each in CATALOGUE)
LIMITS: Final = tuple(
    Limit.model_validate(each)
    for each in (
        {"per": "user", "servers": 3, "cpu": 72},
        {"per": "group", "groups": ["/cms", "/atlas"], "gpus": 5},
        {"per": "total", "groups": ["/cms/**"], "ram": "200G"},
    )
)
SITE: Final = Site(
    cores=64,
    memory=64 * GIB,
    gpus=(GpuModel("A100", 8, 6), GpuModel("A100-MIG", 7, 1, "nvidia.com/mig-1g.5gb")),
)
GROUPS: Final = (
    "/cms",
    "/cms/uscms",
    "/cms/uscms/x",
    "/cms/uscmsx",
    "/cmsx",
    "/CMS",
    "/cms/banned/a",
    "/cms/af-admins",
    "/atlas",
    "/none",
)

_PROFILES = (
    "small",
    "large",
    "gpu",
    "part",
    "admin",
    "gpx",
    "small\n",
    "",
    "../gpu",
    "Small",
    "large.cpu",
)
_CPU = (0, 1, 2, 3, 4, 5, 8, 64, -1, 10**9, 2.0, "2", "0x2", True, float("inf"), 10**60)
_RAM = (
    *("512M", "1G", "1.5G", "4G", "64G", "999T", "1G\n", "\uff11G", "0", "-1G", "1e9"),
    *(GIB // 2, GIB, 3 * GIB // 2, 64 * GIB, GIB + 1, 0, -1, 2**63, 1.5e9),
)
_GPU = (0, 1, 2, 3, 4, 5, -1, 64, "1", True, None)
_IMAGE = (
    *("base", "root", "Root", "registry.example.org/lab:1", DIGEST, DIGEST.replace("a", "b")),
    *("ghcr.io/experiment/ana:1.0", "ghcr.io/experiment/ana", "ghcr.io/experiment/../evil:1"),
    *("ghcr.io/experiment/ana:1.0\n", "ghcrXio/experiment/ana:1", "ghcr.io/experiment/a b"),
    *("xghcr.io/experiment/ana:1", "ghcr.io/experiment/ana:1.0@sha256:0", "ghcr.io/experiment/"),
    *("{unescaped_username.__class__}", "$(HOME)", "a" * 513, "", "{{7*7}}", "\u2028", "\ud800"),
)
_OPTION = (
    "release",
    "secret",
    "Release",
    "image",
    "",
    "release\n",
    "a" * 101,
    "__class__",
    "gpu.gpu",
)
_CHOICE = ("old", "new", "on", "off", "{user.name}", "%s", "", "x" * 513, "new\n", "\u202enew")
_KEYS = (
    *("mem_limit", "cpu_limit", "kubespawner_override", "extra_resource_limits", "Profile"),
    *("profile ", "image--unlisted-choice", "overrides", "plan", "__proto__", "volumes", ""),
)
_JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    [],
    {},
    [1],
    {"a": 1},
    "x",
    "",
    0,
    -1,
    1.5,
    [[[[[]]]]],
    {"value": 1},
)


def raw_options(draw: random.Random) -> Any:
    """Make a request as REST may bring it: near to right, or far from it."""
    if draw.random() < 0.03:
        return draw.choice((*_JUNK, "small", 7))
    if draw.random() < 0.4:
        return _decent(draw)
    made: dict[Any, Any] = {}
    for key, values in (("profile", _PROFILES), ("cpu", _CPU), ("ram", _RAM), ("gpu", _GPU)):
        if draw.random() < (0.9 if key == "profile" else 0.35):
            made[key] = _some(draw, values)
    if draw.random() < 0.4:
        made["image"] = _some(draw, _IMAGE)
    if draw.random() < 0.4:
        made["options"] = _some_options(draw)
    if draw.random() < 0.05:
        made[draw.choice(_KEYS)] = draw.choice(_JUNK)
    return made


_DECENT: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "small": {"cpu": (1, 2, 4, 5), "ram": ("512M", "1G", "4G", "8G"), "gpu": (0, 0, 1)},
    "large": {"cpu": (1, 2, 8), "ram": ("1G", "64G"), "image": _IMAGE[:8]},
    "gpu": {"gpu": (0, 1, 4)},
    "part": {"gpu": (1, 2)},
    "admin": {},
}


def _decent(draw: random.Random) -> dict[str, Any]:
    """Make a request that is right for somebody."""
    name = draw.choice(tuple(_DECENT))
    made: dict[str, Any] = {"profile": name}
    for key, values in _DECENT[name].items():
        if draw.random() < 0.5:
            made[key] = draw.choice(values)
    if name == "large" and draw.random() < 0.5:
        release, secret = draw.choice(("old", "new")), draw.choice(("on", "off", None))
        made["options"] = {"release": release} | ({"secret": secret} if secret else {})
    return made


def _some(draw: random.Random, values: tuple[Any, ...]) -> Any:
    """Choose a value, mostly one of the first; sometimes rubbish."""
    if draw.random() < 0.04:
        return draw.choice(_JUNK)
    if draw.random() < 0.02:
        return _text(draw)
    return (
        values[min(int(draw.expovariate(0.35)), len(values) - 1)]
        if draw.random() < 0.7
        else draw.choice(values)
    )


def _text(draw: random.Random) -> str:
    """Make a text of any characters."""
    return "".join(
        chr(draw.choice((draw.randrange(128), draw.randrange(0x3000))))
        for _ in range(draw.randrange(40))
    )


def _some_options(draw: random.Random) -> Any:
    if draw.random() < 0.1:
        return draw.choice(_JUNK)
    return {
        draw.choice(_OPTION[:2] if draw.random() < 0.8 else _OPTION): _some(draw, _CHOICE)
        for _ in range(draw.randrange(3))
    }


def fields(draw: random.Random, *, query: bool) -> dict[str, list[str]]:
    """Make a form, or the parameters of a query, as a browser or somebody's script may send it."""
    raw = raw_options(draw)
    made: dict[str, list[str]] = {}
    if not isinstance(raw, dict):
        return {"profile": [str(raw)]}
    card = str(raw.get("profile", "small"))
    for key, value in raw.items():
        pairs = value.items() if key == "options" and isinstance(value, dict) else [(None, value)]
        for name, each in pairs:
            field = f"{key}.{name}" if name is not None else str(key)
            if not query and key != "profile":
                field = f"{card if draw.random() < 0.95 else draw.choice(_PROFILES)}.{field}"
            made[field] = [str(each)] if draw.random() < 0.97 else [str(each), str(each)]
    if draw.random() < 0.05:
        made[_text(draw)] = [_text(draw)]
    return made


def groups(draw: random.Random) -> frozenset[str]:
    """Choose a user's groups."""
    return frozenset(draw.sample(GROUPS, draw.choice((0, 1, 1, 2, 2, 3, 4))))


def breach(mine: frozenset[str], plan: Plan) -> str | None:
    """Say what of a plan its user may not have; None if all is right.

    Parameters
    ----------
    mine
        The user's groups.
    plan
        What policy has granted.
    """
    direct = {group for group in mine if group.startswith("/cms/") and group.count("/") == 2}
    below = {group for group in mine if group.startswith("/cms/")}
    banned = {group for group in mine if group.startswith("/cms/banned/")}
    facts = {
        "small": lambda: "/none" not in mine and _small(plan),
        "large": lambda: "/none" not in mine and _large(mine, below, plan),
        "gpu": lambda: (
            bool(direct or "/cms" in mine)
            and not banned
            and "/none" not in mine
            and (plan.cpu, plan.ram) == (1, GIB)
            and plan.gpu in ({0, 1, 4} if "/cms/uscms" in mine else {0, 1})
            and plan.gpu_product == ("A100" if plan.gpu else None)
        ),
        "part": lambda: (
            "/atlas" in mine
            and (plan.cpu, plan.ram) == (1, GIB)
            and plan.gpu in {1, 2}
            and plan.gpu_resource == "nvidia.com/mig-1g.5gb"
        ),
        "admin": lambda: (
            "/cms/af-admins" in mine and (plan.cpu, plan.ram, plan.gpu) == (64, 64 * GIB, 0)
        ),
    }
    right = plan.profile in facts and facts[plan.profile]() and _common(plan)
    return None if right else f"{sorted(mine)} got {plan}"


def _common(plan: Plan) -> bool:
    """Check what holds for all profiles."""
    extras = (plan.node_selector, plan.tolerations, plan.annotations, plan.environment)
    bare = plan.profile == "large" or (not any(extras) and not plan.volumes and plan.image is None)
    return bare and plan.home and plan.overrides is None and plan.max_lifetime is None


def _small(plan: Plan) -> bool:
    return (
        plan.cpu in {1, 2, 3, 4}
        and plan.ram in {n * GIB // 2 for n in range(1, 9)}
        and plan.gpu == 0
        and not plan.options
    )


def _large(mine: frozenset[str], below: set[str], plan: Plan) -> bool:
    us, chosen = "/cms/uscms" in mine, dict(plan.options)
    named = {"registry.example.org/lab:1"} | (set() if "/atlas" in mine else {DIGEST})
    own = {"ghcr.io/experiment/ana:1.0", "ghcr.io/experiment/ana"} if "/cms" in mine else set()
    volumes = [volume.place for volume in plan.volumes]
    wanted = ["/cvmfs", *(["/data/cms"] if below else [])]
    environment = {"RELEASE": "{user.name}"}
    if chosen.get("release") == "new":
        wanted.append("/opt/new")
        environment = {"RELEASE": "new"}
    if chosen.get("secret") == "on":
        environment["SECRET"] = "on"
    return (
        plan.cpu in ({1, 2, 8} if us else {1, 2})
        and plan.ram in ({GIB, 64 * GIB} if below else {GIB})
        and plan.gpu == 0
        and plan.image in named | own
        and chosen.get("release") in ({"old", "new"} if us else {"old"})
        and ("secret" in chosen) == ("/cms/af-admins" in mine)
        and volumes == wanted
        and dict(plan.environment) == environment
        and bool(plan.node_selector) == bool(plan.tolerations) == bool(plan.annotations)
        and bool(plan.node_selector) == (chosen["release"] == "new")
    )
