"""What people do in OBS, as requests."""

from __future__ import annotations

import time

from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from tests.e2e.obs.obs_studio import SCENES

FONT = {"face": "DejaVu Sans", "style": "Book", "size": 32, "flags": 0}


class Desk:
    """heard: (name, data) of every event, growing."""

    def __init__(self, obs: Connection, heard: list) -> None:
        self.obs, self.heard = obs, heard

    def ask(self, name, **data):
        return self.obs.request(name, data)

    def clear(self) -> None:
        """Back to the three scenes with a colour each."""
        if self.ask("GetStudioModeEnabled")["studioModeEnabled"]:
            self.idle()
            if 0 < self.cursor() < 1:
                self.ask("SetTBarPosition", position=1.0, release=True)
                self.idle()
            self.ask("SetStudioModeEnabled", studioModeEnabled=False)
        self.idle()
        self.ask("SetCurrentSceneTransition", transitionName="Cut")
        self.to("Plain")
        self.idle()
        for scene in SCENES:
            self.ask(
                "SetSceneSceneTransitionOverride",
                sceneName=scene,
                transitionName=None,
                transitionDuration=None,
            )
        # item by item: OBS forgets what was removed from a scene that is not on air only when it shows that scene
        for scene in self.ask("GetSceneList")["scenes"]:
            for item in self.ask("GetSceneItemList", sceneName=scene["sceneName"])["sceneItems"]:
                if not item["sourceName"].endswith(" color"):
                    self.ask("RemoveSceneItem", sceneName=scene["sceneName"], sceneItemId=item["sceneItemId"])
        for scene in self.ask("GetSceneList")["scenes"]:
            if scene["sceneName"] not in SCENES:
                self.ask("RemoveScene", sceneName=scene["sceneName"])
        self.heard.clear()

    def cursor(self) -> float:
        return self.ask("GetCurrentSceneTransitionCursor")["transitionCursor"]

    def idle(self) -> None:
        """Nothing moves: a transition that is set while one runs makes OBS drop events.

        After studio mode's T-bar OBS may say 0 where none runs.
        """
        looks = [-1.0]
        while len(looks) < 100:
            looks.append(self.cursor())
            if looks[-1] == looks[-2]:
                return
            time.sleep(0.12)
        raise AssertionError(f"still moving: {looks[-5:]}")

    def to(self, scene: str) -> float:
        """Switch; the moment of the request, of `time.monotonic`."""
        began = time.monotonic()
        self.ask("SetCurrentProgramScene", sceneName=scene)
        return began

    def transition(self, name: str, milliseconds: int | None = None) -> None:
        self.idle()
        self.ask("SetCurrentSceneTransition", transitionName=name)
        if milliseconds is not None:
            self.ask("SetCurrentSceneTransitionDuration", transitionDuration=milliseconds)

    def text(self, scene: str, name: str, text: str, shown: bool = True) -> int:
        """A new text source; its item's number."""
        return self.make(scene, name, "text_ft2_source_v2", {"text": text, "font": FONT}, shown)

    def write(self, source: str, text: str) -> None:
        self.ask("SetInputSettings", inputName=source, inputSettings={"text": text})

    def colour(self, scene: str, name: str, shown: bool = False) -> int:
        """Some other source, hidden; its item's number."""
        return self.make(scene, name, "color_source_v3", {"width": 16, "height": 16}, shown)

    def make(self, scene: str, name: str, kind: str, settings: dict, shown: bool = True) -> int:
        """A new source; its item's number. OBS lets go of the name of a removed one a little later."""
        given = {"sceneName": scene, "inputName": name, "inputKind": kind, "inputSettings": settings}
        for wait in (0.05, 0.2, 0.5, 1.0, 2.0, 0.0):
            try:
                made = self.obs.request("CreateInput", {**given, "sceneItemEnabled": shown})
            except RefusedRequestError:
                if not wait:
                    raise
                time.sleep(wait)
            else:
                return made["sceneItemId"]
        raise AssertionError

    def show(self, scene: str, item: int, shown: bool = True) -> None:
        self.ask("SetSceneItemEnabled", sceneName=scene, sceneItemId=item, sceneItemEnabled=shown)

    def is_shown(self, scene: str, item: int) -> bool:
        return self.ask("GetSceneItemEnabled", sceneName=scene, sceneItemId=item)["sceneItemEnabled"]

    def make_scene(self, name: str) -> None:
        self.ask("CreateScene", sceneName=name)

    def broadcast(self, payload) -> None:
        self.ask("BroadcastCustomEvent", eventData=payload)

    def custom(self, key: str) -> list:
        return [data[key] for name, data in self.heard if name == "CustomEvent" and key in data]
