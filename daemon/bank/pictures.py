"""Small pictures of the bank's styles by the model that runs: asked of the engine one at a time with long pauses, kept
on disk by what they show.

A picture is made only once somebody has asked for it (the page, the API). While the live picture is painted, at most
`SHARE` of the denoiser's time goes into them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from daemon.settings import Settings
from pipeline.errors import PhospheneError
from pipeline.messages import Event, LiveState, Mode, Style

VERSION: Final = 1  # of how pictures are made: another number makes them all anew
SHARE: Final = 0.04
LEAST_PAUSE_S: Final = 0.5
IDLE_PAUSE_S: Final = 0.05  # while nothing is streamed
AGAIN_S: Final = 20.0  # after a style could not be painted
LOST_S: Final = 45.0  # an engine that was restarted never answers
KEPT: Final = 600  # files; the longest unused go first


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture on its way."""

    name: str
    key: str
    style: Style
    live: threading.Event | None = None  # set when the answer to a `live` request is there


class StylePictures:
    """Thread-safe. ask: sends a request to the engine. watch: called several times a second."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        state: Callable[[], LiveState],
        ask: Callable[[dict[str, Any]], None],
        emit: Callable[[Event], None],
        folder: Callable[[], Path],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._state, self._ask, self._emit = settings, state, ask, emit
        self._folder, self._clock = folder, clock
        self._lock = threading.Condition()  # notified when the engine is free
        self._waiting: OrderedDict[str, Wanted] = OrderedDict()  # by key
        self._reasons: dict[str, tuple[str, float]] = {}  # key → why not, and when to try again
        self._asked: tuple[int, Wanted, float] | None = None
        self._answers: dict[int, dict[str, Any]] = {}
        self._count = 0
        self._not_before = 0.0

    # ------------------------------------------------------------ for front ends

    def key(self, name: str) -> str:
        """Names the picture that this style would have now: another one once anything that shows changes."""
        settings, state = self._settings(), self._state()
        style = asdict(settings.styles[name].named(""))
        model = {"name": settings.model.name, "vae": settings.model.vae, "loras": settings.model.loras}
        stamps = [_stamp(settings.model.name), _stamp(settings.model.vae or "")]
        facts = [VERSION, style, model, stamps, state.t_index_list, settings.denoiser.add_noise]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def ready(self, name: str) -> tuple[bool, str]:
        """Whether the picture is there, and its key. Asks for nothing. Raises KeyError."""
        key = self.key(name)
        return self._path(key).exists(), key

    def get(self, name: str) -> tuple[bytes | None, str, str]:
        """(JPEG or None, its key, why there is none yet). A missing one is painted as soon as that is possible.

        Raises KeyError where the bank has no such style. Reads a file.
        """
        key = self.key(name)
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            pass
        else:
            return data, key, ""
        with self._lock:
            if key not in self._waiting and not (self._asked and self._asked[1].key == key):
                self._waiting[key] = Wanted(name, key, self._settings().styles[name].named(name))
            reason = self._reasons.get(key, ("", 0.0))[0]
        return None, key, reason or "it is being painted"

    def live(self, name: str, timeout_s: float) -> bytes:
        """The style on the camera's newest picture, painted now. Blocks. Raises PhospheneError with the reason."""
        style = self._settings().styles[name].named(name)
        wanted = Wanted(name, f"live {name}", style, threading.Event())
        assert wanted.live is not None
        deadline = self._clock() + timeout_s
        with self._lock:
            if not self._lock.wait_for(lambda: self._asked is None, timeout_s):
                raise PhospheneError("the engine is busy with another picture", "ask again")
            number = self._send(wanted)
        arrived = wanted.live.wait(max(0.1, deadline - self._clock()))
        answer = self._answers.pop(number, {})
        if not arrived or "jpeg" not in answer:
            with self._lock:
                if self._asked is not None and self._asked[0] == number:
                    self._free()
            raise PhospheneError(
                answer.get("reason", "the engine did not answer in time"), "see: phosphene status"
            )
        return base64.b64decode(answer["jpeg"])

    def forget(self) -> None:
        """Paint none of those that are waited for, until somebody asks again."""
        with self._lock:
            self._waiting.clear()

    # ------------------------------------------------------------ for the daemon

    def watch(self, engine_ready: bool) -> None:
        """Ask for the next picture when it is due."""
        now = self._clock()
        with self._lock:
            if self._asked is not None and now - self._asked[2] > LOST_S:
                self._free()
            if not engine_ready or self._asked is not None or now < self._not_before:
                return
            for key, wanted in self._waiting.items():
                if self._reasons.get(key, ("", 0.0))[1] <= now:
                    del self._waiting[key]
                    self._send(wanted)
                    return

    def heard(self, message: Mapping[str, Any]) -> None:
        """The engine's answer, on the thread that hears it."""
        now = self._clock()
        with self._lock:
            if self._asked is None or message["id"] != self._asked[0]:
                return
            wanted = self._asked[1]
            self._free()
            streaming = self._state().mode is Mode.STYLED
            took = float(message.get("seconds", 0.0))
            self._not_before = now + (max(LEAST_PAUSE_S, took / SHARE) if streaming else IDLE_PAUSE_S)
            if wanted.live is not None:
                self._answers[message["id"]] = dict(message)
                wanted.live.set()
                return
            if "jpeg" not in message:
                self._reasons[wanted.key] = str(message.get("reason", "")), now + AGAIN_S
                self._waiting[wanted.key] = wanted
                return
            self._reasons.pop(wanted.key, None)
        try:
            self._keep(wanted.key, base64.b64decode(message["jpeg"]))
        except OSError as error:
            self._emit(Event("log", f"pictures of styles cannot be kept: {error}", {}, "warning"))
            return
        data = {"style": wanted.name, "key": wanted.key}
        self._emit(Event("picture", f"picture of {wanted.name} painted", data))

    def _free(self) -> None:
        """Under the lock."""
        self._asked = None
        self._lock.notify_all()

    def _send(self, wanted: Wanted) -> int:
        """Under the lock."""
        self._count += 1
        self._asked = self._count, wanted, self._clock()
        self._ask(
            {
                "id": self._count,
                "style": asdict(wanted.style),
                "t_index_list": list(self._state().t_index_list),
                "of": "live" if wanted.live is not None else "demo",
            }
        )
        return self._count

    # ------------------------------------------------------------ files

    def _path(self, key: str) -> Path:
        return self._folder() / f"{key}.jpg"

    def _keep(self, key: str, data: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(data)
        os.replace(temporary, path)
        files = sorted(path.parent.glob("*.jpg"), key=lambda file: file.stat().st_mtime)
        for old in files[:-KEPT]:
            old.unlink(missing_ok=True)


def _stamp(name: str) -> int:
    """When a local model was changed last, ns; 0 for others."""
    try:
        return Path(name).expanduser().stat().st_mtime_ns if name else 0
    except OSError:
        return 0
