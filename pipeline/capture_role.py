"""The capture role: one source, read in blocking calls, cut and resized into the slots that need it.

A source runs and fails; this role closes it, says why, and opens it again with back-off: the same device, by what
identifies it. A source that hangs is noticed by the host, by the age of its last picture or of the call that opens it,
which go out with every report; killing this process frees the device.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, replace
from typing import Any, Final, Protocol, cast

from pipeline import kinds
from pipeline.channel import Channel
from pipeline.configs import CaptureConfig, from_json
from pipeline.errors import PhospheneError
from pipeline.frame import Size, now_ns
from pipeline.geometry import Look
from pipeline.metrics import StageTimes
from pipeline.pixels import place_on_canvas, place_on_output
from pipeline.slot import SlotWriter
from pipeline.source import Picture, Source, SourceInfo

REPORT_S: Final = 0.25
LOOK_S: Final = 0.2
RETRY_S: Final = (0.25, 0.5, 1.0)  # the last one repeats

EXIT_STOPPED: Final = 0
EXIT_ENDED: Final = 7  # the source came to its end; nothing to try again


class SourceKind(Protocol):
    """A module of `pipeline/sources`."""

    Options: Any

    def create(self, options: Any) -> Source: ...


def run_capture(channel: Channel, camera: SlotWriter, raw: SlotWriter) -> int:
    """Read the source that the first message names until told to stop, until it ends or until it fails."""
    hello = channel.receive(None)
    assert hello is not None
    config = from_json(CaptureConfig, hello["config"])
    role = _Capture(channel, config, camera, raw)
    role.raw_wanted = bool(hello.get("raw"))
    if hello.get("asleep"):
        role.awake.clear()
    listener = threading.Thread(target=role.listen, name="capture-listen", daemon=True)
    listener.start()
    try:
        return role.run()
    finally:
        role.halt.set()


class _Capture:
    def __init__(self, channel: Channel, config: CaptureConfig, camera: SlotWriter, raw: SlotWriter) -> None:
        self._channel = channel
        self._config = config
        self._camera = camera
        self._raw = raw
        self.raw_wanted = False
        self.halt = threading.Event()
        self.awake = threading.Event()  # cleared: the source is closed until somebody watches
        self.awake.set()
        self._source: Source | None = None
        self._pictures = 0
        self._times = StageTimes("capture")
        self._last_ns: int | None = None
        self._opening_since: float | None = None
        self._devices = 1  # that one call may open, one after the other

    def listen(self) -> None:
        """Hear the host and report to it, also while a read blocks."""
        while not self.halt.is_set():
            try:
                message = self._channel.receive(REPORT_S)
            except EOFError:
                self.halt.set()
                return
            if message is None or message["do"] == "report":
                self._report()
            elif message["do"] == "stop":
                self.halt.set()
            elif message["do"] == "raw":
                self.raw_wanted = bool(message["on"])
            elif message["do"] == "sleep":
                (self.awake.clear if message["on"] else self.awake.set)()
            elif message["do"] == "canvas":
                self._config = replace(self._config, canvas=Size(*message["size"]))

    def _report(self) -> None:
        age = None if self._last_ns is None else (now_ns() - self._last_ns) / 1e9
        since = self._opening_since
        report: dict[str, Any] = {
            "say": "stats",
            "pictures": self._pictures,
            "age_s": age,
            "opening_s": None if since is None else (time.monotonic() - since) / self._devices,
            "stages": self._times.facts(),
        }
        if (source := self._source) is not None:
            # A camera's rate is measured as it runs.
            report["detail"] = source.info.detail
        self._channel.send(report)

    def run(self) -> int:
        kind = cast("SourceKind", kinds.load("pipeline.sources", self._config.kind))
        options = kind.Options.model_validate(self._config.options)
        attempt = 0
        while not self.halt.is_set():
            if not self.awake.is_set():
                self._last_ns = None
                self._channel.send({"say": "asleep"})
                while not (self.awake.wait(LOOK_S) or self.halt.is_set()):
                    continue
                attempt = 0
                continue
            self._devices = devices_of(kind, options)
            self._opening_since = time.monotonic()
            try:
                source = kind.create(options)
            except PhospheneError as error:
                self._opening_since = None
                self._failed(error)
            else:
                self._source, self._opening_since = source, None
                attempt = 0
                self._channel.send({"say": "opened", "info": asdict(source.info)})
                options = again(kind, options, source.info)
                if self._read(source, look_of(options)):
                    self._channel.send({"say": "ended"})
                    return EXIT_ENDED
            if not self.awake.is_set():
                continue
            self.halt.wait(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
        return EXIT_STOPPED

    def _read(self, source: Source, look: Look) -> bool:
        """Publish pictures until told to stop, until the source fails, or until its end: True."""
        try:
            while not self.halt.is_set() and self.awake.is_set():
                picture = source.read()
                if picture is None:
                    return True
                self._publish(picture, look)
        except PhospheneError as error:
            self._failed(error)
        finally:
            self._source = None
            source.close()
        return False

    def _publish(self, picture: Picture, look: Look) -> None:
        config, began = self._config, now_ns()
        seq = self._pictures
        _, content = place_on_canvas(
            picture.image,
            config.canvas,
            config.output,
            config.fit,
            look,
            out=self._camera.begin(config.canvas),
        )
        whole = content == (0, 0, *config.canvas)
        self._camera.commit(seq=seq, t_capture=picture.t_capture, content=None if whole else content)
        if self.raw_wanted:
            place_on_output(
                picture.image, config.output, config.fit, look, out=self._raw.begin(config.output)
            )
            self._raw.commit(seq=seq, t_capture=picture.t_capture)
        self._pictures += 1
        is_first, self._last_ns = self._last_ns is None, self._times.since("capture", began)
        if is_first:  # from here on the host counts by the picture's age
            self._report()

    def _failed(self, error: PhospheneError) -> None:
        self._last_ns = None
        self._channel.send({"say": "failed", "message": error.message, "mend": error.mend})


def again(kind: SourceKind, options: Any, info: SourceInfo) -> Any:
    """Options that find the very device that was opened, and no other, where the kind can tell."""
    find_again = getattr(kind, "again", None)
    return options if find_again is None else find_again(options, info)


def devices_of(kind: SourceKind, options: Any) -> int:
    """How many devices one `create` may have to try, where the kind tries several."""
    devices = getattr(kind, "devices", None)
    return 1 if devices is None else max(1, devices(options))


def look_of(options: Any) -> Look:
    """The crop, rotation and mirroring that a source's options ask for, where its kind has them."""
    look = getattr(options, "look", None)
    return look if isinstance(look, Look) else Look()
