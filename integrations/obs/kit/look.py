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
    scenes = obs.request("GetSceneList")["scenes"]
    inputs = tuple(_input(obs, source) for source in obs.request("GetInputList")["inputs"])
    groups = frozenset(obs.request("GetGroupList")["groups"])
    there = groups | {scene["sceneName"] for scene in scenes} | {source.name for source in inputs}
    return Studio(
        collection=collections["currentSceneCollectionName"],
        canvas=Size(video["baseWidth"], video["baseHeight"]),
        platform=_PLATFORMS.get(obs.request("GetVersion").get("platform", ""), "linux"),
        scenes=tuple(_scene(obs, scene, there) for scene in scenes),
        inputs=inputs,
        groups=groups,
        collections=tuple(collections["sceneCollections"]),
        kinds=tuple(obs.request("GetInputKindList")["inputKinds"]),
    )


def _scene(obs: Connection, scene: dict[str, Any], there: frozenset[str]) -> SceneThere:
    """OBS lists the items of removed sources until it has drawn the scene once more: they are left out."""
    name = scene["sceneName"]
    items = obs.request("GetSceneItemList", {"sceneName": name})["sceneItems"]
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
