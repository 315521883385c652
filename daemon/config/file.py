"""Reads YAML into plain values with the position of every key, and refuses what a configuration never needs.

The scalars are those of YAML 1.2's core schema: `on`, `no` and `1:30` stay strings, `1e-3` is a number, and a
key is always a string; infinity and NaN are not numbers here. Refused with one clear message: duplicate keys,
tags, several documents, more than `MAX_BYTES`, `MAX_DEPTH` or `MAX_VALUES` (aliases count as often as they
are used: no "YAML bombs").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from daemon.config.errors import ConfigError, KeyPath, Layer, Origin, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_VALUES = 20_000

_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "TRUE": True, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Document:
    """data: nested dicts, lists, scalars. origins: of every key and list item; of (), the file itself."""

    data: dict[str, Any]
    origins: dict[KeyPath, Origin] = field(default_factory=dict)


def read(path: Path, layer: Layer = "file") -> Document:
    """The document in a file. Raises ConfigError for a file that is missing, unreadable or not plain YAML."""
    name = str(path)
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except FileNotFoundError:
        raise _fault(
            "there is no such file", f"create it, or name another: --config {path}", name, layer
        ) from None
    except IsADirectoryError:
        raise _fault(
            "this is a folder, not a file", f"name the file in it: {path / 'config.yaml'}", name, layer
        ) from None
    except PermissionError:
        raise _unreadable(path, layer) from None
    except OSError as error:
        raise _fault(
            f"cannot be read: {error.strerror or error}", "name another file with --config", name, layer
        ) from None
    if raw is None:
        raise _fault(
            f"larger than {MAX_BYTES >> 20} MiB", "a configuration is a short text file", name, layer
        )
    return parse(_decoded(raw, name, layer), name, layer)


def _unreadable(path: Path, layer: Layer) -> ConfigError:
    if path.is_dir():  # Windows answers "permission denied" for a folder
        return _fault(
            "this is a folder, not a file", f"name the file in it: {path / 'config.yaml'}", str(path), layer
        )
    return _fault("may not be read by this user", f"chmod u+r {path}", str(path), layer)


def parse(text: str, name: str, layer: Layer = "file") -> Document:
    """The document in `text`; `name` is what messages call it. An empty text is an empty mapping."""
    if bad := _NOT_YAML.search(text):
        at = (text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start()))
        raise _at(f"YAML does not allow the character U+{ord(bad[0]):04X}", "remove it", name, layer, at)
    try:
        root = _compose(_events(text), name, layer)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Origin(layer, name, mark.line + 1, mark.column + 1) if mark else Origin(layer, name)
        raise ConfigError(
            Problem(f"not valid YAML: {error.problem}", _yaml_mend(error), origin=where)
        ) from None
    origins: dict[KeyPath, Origin] = {(): Origin(layer, name)}
    data = _Build(name, layer, origins).value(root, (), 0) if root is not None else {}
    if data is None:
        data = {}
    if not isinstance(data, dict):
        mend = "write keys and values, as in `output: {fps: 30}`"
        raise ConfigError(
            Problem("the file is not a mapping of keys to values", mend, origin=Origin(layer, name, 1, 1))
        )
    return Document(data, origins)


def scalar(text: str) -> Any:
    """A plain scalar's value by YAML 1.2's core schema: None, bool, int, float or the text itself."""
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 40:
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def value(text: str, name: str, layer: Layer) -> Any:
    """The value of an environment variable or option: a scalar, or a list or mapping in YAML's flow form."""
    if text.lstrip()[:1] not in ("[", "{"):
        return scalar(text)
    try:
        return parse(f"v: {text}", name, layer).data["v"]
    except ConfigError as error:
        problem = error.problems[0]
        raise ConfigError(
            Problem(problem.message, problem.mend, value=text, origin=Origin(layer, name))
        ) from None


# ---------------------------------------------------------------- nodes

Mark = tuple[int, int]
"""Line and column, from 1."""


@dataclass(slots=True)
class _Node:
    """kind: "scalar", "list" or "map". A map's items alternate key node, value node."""

    kind: str
    mark: Mark
    text: str = ""
    plain: bool = False
    items: list[_Node] = field(default_factory=list)


def _events(text: str) -> Iterator[Any]:
    loader = getattr(
        yaml, "CSafeLoader", yaml.SafeLoader
    )  # the C parser is 10 times as fast, where it was built
    yield from yaml.parse(text, Loader=loader)


def _compose(events: Iterator[Any], name: str, layer: Layer) -> _Node | None:
    """The tree of nodes; iterative, so that no depth of nesting can exhaust the stack."""
    anchors: dict[str, _Node] = {}
    stack: list[_Node] = []
    root: _Node | None = None
    for event in events:
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            stack.pop()
            continue
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise _at(
                "a second document begins here",
                "keep one and remove the `---` between them",
                name,
                layer,
                mark,
            )
        if not isinstance(event, yaml.NodeEvent):
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise _at(
                    f"alias *{event.anchor} has no anchor",
                    f"define &{event.anchor} above it",
                    name,
                    layer,
                    mark,
                )
            node = anchors[event.anchor]
        else:
            node = _node(event, mark, name, layer)
            if event.anchor:
                anchors[event.anchor] = node
        if stack:
            stack[-1].items.append(node)
        else:
            root = node
        if node.kind != "scalar" and not isinstance(event, yaml.AliasEvent):
            stack.append(node)
            if len(stack) > MAX_DEPTH:
                raise _at(f"nested deeper than {MAX_DEPTH} levels", "write it flatter", name, layer, mark)
    return root


def _node(event: Any, mark: Mark, name: str, layer: Layer) -> _Node:
    if event.tag not in (None, "!") and event.tag != "tag:yaml.org,2002:str":
        raise _at(
            f"the tag {event.tag!r} is not used here", "write the value without a tag", name, layer, mark
        )
    if isinstance(event, yaml.ScalarEvent):
        return _Node("scalar", mark, event.value, plain=not event.style and event.tag is None)
    return _Node("list" if isinstance(event, yaml.SequenceStartEvent) else "map", mark)


class _Build:
    """Nodes to values, noting where each came from."""

    def __init__(self, name: str, layer: Layer, origins: dict[KeyPath, Origin]) -> None:
        self.name, self.layer, self.origins = name, layer, origins
        self.count = 0

    def value(self, node: _Node, path: KeyPath, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or depth > MAX_DEPTH:
            raise _at(
                f"aliases expand to more than {MAX_VALUES} values or {MAX_DEPTH} levels",
                "write the values out instead",
                self.name,
                self.layer,
                node.mark,
            )
        if path:
            self.origins.setdefault(path, Origin(self.layer, self.name, *node.mark))
        if node.kind == "scalar":
            return scalar(node.text) if node.plain else node.text
        if node.kind == "list":
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.items)]
        return self._mapping(node, path, depth)

    def _mapping(self, node: _Node, path: KeyPath, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[_Node] = []
        for key, item in zip(node.items[::2], node.items[1::2], strict=True):
            if key.kind != "scalar":
                raise _at(
                    "a key must be a plain word",
                    "put a name before the colon",
                    self.name,
                    self.layer,
                    key.mark,
                )
            if key.text == "<<" and key.plain:
                merged += item.items if item.kind == "list" else [item]
                continue
            if key.text in lines:
                mend = f"keep one: it stands in line {lines[key.text]} already"
                raise _at(
                    f"the key {key.text!r} is given twice",
                    mend,
                    self.name,
                    self.layer,
                    key.mark,
                    (*path, key.text),
                )
            lines[key.text] = key.mark[0]
            self.origins[(*path, key.text)] = Origin(self.layer, self.name, *key.mark)
            found[key.text] = self.value(item, (*path, key.text), depth + 1)
        for source in merged:
            if source.kind != "map":
                raise _at(
                    "`<<` takes a mapping", "use it with an alias of one", self.name, self.layer, source.mark
                )
            for key, item in zip(source.items[::2], source.items[1::2], strict=True):
                if key.text not in found:
                    found[key.text] = self.value(item, (*path, key.text), depth + 1)
        return found


# ---------------------------------------------------------------- messages


def _decoded(raw: bytes, name: str, layer: Layer) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _fault("the file is in UTF-16", "save it as UTF-8", name, layer)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        at = (before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise _at(
            f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8", name, layer, at
        ) from None


def _yaml_mend(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "\\t" in problem or "tab" in problem.lower():
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in problem:
        return "put text that holds a colon in quotes, or check the indentation"
    if "expected" in problem or "did not find" in problem:
        return "check indentation, brackets and quotes on this line and the one before"
    return "put text with special characters in quotes"


def _fault(message: str, mend: str, name: str, layer: Layer) -> ConfigError:
    return ConfigError(Problem(message, mend, origin=Origin("file" if layer == "default" else layer, name)))


def _at(message: str, mend: str, name: str, layer: Layer, mark: Mark, path: KeyPath = ()) -> ConfigError:
    return ConfigError(Problem(message, mend, path, origin=Origin(layer, name, *mark)))
