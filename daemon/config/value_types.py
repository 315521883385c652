"""Types of values that settings share: sizes, lists of steps, LoRAs, threads, text."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from daemon.config.choice import fault
from daemon.config.errors import did_you_mean
from pipeline import kinds
from pipeline.frame import Size

_ENGINES = ("auto", *kinds.names("pipeline.engine.kinds"))


Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]


def _size(given: Any) -> Any:
    if isinstance(given, str):
        match = re.fullmatch(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*", given, re.IGNORECASE)
        if match is None:
            raise fault(f"{given!r} is not a size", "write WIDTHxHEIGHT, as in 1280x720")
        return Size(int(match[1]), int(match[2]))
    if isinstance(given, list | tuple) and len(given) == 2 and all(type(n) is int for n in given):
        return Size(*given)
    raise fault(f"{given!r} is not a size", "write WIDTHxHEIGHT, as in 1280x720")


def _output_size(given: Any) -> Size:
    size: Size = _size(given)
    if size.width % 2 or size.height % 2:
        even = Size(size.width // 2 * 2, size.height // 2 * 2)
        raise fault(
            f"{size} is odd, and cameras carry colour for pairs of pixels", f"use even numbers, as in {even}"
        )
    if not (64 <= size.width <= 7680 and 64 <= size.height <= 4320):
        raise fault(f"{size} is out of range", "use 64x64 to 7680x4320")
    return size


def _model_size(given: Any) -> Size | Literal["auto"]:
    if given == "auto":
        return "auto"
    size: Size = _size(given)
    if size.width % 32 or size.height % 32:
        near = Size(max(64, round(size.width / 32) * 32), max(64, round(size.height / 32) * 32))
        raise fault(f"{size} is not made of multiples of 32", f"use {near}, or auto")
    if not (64 <= size.width <= 2048 and 64 <= size.height <= 2048):
        raise fault(f"{size} is out of range", "use 64x64 to 2048x2048, or auto")
    return size


def _threads(given: Any) -> int | Literal["auto"]:
    if given == "auto":
        return "auto"
    if isinstance(given, str) and given.isdecimal():
        given = int(given)
    if type(given) is not int or not 1 <= given <= 256:
        raise fault(f"{given!r} is not a number of threads", "use 1 to 256, or auto")
    return int(given)


def _engine_kind(given: Any) -> Any:
    if isinstance(given, str) and given not in _ENGINES:
        raise fault(f"there is no engine {given!r}", did_you_mean(given, _ENGINES, "use one of"))
    return given


def _loras(given: Any) -> tuple[tuple[str, float], ...]:
    if isinstance(given, list | tuple):
        if all(isinstance(item, str) for item in given):
            given = dict.fromkeys(given, 1.0)
        elif all(
            isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str) for item in given
        ):
            given = dict(given)
    if not isinstance(given, dict):
        raise fault("LoRAs are a mapping of file or name to weight", "write {name: 0.8}, or {} for none")
    for name, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not -4 <= weight <= 4:
            raise fault(f"the weight of LoRA {name!r} is {weight!r}", "use a number from -4 to 4")
    return tuple((str(name), float(weight)) for name, weight in given.items())


def _t_index_list(given: Any) -> tuple[int, ...]:
    mend = "write 1 to 8 rising numbers from 0 (all noise) to 49 (none), as in [25, 45]"
    if isinstance(given, str):
        given = [part for part in re.split(r"[\s,\[\]]+", given) if part]
    if isinstance(given, int) and not isinstance(given, bool):
        given = [given]
    try:
        steps = tuple(int(t) for t in given if not isinstance(t, bool | float))
    except (TypeError, ValueError):
        raise fault(f"{given!r} is not a list of steps", mend) from None
    rising = list(steps) == sorted(set(steps))
    if len(steps) != len(given) or not 1 <= len(steps) <= 8 or not rising or steps[0] < 0 or steps[-1] > 49:
        raise fault(f"{list(given)} is not a list of steps", mend)
    return steps


def _text(given: Any) -> Any:
    if isinstance(given, str) and (bad := re.search(r"[\x00-\x08\x0b-\x1f\x7f]", given)):
        raise fault(f"holds the control character U+{ord(bad[0]):04X}", "remove it")
    return given


_AS_TEXT = PlainSerializer(str, return_type=str)
OutputSize = Annotated[Size, BeforeValidator(_output_size), _AS_TEXT, WithJsonSchema({"type": "string"})]
ModelSize = Annotated[
    Size | Literal["auto"], BeforeValidator(_model_size), _AS_TEXT, WithJsonSchema({"type": "string"})
]
Threads = Annotated[int | Literal["auto"], BeforeValidator(_threads)]
EngineKind = Annotated[
    str, BeforeValidator(_engine_kind), WithJsonSchema({"type": "string", "enum": list(_ENGINES)})
]
Loras = Annotated[
    tuple[tuple[str, float], ...],
    BeforeValidator(_loras),
    PlainSerializer(dict, return_type=dict[str, float]),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "number"}}),
]
Steps = Annotated[tuple[int, ...], BeforeValidator(_t_index_list)]
Text = Annotated[str, BeforeValidator(_text)]
