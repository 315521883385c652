"""What can be done to an OBS. Each step says itself in one line, which `--dry-run` and the installation print."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from integrations.obs.kit.wanted import Source


@dataclass(frozen=True, slots=True)
class MakeScene:
    name: str

    def __str__(self) -> str:
        return f"make the scene {self.name!r}"


@dataclass(frozen=True, slots=True)
class MakeInput:
    """index: from the bottom of the scene; None: on top."""

    scene: str
    source: Source
    index: int | None = None

    def __str__(self) -> str:
        hidden = "" if self.source.shown else ", hidden"
        return f"make {self.source.name!r} ({self.source.kind}) in {self.scene!r}{hidden}{_about(self.source.settings)}"


@dataclass(frozen=True, slots=True)
class PutIn:
    """A source that is there already."""

    scene: str
    name: str
    source: Source
    index: int | None = None

    def __str__(self) -> str:
        return f"put {self.name!r} into {self.scene!r} again"


@dataclass(frozen=True, slots=True)
class Place:
    """An item whose making was broken off before it had its place. item: OBS's number of it in the scene."""

    scene: str
    name: str
    source: Source
    item: int

    def __str__(self) -> str:
        return f"place {self.name!r} in {self.scene!r}"


@dataclass(frozen=True, slots=True)
class Update:
    """Only these keys of an input's settings."""

    name: str
    settings: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"bring {self.name!r} up to date{_about(self.settings)}"


@dataclass(frozen=True, slots=True)
class SwitchTo:
    """Before the scene that is on air, or prepared in studio mode, is removed: OBS 29 would be left without one."""

    name: str
    preview: bool = False

    def __str__(self) -> str:
        return f"{'prepare' if self.preview else 'switch to'} the scene {self.name!r}"


@dataclass(frozen=True, slots=True)
class RemoveInput:
    """items: (scene, number) of all its places. elsewhere: the user's scenes among them."""

    name: str
    items: tuple[tuple[str, int], ...] = ()
    elsewhere: tuple[str, ...] = ()

    def __str__(self) -> str:
        also = f" (also in {', '.join(map(repr, self.elsewhere))})" if self.elsewhere else ""
        return f"remove {self.name!r}{also}"


@dataclass(frozen=True, slots=True)
class RemoveScene:
    name: str

    def __str__(self) -> str:
        return f"remove the scene {self.name!r}"


Step = Union[MakeScene, MakeInput, PutIn, Place, Update, SwitchTo, RemoveInput, RemoveScene]  # noqa: UP007 (isinstance on 3.10)


@dataclass(frozen=True, slots=True)
class Plan:
    """notes: what is left alone and why, in sentences."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


def _about(settings: Mapping[str, Any]) -> str:
    """Where its picture comes from. A stream's key is not shown."""
    for key in ("input", "device_id", "video_device_id", "device"):
        if settings.get(key):
            return f": {re.sub(r'key=[^&]+', 'key=…', str(settings[key]))}"
    return ""
