"""The section `midi:` of the configuration."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from integrations.action_setting import fault
from integrations.integration import IntegrationOptions
from integrations.knobs import TargetText
from integrations.midi.controls import control_name
from pipeline.errors import PhospheneError
from pipeline.options import setting


class Options(IntegrationOptions):
    """A controller with knobs and pads."""

    enabled: bool = setting(False, "listen to a MIDI controller", applies="live")
    port: str = setting("auto", "part of the controller's name; auto: the first one there is", applies="live")
    bind: dict[str, TargetText] = setting(
        {},
        "controls to values or actions, as {cc 7: strength 0..1, note 36: neon over 1s}",
        applies="live",
        max_length=500,
    )

    @field_validator("bind", mode="before")
    @classmethod
    def _known_controls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        try:
            # null unbinds what another layer of the configuration binds.
            return {control_name(str(name)): target for name, target in given.items() if target is not None}
        except PhospheneError as error:
            raise fault(error.message, error.mend) from None
