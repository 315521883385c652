"""The live controls, read off the settings' JSON schema: what the command `set` takes, with its bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.messages import LiveState, Style

STYLE_KEYS = frozenset(field.name for field in dataclasses.fields(Style)) - {"name"}
STATE_KEYS = frozenset(field.name for field in dataclasses.fields(LiveState)) - {
    "style",
    "blend",
    "mode",
    "revision",
}
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxLength")

MORPH = {
    "key": "morph_s",
    "of": "state",
    "type": "number",
    "help": "seconds over which the picture moves from one style to the next",
    "default": 0.0,
    "minimum": 0,
    "maximum": 60,
}
"""Has no place in the configuration: it belongs to the moment."""


def controls(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{key, of: "style" | "state", type, help, default, choices?, minimum?, …}], in the schema's order."""
    found = {control["key"]: control for control in _walk(schema, schema, ())}
    return [*found.values(), *([] if MORPH["key"] in found else [MORPH])]


def _walk(
    schema: Mapping[str, Any], node: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    for name, field in (node.get("properties") or {}).items():
        inner = _resolve(schema, field)
        bank = inner.get("additionalProperties")
        if name == "styles" and isinstance(bank, Mapping):
            yield from _walk(schema, _resolve(schema, bank), ("styles",))
        elif inner.get("properties"):
            yield from _walk(schema, inner, (*path, name))
        elif inner.get("applies") == "live" and (key := _live_key(path, name)):
            yield _control(key, "style" if path == ("styles",) else "state", inner)


def _live_key(path: tuple[str, ...], name: str) -> str | None:
    """The field of the live state that a settings path sets: similarity.enabled → similarity, and so on."""
    if path == ("styles",):
        return name if name in STYLE_KEYS else None
    section = path[-1] if path else ""
    candidates = (section if name == "enabled" else "", f"{section}_{name}", name)
    return next((key for key in candidates if key in STATE_KEYS), None)


def _control(key: str, of: str, field: Mapping[str, Any]) -> dict[str, Any]:
    control = {
        "key": key,
        "of": of,
        "type": field.get("type", "string"),
        "help": field.get("description", ""),
    }
    if "enum" in field:
        control["choices"] = list(field["enum"])
    control.update({name: field[name] for name in ("default", *BOUNDS) if name in field})
    return control


def _resolve(schema: Mapping[str, Any], field: Mapping[str, Any]) -> dict[str, Any]:
    """`field` with its $ref followed; what stands beside the reference wins."""
    resolved = dict(field)
    for reference in [field.get("$ref"), *(part.get("$ref") for part in field.get("allOf", ()))]:
        if isinstance(reference, str):
            target = schema.get("$defs", {}).get(reference.rpartition("/")[2], {})
            resolved = {**_resolve(schema, target), **resolved}
    return resolved
