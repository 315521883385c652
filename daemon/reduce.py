"""`(LiveState, Command) → LiveState`: pure, so that every front end and every test sees the same rule."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace

from daemon.config.errors import did_you_mean
from daemon.config.live_keys import LIVE_KEYS, live_key
from pipeline.errors import PhospheneError
from pipeline.messages import (
    BlendSeeds,
    BlendStyles,
    Command,
    LiveState,
    Mode,
    RandomStyle,
    Redo,
    SetLook,
    SetMode,
    SetPrompt,
    SetStyle,
    SetValue,
    StepStyle,
    Style,
    Undo,
)

MAX_MORPH_S = 3600.0

Bank = Mapping[str, Style]
"""The styles by name, in order."""


def reduce(state: LiveState, command: Command, bank: Bank, previous: LiveState | None = None) -> LiveState:
    """The state after `command`: whole, with `revision` one higher.

    A style changes what is painted and never the mode: panic, bypass and freeze are left by `SetMode` alone.
    `previous` is what `Undo` goes back to, or `Redo` forward; it restores everything but the mode.
    `morph_s` is set by commands that change the prompt and kept by the others (a running morph goes on).
    While styles are blended, `state.blend` has the prompts and `state.style` the numbers: guidance_scale,
    delta and strength as weighted means, guidance form, seed and LoRAs of the heaviest style.
    Raises PhospheneError for an unknown style or key, a value out of range, or nothing to undo.
    """
    changed = _applied(state, command, bank, previous)
    before, after = state.style, changed.style
    if (before.name, before.seed) != (after.name, after.seed) and not isinstance(command, Undo | Redo):
        changed = replace(changed, seeds=())
    return replace(changed, revision=state.revision + 1)


def _applied(state: LiveState, command: Command, bank: Bank, previous: LiveState | None) -> LiveState:
    match command:
        case SetStyle(name=name, over_s=over_s):
            return replace(state, style=style_of(bank, name), blend=(), morph_s=_seconds(over_s))
        case StepStyle(by=by, over_s=over_s):
            return replace(state, style=_stepped(state, by, bank), blend=(), morph_s=_seconds(over_s))
        case BlendStyles(weights=weights, over_s=over_s):
            return _blended(state, weights, bank, _seconds(over_s))
        case SetPrompt(prompt=prompt, negative_prompt=negative, over_s=over_s):
            prompt = LIVE_KEYS["prompt"].parse(prompt)
            negative = (
                state.style.negative_prompt
                if negative is None
                else LIVE_KEYS["negative_prompt"].parse(negative)
            )
            style = replace(state.style, prompt=prompt, negative_prompt=negative)
            return replace(state, style=style, blend=(), morph_s=_seconds(over_s))
        case SetValue(key=name, value=value):
            return _with_value(state, name, value)
        case RandomStyle(over_s=over_s):
            return replace(state, style=_another(state, bank), blend=(), morph_s=_seconds(over_s))
        case SetLook(name=name, values=values, over_s=over_s):
            return _look(state, name, values, bank, _seconds(over_s))
        case SetMode(mode=mode, toggle=toggle):
            return replace(state, mode=_mode(state.mode, Mode(mode), toggle))
        case BlendSeeds(weights=weights):
            return replace(state, seeds=_seeds(weights))
        case Undo() | Redo():
            if previous is None:
                word, mend = (
                    ("undo", "make a change first")
                    if command.command == "undo"
                    else ("do again", "undo first")
                )
                raise PhospheneError(f"there is nothing to {word}", mend)
            return replace(previous, mode=state.mode, morph_s=0.0)
    raise PhospheneError(f"{type(command).__name__} is not a command")


def style_of(bank: Bank, name: str) -> Style:
    """The style of that name; case, `_`, `-` and spaces are alike where that is unambiguous."""
    if name in bank:
        return bank[name]
    alike = [known for known in bank if _folded(known) == _folded(name)]
    if len(alike) == 1:
        return bank[alike[0]]
    mend = did_you_mean(name, bank) or "the bank is empty: add styles to config.yaml under `styles:`"
    raise PhospheneError(f"there is no style {name!r}", mend)


def _folded(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _stepped(state: LiveState, by: int, bank: Bank) -> Style:
    names = list(bank)
    if not names:
        raise PhospheneError("there is no style to step to", "add styles to config.yaml under `styles:`")
    if state.style.name in bank:
        return bank[names[(names.index(state.style.name) + by) % len(names)]]
    return bank[names[(by - 1 if by > 0 else by) % len(names)]]  # from outside the bank: its first or last


def _another(state: LiveState, bank: Bank) -> Style:
    names = [name for name in bank if name != state.style.name]
    if not names:
        raise PhospheneError("there is no other style", "add styles to config.yaml under `styles:`")
    return bank[random.choice(names)]


def _look(
    state: LiveState, name: str | None, values: Mapping[str, object], bank: Bank, over_s: float
) -> LiveState:
    style = state.style if name is None else style_of(bank, name)
    for given, value in values.items():
        key = live_key(given)
        if key.goes != "style":
            raise PhospheneError(f"{given!r} is not a value of a style", "set it alone")
        style = replace(style, **{key.field: key.parse(value)})
    same = name is None and not {"prompt", "negative_prompt", "loras"} & {live_key(k).field for k in values}
    return replace(state, style=style, blend=state.blend if same else (), morph_s=over_s)


def _mode(present: Mode, wanted: Mode, toggle: bool) -> Mode:
    if not toggle or wanted is Mode.PANIC:
        return wanted
    if present is Mode.PANIC:
        raise PhospheneError("panic is on", "leave it first: resume, or mode styled")
    return Mode.STYLED if present is wanted else wanted


def _blended(state: LiveState, weights: Mapping[str, float], bank: Bank, over_s: float) -> LiveState:
    _check_weights(weights, "styles")
    sums: dict[str, float] = {}
    for name, weight in weights.items():
        found = style_of(bank, name).name
        sums[found] = sums.get(found, 0.0) + weight
    total = math.fsum(sums.values())
    if total <= 0:
        raise PhospheneError("a blend needs a weight above 0", "write for example neon:0.7 anime:0.3")
    parts = tuple((bank[name], weight / total) for name, weight in sums.items() if weight > 0)
    if len(parts) == 1:
        return replace(state, style=parts[0][0], blend=(), morph_s=over_s)
    heaviest = max(parts, key=lambda part: part[1])[0]
    style = replace(
        heaviest,
        name=" + ".join(part.name for part, _ in parts),
        guidance_scale=math.fsum(part.guidance_scale * w for part, w in parts),
        delta=math.fsum(part.delta * w for part, w in parts),
        strength=math.fsum(part.strength * w for part, w in parts),
    )
    return replace(state, style=style, blend=parts, morph_s=over_s)


def _seeds(weights: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    """Weighted seeds whose weights sum to 1; none for no weights at all (back to the style's own)."""
    _check_weights(weights, "seeds")
    sums: dict[int, float] = {}
    for text, weight in weights.items():
        seed = LIVE_KEYS["seed"].parse(text)
        sums[seed] = sums.get(seed, 0.0) + weight
    total = math.fsum(sums.values())
    if weights and total <= 0:
        raise PhospheneError("a blend needs a weight above 0", "write for example 7:0.6 12:0.4")
    return tuple((seed, weight / total) for seed, weight in sums.items() if weight > 0)


def _check_weights(weights: Mapping[str, float], what: str) -> None:
    for name, weight in weights.items():
        if isinstance(weight, bool) or not (math.isfinite(weight) and weight >= 0):
            raise PhospheneError(f"the weight of {name!r} is {weight}", "use a number from 0 up")
    if len(weights) > 8:
        raise PhospheneError(f"{len(weights)} {what} cannot be blended at once", "use at most 8")


def _with_value(state: LiveState, name: str, value: object) -> LiveState:
    key = live_key(name)
    parsed = key.parse(value)
    if key.goes == "state":
        return replace(state, **{key.field: parsed})
    changed = replace(state, style=replace(state.style, **{key.field: parsed}))
    if key.field in ("prompt", "negative_prompt", "loras"):
        return replace(changed, blend=(), morph_s=0.0)
    return changed


def _seconds(over_s: float) -> float:
    if isinstance(over_s, bool) or not (math.isfinite(over_s) and 0 <= over_s <= MAX_MORPH_S):
        raise PhospheneError(f"a morph cannot take {over_s} s", f"use 0 to {MAX_MORPH_S:g} seconds")
    return float(over_s)
