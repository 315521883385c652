"""The engine role: loads the model, then runs the stages until told to stop or until one of them fails.

It never retries: what fails ends the role with a sentence to the host, and the supervisor starts a new one.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

from pipeline.channel import Channel, Message
from pipeline.configs import EngineConfig, from_json
from pipeline.errors import PhospheneError
from pipeline.frame import now_ns
from pipeline.memory_fault import is_memory_fault
from pipeline.messages import LiveState, parse_state
from pipeline.slot import SlotReader, SlotWriter

log = logging.getLogger(__name__)

REPORT_S: Final = 0.5

EXIT_STOPPED: Final = 0
EXIT_FAILED: Final = 8


def run_engine(channel: Channel, camera: SlotReader, styled: SlotWriter) -> int:
    """Paint what comes in on `camera` as the first message and every later state say."""
    hello = channel.receive(None)
    assert hello is not None
    role = _EngineRole(channel, from_json(EngineConfig, hello["config"]), parse_state(hello["state"]))
    listener = threading.Thread(target=role.listen, name="engine-listen", daemon=True)
    listener.start()
    try:
        return role.run(camera, styled)
    finally:
        role.halt.set()


class _EngineRole:
    def __init__(self, channel: Channel, config: EngineConfig, state: LiveState) -> None:
        self._channel = channel
        self._config = config
        self._state = state
        self._build: Any = None  # pipeline.build.Build once it is ready; it knows torch
        self._pictures: Any = None  # pipeline.style_picture_job.StylePictureJobs at the first request
        self.halt = threading.Event()

    def listen(self) -> None:
        """Hear the host and report to it, also while the model loads or a step hangs."""
        reported = 0
        while not self.halt.is_set():
            try:
                message = self._channel.receive(REPORT_S)
            except EOFError:
                self.halt.set()
                return
            if message is not None and message["do"] == "stop":
                self.halt.set()
            elif message is not None and message["do"] == "state":
                self._state = parse_state(message["state"])
                self._apply()
            elif message is not None and message["do"] == "encode" and self._build is not None:
                self._build.prepare(message["prompts"])
            elif message is not None and message["do"] == "picture" and self._build is not None:
                self._picture(message)
            if message is None or now_ns() - reported > REPORT_S * 1e9:
                reported = now_ns()
                self._report()

    def run(self, camera: SlotReader, styled: SlotWriter) -> int:
        try:
            self._progress("starting PyTorch", None)
            from pipeline.build import build  # takes seconds; the host has been told

            made = build(self._config, self._state, camera, styled, self._progress, self._event, self._event)
        except Exception as error:  # noqa: BLE001 whatever a model or a driver raises is said, and ends this role
            return self._failed(error)
        runner = made.runner
        self._build = made
        self._apply()
        self._channel.send({"say": "ready", "info": made.info})
        gc.freeze()  # PyTorch's half a million objects: a collection would walk over them between two frames
        made.start()
        while not self.halt.is_set() and runner.failed is None:
            self.halt.wait(0.05)
        made.stop()
        if (fault := runner.failed) is not None:
            return self._failed(fault)
        return EXIT_STOPPED

    def _apply(self) -> None:
        """On the listening thread: encoding a prompt must not stop the denoiser."""
        if (build := self._build) is None:
            return  # the state is taken when the build is ready
        try:
            build.apply(self._state)
        except (PhospheneError, ValueError) as error:
            self._event("warning", f"the change was not applied: {error}")

    def _picture(self, message: Message) -> None:
        if self._pictures is None:
            from pipeline.style_picture_job import StylePictureJobs  # knows torch

            self._pictures = StylePictureJobs(self._build, self._channel.send)
        self._pictures.ask(message)

    def _report(self) -> None:
        report: dict[str, Any] = {"say": "stats"}
        if (build := self._build) is not None:
            report.update(build.report())
        self._channel.send(report)

    def _progress(self, message: str, fraction: float | None) -> None:
        self._channel.send({"say": "progress", "message": message, "fraction": fraction})

    def _event(self, level: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        self._channel.send({"say": "event", "level": level, "message": message, "data": dict(data or {})})

    def _failed(self, error: BaseException) -> int:
        """Say what ended this role; why "memory": a smaller one may do."""
        memory = is_memory_fault(error)
        if isinstance(error, PhospheneError):
            message, mend = error.message, error.mend
        else:
            log.error("the engine failed", exc_info=error)
            message = "memory ran out" if memory else f"{type(error).__name__}: {first_line(error)}"
            mend = "" if memory else "phosphene logs says more"
        why = "memory" if memory else ""
        self._channel.send({"say": "failed", "message": message, "mend": mend, "why": why})
        return EXIT_FAILED


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a card."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:200]
