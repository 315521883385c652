"""What control says to the data plane and hears back. All frozen; all go to and from plain dicts.

State travels, not deltas: control reduces `(LiveState, Command) → LiveState` and the whole state is sent.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, Union

GuidanceForm = Literal["none", "full", "self", "onetime"]
"""Classifier-free guidance: none; true negative on every row; RCFG self-negative; RCFG onetime-negative."""

Similarity = Literal["tiles", "global"]
"""Metric of the similarity filter: ours on an 8×8 grid, or the paper's cosine of whole frames."""


Playing = Literal["start", "stop", "pause", "resume", "skip", "back"]
"""What the playlist can be told."""


class Mode(str, Enum):
    """What the sinks show. panic: slate and closed camera, left only by an explicit act."""

    STYLED = "styled"
    BYPASS = "bypass"
    FREEZE = "freeze"
    PANIC = "panic"


@dataclass(frozen=True, slots=True)
class Style:
    """A named look. strength: 0 = the camera's own picture, 0.5 = the configured `t_index_list`, 1 = all noise.

    guidance_scale g and delta δ as in the paper; g ≤ 1 means no guidance. loras: (file or name, weight).
    """

    name: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    guidance: GuidanceForm = "self"
    guidance_scale: float = 1.0
    delta: float = 1.0
    strength: float = 0.5
    seed: int = 0
    loras: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything that can change between two frames, whole.

    blend: weighted styles painted together; empty means `style` alone. seeds: whose noise is mixed, with weights
    that sum to 1; empty means the styles' own. morph_s: seconds over which the prompt moves from the previous
    state's to this one. steadiness: see `pipeline.consistency` and `pipeline.carried_paint` (0: off). canvas_scale:
    of the canvas' sides that the model paints on. revision: counts applied commands; frames carry it.
    """

    style: Style = field(default_factory=Style)
    blend: tuple[tuple[Style, float], ...] = ()
    seeds: tuple[tuple[int, float], ...] = ()
    mode: Mode = Mode.STYLED
    t_index_list: tuple[int, ...] = (45,)
    canvas_scale: float = 1.0
    similarity: bool = True
    similarity_metric: Similarity = "tiles"
    similarity_threshold: float = 0.98
    max_skip_frames: int = 10
    steadiness: float = 0.8
    morph_s: float = 0.0
    revision: int = 0


# ---------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class SetStyle:
    """Take a style of the bank by name, morphing for `over_s` seconds."""

    name: str
    over_s: float = 0.0
    command: Literal["style"] = "style"


@dataclass(frozen=True, slots=True)
class BlendStyles:
    """Paint several styles at once; weights are normalised."""

    weights: dict[str, float]
    over_s: float = 0.0
    command: Literal["blend"] = "blend"


@dataclass(frozen=True, slots=True)
class StepStyle:
    """The style `by` places further in the bank (−1: previous), wrapping round."""

    by: int = 1
    over_s: float = 0.0
    command: Literal["step"] = "step"


@dataclass(frozen=True, slots=True)
class SetPrompt:
    """Free text. `negative_prompt` None keeps the present one."""

    prompt: str
    negative_prompt: str | None = None
    over_s: float = 0.0
    command: Literal["prompt"] = "prompt"


@dataclass(frozen=True, slots=True)
class SetValue:
    """One live value by its key: see `daemon.control.LIVE_KEYS`."""

    key: str
    value: str | float | int | bool | list[int]
    command: Literal["set"] = "set"


@dataclass(frozen=True, slots=True)
class SetLook:
    """Several values of the style in one step: a style of the bank (None: the present one), then `values` over it.

    values: any of the style's own live keys (prompt, negative_prompt, strength, seed, …).
    """

    name: str | None = None
    values: dict[str, str | float | int | bool | dict[str, float]] = field(default_factory=dict)
    over_s: float = 0.0
    command: Literal["look"] = "look"


@dataclass(frozen=True, slots=True)
class RandomStyle:
    """Any style of the bank but the present one."""

    over_s: float = 0.0
    command: Literal["random"] = "random"


@dataclass(frozen=True, slots=True)
class SetMode:
    """styled, bypass, freeze or panic. toggle: asked for again, bypass and freeze go back to styled.

    A toggle never leaves panic and is no way out of it.
    """

    mode: Mode
    toggle: bool = False
    command: Literal["mode"] = "mode"


@dataclass(frozen=True, slots=True)
class BlendSeeds:
    """Noise mixed from several seeds (as text: JSON keys), weights normalised; until the seed or style changes."""

    weights: dict[str, float]
    command: Literal["seeds"] = "seeds"


@dataclass(frozen=True, slots=True)
class Undo:
    """Back to the state before the last change."""

    command: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Redo:
    """Forward again after `Undo`, until another change is made."""

    command: Literal["redo"] = "redo"


@dataclass(frozen=True, slots=True)
class PlayList:
    """The playlist: start from its beginning, stop, pause, go on, one line forward or back."""

    do: Playing
    command: Literal["playlist"] = "playlist"


Command = Annotated[
    Union[  # noqa: UP007 (pydantic on 3.10)
        SetStyle,
        BlendStyles,
        BlendSeeds,
        StepStyle,
        RandomStyle,
        SetLook,
        SetPrompt,
        SetValue,
        SetMode,
        Undo,
        Redo,
        PlayList,
    ],
    "discriminated by `command`",
]


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. message: a plain sentence. data: facts for programs. t: seconds since the epoch.

    Kinds in use: state, source, engine, sink, integration, fault, recovered, progress, log.
    """

    kind: str
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)
    level: Literal["info", "warning", "error"] = "info"
    t: float = field(default_factory=time.time)


# ---------------------------------------------------------------- plain dicts


def to_dict(message: Any) -> dict[str, Any]:
    """Any dataclass of this module as JSON-ready values."""
    plain: dict[str, Any] = dataclasses.asdict(message, dict_factory=_plain)
    return plain


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {k: v.value if isinstance(v, Enum) else v for k, v in items}


@lru_cache(maxsize=8)
def _adapter(of: Any) -> Any:
    from pydantic import Field, TypeAdapter  # not needed by commands that only print

    if of is Command:
        of = Annotated[Command.__origin__, Field(discriminator="command")]
    return TypeAdapter(of)


def parse_command(data: Any) -> Any:
    """A `Command` from a plain dict such as {"command": "style", "name": "neon"}.

    Raises pydantic.ValidationError (a ValueError) that names the key and the value.
    """
    return _adapter(Command).validate_python(data)


def parse_state(data: Any) -> LiveState:
    """A `LiveState` from a plain dict. Raises pydantic.ValidationError."""
    state: LiveState = _adapter(LiveState).validate_python(data)
    return state


def parse_event(data: Any) -> Event:
    """An `Event` from a plain dict. Raises pydantic.ValidationError."""
    event: Event = _adapter(Event).validate_python(data)
    return event
