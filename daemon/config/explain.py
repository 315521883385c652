"""Turns pydantic's errors into sentences with file, line, key, value and mend."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import SecretStr, ValidationError

from daemon.config.errors import KeyPath, Origin, Problem, did_you_mean
from daemon.config.plain_tree import known_part
from daemon.config.schema import field_at, known_keys
from pipeline.options import Options

_NEEDS = {
    "int": ("a whole number", "write a whole number"),
    "float": ("a number", "write a number"),
    "finite": ("a number", "write a finite number"),
    "bool": ("true or false", "write true or false"),
    "string": ("text", "put it in quotes"),
    "path": ("a path", "write a path in quotes"),
    "dict": ("a mapping of keys to values", "write `{key: value}`, or indented lines of `key: value`"),
    "model": ("a mapping of keys to values", "write `{key: value}`, or indented lines of `key: value`"),
    "tuple": ("a list", "write `[…]`, or lines that begin with `- `"),
    "list": ("a list", "write `[…]`, or lines that begin with `- `"),
}


def explain(
    error: ValidationError, model: type[Options], raw: Any, origins: Mapping[KeyPath, Origin]
) -> list[Problem]:
    """One problem for each key at fault. `raw`: the values that were validated against `model`."""
    problems: dict[KeyPath, Problem] = {}
    for item in error.errors(include_url=False):
        path = _path(item, raw)
        if is_secret(model, path, raw):
            item = {**item, "input": "***"}
        if path not in problems:  # the arms of a union all complain of the same value; the first speaks
            message, mend = _sentence(item, path, model, raw)
            value = None if item["type"] == "missing" else item["input"]
            problems[path] = Problem(message, mend, path, value, _origin(path, origins))
    return list(problems.values())


def _path(item: Any, raw: Any) -> KeyPath:
    """Where the fault is: pydantic's `loc` without the names of union arms at its end."""
    if at := item.get("ctx", {}).get("at"):
        return (at,)
    loc: KeyPath = item["loc"]
    if item["type"] == "missing":
        return loc
    return known_part(raw, loc)


def _origin(path: KeyPath, origins: Mapping[KeyPath, Origin]) -> Origin:
    for end in range(len(path), -1, -1):
        if path[:end] in origins:
            return origins[path[:end]]
    return Origin("default")


def _sentence(item: Any, path: KeyPath, model: type[Options], raw: Any) -> tuple[str, str]:
    kind, context, given = item["type"], item.get("ctx", {}), item["input"]
    shown = _shown(given)
    if kind == "phosphene":
        return context["message"], context["mend"]
    if kind == "extra_forbidden":
        known = known_keys(model, path[:-1], raw) or ()
        return f"there is no such key (value {shown})", did_you_mean(str(path[-1]), known, "known keys:")
    if kind == "missing":
        return "this key is missing", f"add `{path[-1]}: …`"
    if kind in (
        "greater_than_equal",
        "greater_than",
        "less_than_equal",
        "less_than",
        "multiple_of",
        "finite_number",
    ):
        return f"{shown} is out of range", f"use {bounds(field_at(model, path, raw)) or item['msg']}"
    if kind in ("literal_error", "enum"):
        field = field_at(model, path, raw)
        known = [str(a) for a in get_args(field.annotation)] if field else []
        return f"{shown} is not one of {', '.join(known)}", did_you_mean(str(given), known)
    if kind == "string_pattern_mismatch":
        field = field_at(model, path, raw)
        return (
            f"{shown} cannot be used here",
            f"use {field.description}" if field and field.description else "",
        )
    if kind in ("string_too_short", "string_too_long", "too_long", "too_short"):
        return _plain(item["msg"]), "shorten it" if kind.endswith("long") else "fill it in"
    need, mend = _NEEDS.get(kind.split("_")[0], ("", ""))
    if need:
        return f"needs {need}, not {shown}", mend
    return f"{_plain(item['msg'])} (value {shown})", ""


def is_secret(model: type[Options], path: KeyPath, raw: Any) -> bool:
    """Whether the value at `path` must not be shown, not even where it is wrong or its key is misspelt."""
    names = [str(path[-1])] if path else []
    names = difflib.get_close_matches(names[0], known_keys(model, path[:-1], raw) or (), n=1) if names else []
    fields = [field_at(model, (*path[:-1], name), raw) for name in names]
    return any(field is not None and field.annotation is SecretStr for field in fields)


def bounds(field: Any) -> str:
    """`1 to 240`, from a field's constraints; "" where it has none."""
    if field is None:
        return ""
    found: dict[str, Any] = {}
    for m in field.metadata:
        for key in ("ge", "gt", "le", "lt"):
            if hasattr(m, key):
                found[key] = getattr(m, key)
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    above, below = ("more than " if "gt" in found else ""), ("less than " if "lt" in found else "")
    if low is not None and high is not None:
        return f"{above}{_number(low)} to {below}{_number(high)}"
    if low is not None:
        return f"{above or 'at least '}{_number(low)}"
    return f"{below or 'at most '}{_number(high)}" if high is not None else ""


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:1].lower() + message[1:]
