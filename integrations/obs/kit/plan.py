"""From what OBS has and what the kit wants: the steps of an installation, and of its removal. Pure."""

from __future__ import annotations

import re

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
    SwitchTo,
    Update,
)
from integrations.obs.kit.studio import InputThere, SceneThere, Studio
from integrations.obs.kit.wanted import Scene, Source


def install_plan(studio: Studio, wanted: tuple[Scene, ...], record: Record) -> Plan:
    """What is missing of the kit. What is there and ours stays as the user has arranged it."""
    mine = ours(studio, record, wanted)
    steps: list[Step] = []
    notes: list[str] = []
    for scene in wanted:
        there = mine.scenes.get(scene.name)
        if there is not None:
            filling = _Filling(studio, record, mine, scene, there)
        elif scene.name in studio.taken:
            notes.append(
                f"{scene.name!r} is there and not of Phosphene's making: it is left alone. Rename it in OBS, "
                "and install again"
            )
            continue
        else:
            steps.append(MakeScene(scene.name))
            filling = _Filling(studio, record, mine, scene, SceneThere(scene.name))
        for source in scene.sources:
            steps += filling.steps_for(source)
        notes += filling.notes
    return Plan(tuple(steps), tuple(notes))


class _Filling:
    """One scene of ours, filled from the bottom to the top."""

    def __init__(self, studio: Studio, record: Record, mine: Ours, wanted: Scene, there: SceneThere) -> None:
        self._studio, self._record, self._mine = studio, record, mine
        self._wanted, self._there = wanted, there
        self._items = [item.source for item in there.items]  # as they will be
        self.notes: list[str] = []

    def steps_for(self, source: Source) -> list[Step]:
        found = self._mine.inputs.get(source.role)
        if found is None:
            if source.name not in self._studio.taken:
                return [MakeInput(self._there.name, source, self._index(source, source.name))]
            self.notes.append(
                f"a source {source.name!r} is there and yours: it is left alone, and used as it is"
            )
            return []
        return [*self._renewal(source, found), *self._place(source, found.name)]

    def _renewal(self, source: Source, found: InputThere) -> list[Step]:
        if not source.follows:
            return []
        if _unversioned(found.kind) != _unversioned(source.kind):
            self.notes.append(
                f"{found.name!r} is a {found.kind} and stays one; to have a {source.kind} instead, uninstall, "
                "then install again"
            )
            return []
        now = {key: source.settings[key] for key in source.follows}
        return [] if now == {key: found.settings.get(key) for key in now} else [Update(found.name, now)]

    def _place(self, source: Source, name: str) -> list[Step]:
        scene = self._there.name
        if name not in self._items:
            return [PutIn(scene, name, source, self._index(source, name))]
        if not self._record.half_made(name, self._studio.collection):
            return []
        item = next(item.id for item in self._there.items if item.source == name)
        return [Place(scene, name, source, item)]

    def _index(self, source: Source, name: str) -> int | None:
        """Where it belongs: over what the kit has under it. None: on top of all."""
        below = []
        for lower in self._wanted.sources[: self._wanted.sources.index(source)]:
            there = self._mine.inputs.get(lower.role)
            below.append(there.name if there else lower.name)
        at = max((self._items.index(lower) + 1 for lower in below if lower in self._items), default=0)
        on_top = at == len(self._items)
        self._items.insert(at, name)
        return None if on_top else at


def _unversioned(kind: str) -> str:
    return re.sub(r"_v\d+$", "", kind)


def uninstall_plan(studio: Studio, wanted: tuple[Scene, ...], record: Record) -> Plan:
    """Everything of ours in this collection, of this kit or an earlier one, and nothing else.

    A scene of ours that holds something of the user's is kept, with that.
    """
    mine = ours(studio, record, wanted)
    our_scenes = {scene.name for scene in mine.scenes.values()}
    steps: list[Step] = [_removal(studio, source.name, our_scenes) for source in mine.inputs.values()]
    notes: list[str] = []
    removals: list[Step] = []
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
            removals.append(RemoveScene(scene.name))
    going = {step.name for step in removals if isinstance(step, RemoveScene)}
    steps += [
        SwitchTo(next(scene.name for scene in reversed(studio.scenes) if scene.name not in going), preview)
        for preview, shown in ((True, studio.preview), (False, studio.on_air))
        if shown in going
    ]
    return Plan((*steps, *removals), tuple(notes))


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
