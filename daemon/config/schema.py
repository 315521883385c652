"""Walks the schema: the declaration behind a key path, and every value with its declaration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from daemon.config.choice import Choice, FromFolder
from daemon.config.errors import KeyPath, dotted
from daemon.config.plain_tree import child, value_at
from pipeline import kinds
from pipeline.options import Applies, Options


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of the settings. default: of the schema. field: None for a `kind` and for a removed style."""

    path: KeyPath
    value: Any
    field: FieldInfo | None

    @property
    def key(self) -> str:
        return dotted(self.path)

    @property
    def help(self) -> str:
        return (self.field.description or "") if self.field else ""

    @property
    def applies(self) -> Applies:
        """When a change takes effect."""
        return applies(self.field) if self.field else "prepare"


def applies(field: FieldInfo) -> Applies:
    """When a change of this setting takes effect."""
    extra = field.json_schema_extra
    said: Applies = extra["applies"] if isinstance(extra, dict) else "rebuild"  # type: ignore[assignment]
    return said


def applies_to(model: type[Options], key: str) -> Applies:
    """When a change at a dotted key of fixed sections ("output.fps", "styles.neon") takes effect."""
    section, _, inner = key.partition(".")
    field = model.model_fields[section]
    shape = field.annotation
    if inner and isinstance(shape, type) and issubclass(shape, Options) and inner in shape.model_fields:
        return applies(shape.model_fields[inner])
    return applies(field)


def leaves(options: Options, under: KeyPath = ()) -> Iterator[Leaf]:
    """Every value, in the schema's order; an empty list or mapping is a leaf too."""
    for name, field in type(options).model_fields.items():
        yield from _leaves(getattr(options, name), (*under, name), field)


def _leaves(value: Any, path: KeyPath, field: FieldInfo | None) -> Iterator[Leaf]:
    if isinstance(value, Options):
        yield from leaves(value, path)
    elif isinstance(value, Choice):
        yield Leaf((*path, "kind"), value.kind, None)
        yield from leaves(value.options, path)
    elif isinstance(value, tuple) and any(isinstance(item, Choice) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index), field)
    elif isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, name), field)
    else:
        yield Leaf(path, value, field)


def plain(leaf: Leaf) -> Any:
    """A leaf's value as YAML and JSON write it."""
    value = leaf.value
    if hasattr(value, "_fields"):  # Size
        return str(value)
    if isinstance(value, tuple):
        pairs = bool(value) and all(isinstance(item, tuple) for item in value)
        return dict(value) if pairs or leaf.path[-1] == "loras" else list(value)
    return value if isinstance(value, str | int | float | bool | None | dict) else str(value)


def known_keys(model: type[Options], path: KeyPath, raw: Any) -> Sequence[str] | None:
    """The keys allowed in the mapping at `path`; None where any name is (the style bank) or none is known."""
    shape = _shape(model, path, raw)
    if isinstance(shape, FromFolder):
        kind = _dig(raw, path, "kind")
        if not isinstance(kind, str) or kind not in kinds.names(shape.package):
            return ["kind"]
        return ["kind", *kinds.load(shape.package, kind).Options.model_fields]
    return list(shape.model_fields) if isinstance(shape, type) and issubclass(shape, Options) else None


def field_at(model: type[Options], path: KeyPath, raw: Any) -> FieldInfo | None:
    """The declaration of the value at `path`; `raw` (the given values) tells which kind a choice is of."""
    if not path:
        return None
    shape = _shape(model, path[:-1], raw)
    name = str(path[-1])
    if isinstance(shape, FromFolder):
        kind = _dig(raw, path[:-1], "kind")
        if not isinstance(kind, str) or kind not in kinds.names(shape.package):
            return None
        found: FieldInfo | None = kinds.load(shape.package, kind).Options.model_fields.get(name)
        return found
    if isinstance(shape, type) and issubclass(shape, Options):
        return shape.model_fields.get(name)
    return None


def _dig(raw: Any, path: KeyPath, key: str) -> Any:
    """The value of `key` in the mapping at `path`; of a short form ("webcam:0") the part before the colon."""
    mapping = value_at(raw, path)
    if isinstance(mapping, str):
        return mapping.partition(":")[0]
    return child(mapping, key)


def _shape(model: type[Options], path: KeyPath, raw: Any) -> Any:
    """What stands at `path`: an Options class, a FromFolder, or any other annotation."""
    shape: Any = model
    for step in path:
        if isinstance(shape, type) and issubclass(shape, Options):
            field = shape.model_fields.get(str(step))
            if field is None:
                return None
            folder = [m for m in field.metadata if isinstance(m, FromFolder)]
            shape = folder[0] if folder else field.annotation
        elif get_origin(shape) is dict:
            shape = get_args(shape)[1]
        elif get_origin(shape) is tuple:
            inner = get_args(shape)[0]
            folder = [m for m in getattr(inner, "__metadata__", ()) if isinstance(m, FromFolder)]
            shape = folder[0] if folder else inner
        else:
            return None
    return shape
