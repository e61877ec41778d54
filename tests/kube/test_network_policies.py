"""NetworkPolicies are enforced: who may connect to whom, tried from inside pods."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from testbed.kube.pods import address, connects, inside, probe_pod, wait_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster

Object = dict[str, Any]

SERVER: Object = {"matchLabels": {"app": "server"}}
GOOD: Object = {"matchLabels": {"app": "good"}}
DNS_PODS: Object = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


@dataclass(frozen=True)
class Place:
    """Two namespaces with a server and clients: ``good`` and ``bad`` in ours, ``other`` in theirs."""

    cluster: Cluster
    ours: str
    theirs: str
    server: str
    bad: str

    def space(self, pod: str) -> str:
        """Return the namespace of a pod."""
        return self.theirs if pod == "other" else self.ours

    def target(self, name: str) -> str:
        """Return the address of something that is named in the table."""
        named = {
            "server": self.server,
            "bad": self.bad,
            "service": f"server.{self.ours}.svc.cluster.local",
            "dns": "kube-dns.kube-system.svc.cluster.local",
            "api": "kubernetes.default.svc.cluster.local",
        }
        return named[name]

    def filled(self, value: Any) -> Any:
        """Return a policy in which ``@server`` and the like are real."""
        if isinstance(value, dict):
            return {key: self.filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        known = {"@server": self.server, "@node": self.cluster.node_ip}
        if isinstance(value, str) and value.partition("/")[0] in known:
            name, _, rest = value.partition("/")
            return f"{known[name]}/{rest}"
        return value


@dataclass(frozen=True)
class Row:
    """One line of the table: a policy, and which connections there are under it.

    Parameters
    ----------
    policy
        Its specification; None: there is none.
    allowed, denied
        ``FROM TO PORT`` with ``/udp`` behind the port where it is that.
    """

    policy: Object | None
    allowed: tuple[str, ...] = field(default=())
    denied: tuple[str, ...] = field(default=())


TABLE = {
    "no policy": Row(
        None,
        allowed=(
            *("good server 8000", "bad server 8000", "other server 8000", "good service 80"),
            *("bad server 5353/udp", "good api 443"),
        ),
    ),
    "nothing comes in": Row(
        {"podSelector": SERVER, "policyTypes": ["Ingress"]},
        denied=(
            *("good server 8000", "other server 8000", "good service 80"),
            "bad server 5353/udp",
        ),
        allowed=("good bad 8000", "good dns 53"),
    ),
    "by label and name of the port": Row(
        {
            "podSelector": SERVER,
            "ingress": [{"from": [{"podSelector": GOOD}], "ports": [{"port": "web"}]}],
        },
        allowed=("good server 8000", "good service 80"),
        denied=("bad server 8000", "other server 8000", "good server 8001", "good server 5353/udp"),
    ),
    "by namespace": Row(
        {
            "podSelector": SERVER,
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "b"}}}]}],
        },
        allowed=("other server 8000", "other service 80"),
        denied=("good server 8000", "bad server 8000"),
    ),
    "by namespace and label together": Row(
        {
            "podSelector": SERVER,
            "ingress": [
                {
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"team": "a"}},
                            "podSelector": GOOD,
                        }
                    ]
                }
            ],
        },
        allowed=("good server 8000",),
        denied=("bad server 8000", "other server 8000"),
    ),
    "a range of ports": Row(
        {"podSelector": SERVER, "ingress": [{"ports": [{"port": 8001, "endPort": 8002}]}]},
        allowed=("bad server 8001",),
        denied=("bad server 8000",),
    ),
    "only udp": Row(
        {"podSelector": SERVER, "ingress": [{"ports": [{"port": 5353, "protocol": "UDP"}]}]},
        allowed=("bad server 5353/udp",),
        denied=("bad server 8000",),
    ),
    "nothing goes out": Row(
        {"podSelector": GOOD, "policyTypes": ["Egress"]},
        denied=("good server 8000", "good bad 8000"),
        allowed=("bad server 8000",),
    ),
    "only the dns goes out": Row(
        {
            "podSelector": GOOD,
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [DNS_PODS], "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}
            ],
        },
        allowed=("good dns 53",),
        denied=("good server 8000", "good service 80", "good api 443"),
    ),
    "a block without one address goes out": Row(
        {
            "podSelector": GOOD,
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["@server/32"]}}]}],
        },
        allowed=("good bad 8000",),
        denied=("good server 8000", "good service 80"),
    ),
    "the api server goes out": Row(
        {
            "podSelector": GOOD,
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [DNS_PODS]},
                {"to": [{"ipBlock": {"cidr": "@node/32"}}], "ports": [{"port": 6443}]},
            ],
        },
        allowed=("good api 443",),
        denied=("good bad 8000",),
    ),
    "out of one and into the other": Row(
        {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": GOOD}]}],
            "egress": [{"to": [{"podSelector": SERVER}]}],
        },
        allowed=("good server 8000",),
        # out of `bad` it may go, into the server it may not; into `bad` it may come, out it may not
        denied=("bad server 8000", "good bad 8000", "other server 8000"),
    ),
}


@pytest.fixture(scope="module")
def place(kube: Cluster) -> Iterator[Place]:
    """Give namespaces and pods that all rows share."""
    tag = secrets.token_hex(3)
    ours, theirs = f"policies-a-{tag}", f"policies-b-{tag}"
    for name, team in ((ours, "a"), (theirs, "b")):
        kube.add_namespace(name, {"team": team})
    serve = ("serve", "8000/tcp", "8001/tcp", "5353/udp")
    port = [{"name": "web", "containerPort": 8000}]

    def pod(namespace: str, name: str, app: str) -> Object:
        labels = {"app": app}
        return probe_pod(kube, namespace, name, *serve, labels=labels, ports=port)

    kube.apply(
        pod(ours, "server", "server"),
        pod(ours, "good", "good"),
        pod(ours, "bad", "bad"),
        pod(theirs, "other", "good"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server", "namespace": ours},
            "spec": {
                "selector": {"app": "server"},
                "ports": [{"name": "web", "port": 80, "targetPort": "web"}],
            },
        },
    )
    wait_ready(kube, ours, "server", "good", "bad")
    wait_ready(kube, theirs, "other")
    found = Place(kube, ours, theirs, address(kube, ours, "server"), address(kube, ours, "bad"))
    kube.until(
        lambda: connects(kube, ours, "good", found.target("service"), 80), "the Service is dead"
    )
    yield found
    kube.kubectl("delete", "namespace", ours, theirs, "--wait=false")


@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_connections_are_as_the_table_says_when_a_policy_is_in_force(
    place: Place, row: Row
) -> None:
    cluster = place.cluster
    if row.policy is not None:
        cluster.apply(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "tested", "namespace": place.ours},
                "spec": place.filled(row.policy),
            }
        )
    try:
        cluster.settle_policies()

        def attempt(line: str) -> tuple[str, bool]:
            pod, to, port = line.split()
            number, _, protocol = port.partition("/")
            host = place.target(to)
            where = (place.space(pod), pod, host, int(number))

            def got() -> bool:
                return connects(cluster, *where, protocol=protocol or "tcp")

            if cluster.node is None:
                # another cluster does not tell when a policy is in force
                cluster.until(lambda: got() is expected[line], line)
            return line, got()

        expected = {**dict.fromkeys(row.allowed, True), **dict.fromkeys(row.denied, False)}
        with ThreadPoolExecutor(4) as pool:
            assert dict(pool.map(attempt, expected)) == expected
    finally:
        cluster.kubectl(
            *("delete", "networkpolicy", "--namespace", place.ours, "--all", "--wait=true")
        )
        cluster.settle_policies()


def test_a_policy_holds_for_a_pod_when_it_comes_later(place: Place) -> None:
    cluster = place.cluster
    deny = {"podSelector": {"matchLabels": {"app": "late"}}, "policyTypes": ["Ingress"]}
    cluster.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "later", "namespace": place.ours},
            "spec": deny,
        },
        probe_pod(cluster, place.ours, "late", "serve", "8000/tcp", labels={"app": "late"}),
    )
    try:
        wait_ready(cluster, place.ours, "late")
        cluster.settle_policies()
        late = address(cluster, place.ours, "late")
        assert not connects(cluster, place.ours, "good", late, 8000)
        # with the label away it is selected no more
        cluster.kubectl("label", "--namespace", place.ours, "pod/late", "app=free", "--overwrite")
        cluster.settle_policies()
        assert connects(cluster, place.ours, "good", late, 8000)
    finally:
        cluster.kubectl("delete", "networkpolicy", "--namespace", place.ours, "later")
        cluster.kubectl("delete", "pod", "--namespace", place.ours, "late", "--wait=false")


def test_policies_stay_in_force_when_their_enforcer_is_killed(place: Place) -> None:
    cluster = place.cluster
    cluster.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "stays", "namespace": place.ours},
            "spec": {"podSelector": SERVER, "policyTypes": ["Ingress"]},
        }
    )
    try:
        cluster.settle_policies()
        cluster.kill("policies")
        assert not connects(cluster, place.ours, "good", place.server, 8000)
        cluster.kubectl("delete", "networkpolicy", "--namespace", place.ours, "stays")
        cluster.start("policies")
        cluster.settle_policies()
        assert connects(cluster, place.ours, "good", place.server, 8000)
    finally:
        cluster.start("policies")
        cluster.kubectl(
            *("delete", "networkpolicy", "--namespace", place.ours, "stays", "--ignore-not-found")
        )
        cluster.settle_policies()


def test_names_are_found_when_a_pod_asks_the_dns(place: Place) -> None:
    nobody = f"nobody.{place.ours}.svc.cluster.local"
    said = inside(place.cluster, place.theirs, "other", "connect", "tcp", nobody, "1")
    assert "no such host" in said
    assert connects(place.cluster, place.theirs, "other", place.target("service"), 80)
