"""The section `obs:` of the configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from integrations.action_setting import Action, checked_action, fault
from integrations.actions import parse_action
from integrations.integration import IntegrationOptions
from pipeline.messages import BlendStyles, SetPrompt, SetStyle
from pipeline.options import Options as Section
from pipeline.options import setting

DEFAULT_PORT = 4455


def _look(text: str) -> str:
    if not isinstance(parse_action(checked_action(text)), SetStyle | BlendStyles | SetPrompt):
        raise fault(
            f"a scene cannot stand for {text!r}",
            "write a style, a blend (neon:0.7 anime:0.3) or `prompt TEXT`",
        )
    return text


Look = Annotated[str, AfterValidator(_look)]
"""An action that is a style, a blend or a prompt."""


class Switch(Section):
    """What one item or filter of OBS does when it is shown (a filter: enabled) and when it is hidden.

    An action alone is `shown`.
    """

    shown: Action | None = setting(None, "action when it is shown or enabled", applies="live")
    hidden: Action | None = setting(None, "action when it is hidden or disabled", applies="live")

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, given: Any) -> Any:
        return {"shown": given} if isinstance(given, str) else given


class Options(IntegrationOptions):
    """OBS Studio over its WebSocket server. Quiet and nearly free where there is no OBS."""

    enabled: bool = setting(True, "follow OBS whenever it runs", applies="live")
    host: str = setting("127.0.0.1", "computer that OBS runs on", applies="live", min_length=1)
    port: Annotated[int, Field(ge=1, le=65535)] | Literal["auto"] = setting(
        "auto", "port of its WebSocket server; auto: as in OBS's own settings, else 4455", applies="live"
    )
    password: SecretStr = setting(
        "", "of its WebSocket server; empty: as in OBS's own settings, where they can be read", applies="live"
    )
    scenes: dict[str, Look] = setting(
        {}, "scene names (* and ? allowed) to styles, first match wins, as {Gaming*: neon}", applies="live"
    )
    hotkeys: dict[str, Switch] = setting(
        {}, "scene items or filters to actions, as {Neon light: neon over 1s}", applies="live"
    )
    overlay: str = setting(
        "Phosphene overlay", "text source that shows the style; empty: none", applies="live"
    )
    overlay_text: str = setting(
        "{style}", "what it shows, with {style}, {prompt} and {mode} filled in", applies="live"
    )
    lip_sync: str = setting("", "audio input to delay by the picture's latency; empty: none", applies="live")
