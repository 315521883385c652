"""How long OBS takes from one scene to the next, and when the picture is to follow."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from integrations.obs.errors import RefusedRequestError
from integrations.obs.scene import Ask, SceneId

CUT: Final = "cut_transition"
OVERRIDE_S: Final = 0.3  # OBS's own default for an override without a duration


@dataclass(frozen=True, slots=True)
class Transition:
    """follow: "at once" (a cut), "along" (over `seconds`), or "at the end" (no duration is known).

    current: whether it is the one selected in OBS, the only one whose progress OBS tells.
    """

    follow: Literal["at once", "along", "at the end"]
    seconds: float = 0.0
    current: bool = True


def transition_of(
    running: str, current: Mapping[str, Any], override: Mapping[str, Any], known: Mapping[str, Any]
) -> Transition:
    """What the transition named `running` is. current, override, known: OBS's answers to GetCurrentSceneTransition,
    GetSceneSceneTransitionOverride (of the target) and GetSceneTransitionList."""
    overridden = override.get("transitionName") == running
    kinds = {each["transitionName"]: each for each in known.get("transitions", [])}
    kind: Mapping[str, Any] = kinds.get(running, {})
    is_current = current.get("transitionName") == running
    if not kind and is_current:
        kind = current
    if kind.get("transitionKind") == CUT:
        return Transition("at once", current=is_current)
    if overridden and not kind.get("transitionFixed"):
        given = override.get("transitionDuration")
        return Transition("along", OVERRIDE_S if given is None else given / 1000, current=is_current)
    duration = current.get("transitionDuration") if is_current else None
    if duration is None or kind.get("transitionFixed"):
        return Transition("at the end", current=is_current)
    return Transition("along", duration / 1000)


def running_transition(ask: Ask, running: str, target: SceneId) -> Transition:
    """Ask OBS about the transition that has just started."""
    current = ask("GetCurrentSceneTransition", {})
    override: dict[str, Any] = {}
    with contextlib.suppress(RefusedRequestError):  # renamed or removed meanwhile
        override = ask("GetSceneSceneTransitionOverride", {"sceneName": target.name})
    return transition_of(running, current, override, ask("GetSceneTransitionList", {}))


def progress(ask: Ask) -> float:
    """Of the selected transition, 0 to 1; 1 while none runs."""
    return float(ask("GetCurrentSceneTransitionCursor", {})["transitionCursor"])


@dataclass(frozen=True, slots=True)
class Pace:
    """How a transition moves: where it stood (0 to 1) at a moment, and how often in a row it moved as time does.

    A hand on studio mode's T-bar starts the same transition, with the same event, and moves it as it likes.
    """

    at: float
    cursor: float
    in_time: int = 0

    def next(self, at: float, cursor: float, seconds: float, frame_s: float) -> Pace:
        """With one more look, of a transition that takes `seconds` by itself.

        OBS moves it with its frames: looks that are less than three of them apart say nothing.
        """
        if at - self.at < pace_interval(frame_s):
            return self
        speed = (cursor - self.cursor) * seconds / (at - self.at)
        return Pace(at, cursor, self.in_time + 1 if 0.6 <= speed <= 1.4 else 0)

    @property
    def by_itself(self) -> bool:
        return self.in_time >= 2


def pace_interval(frame_s: float) -> float:
    """Seconds between two looks at a transition's progress."""
    return max(0.05, 3 * frame_s)


def morph_seconds(seconds: float, elapsed_s: float, frames_behind: int, fps: float) -> float:
    """How long the prompt morphs so that it arrives with the picture of a transition of `seconds`.

    What is admitted now leaves the denoiser so many painted frames later: the morph ends as much earlier.
    """
    in_flight = frames_behind / fps if fps > 0 else 0.0
    return max(0.0, seconds - elapsed_s - in_flight)
