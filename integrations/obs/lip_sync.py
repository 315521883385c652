"""Voice and painted lips together: the measured latency of the picture as the sync offset of an audio input.

What the offset was before is kept in OBS itself, so that it is given back even if Phosphene or OBS was killed.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from integrations.control import Control
from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.options import Options
from integrations.obs.part import LONG_S, Part

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
SMOOTHING: Final = 0.25  # share of each new measurement
AUDIBLE_MS: Final = 15.0  # smaller changes are not worth a jump in the sound
LEAST_MS, MOST_MS = -950, 20_000  # what OBS takes
SLOT: Final = {"realm": "OBS_WEBSOCKET_DATA_REALM_GLOBAL", "slotName": "phosphene_lip_sync"}


class LipSync(Part):
    """Adds the latency to the offset that the input had. A hand on the offset in OBS ends it until the next start."""

    def __init__(self, options: Options, control: Control) -> None:
        self._input, self._control = options.lip_sync, control
        self._before: int | None = None
        self._set: int | None = None
        self._smooth: float | None = None
        self._due = 0.0
        self._off = ""

    def begin(self, obs: Connection) -> None:
        self._give_back(obs)  # what an earlier run left behind, perhaps on another input
        self._before, self._set, self._off, self._due = None, None, "", 0.0
        if self._input:
            try:
                self._before = self._offset(obs)
            except RefusedRequestError:
                self._off = f"OBS has no audio input {self._input!r}"

    def heard(self, obs: Connection, name: str, data: dict[str, Any]) -> None:
        if name in ("InputCreated", "InputNameChanged") and self._off and self._before is None:
            self.begin(obs)
        if name == "InputAudioSyncOffsetChanged" and data["inputName"] == self._input:
            given = round(data["inputAudioSyncOffset"])
            if self._set is not None and given not in (self._set, self._before):
                self._off = f"the offset of {self._input!r} was set by hand"
                self._forget(obs)

    def tick(self, obs: Connection, now: float) -> float:
        if not self._input or self._off or self._before is None:
            return LONG_S
        if now >= self._due:
            self._due = now + LOOK_S
            latency = (self._control.status().get("metrics", {}).get("latency_ms") or {}).get("p50")
            if latency is not None:
                self._smooth = smoothed(self._smooth, latency)
                self._set_to(obs, wanted(self._before, self._smooth))
        return self._due - now

    def leave(self, obs: Connection) -> None:
        if self._input:
            self._give_back(obs)
            self._set = None

    def status(self) -> dict[str, Any]:
        if not self._input:
            return {}
        return {
            "lip_sync": {
                "input": self._input,
                "offset_ms": self._set,
                "before_ms": self._before,
                "off": self._off,
            }
        }

    def _set_to(self, obs: Connection, offset: int) -> None:
        if self._set is not None and abs(offset - self._set) < AUDIBLE_MS:
            return
        # The note first: what is set without one could not be undone after a crash.
        self._note(obs, {"input": self._input, "before": self._before, "set": offset, "was": self._set})
        self._set = offset
        obs.request("SetInputAudioSyncOffset", {"inputName": self._input, "inputAudioSyncOffset": offset})

    def _offset(self, obs: Connection, of: str = "") -> int:
        answer = obs.request("GetInputAudioSyncOffset", {"inputName": of or self._input})
        return int(answer["inputAudioSyncOffset"])

    def _give_back(self, obs: Connection) -> None:
        """Undo what the note in OBS says, where nobody has changed it since."""
        note = obs.request("GetPersistentData", SLOT).get("slotValue")
        if not isinstance(note, dict) or not note.get("input"):
            return
        try:
            if self._offset(obs, note["input"]) in (note["set"], note.get("was")):
                obs.request(
                    "SetInputAudioSyncOffset",
                    {"inputName": note["input"], "inputAudioSyncOffset": note["before"]},
                )
        except RefusedRequestError as error:
            log.info("the sync offset of %s could not be given back: %s", note["input"], error.message)
        self._forget(obs)

    def _forget(self, obs: Connection) -> None:
        self._note(obs, {})

    @staticmethod
    def _note(obs: Connection, value: dict[str, Any]) -> None:
        obs.request("SetPersistentData", {**SLOT, "slotValue": value})


def smoothed(before: float | None, latency_ms: float) -> float:
    """Moves a quarter of the way to each new measurement."""
    return latency_ms if before is None else before + SMOOTHING * (latency_ms - before)


def wanted(before_ms: int, latency_ms: float) -> int:
    """The offset for this latency, ms, within what OBS takes."""
    return round(min(max(before_ms + latency_ms, LEAST_MS), MOST_MS))
