"""Command lines and configuration files of a cluster's parts. Pure.

Each setting that is not plain has its reason beside it; what is said nowhere is Kubernetes' own
default.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.kube.settings import Settings

PARTS: Final = (
    "etcd",
    "apiserver",
    "containerd",
    "controller-manager",
    "scheduler",
    "kubelet",
    "proxy",
    "policies",
)
"""Processes of every cluster, in the order of their start."""

API_PORT: Final = 6443
METRICS_PORT: Final = 4443


@dataclass(frozen=True)
class Programs:
    """Where programs are.

    Parameters
    ----------
    built
        Folder of each family that was built.
    found
        Path of each program of the system.
    python
        This interpreter.
    pause
        Reference of the image that holds a pod's namespaces.
    """

    built: Mapping[str, Path]
    found: Mapping[str, str]
    python: str
    pause: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def kube(self, name: str) -> str:
        """Return the path of a program of Kubernetes."""
        return str(self.built["kubernetes"] / name)


def commands(settings: Settings, programs: Programs) -> dict[str, list[str]]:
    """Return the command line of each part."""
    pki, run = settings.pki, settings.run
    return {
        "etcd": [
            programs.found["etcd"],
            f"--data-dir={run / 'etcd'}",
            *("--listen-client-urls=http://127.0.0.1:2379",),
            *("--advertise-client-urls=http://127.0.0.1:2379",),
            "--listen-peer-urls=http://127.0.0.1:2380",
            # its data ends with the cluster; a process that is killed loses nothing all the same
            "--unsafe-no-fsync",
        ],
        "apiserver": _apiserver(settings, programs),
        "containerd": [programs.found["containerd"], f"--config={run / 'containerd.toml'}"],
        "controller-manager": [
            programs.kube("kube-controller-manager"),
            *_kubeconfigs(pki / "controller-manager.kubeconfig", own=True),
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            f"--requestheader-client-ca-file={pki / 'front-ca.crt'}",
            # at the default rate its controllers start four seconds later
            *("--kube-api-qps=200", "--kube-api-burst=400"),
        ],
        "scheduler": [
            programs.kube("kube-scheduler"),
            f"--config={run / 'scheduler.json'}",
            "--bind-address=127.0.0.1",
            *_kubeconfigs(pki / "scheduler.kubeconfig", own=False),
        ],
        "kubelet": [
            programs.kube("kubelet"),
            f"--config={run / 'kubelet.json'}",
            f"--kubeconfig={pki / 'kubelet.kubeconfig'}",
            f"--root-dir={run / 'kubelet'}",
            f"--cert-dir={pki}",
            f"--hostname-override={settings.node}",
            f"--node-ip={settings.node_ip}",
        ],
        "proxy": [programs.kube("kube-proxy"), f"--config={run / 'proxy.json'}"],
        "policies": [programs.python, "-m", "testbed.kube.enforcer", str(run / "policies.json")],
    }


def _kubeconfigs(path: Path, *, own: bool) -> list[str]:
    flags = [f"--authentication-kubeconfig={path}", f"--authorization-kubeconfig={path}"]
    return [f"--kubeconfig={path}", *flags] if own else flags


def _apiserver(settings: Settings, programs: Programs) -> list[str]:
    pki = settings.pki
    return [
        programs.kube("kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--secure-port={API_PORT}",
        f"--advertise-address={settings.node_ip}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki / 'front-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={settings.services}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
    ]


def files(settings: Settings, programs: Programs) -> dict[str, str]:
    """Return the configuration files below ``run``. Kubernetes reads JSON where it reads YAML."""
    documents = {
        "scheduler.json": _scheduler(settings),
        "kubelet.json": _kubelet(settings),
        "proxy.json": _proxy(settings),
        f"cni/10-{settings.name}.conflist": _network(settings),
        "policies.json": {
            "server": settings.server,
            "pki": str(settings.pki),
            "nft": programs.found["nft"],
            "state": str(settings.run / "policies.state"),
        },
    }
    texts = {name: json.dumps(each, indent=1) + "\n" for name, each in documents.items()}
    return {**texts, "containerd.toml": _containerd(settings, programs)}


def _scheduler(settings: Settings) -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {
            "kubeconfig": str(settings.pki / "scheduler.kubeconfig"),
            # some thousand pods of a test at scale shall not wait for the client's own brake
            "qps": 500,
            "burst": 1000,
        },
        "leaderElection": {"leaderElect": False},
    }


def _kubelet(settings: Settings) -> dict[str, Any]:
    pki, run = settings.pki, settings.run
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": settings.node_ip,
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-serving.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-serving.key"),
        "containerRuntimeEndpoint": f"unix://{settings.socket}",
        "podLogsDir": str(run / "pod-logs"),
        "volumePluginDir": str(run / "kubelet" / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.name}",
        # hosts with cgroup v1 are refused by default since 1.35
        "failCgroupV1": False,
        "failSwapOn": False,
        # with the gate below it needs no CAP_SYS_RESOURCE
        "oomScoreAdj": 0,
        "featureGates": {"KubeletInUserNamespace": True},
        "enforceNodeAllocatable": [],
        "evictionHard": {
            "nodefs.available": "1Gi",
            "imagefs.available": "1Gi",
            "memory.available": "200Mi",
        },
        # else it deletes images that it cannot pull again
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "clusterDNS": [settings.dns_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "nodeStatusUpdateFrequency": "5s",
        "maxPods": 200,
    }


def _proxy(settings: Settings) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(settings.pki / "proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": str(settings.pods),
        "hostnameOverride": settings.node,
        "bindAddress": settings.node_ip,
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
        # leave the host's sysctls alone
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _network(settings: Settings) -> dict[str, Any]:
    """Return CNI's configuration.

    With ``ptp`` every packet between pods is routed, so that filters see it; within a ``bridge`` it
    would pass them by.
    """
    subnet = next(settings.pods.subnets(new_prefix=24))
    address = {
        "type": "host-local",
        "dataDir": str(settings.run / "cni" / "ipam"),
        "ranges": [[{"subnet": str(subnet)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": settings.name,
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": address}],
    }


def _containerd(settings: Settings, programs: Programs) -> str:
    return f"""version = 2
root = "{settings.store}"
state = "{settings.run}/containerd"
oom_score = 0
[grpc]
  address = "{settings.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{settings.run}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{programs.pause}"
  restrict_oom_score_adj = true
  # else the namespaces of pods are left in /run/netns
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{settings.run}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""
