"""What an OBS has, as plain values: all that a plan is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations.obs.kit.wanted import Platform
from pipeline.frame import Size


@dataclass(frozen=True, slots=True)
class Item:
    """One place of a source in a scene. id: OBS's own, of that scene."""

    source: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class SceneThere:
    """uuid: "" where OBS gives none (obs-websocket before 5.4). items: from the bottom to the top."""

    name: str
    uuid: str = ""
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class InputThere:
    """role: our mark in its settings, "" without. settings: those of a marked one, {} for others."""

    name: str
    kind: str
    uuid: str = ""
    role: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Studio:
    """One scene collection of one OBS. groups: names only. kinds: of inputs that it can make.

    on_air, preview: scenes that are shown and, in studio mode, prepared; "" for none.
    """

    collection: str
    canvas: Size
    platform: Platform
    scenes: tuple[SceneThere, ...] = ()
    inputs: tuple[InputThere, ...] = ()
    groups: frozenset[str] = frozenset()
    collections: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    on_air: str = ""
    preview: str = ""

    @property
    def taken(self) -> frozenset[str]:
        """Every name that nothing else can have."""
        return self.groups | {scene.name for scene in self.scenes} | {source.name for source in self.inputs}
