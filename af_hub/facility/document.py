"""YAML with line numbers, without repeated keys, aliases or tags."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML document.

    Parameters
    ----------
    data
        Plain mappings, lists, texts, numbers, booleans and None.
    root
        The same with positions.
    """

    data: Any
    root: yaml.Node

    @property
    def json(self) -> str:
        """The data as JSON text."""
        return json.dumps(self.data)

    def line(self, where: tuple[str | int, ...]) -> int:
        """Find the line, from 1, of a location; of its nearest parent if it does not exist."""
        node = self.root
        line: int = node.start_mark.line
        for item in where:
            key, child = _child(node, item)
            if child is None:
                break
            node = child
            line = (key or child).start_mark.line
        return line + 1

    def existing(self, where: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Keep of a location what stands in the document, leaving out names of variants."""
        node = self.root
        kept: list[str | int] = []
        for item in where:
            _key, child = _child(node, item)
            if child is not None:
                node = child
                kept.append(item)
        return tuple(kept)


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses what hides mistakes or explodes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse aliases: a few lines of them can stand for gigabytes."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not supported", problem_mark=mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: ARG002  the base class's signature
    ) -> dict[Hashable, Any]:
        """Refuse a key that stands twice: plain YAML silently takes the last."""
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(
                    problem="only plain texts can be keys", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        # keys are texts, also those that YAML 1.1 reads as a number or a boolean (no, on)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


# dates have no place in a facility file: '2026-11-21' stays a text
_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_document(text: str) -> Document:
    """Parse YAML.

    Parameters
    ----------
    text
        One YAML document.

    Returns
    -------
    Document
        Data and positions.

    Raises
    ------
    yaml.MarkedYAMLError
        With the position of the mistake.
    ValueError
        If there is no document, or something that JSON has no form for.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ValueError("is empty")
        data = loader.construct_document(node)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    finally:
        loader.dispose()
    try:
        json.dumps(data)
    except TypeError:
        raise ValueError("holds a YAML tag that has no meaning here") from None
    return Document(data, node)


def _child(node: yaml.Node, item: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Step from a node to a key's value or a list's element."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(item):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(item, int) and item < len(node.value):
        return None, node.value[item]
    return None, None
