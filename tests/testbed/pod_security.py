"""The pod security standard "restricted", as the API server's admission checks it (1.36). Pure.

Upstream's words: https://kubernetes.io/docs/concepts/security/pod-security-standards/. On the test
cluster ``tests/kube/test_values_admission.py`` compares every control with the API server's own answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VOLUMES = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
        *("projected", "secret"),
    }
)
SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
        *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
        *("net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time"),
        *("net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
        *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
    }
)
SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
PROFILES = frozenset({"RuntimeDefault", "Localhost"})
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

Place = dict[str, Any]


def pods_in(document: Any) -> Iterator[tuple[str, Place]]:
    """Find the pods that a Kubernetes document makes: name of the document, the pod's spec."""
    if not isinstance(document, dict):
        return
    kind, spec = document.get("kind"), document.get("spec") or {}
    name = f"{kind} {(document.get('metadata') or {}).get('name')}"
    if kind == "List":
        for item in document.get("items") or []:
            yield from pods_in(item)
    elif kind == "Pod":
        yield name, spec
    elif kind == "CronJob":
        yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
    elif isinstance(spec, dict) and "spec" in (spec.get("template") or {}):
        yield name, spec["template"]["spec"]


def violations(spec: Mapping[str, Any]) -> list[str]:
    """List what keeps a pod out of a namespace that enforces "restricted".

    Parameters
    ----------
    spec
        ``spec`` of the pod.

    Returns
    -------
    list
        One line for each fault, with its place; empty for a pod that is let in.
    """
    found = [*_host(spec), *_volumes(spec), *_context("pod", spec)]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or []:
            found += _container(container, spec.get("securityContext") or {})
            found += _doors(container)
    return found


def _host(spec: Mapping[str, Any]) -> Iterator[str]:
    """Find what is the node's own."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"pod: {key}"
    for sysctl in (spec.get("securityContext") or {}).get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"pod: sysctl {sysctl['name']}"


def _volumes(spec: Mapping[str, Any]) -> Iterator[str]:
    for volume in spec.get("volumes") or []:
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {kind}"


def _context(place: str, holder: Mapping[str, Any]) -> Iterator[str]:
    """Find what may stand neither at the pod nor at a container."""
    context: Mapping[str, Any] = holder.get("securityContext") or {}
    if context.get("runAsUser") == 0:
        yield f"{place}: runAsUser 0"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{place}: hostProcess"
    for key in ("seccompProfile", "appArmorProfile"):
        kind = (context.get(key) or {}).get("type")
        if kind is not None and kind not in PROFILES:
            yield f"{place}: {key} {kind}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{place}: seLinuxOptions"


def _container(container: Place, pod: Mapping[str, Any]) -> Iterator[str]:
    place = f"container {container.get('name')}"
    context: Mapping[str, Any] = container.get("securityContext") or {}
    yield from _context(place, container)
    if context.get("privileged"):
        yield f"{place}: privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{place}: allowPrivilegeEscalation"
    if context.get("procMount", "Default") != "Default":
        yield f"{place}: procMount"
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{place}: runAsNonRoot"
    if not (context.get("seccompProfile") or pod.get("seccompProfile")):
        yield f"{place}: seccompProfile"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield f"{place}: capabilities not dropped"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield f"{place}: capabilities added"


def _doors(container: Place) -> Iterator[str]:
    place = f"container {container.get('name')}"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield f"{place}: hostPort"
    if any(_names_host(container.get(key)) for key in PROBES):
        yield f"{place}: probe of another host"
    lifecycle = container.get("lifecycle") or {}
    if any(_names_host(lifecycle.get(key)) for key in ("postStart", "preStop")):
        yield f"{place}: hook to another host"


def _names_host(action: Any) -> bool:
    """Tell whether the kubelet, which no network policy stops, is sent somewhere else."""
    return any((action or {}).get(way, {}).get("host") for way in ("httpGet", "tcpSocket"))
