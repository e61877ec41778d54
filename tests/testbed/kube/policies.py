"""NetworkPolicies as one table of nftables. Pure.

Kubernetes stores NetworkPolicies and enforces none; that is left to the network plugin, and the plain
ones do nothing. On one node, IPv4 and routed pods it comes to one table:

- who is selected by a policy of a direction is isolated in it, and packets of new connections from
  or to it jump into the chain of the direction;
- there each rule of each policy returns what it allows, and the end drops the rest;
- a packet between two isolated pods has to pass both chains.

Packets are seen after kube-proxy's translation, so addresses are those of pods, as the API wants it.
What the node itself sends (probes) is never filtered, as the API says. The API server runs on the
node here; for its port packets are filtered all the same, since elsewhere it is another machine.

Not covered: IPv6, pods on the host's network, AdminNetworkPolicy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Object = dict[str, Any]
"""An object of the API, decoded."""

TABLE: Final = "inet analysis_facility"

_DIRECTIONS: Final = (
    # direction, peers' key, our side, their side
    ("Ingress", "from", "daddr", "saddr"),
    ("Egress", "to", "saddr", "daddr"),
)


@dataclass(frozen=True)
class Pod:
    """What rules need to know of a pod that has an address.

    Parameters
    ----------
    namespace, labels, address
        The pod's.
    ports
        Number of each port by name and protocol.
    """

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """Ports that a rule allows.

    Parameters
    ----------
    match
        Expression of nftables; empty: every port.
    pods
        The pods of the receiving side that it is about; None: all of the rule's.
    """

    match: str
    pods: tuple[Pod, ...] | None = None


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector selects an object of these labels."""
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(each, labels) for each in expressions
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"unknown operator {other}")


def parse_pods(objects: Iterable[Object]) -> list[Pod]:
    """Return the pods that rules can be about: with an address of their own, and not over."""
    found = []
    for each in objects:
        status, spec = each.get("status", {}), each["spec"]
        over = status.get("phase") in {"Succeeded", "Failed"}
        if over or spec.get("hostNetwork") or not status.get("podIP"):
            continue
        ports = {
            (port["name"], port.get("protocol", "TCP")): port["containerPort"]
            for container in spec["containers"]
            for port in container.get("ports") or []
            if "name" in port
        }
        found.append(Pod(each["metadata"]["namespace"], _labels(each), status["podIP"], ports))
    return found


def _labels(each: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = each["metadata"].get("labels") or {}
    return labels


@dataclass
class Rules:
    """Rules as they come together."""

    isolated: dict[str, set[str]] = field(
        default_factory=lambda: {"Ingress": set(), "Egress": set()}
    )
    allowed: dict[str, list[str]] = field(default_factory=lambda: {"Ingress": [], "Egress": []})


def compile_rules(
    pods: Iterable[Object], namespaces: Iterable[Object], policies: Iterable[Object]
) -> str:
    """Return what ``nft -f -`` loads in one step.

    Parameters
    ----------
    pods, namespaces, policies
        All of the cluster's, as the API gives them.
    """
    known = sorted(parse_pods(pods), key=lambda pod: pod.address)
    spaces = {each["metadata"]["name"]: _labels(each) for each in namespaces}
    rules = Rules()
    for policy in sorted(policies, key=lambda each: str(each["metadata"])):
        namespace, spec = policy["metadata"]["namespace"], policy["spec"]
        selector = spec.get("podSelector") or {}
        selected = [
            pod for pod in known if pod.namespace == namespace and matches(selector, pod.labels)
        ]
        # the API server fills policyTypes in; the rule is of its documentation
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        for direction, key, mine, theirs in _DIRECTIONS:
            if direction not in types or not selected:
                continue
            rules.isolated[direction] |= {pod.address for pod in selected}
            for rule in spec.get(direction.lower()) or []:
                for peer in _peers(rule.get(key) or [], namespace, known, spaces):
                    rules.allowed[direction] += _allow(
                        rule.get("ports") or [], selected, peer, mine, theirs
                    )
    return _table(rules)


@dataclass(frozen=True)
class Peer:
    """The other side of a rule.

    Parameters
    ----------
    pods
        Pods that it may be.
    blocks
        Expressions for addresses instead of the pods' own; None: the pods' addresses.
    """

    pods: tuple[Pod, ...]
    blocks: str | None = None


def _peers(
    peers: Sequence[Mapping[str, Any]],
    namespace: str,
    pods: Sequence[Pod],
    spaces: Mapping[str, Mapping[str, str]],
) -> Iterator[Peer]:
    if not peers:
        yield Peer(tuple(pods), "")  # everybody
    for peer in peers:
        if block := peer.get("ipBlock"):
            if ":" not in block["cidr"]:
                excluded = block.get("except") or []
                but = f" ip SIDE != {_set(excluded)}" if excluded else ""
                yield Peer((), f"ip SIDE {block['cidr']}{but}")
            continue
        where, what = peer.get("namespaceSelector"), peer.get("podSelector") or {}
        chosen = tuple(
            pod
            for pod in pods
            if matches(what, pod.labels)
            and (
                pod.namespace == namespace
                if where is None
                else matches(where, spaces.get(pod.namespace, {}))
            )
        )
        if chosen:
            yield Peer(chosen)


def _allow(
    ports: Sequence[Mapping[str, Any]],
    selected: Sequence[Pod],
    peer: Peer,
    mine: str,
    theirs: str,
) -> Iterator[str]:
    """Give the rules for one peer."""
    receiving = selected if mine == "daddr" else peer.pods
    for port in _ports(ports, receiving):
        ours, others = tuple(selected), peer.pods
        by_address = peer.blocks is None
        if port.pods is not None:  # a named port: it is another number in each pod
            if mine == "daddr":
                ours = port.pods
            else:
                others, by_address = port.pods, True
        parts = [f"ip {mine} {_set(pod.address for pod in ours)}"]
        if by_address:
            parts.append(f"ip {theirs} {_set(pod.address for pod in others)}")
        elif peer.blocks:
            parts.append(peer.blocks.replace("SIDE", theirs))
        yield " ".join((*parts, *filter(None, [port.match]), "return"))


def _ports(ports: Sequence[Mapping[str, Any]], receiving: Iterable[Pod]) -> Iterator[Port]:
    if not ports:
        yield Port("")
    for each in ports:
        protocol, number = each.get("protocol", "TCP"), each.get("port")
        kind = protocol.lower()
        if number is None:
            yield Port(f"meta l4proto {kind}")
        elif isinstance(number, int):
            last = f"-{each['endPort']}" if each.get("endPort") else ""
            yield Port(f"{kind} dport {number}{last}")
        else:
            named: dict[int, list[Pod]] = {}
            for pod in receiving:
                if found := pod.ports.get((number, protocol)):
                    named.setdefault(found, []).append(pod)
            for found, owners in named.items():
                yield Port(f"{kind} dport {found}", tuple(owners))


def _set(addresses: Iterable[str]) -> str:
    return f"{{ {', '.join(sorted(set(addresses)))} }}"


def _table(rules: Rules) -> str:
    def members(direction: str) -> str:
        found = rules.isolated[direction]
        return f" elements = {_set(found)};" if found else ""

    def chain(direction: str) -> str:
        allowed = dict.fromkeys(rules.allowed[direction])
        return "\n".join(f"    {each}" for each in (*allowed, "counter drop"))

    return f"""table {TABLE}
delete table {TABLE}
table {TABLE} {{
  set receivers {{ type ipv4_addr;{members("Ingress")} }}
  set senders {{ type ipv4_addr;{members("Egress")} }}
  chain ingress {{
{chain("Ingress")}
  }}
  chain egress {{
{chain("Egress")}
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ip saddr @senders jump egress
    ip daddr @receivers jump ingress
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    ip saddr @senders tcp dport 6443 jump egress
  }}
}}
"""
