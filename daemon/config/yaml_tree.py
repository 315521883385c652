"""ruamel.yaml's trees: read for a round trip and changed so that comments, order and quotes stay.

Keys and text are written so that our own reader (`daemon.config.file`) takes them for what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.config.file import scalar

_NOT_PLAIN = frozenset("?:\x85")
"""ruamel.yaml writes YAML 1.2 and leaves `?a` and `:)` plain inside `{…}`, and a next-line sign anywhere; our reader is
PyYAML's, of YAML 1.1."""


def section_of(tree: Any, section: str) -> Any:
    if not isinstance(tree.get(section), dict):
        from ruamel.yaml.comments import CommentedMap

        tree[section] = CommentedMap()
    return tree[section]


def new_mapping(*, block: bool = False) -> Any:
    """`{prompt: …}` on one line, as the packaged bank is written."""
    from ruamel.yaml.comments import CommentedMap

    made = CommentedMap()
    if not block:
        made.fa.set_flow_style()
    return made


def write_order(tree: Any, names: list[str]) -> None:
    from ruamel.yaml.comments import CommentedSeq

    made = CommentedSeq([quoted(name) for name in names])
    made.fa.set_flow_style()
    tree["style_order"] = made


def update(node: Any, values: Mapping[str, Any]) -> None:
    """Only what differs is touched: comments beside the rest stay."""
    for key in [key for key in node if str(key) not in values]:
        del node[key]
    for key, value in values.items():
        if key not in node or node[key] != value:
            node[key] = quoted(value)


def key_of(mapping: Any, name: str) -> Any:
    """The key that our own reader would call `name`; None where there is none."""
    return next((key for key in mapping if str(key) == name), None)


def quoted(value: Any) -> Any:
    """Text that would be read as a number, truth or null stands in quotes, and what YAML 1.2 takes and 1.1 does not."""
    if isinstance(value, str) and (not isinstance(scalar(value), str) or set(value) & _NOT_PLAIN):
        from ruamel.yaml.scalarstring import DoubleQuotedScalarString

        return DoubleQuotedScalarString(value)
    if isinstance(value, Mapping):
        return {quoted(key): quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [quoted(item) for item in value]
    return value
