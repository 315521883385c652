"""The values that change between two frames: their keys, types, bounds and where each goes in `LiveState`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from daemon.config.errors import did_you_mean
from daemon.config.explain import bounds, explain
from daemon.config.style_settings import Look
from daemon.settings import DenoiserSettings, SimilaritySettings
from pipeline.errors import PhospheneError
from pipeline.options import Options


@dataclass(frozen=True, slots=True)
class LiveKey:
    """name: what `phosphene set` takes. goes: into `LiveState.style` or `LiveState` itself, as `field`.

    section, declared: the setting that gives type, bounds and help. setting: its dotted path in `config.yaml`
    ("" for a style's).
    """

    name: str
    goes: Literal["style", "state"]
    field: str
    section: type[Options]
    declared: str
    setting: str = ""

    @property
    def info(self) -> FieldInfo:
        return self.section.model_fields[self.declared]

    @property
    def help(self) -> str:
        return self.info.description or ""

    @property
    def bounds(self) -> str:
        """`0 to 1`; "" where there are none."""
        return bounds(self.info)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the value, for the page's controls."""
        whole = self.section.model_json_schema(mode="serialization")
        found: dict[str, Any] = whole["properties"][self.declared]
        return found

    def parse(self, value: Any) -> Any:
        """The value as `LiveState` holds it. Raises PhospheneError with the bounds or the known words."""
        if isinstance(value, bool) != (self.info.annotation is bool) and not isinstance(value, str):
            raise PhospheneError(f"{self.name}: {value!r} cannot be used", self._mend())
        model = _alone(self.section, self.declared)
        given = {self.declared: value}
        try:
            return getattr(model.model_validate(given), self.declared)
        except ValidationError as error:
            problem = explain(error, model, given, {})[0]
            raise PhospheneError(f"{self.name}: {problem.message}", problem.mend or self._mend()) from None

    def _mend(self) -> str:
        return f"use {self.bounds}" if self.bounds else self.help


@cache
def _alone(section: type[Options], declared: str) -> type[Options]:
    """A model of just one of a section's settings."""
    info = section.model_fields[declared]
    return create_model(section.__name__, __base__=Options, **{declared: (info.annotation, info)})  # type: ignore[call-overload,no-any-return]


def _style(name: str) -> LiveKey:
    return LiveKey(name, "style", name, Look, name)


LIVE_KEYS: Final[Mapping[str, LiveKey]] = {
    key.name: key
    for key in (
        *map(_style, Look.model_fields),
        LiveKey(
            "t_index_list", "state", "t_index_list", DenoiserSettings, "t_index_list", "denoiser.t_index_list"
        ),
        LiveKey(
            "canvas_scale", "state", "canvas_scale", DenoiserSettings, "canvas_scale", "denoiser.canvas_scale"
        ),
        LiveKey("steadiness", "state", "steadiness", DenoiserSettings, "steadiness", "denoiser.steadiness"),
        LiveKey("similarity", "state", "similarity", SimilaritySettings, "enabled", "similarity.enabled"),
        LiveKey(
            "similarity_metric",
            "state",
            "similarity_metric",
            SimilaritySettings,
            "metric",
            "similarity.metric",
        ),
        LiveKey(
            "similarity_threshold",
            "state",
            "similarity_threshold",
            SimilaritySettings,
            "threshold",
            "similarity.threshold",
        ),
        LiveKey(
            "max_skip_frames",
            "state",
            "max_skip_frames",
            SimilaritySettings,
            "max_skip_frames",
            "similarity.max_skip_frames",
        ),
    )
}
"""Everything `SetValue` and `phosphene set` can change. A setting's dotted path is accepted for its key."""


def live_key(name: str) -> LiveKey:
    """The key of that name or dotted path. Raises PhospheneError with the nearest one."""
    wanted = name.strip().replace("-", "_")
    for key in LIVE_KEYS.values():
        if wanted in (key.name, key.setting):
            return key
    raise PhospheneError(f"{name!r} is not a live value", did_you_mean(wanted, LIVE_KEYS))
