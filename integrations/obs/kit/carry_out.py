"""Does a plan's steps, one after another, and writes down each thing before it is made.

So a thing of ours is known as ours, however the installation ends: by a crash, a quitting OBS, Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.kit.ownership import ours
from integrations.obs.kit.record import Made, Record, read_record, write_record
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
from integrations.obs.kit.studio import Studio
from integrations.obs.kit.wanted import Scene, Source

DONE_S: Final = 3.0
MISSING: Final = 600
EXISTS: Final = 601


def carry_out(obs: Connection, plan: Plan, collection: str, file: Path) -> Iterator[tuple[Step, str]]:
    """Each step when it is done, with "" or why OBS refused it. Raises LostError, PhospheneError (the file)."""
    work = _Work(obs, collection, file)
    for step in plan.steps:
        yield step, work.trouble_with(step)


class _Work:
    def __init__(self, obs: Connection, collection: str, file: Path) -> None:
        self._obs, self._collection, self._file = obs, collection, file
        self._record = read_record(file)

    def trouble_with(self, step: Step) -> str:
        """Do it; "" or why OBS refused."""
        try:
            self._do(step)
        except RefusedRequestError as error:
            return "there is one of that name by now" if error.code == EXISTS else error.message
        return ""

    def _do(self, step: Step) -> None:
        match step:
            case MakeScene(name=name):
                self._make("scene", name, "CreateScene", {"sceneName": name})
            case MakeInput(scene=scene, source=source):
                data = {
                    "sceneName": scene,
                    "inputName": source.name,
                    "inputKind": source.kind,
                    "inputSettings": source.marked,
                    "sceneItemEnabled": source.shown,
                }
                answer = self._make("input", source.name, "CreateInput", data)
                self._place(scene, source.name, source, answer["sceneItemId"], step.index)
            case PutIn(scene=scene, name=name, source=source):
                data = {"sceneName": scene, "sourceName": name, "sceneItemEnabled": source.shown}
                item = self._obs.request("CreateSceneItem", data)["sceneItemId"]
                self._place(scene, name, source, item, step.index)
            case Place(scene=scene, name=name, source=source, item=item):
                self._place(scene, name, source, item, None)
            case Update(name=name, settings=settings):
                data = {"inputName": name, "inputSettings": dict(settings), "overlay": True}
                self._obs.request("SetInputSettings", data)
            case SwitchTo(name=name, preview=preview):
                which = "Preview" if preview else "Program"
                self._obs.request(f"SetCurrent{which}Scene", {"sceneName": name})
                self._wait(
                    lambda: self._obs.request("GetCurrentSceneTransitionCursor")["transitionCursor"] >= 1
                )
            case RemoveInput(name=name, items=items):
                # A source's removal takes its items only out of scenes that OBS draws.
                for scene, item in items:
                    self._remove("RemoveSceneItem", {"sceneName": scene, "sceneItemId": item})
                self._remove("RemoveInput", {"inputName": name})
                self._wait(
                    lambda: name not in _names(self._obs.request("GetInputList")["inputs"], "inputName")
                )
                self._keep(self._record.without(Made("input", name, self._collection)))
            case RemoveScene(name=name):
                self._remove("RemoveScene", {"sceneName": name})
                self._wait(
                    lambda: name not in _names(self._obs.request("GetSceneList")["scenes"], "sceneName")
                )
                self._keep(self._record.without(Made("scene", name, self._collection)))

    def _make(self, what: Any, name: str, request: str, data: Mapping[str, Any]) -> dict[str, Any]:
        before, whole = self._record, what == "scene"
        self._keep(before.with_made(Made(what, name, self._collection, whole=whole)))
        try:
            answer = self._obs.request(request, data)
        except RefusedRequestError:
            self._keep(before)
            raise
        if uuid := answer.get(f"{what}Uuid"):
            self._keep(self._record.with_made(Made(what, name, self._collection, uuid, whole)))
        return answer

    def _place(self, scene: str, name: str, source: Source, item: int, index: int | None) -> None:
        where = {"sceneName": scene, "sceneItemId": item}
        if source.transform:
            transform = {"sceneItemTransform": dict(source.transform)}
            self._obs.request("SetSceneItemTransform", {**where, **transform})
        if index is not None:
            self._obs.request("SetSceneItemIndex", {**where, "sceneItemIndex": index})
        if self._record.half_made(name, self._collection):
            self._keep(self._record.with_whole(name, self._collection))

    def _wait(self, true: Callable[[], bool]) -> None:
        """OBS answers before it has done what was asked."""
        deadline = time.monotonic() + DONE_S
        while not true() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _remove(self, request: str, data: Mapping[str, Any]) -> None:
        try:
            self._obs.request(request, data)
        except RefusedRequestError as error:
            if error.code != MISSING:
                raise

    def _keep(self, record: Record) -> None:
        write_record(self._file, record)
        self._record = record


def _names(things: list[dict[str, Any]], key: str) -> list[str]:
    return [thing[key] for thing in things]


def forget(file: Path, left: Studio, wanted: tuple[Scene, ...]) -> Record:
    """After an uninstallation: of this collection only what stayed of ours is kept in the record, and of others that
    are no more nothing."""
    record = read_record(file).only_in(left.collections)
    stayed = {scene.name for scene in ours(left, record, wanted).scenes.values()}
    for made in record.made:
        if made.collection == left.collection and not (made.what == "scene" and made.name in stayed):
            record = record.without(made)
    write_record(file, record)
    return record
