"""A pod that passes the pod security standard "restricted", and each way to fail it."""

from __future__ import annotations

import copy
from typing import Any

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "v", "emptyDir": {}}],
    "containers": [
        {
            "name": "c",
            "image": "example.org/a:1",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
        }
    ],
}

FAULTS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "hostNetwork": (("hostNetwork",), True),
    "hostPID": (("hostPID",), True),
    "hostIPC": (("hostIPC",), True),
    "hostPath": (("volumes", 0), {"name": "v", "hostPath": {"path": "/etc"}}),
    "nfs": (("volumes", 0), {"name": "v", "nfs": {"server": "a", "path": "/"}}),
    "sysctl": (("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "1"}]),
    "root": (("securityContext", "runAsUser"), 0),
    "may be root": (("securityContext", "runAsNonRoot"), False),
    "says nothing of root": (("securityContext", "runAsNonRoot"), None),
    "no seccomp": (("securityContext", "seccompProfile"), None),
    "seccomp off": (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
    "apparmor off": (("securityContext", "appArmorProfile"), {"type": "Unconfined"}),
    "selinux type": (("securityContext", "seLinuxOptions"), {"type": "spc_t"}),
    "selinux user": (("securityContext", "seLinuxOptions"), {"user": "system_u"}),
    "escalation": (("containers", 0, "securityContext", "allowPrivilegeEscalation"), None),
    "privileged": (("containers", 0, "securityContext", "privileged"), True),
    "keeps capabilities": (
        ("containers", 0, "securityContext", "capabilities"),
        {"drop": ["KILL"]},
    ),
    "adds capabilities": (
        ("containers", 0, "securityContext", "capabilities"),
        {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
    ),
    "container as root": (("containers", 0, "securityContext", "runAsUser"), 0),
    "container may be root": (("containers", 0, "securityContext", "runAsNonRoot"), False),
    "container seccomp off": (
        ("containers", 0, "securityContext", "seccompProfile"),
        {"type": "Unconfined"},
    ),
    "procMount": (("containers", 0, "securityContext", "procMount"), "Unmasked"),
    "hostPort": (("containers", 0, "ports"), [{"containerPort": 1, "hostPort": 1}]),
    "probe elsewhere": (
        ("containers", 0, "livenessProbe"),
        {"httpGet": {"port": 1, "host": "169.254.169.254"}},
    ),
    "hook elsewhere": (
        ("containers", 0, "lifecycle"),
        {"postStart": {"tcpSocket": {"port": 1, "host": "10.0.0.1"}}},
    ),
    "init container": (("initContainers",), [{"name": "i", "image": "a"}]),
}


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the good pod with one change."""
    spec = copy.deepcopy(GOOD)
    target: Any = spec
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return spec
