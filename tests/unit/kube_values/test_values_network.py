"""The generated network policies: what the facility file names, and nothing beside it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from af_hub.errors import ConfigError
from af_hub.kube_values import FILE, Site
from af_hub.kube_values.network import PRIVATE, PRIVATE_6
from testbed.egress import Pod, permits
from testbed.helm import KUBERNETES
from testbed.values import BASE, TEXT, facility, made, values

SITE = Site.read(public_url=None, subdomains=False, networks=("10.20.0.0/16",))
PUBLIC = ip_address("192.0.2.7")
PROXY = {"app.kubernetes.io/name": "jupyterhub", "app.kubernetes.io/component": "proxy"}
PORTS = st.sampled_from([443, 1094, 5432, 6443, 8443, 8444, 8786]) | st.integers(1, 65535)
"""Any port, and often one that is open somewhere."""
OUTSIDE = {443, 8443, 8444}
"""Ports of hosts outside of the cluster: Rucio, the WebDAV door and the identity provider."""


def rules(part: str = "singleuser", text: str = TEXT, site: Site | None = None) -> Any:
    """Return the generated egress rules of one pod."""
    made = values(text, site)
    found = made["proxy"]["chp"] if part == "proxy" else made[part]
    return found["networkPolicy"]["egress"]


def service(name: str, namespace: str | None = None) -> Pod:
    """Return a pod behind a Service."""
    labels = {"app.kubernetes.io/name": name}
    return Pod(labels) if namespace is None else Pod(labels, namespace)


@pytest.mark.parametrize(
    ("to", "port"),
    [
        (Pod(PROXY), 8443),
        (service("xcache"), 1094),
        (service("xcache", "caches"), 1095),
        (service("dask-gateway"), 8786),
        (PUBLIC, 443),
        (PUBLIC, 8443),
        (PUBLIC, 8444),
        (IPv6Address("2001:db8::7"), 443),
        (IPv4Address("10.1.2.3"), 443),
        (IPv4Address("10.20.3.4"), 8443),
    ],
)
def test_connection_is_open_when_the_facility_file_names_it(to: Any, port: int) -> None:
    assert permits(rules(site=SITE), to, port)


@pytest.mark.parametrize(
    ("to", "port"),
    [
        (service("xcache"), 1095),
        (service("xcache", "caches"), 1094),
        (service("xcache", "elsewhere"), 1094),
        (service("postgres"), 5432),
        (service("dask-gateway"), 8000),
        (Pod({"component": "hub"}), 8081),
        (Pod(), 1094),
        (Pod(PROXY, "elsewhere"), 8443),
        (PUBLIC, 22),
        (PUBLIC, 1094),
        (IPv4Address("10.1.2.4"), 443),
        (IPv4Address("10.1.2.3"), 8443),
        (IPv4Address("10.96.0.1"), 443),
        (IPv4Address("10.20.3.4"), 22),
        (IPv4Address("169.254.169.254"), 443),
        (IPv4Address("192.168.1.1"), 443),
        (IPv6Address("fd00:ec2::254"), 443),
    ],
)
def test_connection_is_closed_when_nobody_names_it(to: Any, port: int) -> None:
    assert not permits(rules(site=SITE), to, port)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), PORTS)
def test_addresses_are_closed_when_no_rule_is_theirs(address: Any, port: int) -> None:
    assume(address != IPv4Address("10.1.2.3"))
    inside = any(address in ip_network(one) for one in (*PRIVATE, *PRIVATE_6))
    expected = port in OUTSIDE and not inside
    assert permits(rules(), address, port) is expected


@given(st.sampled_from(["a", "xcache", "dask-gateway", "hub"]), PORTS)
def test_pods_are_closed_when_no_rule_is_theirs(name: str, port: int) -> None:
    known = {("xcache", 1094), ("dask-gateway", 8786)}
    assert permits(rules(), service(name), port) is ((name, port) in known)


def test_udp_is_closed_when_doors_are_open() -> None:
    assert not permits(rules(), service("xcache"), 1094, "UDP")


def test_hub_reaches_the_identity_provider_only_when_it_is_outside() -> None:
    assert permits(rules("hub"), PUBLIC, 8444)
    assert not permits(rules("hub"), PUBLIC, 443)
    assert not permits(rules("hub"), service("xcache"), 1094)


def test_proxy_reaches_the_gateway_only_when_there_is_one() -> None:
    assert permits(rules("proxy"), service("dask-gateway"), 8000)
    assert not permits(rules("proxy"), PUBLIC, 443)
    assert (
        rules("proxy", TEXT.replace(TEXT[TEXT.index("compute:") : TEXT.index("kubernetes:")], ""))
        == []
    )


def test_service_is_beside_the_hub_when_its_namespace_is_the_labs() -> None:
    text = TEXT.replace("kubernetes:\n", "kubernetes:\n  namespace: caches\n")
    assert permits(rules(text=text), service("xcache"), 1095)


def test_labs_reach_the_hub_outside_when_the_facility_file_says_so() -> None:
    text = TEXT.replace(
        "kubernetes:\n", "kubernetes:\n  hub_url: https://hub.example.org:9443/hub\n"
    )
    assert permits(rules(text=text), PUBLIC, 9443)
    assert not permits(rules(), PUBLIC, 9443)
    inside = TEXT.replace("kubernetes:\n", "kubernetes:\n  hub_url: http://hub:8081/hub\n")
    assert rules(text=inside) == rules()


def test_each_address_of_the_file_is_told_when_an_administrator_reads_the_values() -> None:
    head = made()[FILE].partition("hub:\n")[0]
    for door in facility().storage:
        assert f"storage.{door.name}: " in head
    for key in ("identity.issuer", "cache.rules[0]", "rucio.url", "compute.gateway.proxy_address"):
        assert f"#   {key}: " in head


@pytest.mark.parametrize("part", ["singleuser", "hub", "proxy"])
def test_kubernetes_takes_the_rules_when_they_stand_in_a_policy(part: str) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": part},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": rules(part, site=SITE)},
    }
    kubernetes_validate.validate(policy, KUBERNETES, strict=True)


def test_only_dns_is_open_beside_the_rules_when_the_chart_adds_its_own() -> None:
    base = yaml.safe_load(BASE.read_text())
    for pod in (base["hub"], base["singleuser"], base["proxy"]["chp"]):
        allowed = pod["networkPolicy"]["egressAllowRules"]
        assert len(allowed) == 6
        assert {name for name, value in allowed.items() if value} == {"dnsPortsKubeSystemNamespace"}


REACHES = ("10.0.0.1:6443", "[fd00::1]:6443", "postgres.databases.svc:5432")


def test_hub_reaches_the_api_server_and_the_database_only_when_they_are_named() -> None:
    site = Site.read(public_url=None, subdomains=False, hub_reaches=REACHES)
    found = rules("hub", site=site)
    assert permits(found, IPv4Address("10.0.0.1"), 6443)
    assert permits(found, IPv6Address("fd00::1"), 6443)
    assert permits(found, service("postgres", "databases"), 5432)
    assert permits(found, PUBLIC, 8444)
    for address in ("10.0.0.1", "10.0.0.2", "192.168.1.1", "169.254.169.254"):
        assert not permits(found, IPv4Address(address), 443)
    assert not permits(found, IPv4Address("10.0.0.2"), 6443)
    assert not permits(found, service("postgres"), 5432)


@given(st.ip_addresses(v=4), PORTS)
@example(IPv4Address("169.254.169.254"), 443)
def test_private_addresses_are_closed_but_for_three_ports_when_nothing_is_named(
    address: Any, port: int
) -> None:
    inside = any(address in ip_network(one) for one in PRIVATE)
    metadata = address in ip_network("169.254.0.0/16")
    expected = port in {443, 5432, 6443} and not metadata if inside else port == 8444
    assert permits(rules("hub"), address, port) is expected
    site = Site.read(public_url=None, subdomains=False, hub_reaches=REACHES)
    assert not permits(rules(site=site), IPv4Address("10.0.0.1"), 6443)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1", "10.0.0.1:0", ":6443", "fd00::1:6443", "169.254.169.254:80", "a b:1", "x:70000"],
)
def test_place_is_refused_when_it_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="ADDRESS:PORT") as refused:
        Site.read(public_url=None, subdomains=False, hub_reaches=(text,))
    assert refused.value.code == "kube-hub-reaches"
