"""A text source in OBS that says what is being painted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from integrations.control import Control
from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.options import Options
from integrations.obs.part import LONG_S, Part
from pipeline.messages import LiveState

GAP_S: Final = 0.1  # between two changes of the text
NEWS: Final = frozenset({"InputCreated", "InputNameChanged"})


class Overlay(Part):
    """Quiet where there is no such source."""

    def __init__(self, options: Options, control: Control) -> None:
        self._source, self._template, self._control = options.overlay, options.overlay_text, control
        self._shown: int | None = None  # revision
        self._there = bool(self._source)
        self._next = 0.0

    def begin(self, obs: Connection) -> None:
        self._look_again()

    def heard(self, obs: Connection, name: str, data: dict[str, Any]) -> None:
        if name in NEWS:
            self._look_again()

    def tick(self, obs: Connection, now: float) -> float:
        """Called after every event too, those of the control hub among them."""
        state = self._control.state
        if not self._there or state.revision == self._shown:
            return LONG_S
        if now < self._next:
            return self._next - now
        self._next = now + GAP_S
        text = overlay_text(self._template, state, self._bank())
        try:
            obs.request("SetInputSettings", {"inputName": self._source, "inputSettings": {"text": text}})
            self._shown = state.revision
        except RefusedRequestError:
            self._there = False
        return LONG_S

    def _look_again(self) -> None:
        self._shown, self._there = None, bool(self._source)

    def _bank(self) -> Mapping[str, str]:
        return {style["name"]: style["prompt"] for style in self._control.styles()}


def overlay_text(template: str, state: LiveState, prompts: Mapping[str, str]) -> str:
    """`template` with {style}, {prompt} and {mode} filled in; other braces stay.

    prompts: of the bank's styles. A prompt that is no style's stands for the style's name.
    """
    style = state.style
    named = bool(state.blend) or prompts.get(style.name) == style.prompt
    words = {"style": style.name if named else style.prompt, "prompt": style.prompt, "mode": state.mode.value}
    for word, value in words.items():
        template = template.replace(f"{{{word}}}", value)
    return template
