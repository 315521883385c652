"""Which of OBS's scenes and sources are ours. What is not certain is the user's, and is left alone.

A source of ours carries a mark in its settings, and its name or uuid is in the record; copies that the user made of
it carry the mark too and are theirs. A scene cannot carry a mark: it is ours when its uuid is in the record, or,
where OBS gives none, when its name is and it holds nothing or something of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from integrations.obs.kit.record import Record
from integrations.obs.kit.studio import InputThere, SceneThere, Studio
from integrations.obs.kit.wanted import Scene


@dataclass(frozen=True, slots=True)
class Ours:
    """inputs: by role. scenes: by the name that the kit gives them (the user may have renamed them)."""

    inputs: Mapping[str, InputThere]
    scenes: Mapping[str, SceneThere]

    @property
    def names(self) -> frozenset[str]:
        """Of our inputs, as they are called now."""
        return frozenset(source.name for source in self.inputs.values())


def ours(studio: Studio, record: Record, wanted: tuple[Scene, ...]) -> Ours:
    """What of the kit, and of earlier kits, is there."""
    usual = {source.role: source.name for scene in wanted for source in scene.sources}
    inputs: dict[str, InputThere] = {}
    for role in dict.fromkeys(source.role for source in studio.inputs if source.role):
        marked = [source for source in studio.inputs if source.role == role]
        if (found := _one_of_ours(marked, record, usual.get(role, ""))) is not None:
            inputs[role] = found
    mine = {source.name for source in inputs.values()}
    scenes = {}
    for name in dict.fromkeys((*(scene.name for scene in wanted), *record.names("scene"))):
        if (scene := _scene(studio, record, name, mine)) is not None:
            scenes[name] = scene
    return Ours(inputs, scenes)


def _one_of_ours(marked: list[InputThere], record: Record, usual: str) -> InputThere | None:
    by_uuid = [source for source in marked if source.uuid and source.uuid in record.uuids("input")]
    by_name = [source for source in marked if source.name in record.names("input") or source.name == usual]
    found = by_uuid or by_name
    if not found and len(marked) == 1 and not marked[0].uuid:
        return marked[0]  # renamed, in an OBS that has only names
    return found[0] if found else None


def _scene(studio: Studio, record: Record, name: str, mine: set[str]) -> SceneThere | None:
    known = {made.uuid for made in record.made if made.what == "scene" and made.name == name and made.uuid}
    for scene in studio.scenes:
        if scene.uuid and scene.uuid in known:
            return scene
    recorded = name in record.names("scene")
    for scene in studio.scenes:
        if scene.name == name and recorded:
            inside = {item.source for item in scene.items}
            return scene if not inside or inside & mine else None
    return None
