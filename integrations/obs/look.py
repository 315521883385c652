"""From a scene to what is to be painted, and from that to commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from integrations.actions import parse_action
from integrations.obs.scene import Scene
from pipeline.messages import BlendStyles, Command, SetLook, SetPrompt, SetStyle, Style

Values = Mapping[str, str]
Value = str | float | int | bool | dict[str, float]


@dataclass(frozen=True, slots=True)
class Look:
    """What a scene asks for. style: of the bank. blend: of styles, instead. values: over it, as texts.

    over_s: seconds that the user wrote ("neon over 2s"); None: as long as the transition. why: for status.
    """

    style: str | None = None
    blend: tuple[tuple[str, float], ...] = ()
    values: Values = field(default_factory=dict)
    over_s: float | None = None
    why: str = field(default="", compare=False)

    @property
    def empty(self) -> bool:
        """Whether the scene leaves the picture as it is."""
        return self.style is None and not self.blend and not self.values


def look_of(scene: Scene, globs: Mapping[str, str]) -> Look:
    """Text sources in the scene come first; what they leave open comes from the first glob that fits the name.

    A text source that gives prompt or style leaves nothing open.
    """
    texts = {what: text.text for what, text in scene.texts.items()}
    why = ", ".join(f"text source {text.source!r}" for text in scene.texts.values())
    style = texts.pop("style", None)
    if style is not None or "prompt" in texts:
        return Look(style, values=texts, why=why)
    for glob, action in globs.items():
        if fits(glob, scene.id.name):
            return _looks(action, texts, f"obs.scenes {glob!r}" + (f", {why}" if why else ""))
    return Look(values=texts, why=why or "nothing in the scene says a style: it is kept")


def fits(glob: str, name: str) -> bool:
    """Whether `name` fits; * and ? are wild, case does not matter."""
    pattern = "".join(
        ".*" if c == "*" else "." if c == "?" else re.escape(c) for c in " ".join(glob.casefold().split())
    )
    return re.fullmatch(pattern, " ".join(name.casefold().split()), re.DOTALL) is not None


def _looks(action: str, values: Values, why: str) -> Look:
    """An action of `obs.scenes` (see `options.Look`) as a look."""
    command = parse_action(action)
    match command:
        case SetStyle(name=name, over_s=over_s):
            return Look(name, values=values, over_s=over_s or None, why=why)
        case BlendStyles(weights=weights, over_s=over_s):
            return Look(blend=tuple(weights.items()), values=values, over_s=over_s or None, why=why)
        case SetPrompt(prompt=prompt):
            return Look(values={"prompt": prompt, **values}, why=why)
    raise AssertionError(f"{command} passed validation")


Held = Mapping[str, Value]
"""Values of the style that a scene's texts have replaced, as they were before: given back by the next look."""


def commands_of(
    look: Look, over_s: float, present: Style, held: Held
) -> tuple[list[Command], dict[str, Value]]:
    """What brings the look about, and what is held after it. present: the style as it is now.

    A value that a scene's text gave holds for that scene: the next look gives back what was before. The prompt
    stays, since only another prompt can follow one.
    """
    if look.empty:
        return [], dict(held)
    over_s = over_s if look.over_s is None else look.over_s
    values: dict[str, Value] = dict(look.values)
    if look.style is not None:
        return [SetLook(look.style, values, over_s)], {}
    if look.blend:
        blend: list[Command] = [BlendStyles(dict(look.blend), over_s)]
        return [*blend, SetLook(None, values, over_s)] if values else blend, {}
    back = {what: value for what, value in held.items() if what not in values}
    kept = {what: held.get(what, getattr(present, what)) for what in values if what != "prompt"}
    return [SetLook(None, {**back, **values}, over_s)], kept


def edit_of(old: Look, new: Look, present: Style, held: Held) -> tuple[list[Command], dict[str, Value]]:
    """What brings an edit within one scene about: no more than what was changed, so that sliders keep theirs."""
    if replace(old, values={}) != replace(new, values={}) or not set(old.values) <= set(new.values):
        return commands_of(new, 0.0, present, held)
    changed = {what: text for what, text in new.values.items() if old.values.get(what) != text}
    kept = {**{what: getattr(present, what) for what in changed if what != "prompt"}, **held}
    return [SetLook(None, dict(changed))] if changed else [], kept


def prompts_of(look: Look, bank: Sequence[Mapping[str, object]]) -> list[str]:
    """Every prompt that the look needs encoded, with those of its styles. bank: `Control.styles()`."""
    names = {look.style, *(name for name, _ in look.blend)}
    parts: list[Mapping[str, object]] = [style for style in bank if style["name"] in names]
    prompts = [
        str(part[key])
        for part in (*parts, look.values)
        for key in ("prompt", "negative_prompt")
        if key in part
    ]
    return list(dict.fromkeys(prompts))
