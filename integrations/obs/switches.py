"""OBS's own hotkeys drive Phosphene: a scene item that is shown or hidden, a filter that is enabled or disabled.

They work wherever OBS's hotkeys do: on Wayland, on every system, from a Stream Deck. Which items and filters are
meant is said by `obs.hotkeys`, or by their names (`Phosphene > next`, see `kit.names`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from integrations.actions import parse_action
from integrations.control import Control
from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.kit.names import action_of
from integrations.obs.options import Options, Switch
from integrations.obs.part import Part
from pipeline.errors import PhospheneError
from pipeline.messages import Command, Mode, SetMode

log = logging.getLogger(__name__)

RENAMES: Final = frozenset({"SceneItemCreated", "SceneItemRemoved", "InputNameChanged", "SceneNameChanged"})


class Switches(Part):
    """An item or filter called `Phosphene > …` is a push button: it springs back, so that one hotkey (Show) is
    enough. One of `obs.hotkeys` is the user's own and stays as the user puts it; where it stands for bypass or
    freeze, that lasts as long as it is shown."""

    def __init__(self, options: Options, control: Control) -> None:
        self._control = control
        self._own = {_folded(name): switch for name, switch in options.hotkeys.items()}
        self._items: dict[tuple[str, int], str] = {}
        self._problem: PhospheneError | None = None

    def begin(self, obs: Connection) -> None:
        self._items.clear()

    def heard(self, obs: Connection, name: str, data: dict[str, Any]) -> None:
        if name in RENAMES:
            self._items.clear()
        elif name == "SceneItemEnableStateChanged":
            scene, number, shown = data["sceneName"], data["sceneItemId"], data["sceneItemEnabled"]
            if self._switched(self._item(obs, scene, number), shown):
                obs.request(
                    "SetSceneItemEnabled",
                    {"sceneName": scene, "sceneItemId": number, "sceneItemEnabled": False},
                )
        elif name == "SourceFilterEnableStateChanged":
            source, item, shown = data["sourceName"], data["filterName"], data["filterEnabled"]
            if self._switched(item, shown):
                obs.request(
                    "SetSourceFilterEnabled",
                    {"sourceName": source, "filterName": item, "filterEnabled": False},
                )

    def status(self) -> dict[str, Any]:
        problem = self._problem
        return {} if problem is None else {"error": problem.message, "mend": problem.mend}

    def _item(self, obs: Connection, scene: str, number: int) -> str:
        """The name of a scene's or group's item; "" when it has gone."""
        if (scene, number) not in self._items:
            try:
                items = obs.request("GetSceneItemList", {"sceneName": scene})
            except RefusedRequestError:
                items = obs.request("GetGroupSceneItemList", {"sceneName": scene})
            self._items |= {(scene, item["sceneItemId"]): item["sourceName"] for item in items["sceneItems"]}
        return self._items.get((scene, number), "")

    def _switched(self, item: str, shown: bool) -> bool:
        """Do what the item stands for; whether it is a button that must spring back."""
        switch = self._own.get(_folded(item))
        if switch is None:
            action = action_of(item) if shown else None
            if action is None:
                return False
            self._do(item, lambda: parse_action(action))
            return True
        self._do(item, lambda: command_of(switch, shown, self._control.state.mode))
        return False

    def _do(self, item: str, command: Callable[[], Command | None]) -> None:
        try:
            if (wanted := command()) is not None:
                self._control.submit(wanted, "obs")
                self._problem = None
        except PhospheneError as error:
            self._problem = PhospheneError(f"hotkey {item!r}: {error.message}", error.mend)
            log.warning("%s", self._problem)


def lasting(switch: Switch) -> Mode | None:
    """The mode that a switch holds while it is shown: bypass or freeze, unless hiding it says something else."""
    command = parse_action(switch.shown) if switch.shown and not switch.hidden else None
    if isinstance(command, SetMode) and command.mode in (Mode.BYPASS, Mode.FREEZE):
        return command.mode
    return None


def command_of(switch: Switch, shown: bool, present: Mode) -> Command | None:
    """What is to be done now. None: nothing."""
    if (mode := lasting(switch)) is not None:
        # As a toggle it never leaves panic.
        return SetMode(mode, toggle=True) if shown != (present is mode) else None
    action = switch.shown if shown else switch.hidden
    return parse_action(action) if action else None


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
