"""A scene of OBS as Phosphene sees it: the texts in it that say how to paint, its items by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from integrations.obs.errors import RefusedRequestError
from integrations.obs.names import field_of, is_text

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""`Connection.request`."""

NONE_ON_AIR: Final = 600  # as for a scene that is not there
NESTED: Final = 16  # scenes and groups looked into, the scene itself included


@dataclass(frozen=True, slots=True)
class SceneId:
    """uuid: "" from an obs-websocket before 5.4; a scene is then known by its name."""

    name: str
    uuid: str = ""

    def same(self, other: SceneId | None) -> bool:
        """Whether both are one scene, renamed or not."""
        if other is None:
            return False
        return self.uuid == other.uuid if self.uuid and other.uuid else self.name == other.name


@dataclass(frozen=True, slots=True)
class Text:
    """What a text source holds, on one line. source: its name."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Scene:
    """texts: by what they set (see `names.FIELDS`); empty ones are left out."""

    id: SceneId
    texts: Mapping[str, Text] = field(default_factory=dict)


def read_scene(ask: Ask, scene: SceneId) -> Scene:
    """The scene with all that is nested in it, hidden or not. What lies on top wins, then what is nested less.

    Raises RefusedRequestError when the scene has gone.
    """
    found: dict[str, str] = {}
    todo = [(scene.name, False)]
    for number in range(NESTED):
        if number == len(todo):
            break
        name, group = todo[number]
        try:
            items = ask("GetGroupSceneItemList" if group else "GetSceneItemList", {"sceneName": name})
        except RefusedRequestError:
            if number == 0:
                raise
            continue  # went away in between
        for item in reversed(items["sceneItems"]):  # the first lies at the bottom
            if item.get("sourceType") == "OBS_SOURCE_TYPE_SCENE":
                inner = (item["sourceName"], bool(item.get("isGroup")))
                if inner not in todo:
                    todo.append(inner)
            elif is_text(item.get("inputKind") or "") and (what := field_of(item["sourceName"])):
                found.setdefault(what, item["sourceName"])
    texts = {what: Text(source, text) for what, source in found.items() if (text := read_text(ask, source))}
    return Scene(scene, texts)


def read_text(ask: Ask, source: str) -> str:
    """A text source's text, white space made single; "" where it has none or has gone."""
    try:
        settings = ask("GetInputSettings", {"inputName": source})["inputSettings"]
    except RefusedRequestError:
        return ""
    return " ".join(str(settings.get("text") or "").split())


def program_scene(ask: Ask) -> SceneId:
    """The scene on air, or the one that a running transition leads to. Raises RefusedRequestError: there is none.

    `GetCurrentProgramScene` is never asked: when the scene on air was removed in studio mode there is none, and
    OBS 29 crashes by it.
    """
    answer = ask("GetSceneList", {})
    if not answer.get("currentProgramSceneName"):
        raise RefusedRequestError("GetSceneList", NONE_ON_AIR, "no scene is on air")
    return SceneId(answer["currentProgramSceneName"], answer.get("currentProgramSceneUuid") or "")


def preview_scene(ask: Ask) -> SceneId | None:
    """The scene that is prepared in studio mode; None outside it. Asked as `program_scene` is, and for its reason."""
    answer = ask("GetSceneList", {})
    if not answer.get("currentPreviewSceneName"):
        return None
    return SceneId(answer["currentPreviewSceneName"], answer.get("currentPreviewSceneUuid") or "")


def all_scenes(ask: Ask) -> list[SceneId]:
    """Every scene, topmost of OBS's list first."""
    scenes = ask("GetSceneList", {})["scenes"]
    return [SceneId(scene["sceneName"], scene.get("sceneUuid") or "") for scene in reversed(scenes)]
