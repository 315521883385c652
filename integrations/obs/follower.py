"""Scene → picture: the part that keeps the style that of the scene on air, in step with OBS's transitions.

Events say that something may have changed; what OBS answers decides. Once or twice a second it is asked anyway, so
that lost and spurious events cost nothing but time.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from integrations.control import Control
from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.look import Look, Value, commands_of, edit_of, look_of, prompts_of
from integrations.obs.options import Options
from integrations.obs.part import Part
from integrations.obs.scene import (
    SceneId,
    Text,
    all_scenes,
    preview_scene,
    program_scene,
    read_scene,
    read_text,
)
from integrations.obs.transition import (
    Pace,
    Transition,
    morph_seconds,
    pace_interval,
    progress,
    running_transition,
)
from pipeline.errors import PhospheneError
from pipeline.messages import Command, Event, SetLook

log = logging.getLogger(__name__)

POLL_S: Final = 1.0
POLL_TEXTS_S: Final = 0.5  # obs-websocket before 5.4 has no event for an edited text
POLL_PROGRESS_S: Final = 0.2
SOON_S: Final = 0.06  # leaving studio mode names a wrong scene for a few milliseconds
EVENT_S: Final = 0.15  # OBS tells of a transition so long after it answers with the new scene, at most
QUIET_S: Final = 0.25  # an edit is taken over once nothing was typed for so long …
PATIENCE_S: Final = 1.0  # … or when it has gone on for so long
STINGER_S: Final = 20.0  # at most, where OBS tells no progress
MOST_SCENES: Final = 32  # whose prompts are encoded ahead

CHANGES: Final = frozenset(
    {
        "SceneItemCreated",
        "SceneItemRemoved",
        "SceneItemListReindexed",
        "SceneCreated",
        "SceneRemoved",
        "SceneListChanged",
        "InputCreated",
        "InputRemoved",
        "InputNameChanged",
        "InputSettingsChanged",
    }
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The picture is to follow later than OBS's answer says. until: of `time.monotonic`; a hand on studio mode's
    T-bar may take longer. pace: while it may turn out to run by itself, and then to be followed along."""

    transition: Transition
    until: float
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A look that is being typed."""

    look: Look
    began: float
    changed: float


class Follower(Part):
    """See the module. Knows from one connection to the next what it has applied."""

    def __init__(
        self, options: Options, control: Control, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._globs, self._control, self._clock = options.scenes, control, clock
        self._scene: SceneId | None = None
        self._look = Look()
        self._held: dict[str, Value] = {}
        self._applied = 0  # the revision that this left behind
        self._waiting: Waiting | None = None
        self._edit: Edit | None = None
        self._doubt: float | None = None
        self._due = 0.0
        self._poll_texts = False
        self._texts_due = 0.0
        self._texts: tuple[Text, ...] = ()
        self._frame_s = 1 / 30
        self._studio = False
        self._ahead: list[str] = []
        self._problem: PhospheneError | None = None

    # ------------------------------------------------------------ what happens

    def begin(self, obs: Connection) -> None:
        version = obs.request("GetVersion")["obsWebSocketVersion"].split(".")
        self._poll_texts = (int(version[0]), int(version[1])) < (5, 4)
        video = obs.request("GetVideoSettings")
        self._frame_s = video["fpsDenominator"] / video["fpsNumerator"]
        self._studio = obs.request("GetStudioModeEnabled")["studioModeEnabled"]
        self._edit, self._doubt, self._due = None, None, 0.0
        moving = self._studio and 0.0 < progress(obs.request) < 1.0
        self._waiting = Waiting(Transition("at the end"), self._clock() + STINGER_S) if moving else None
        self._encode_ahead(obs, all_scenes(obs.request)[:MOST_SCENES])

    def heard(self, obs: Connection, name: str, data: dict[str, Any]) -> None:
        if name == "SceneTransitionStarted":
            self._started(obs, data["transitionName"])
        elif name in ("SceneTransitionEnded", "SceneTransitionVideoEnded"):
            self._ended(obs)
        elif name == "CurrentProgramSceneChanged":
            self._soon()
        elif name == "SceneNameChanged":
            if self._scene is not None and self._scene.name == data["oldSceneName"]:
                self._scene = replace(self._scene, name=data["sceneName"])
            self._soon()
        elif name == "StudioModeStateChanged":
            self._studio, self._waiting = data["studioModeEnabled"], None
            self._soon()
            self._encode_preview(obs)
        elif name == "CurrentPreviewSceneChanged":
            self._encode_preview(obs)
        elif name in CHANGES:
            self._soon()

    def told(self, obs: Connection, event: Event) -> None:
        if event.kind == "engine" and event.data.get("status") == "ready" and self._ahead:
            self._control.prepare(self._ahead)  # a new engine knows no prompt

    def tick(self, obs: Connection, now: float) -> float:
        if now >= self._due and self._waiting is not None:
            self._wait(obs, self._waiting, now)
        elif now >= self._due:
            self._due, self._texts_due = now + POLL_S, now + POLL_TEXTS_S
            target = program_scene(obs.request)
            if not self._is_early(obs, target, now):
                self._follow(obs, target, 0.0)
        elif self._poll_texts and now >= self._texts_due and self._waiting is None:
            self._texts_due = now + POLL_TEXTS_S
            if any(read_text(obs.request, text.source) != text.text for text in self._texts):
                self._follow(obs, program_scene(obs.request), 0.0)
        due = self._texts_due if self._poll_texts and self._texts else self._due
        return min(self._due, due) - self._clock()

    def status(self) -> dict[str, Any]:
        scene, problem = self._scene, self._problem
        facts: dict[str, Any] = {"scene": scene.name if scene else None, "style_from": self._look.why}
        if problem is not None:
            facts |= {"error": problem.message, "mend": problem.mend}
        return facts

    def _is_early(self, obs: Connection, target: SceneId, now: float) -> bool:
        """Whether another scene was seen before OBS's event told of its transition: that may be on its way.

        Where it does not come, the transition that still runs is taken for the selected one.
        """
        if self._scene is None or target.same(self._scene):
            self._doubt = None
            return False
        if self._doubt is None:
            self._doubt = now
        if now - self._doubt < EVENT_S:
            self._due = self._doubt + EVENT_S
            return True
        self._doubt = None
        if not 0.0 < progress(obs.request) < 1.0:  # after studio mode's T-bar OBS may say 0 where none runs
            return False
        self._started(obs, obs.request("GetCurrentSceneTransition")["transitionName"])
        return True

    def _soon(self) -> None:
        self._due = min(self._due, self._clock() + SOON_S)

    # ------------------------------------------------------------ transitions

    def _started(self, obs: Connection, running: str) -> None:
        began = self._clock()
        target = program_scene(obs.request)
        transition = running_transition(obs.request, running, target)
        self._waiting, self._doubt, self._due = None, None, began + SOON_S
        if transition.follow == "at the end":
            self._waiting = Waiting(transition, began + STINGER_S)
        elif transition.follow == "along" and self._studio and transition.current:
            pace = Pace(self._clock(), progress(obs.request))
            self._waiting = Waiting(transition, began + STINGER_S, pace)
        else:
            self._follow(obs, target, self._morph_s(transition, self._clock() - began), switched=True)

    def _ended(self, obs: Connection) -> None:
        if self._waiting is None:
            self._soon()
        else:
            self._waiting = None
            self._follow(obs, program_scene(obs.request), 0.0, switched=True)

    def _wait(self, obs: Connection, waiting: Waiting, now: float) -> None:
        """Look whether there is still something to wait for."""
        self._due = now + POLL_PROGRESS_S
        transition, cursor = waiting.transition, progress(obs.request)
        given_up = now >= waiting.until and not (self._studio and transition.current)
        if given_up or (cursor >= 1.0 and transition.current):
            self._waiting = None
            self._follow(obs, program_scene(obs.request), 0.0)
        elif waiting.pace is not None:
            self._due = now + pace_interval(self._frame_s)
            pace = waiting.pace.next(self._clock(), cursor, transition.seconds, self._frame_s)
            self._waiting = replace(waiting, pace=pace)
            if pace.by_itself:
                self._waiting = None
                over_s = self._morph_s(transition, cursor * transition.seconds)
                self._follow(obs, program_scene(obs.request), over_s)

    def _morph_s(self, transition: Transition, elapsed_s: float) -> float:
        if transition.follow != "along":
            return 0.0
        status = self._control.status()
        fps = status.get("metrics", {}).get("fps_engine") or 0.0
        frames_behind = status.get("engine", {}).get("frames_behind") or 0
        return morph_seconds(transition.seconds, elapsed_s, frames_behind, fps)

    # ------------------------------------------------------------ looks

    def _follow(self, obs: Connection, target: SceneId, over_s: float, switched: bool = False) -> None:
        """Bring about what the scene on air wants, unless that has been done.

        switched: OBS has told of a transition, so even the same scene has been left and come back to.
        """
        try:
            scene = read_scene(obs.request, target)
        except RefusedRequestError:
            self._soon()  # it went away between two questions
            return
        self._texts = tuple(scene.texts.values())
        look = look_of(scene, self._globs)
        anew = switched and self._control.state.revision != self._applied
        if anew or not scene.id.same(self._scene):
            self._edit = None
            commands, held = commands_of(look, over_s, self._control.state.style, self._held)
            self._scene, self._look = scene.id, look
            self._apply(commands, held)
            return
        self._scene = scene.id  # perhaps renamed
        if look == self._look:
            self._edit = None
        elif self._is_settled(look):
            commands, held = edit_of(self._look, look, self._control.state.style, self._held)
            self._look = look
            self._apply(commands, held)

    def _is_settled(self, look: Look) -> bool:
        now, edit = self._clock(), self._edit
        if edit is None:
            edit = Edit(look, now, now)
        elif edit.look != look:
            edit = replace(edit, look=look, changed=now)
        done = now - edit.changed >= QUIET_S or now - edit.began >= PATIENCE_S
        self._edit = None if done else edit
        if not done:
            self._due = min(self._due, edit.changed + QUIET_S)
        return done

    def _apply(self, commands: list[Command], held: dict[str, Value]) -> None:
        problem = None
        for command in commands:
            problem = self._submit(command) or problem
        if problem is None:
            self._held = held
        self._problem, self._applied = problem, self._control.state.revision

    def _submit(self, command: Command) -> PhospheneError | None:
        try:
            self._control.submit(command, "obs")
        except PhospheneError as error:
            problem = PhospheneError(f"{self._look.why}: {error.message}", error.mend)
            log.warning("scene %s: %s", self._scene and self._scene.name, problem)
            self._apply_sure_part(command)
            return problem
        return None

    def _apply_sure_part(self, command: Command) -> None:
        """A strength that is no number must not cost the prompt."""
        sure = ("prompt", "negative_prompt")
        if isinstance(command, SetLook) and (
            values := {k: command.values[k] for k in sure if k in command.values}
        ):
            with contextlib.suppress(PhospheneError):
                self._control.submit(replace(command, values=values), "obs")

    # ------------------------------------------------------------ prompts ahead of time

    def _encode_preview(self, obs: Connection) -> None:
        scene = preview_scene(obs.request)
        if scene is not None:
            self._encode_ahead(obs, [scene])

    def _encode_ahead(self, obs: Connection, scenes: list[SceneId]) -> None:
        bank, prompts = self._control.styles(), []
        for scene in scenes:
            with contextlib.suppress(RefusedRequestError):
                prompts += prompts_of(look_of(read_scene(obs.request, scene), self._globs), bank)
        if prompts:
            self._ahead = list(dict.fromkeys([*prompts, *self._ahead]))[: 2 * MOST_SCENES]
            self._control.prepare(prompts)
