"""What people do in OBS, as requests."""

from __future__ import annotations

import time

from integrations.obs.connection import Connection
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
        for made in self.ask("GetInputList")["inputs"]:
            if not made["inputName"].endswith(" color"):
                self.ask("RemoveInput", inputName=made["inputName"])
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
        made = self.ask(
            "CreateInput",
            sceneName=scene,
            inputName=name,
            inputKind="text_ft2_source_v2",
            inputSettings={"text": text, "font": FONT},
            sceneItemEnabled=shown,
        )
        return made["sceneItemId"]

    def write(self, source: str, text: str) -> None:
        self.ask("SetInputSettings", inputName=source, inputSettings={"text": text})

    def colour(self, scene: str, name: str, shown: bool = False) -> int:
        """Some other source, hidden; its item's number."""
        made = self.ask(
            "CreateInput",
            sceneName=scene,
            inputName=name,
            inputKind="color_source_v3",
            inputSettings={"width": 16, "height": 16},
            sceneItemEnabled=shown,
        )
        return made["sceneItemId"]

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
