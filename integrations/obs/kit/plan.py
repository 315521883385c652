"""From what OBS has and what the kit wants: the steps of an installation, and of its removal. Pure."""

from __future__ import annotations

from integrations.obs.kit.ownership import Ours, ours
from integrations.obs.kit.record import Record
from integrations.obs.kit.steps import (
    MakeInput,
    MakeScene,
    Place,
    Plan,
    PutIn,
    RemoveInput,
    RemoveScene,
    Step,
    Update,
)
from integrations.obs.kit.studio import Studio
from integrations.obs.kit.wanted import Scene, Source


def install_plan(studio: Studio, wanted: tuple[Scene, ...], record: Record) -> Plan:
    """What is missing of the kit. What is there and ours stays as the user has arranged it."""
    mine = ours(studio, record, wanted)
    steps: list[Step] = []
    notes: list[str] = []
    for scene in wanted:
        there = mine.scenes.get(scene.name)
        if there is None and scene.name in studio.taken:
            notes.append(
                f"{scene.name!r} is there and not of Phosphene's making: it is left alone. Rename it in OBS, "
                "and install again"
            )
            continue
        if there is None:
            steps.append(MakeScene(scene.name))
        name = there.name if there else scene.name
        items = [item.source for item in there.items] if there else []
        for position, source in enumerate(scene.sources):
            found = mine.inputs.get(source.role)
            called = found.name if found else source.name
            if found is not None:
                steps += _up_to_date(source, called, found.settings)
            if called in items:
                if there is not None and record.half_made(called, studio.collection):
                    item = next(item.id for item in there.items if item.source == called)
                    steps.append(Place(name, called, source, item))
                continue
            if found is None and called in studio.taken:
                notes.append(f"a source {called!r} is there and yours: it is left alone, and used as it is")
                continue
            below = [
                mine.inputs[s.role].name if s.role in mine.inputs else s.name
                for s in scene.sources[:position]
            ]
            at = max((items.index(lower) + 1 for lower in below if lower in items), default=0)
            index = None if at == len(items) else at
            items.insert(at, called)
            steps.append(
                MakeInput(name, source, index) if found is None else PutIn(name, called, source, index)
            )
    return Plan(tuple(steps), tuple(notes))


def _up_to_date(source: Source, called: str, there: object) -> list[Step]:
    now = {key: source.settings[key] for key in source.follows}
    old = {key: there.get(key) for key in now} if isinstance(there, dict) else {}
    return [Update(called, now)] if now != old else []


def uninstall_plan(studio: Studio, wanted: tuple[Scene, ...], record: Record) -> Plan:
    """Everything of ours in this collection, of this kit or an earlier one, and nothing else.

    A scene of ours that holds something of the user's is kept, with that.
    """
    mine = ours(studio, record, wanted)
    our_scenes = {scene.name for scene in mine.scenes.values()}
    steps: list[Step] = [_removal(studio, source.name, our_scenes) for source in mine.inputs.values()]
    notes = []
    for scene in mine.scenes.values():
        foreign = [item.source for item in scene.items if item.source not in mine.names]
        if foreign:
            notes.append(
                f"the scene {scene.name!r} stays, because it holds yours: {', '.join(map(repr, foreign))}"
            )
        elif len(studio.scenes) == len(our_scenes):
            notes.append(f"the scene {scene.name!r} stays: OBS needs one. Make another, then uninstall again")
            our_scenes = our_scenes - {scene.name}
        else:
            steps.append(RemoveScene(scene.name))
    return Plan(tuple(steps), tuple(notes))


def _removal(studio: Studio, source: str, our_scenes: set[str]) -> RemoveInput:
    items = [
        (scene.name, item.id) for scene in studio.scenes for item in scene.items if item.source == source
    ]
    elsewhere = dict.fromkeys(scene for scene, _ in items if scene not in our_scenes)
    return RemoveInput(source, tuple(items), tuple(elsewhere))


def missing(studio: Studio, wanted: tuple[Scene, ...], record: Record) -> tuple[str, ...]:
    """Names of the kit's scenes and sources that are not there as ours; () when it is whole."""
    mine: Ours = ours(studio, record, wanted)
    scenes = [scene.name for scene in wanted if scene.name not in mine.scenes]
    sources = [s.name for scene in wanted for s in scene.sources if s.role not in mine.inputs]
    return (*scenes, *sources)
