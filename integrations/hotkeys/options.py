"""The section `hotkeys:` of the configuration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from integrations.action_setting import Action, fault
from integrations.hotkeys.keys import Combination
from integrations.integration import IntegrationOptions
from pipeline.errors import PhospheneError
from pipeline.options import setting

BackendName = Literal["auto", "x11", "portal", "pynput", "evdev"]


class Options(IntegrationOptions):
    """Global keys. Those of the styles themselves (`hotkey:`) are bound too."""

    enabled: bool = setting(True, "listen to the keys below and to those of the styles", applies="live")
    keys: dict[str, Action] = setting(
        {}, "keys to actions, as {ctrl+alt+p: panic, f9: neon over 1s}", applies="live"
    )
    backend: BackendName = setting(
        "auto", "auto; x11; portal (Wayland); pynput (Windows, macOS); evdev (raw keyboards)", applies="live"
    )

    @field_validator("keys", mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        found: dict[str, Any] = {}
        for text, action in given.items():
            try:
                keys = str(Combination.parse(str(text)))
            except PhospheneError as error:
                raise fault(error.message, error.mend) from None
            if keys in found:
                raise fault(f"{keys} is bound twice", "keep one of the two")
            found[keys] = action
        return found
