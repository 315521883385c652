"""How every setting is declared: its default, its help, its bounds and when a change takes effect."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Applies = Literal["live", "prepare", "rebuild"]
"""live: between two frames. prepare: the part restarts (a camera, a sink). rebuild: the engine restarts."""


class Options(BaseModel):
    """Base of every settings class: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def setting(default: Any, help: str, *, applies: Applies, **constraints: Any) -> Any:
    """A pydantic field with one line of help (shown by the CLI, the page and `config.yaml`) and its `applies`.

    `constraints` are pydantic's own (`ge`, `le`, `gt`, `min_length`, `pattern`, …).
    """
    return Field(default, description=help, json_schema_extra={"applies": applies}, **constraints)
