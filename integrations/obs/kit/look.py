"""Asks OBS what it has."""

from __future__ import annotations

from typing import Any, Final

from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.kit.studio import InputThere, Item, SceneThere, Studio
from integrations.obs.kit.wanted import MARK, Platform
from pipeline.frame import Size

_PLATFORMS: Final[dict[str, Platform]] = {"windows": "windows", "macos": "macos"}


def look(obs: Connection) -> Studio:
    """The current scene collection, whole. Raises ObsError."""
    collections = obs.request("GetSceneCollectionList")
    video = obs.request("GetVideoSettings")
    # Not `GetCurrentProgramScene`: OBS 29 crashes by it once the scene on air was removed in studio mode.
    scene_list = obs.request("GetSceneList")
    scenes = scene_list["scenes"]
    inputs = tuple(_input(obs, source) for source in obs.request("GetInputList")["inputs"])
    groups = frozenset(obs.request("GetGroupList")["groups"])
    there = groups | {scene["sceneName"] for scene in scenes} | {source.name for source in inputs}
    return Studio(
        collection=collections["currentSceneCollectionName"],
        canvas=Size(video["baseWidth"], video["baseHeight"]),
        platform=_PLATFORMS.get(obs.request("GetVersion").get("platform", ""), "linux"),
        scenes=tuple(found for scene in scenes if (found := _scene(obs, scene, there)) is not None),
        inputs=inputs,
        groups=groups,
        collections=tuple(collections["sceneCollections"]),
        kinds=tuple(obs.request("GetInputKindList")["inputKinds"]),
        on_air=scene_list.get("currentProgramSceneName") or "",
        preview=scene_list.get("currentPreviewSceneName") or "",
    )


def _scene(obs: Connection, scene: dict[str, Any], there: frozenset[str]) -> SceneThere | None:
    """None: it has gone in between.

    OBS lists the items of removed sources until it has drawn the scene once more: they are left out.
    """
    name = scene["sceneName"]
    try:
        items = obs.request("GetSceneItemList", {"sceneName": name})["sceneItems"]
    except RefusedRequestError:
        return None
    return SceneThere(
        name,
        scene.get("sceneUuid") or "",
        tuple(Item(i["sourceName"], i["sceneItemId"]) for i in items if i["sourceName"] in there),
    )


def _input(obs: Connection, source: dict[str, Any]) -> InputThere:
    name, uuid = source["inputName"], source.get("inputUuid") or ""
    try:
        settings = obs.request("GetInputSettings", {"inputName": name})["inputSettings"]
    except RefusedRequestError:
        settings = {}  # went away in between
    role = settings.get(MARK, "")
    return InputThere(name, source["inputKind"], uuid, str(role), settings if role else {})
