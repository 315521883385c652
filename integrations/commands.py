"""Commands from outside, as plain values: checked strictly, the same for every way in."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import Annotated, Any, Final, get_args

import pydantic_core
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.errors import PhospheneError
from pipeline.messages import Command

LONGEST_TEXT: Final = 8000
LARGEST_INT: Final = 2**53
"""Beyond this JavaScript, YAML and C disagree about integers."""


@cache
def command_adapter() -> TypeAdapter[Any]:
    """Of any `Command`. Read strictly: a client that sends "1" or false for a number has a mistake in it."""
    return TypeAdapter(Annotated[Command, Field(discriminator="command")])


COMMANDS: Final[dict[str, Any]] = {
    next(str(f.default) for f in dataclasses.fields(kind) if f.name == "command"): kind
    for kind in get_args(get_args(Command)[0])
}
"""Command name → dataclass."""


def to_json(value: Any) -> bytes:
    """UTF-8 JSON. What JSON cannot say becomes null (NaN, infinity) or text (paths, enums, …)."""
    return pydantic_core.to_json(value, inf_nan_mode="null", fallback=str)


def check_plain(value: Any) -> None:
    """Raises PhospheneError unless texts and numbers in `value` are moderate. Its depth is the parser's matter."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_plain(key)
            check_plain(item)
    elif isinstance(value, list):
        for item in value:
            check_plain(item)
    elif isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise PhospheneError(f"A text is longer than {LONGEST_TEXT} characters.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise PhospheneError("A number is too large to be one.")
    elif isinstance(value, int) and abs(value) > LARGEST_INT:
        raise PhospheneError("An integer is larger than 2^53.")


def read_command(data: Any) -> Any:
    """A `Command` from a plain dict. Raises PhospheneError for anything else, an unknown key included."""
    kind = COMMANDS.get(data.get("command", "")) if isinstance(data, dict) and _named(data) else None
    if kind is None:
        raise PhospheneError(
            "There is no such command.", 'Send {"command": NAME, …}; NAME: ' + ", ".join(COMMANDS) + "."
        )
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - set(known)):
        raise PhospheneError(
            f"The command {data['command']!r} has no key {unknown[0][:80]!r}.",
            "Its keys: " + ", ".join(name for name in known if name != "command") + ".",
        )
    try:
        return command_adapter().validate_json(to_json(data), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:2])
        raise PhospheneError(
            f"The command {data['command']!r} has a wrong {where or 'form'}: {first['msg']}."
        ) from None


def _named(data: dict[str, Any]) -> bool:
    return isinstance(data.get("command"), str)
