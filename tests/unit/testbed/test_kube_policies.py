"""NetworkPolicies become rules: every form of peer and port, and nothing beside it.

What the rules do to packets is told by ``tests/kube/test_network_policies.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from testbed.kube.policies import compile_rules, matches
from testbed.require import require

Object = dict[str, Any]

SPACES = [
    {"metadata": {"name": "ours", "labels": {"team": "a"}}},
    {"metadata": {"name": "theirs", "labels": {"team": "b"}}},
]


def pod(namespace: str, app: str, address: str, **more: Any) -> Object:
    spec = {"containers": [{"ports": more.pop("ports", [])}], **more.pop("spec", {})}
    status = {"podIP": address, "phase": "Running", **more}
    return {
        "metadata": {"namespace": namespace, "labels": {"app": app}},
        "spec": spec,
        "status": status,
    }


PODS = [
    pod("ours", "server", "10.0.0.1", ports=[{"name": "web", "containerPort": 8000}]),
    pod("ours", "client", "10.0.0.2"),
    pod("theirs", "client", "10.0.0.3"),
    pod("theirs", "server", "10.0.0.4", ports=[{"name": "web", "containerPort": 9000}]),
]


def policy(**spec: Any) -> Object:
    spec.setdefault("podSelector", {"matchLabels": {"app": "server"}})
    return {"metadata": {"namespace": "ours", "name": "tested"}, "spec": spec}


def chain(text: str, name: str) -> list[str]:
    found = re.search(rf"chain {name} \{{\n(.*?)\n  \}}", text, re.DOTALL)
    assert found
    return [line.strip() for line in found[1].splitlines()]


def ingress(*rules: Object, pods: list[Object] | None = None) -> list[str]:
    return chain(compile_rules(pods or PODS, SPACES, [policy(ingress=list(rules))]), "ingress")


def egress(*rules: Object) -> list[str]:
    one = policy(egress=list(rules), policyTypes=["Egress"])
    return chain(compile_rules(PODS, SPACES, [one]), "egress")


def test_nobody_is_isolated_when_there_is_no_policy() -> None:
    text = compile_rules(PODS, SPACES, [])
    assert "elements" not in text


def test_only_selected_pods_are_isolated_when_a_policy_allows_nothing() -> None:
    text = compile_rules(PODS, SPACES, [policy()])
    assert "set receivers { type ipv4_addr; elements = { 10.0.0.1 }; }" in text
    assert "set senders { type ipv4_addr; }" in text
    assert chain(text, "ingress") == ["counter drop"]


def test_a_policy_is_about_egress_too_when_it_has_such_rules_and_no_types() -> None:
    text = compile_rules(PODS, SPACES, [policy(egress=[{}])])
    assert "set senders { type ipv4_addr; elements = { 10.0.0.1 }; }" in text
    assert "set receivers { type ipv4_addr; elements = { 10.0.0.1 }; }" in text


def test_everything_is_allowed_when_a_rule_is_empty() -> None:
    assert ingress({})[0] == "ip daddr { 10.0.0.1 } return"


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"podSelector": {"matchLabels": {"app": "client"}}}, "{ 10.0.0.2 }"),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, "{ 10.0.0.3, 10.0.0.4 }"),
        (
            {
                "namespaceSelector": {"matchLabels": {"team": "b"}},
                "podSelector": {"matchLabels": {"app": "client"}},
            },
            "{ 10.0.0.3 }",
        ),
        ({"namespaceSelector": {}}, "{ 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 }"),
        ({"podSelector": {}}, "{ 10.0.0.1, 10.0.0.2 }"),
    ],
)
def test_a_peer_is_the_pods_that_it_selects(peer: Object, addresses: str) -> None:
    assert ingress({"from": [peer]})[0] == f"ip daddr {{ 10.0.0.1 }} ip saddr {addresses} return"


def test_nothing_is_allowed_when_a_peer_selects_nobody() -> None:
    nobody = {"podSelector": {"matchLabels": {"app": "nobody"}}}
    assert ingress({"from": [nobody]}) == ["counter drop"]


def test_a_block_leaves_out_what_it_excludes() -> None:
    block = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}}
    assert ingress({"from": [block]})[0] == (
        "ip daddr { 10.0.0.1 } ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16, 10.2.0.0/16 } return"
    )


def test_a_block_of_the_other_protocol_allows_nothing() -> None:
    assert ingress({"from": [{"ipBlock": {"cidr": "fd00::/8"}}]}) == ["counter drop"]


@pytest.mark.parametrize(
    ("port", "match"),
    [
        ({"port": 80}, "tcp dport 80"),
        ({"port": 53, "protocol": "UDP"}, "udp dport 53"),
        ({"port": 8000, "endPort": 8100}, "tcp dport 8000-8100"),
        ({"protocol": "UDP"}, "meta l4proto udp"),
        ({"port": "web"}, "tcp dport 8000"),
    ],
)
def test_a_port_is_what_it_says(port: Object, match: str) -> None:
    assert ingress({"ports": [port]})[0] == f"ip daddr {{ 10.0.0.1 }} {match} return"


def test_a_named_port_is_another_number_in_each_pod_when_many_are_asked() -> None:
    everybody: Object = {"namespaceSelector": {}}
    assert egress({"to": [everybody], "ports": [{"port": "web"}]}) == [
        "ip saddr { 10.0.0.1 } ip daddr { 10.0.0.1 } tcp dport 8000 return",
        "ip saddr { 10.0.0.1 } ip daddr { 10.0.0.4 } tcp dport 9000 return",
        "counter drop",
    ]


def test_nothing_is_allowed_when_no_pod_has_a_port_of_that_name() -> None:
    assert ingress({"ports": [{"port": "grpc"}]}) == ["counter drop"]


def test_each_peer_goes_with_each_port() -> None:
    peers = [{"podSelector": {}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}]
    rules = ingress({"from": peers, "ports": [{"port": 1}, {"port": 2}]})
    assert len(rules) == 5
    assert rules[-1] == "counter drop"


@pytest.mark.parametrize(
    "outside",
    [
        pod("ours", "server", "10.0.0.9", spec={"hostNetwork": True}),
        pod("ours", "server", "10.0.0.9", phase="Succeeded"),
        pod("ours", "server", "10.0.0.9", phase="Failed"),
        pod("ours", "server", ""),
    ],
)
def test_a_pod_is_left_out_when_its_address_is_not_its_own(outside: Object) -> None:
    text = compile_rules([*PODS, outside], SPACES, [policy()])
    assert "10.0.0.9" not in text


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["a", "b"], True),
        ("In", ["b"], False),
        ("NotIn", ["b"], True),
        ("NotIn", ["a"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_an_expression_selects_by_its_operator(
    operator: str, values: list[str] | None, selected: bool
) -> None:
    expression = {"key": "team", "operator": operator, "values": values}
    assert matches({"matchExpressions": [expression]}, {"team": "a"}) is selected


def test_labels_that_are_missing_are_not_in_any_list() -> None:
    expression = {"key": "team", "operator": "NotIn", "values": ["a"]}
    assert matches({"matchExpressions": [expression]}, {})


def test_nftables_takes_the_rules() -> None:
    program = shutil.which("nft", path="/usr/sbin:/usr/bin")
    require("kube", program and os.geteuid() == 0, "nft is not installed, or asks for root")
    assert program
    text = compile_rules(
        PODS,
        SPACES,
        [
            policy(
                ingress=[
                    {},
                    {
                        "from": [
                            {"podSelector": {}},
                            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                        ],
                        "ports": [
                            {"port": "web"},
                            {"port": 1, "endPort": 9},
                            {"protocol": "UDP"},
                            {"port": 5, "protocol": "SCTP"},
                        ],
                    },
                ],
                egress=[{"to": [{"namespaceSelector": {}}], "ports": [{"port": "web"}]}],
            )
        ],
    )
    done = subprocess.run(
        [program, "--check", "-f", "-"], input=text, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
