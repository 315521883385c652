"""Paints with the eager engine at once, and with a faster one as soon as there is one that agrees with it.

A thread of its own takes the kinds in order: a process at low priority builds (`pipeline.engine.building`), the
result is loaded, compared with the eager engine on live frames, and swapped in between two frames. The thread that
paints never waits for any of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import torch

from pipeline.admission import Admission
from pipeline.engine import agreement
from pipeline.engine.build_process import BuildError, BuildStoppedError
from pipeline.engine.cache import Place, prune
from pipeline.engine.eager import EagerEngine
from pipeline.engine.engine import Engine
from pipeline.engine.job import Job
from pipeline.engine.kinds._contract import follows_weights, kind_of
from pipeline.engine.parts import Parts
from pipeline.engine.pictures import Pictures
from pipeline.engine.switch import EngineSwitch

log = logging.getLogger(__name__)

LIVE_FRAMES: Final = 3

Tell = Callable[[str, str, Mapping[str, Any]], None]
"""(level, message, data)"""

BuildIn = Callable[[Job, Path, threading.Event], None]
"""Runs a kind's build; raises BuildError, or BuildStoppedError once the event is set."""


class Stage(Protocol):
    """What the upgrade needs of the running stages."""

    def between_frames(self, change: Callable[[], None]) -> None: ...

    def live_frames(self) -> tuple[Pictures, Admission] | None:
        """A copy of the pictures that were painted last [F, H, W, 3], and their state; None before the first."""
        ...


@runtime_checkable
class Extensible(Protocol):
    """An engine made of parts for certain numbers of UNet rows, of which there can be more later."""

    parts: Parts
    on_missing: Callable[[int], None]

    def extend(self, rows: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Painting:
    """The fast engine that paints, what it was built for, and where that lies."""

    engine: Engine
    job: Job
    place: Place


@dataclass(slots=True)
class Upgrade:
    """`want` from any thread; `fall_back` on the painting one, between two frames.

    asked_for: the kind was named in the settings (else that it cannot be used is no warning). building: the kind on
    its way, "" when none is. refused: kind → why it does not paint. settled: set while nothing is left to build.
    """

    switch: EngineSwitch
    eager: EagerEngine
    kinds: tuple[str, ...]
    stage: Stage
    build_in: BuildIn
    tell: Tell
    asked_for: bool = False
    cache: Path | None = None
    building: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    settled: threading.Event = field(default_factory=threading.Event)
    _change: threading.Condition = field(default_factory=threading.Condition)
    _job: Job | None = None
    _done: Job | None = None
    _missing: frozenset[int] = frozenset()
    _stopped: bool = False
    _all_tried: bool = False  # every kind has had its turn for what paints
    _outdated: threading.Event = field(default_factory=threading.Event)
    _painting: _Painting | None = None
    _trying: Place | None = None
    _said: set[str] = field(default_factory=set)
    _thread: threading.Thread | None = None

    # ------------------------------------------------------------ from outside

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="engine-upgrade", daemon=True)
        self._thread.start()

    def want(self, job: Job) -> None:
        """Build for `job` (of any kind) from now on; what is being built for another one is given up."""
        with self._change:
            if job == self._job:
                return
            if self._job is None or not self._alike(job, self._job):
                self._outdated.set()
            self._job = job
            self.settled.clear()
            self._change.notify_all()

    def fall_back(self) -> None:
        """The eager engine from the next call on."""
        self._painting = None
        if (before := self.switch.swap(self.eager)) is not self.eager:
            before.close()

    def stop(self) -> None:
        with self._change:
            self._stopped = True
            self._outdated.set()
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(0.3)  # it may be inside a compiler; the build ends with this process
        if (place := self._trying) is not None:
            place.take_trial_back()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        torch.set_num_threads(1)  # this thread's own
        while (asked := self._next()) is not None:
            job, missing = asked
            try:
                self._try_kinds(job)
                self._extend(job, missing)
                self._extend(job, ahead=True)
            except BuildStoppedError:
                continue
            finally:
                self.building = ""
            with self._change:
                if self._job is job:
                    self._done = job
                    if not self._missing:
                        self.settled.set()

    def _try_kinds(self, job: Job) -> None:
        """Every kind, in order; those behind the one that paints where that serves and they had no turn yet."""
        kinds = self.kinds
        if (painting := self._painting) is not None and self._serves(job):
            kinds = () if self._all_tried else kinds[kinds.index(painting.job.kind) + 1 :]
        else:
            self.refused = {}
        self._all_tried = False
        for kind in kinds:
            self._try(_job_for(kind, job))
        self._all_tried = True

    def _alike(self, one: Job, other: Job) -> bool:
        """Whether what is built for the one, of any kind, is what the other needs."""
        return all(_does_for(_job_for(kind, one), other) for kind in self.kinds)

    def _next(self) -> tuple[Job, frozenset[int]] | None:
        """What is wanted and not done, and rows that were found missing; None at the end."""
        with self._change:
            self._change.wait_for(
                lambda: self._stopped or self._job is not self._done or (self._job and self._missing)
            )
            if self._stopped or self._job is None:
                return None
            missing, self._missing = self._missing, frozenset()
            self._outdated.clear()
            return self._job, missing

    def _serves(self, job: Job) -> bool:
        painting = self._painting
        return painting is not None and _does_for(painting.job, job)

    def _try(self, job: Job) -> None:
        """Build, load, compare, swap; or say why not."""
        self.building = job.kind
        module: Any = kind_of(job.kind)
        if (reason := module.available(self.eager.device.type)) is not None:
            self._refuse(job.kind, reason, "warning" if self.asked_for else "info")
            return
        if job.eight_bit is not None and (reason := self._no_eight_bit(module)) is not None:
            self._refuse(job.kind, f"engine.fp8 is {job.fp8}, but {reason}: set engine.fp8: none")
            return
        place: Place | None = None
        try:
            place = Place.of(job.kind, job.key(*module.versions()), self.cache)
            risky = getattr(module, "RISKY", False)
            if risky and place.failed_trials() >= 2:
                raise BuildError(
                    f"the process ended twice while it began; to try again, delete {place.folder}"
                )
            self._built(job, place, module)
            self._next_live()  # without a camera this takes as long as it likes
            with place.trial() if risky else place.no_trial():
                self._trying = place if risky else None
                engine = module.load(job, place.folder, EagerEngine(self.eager.model))
                found = self._compared(engine, job.rows[0])
                self._trying = None
        except BuildStoppedError:
            raise
        except BuildError as error:
            self._refuse(job.kind, str(error))
            return
        except Exception as error:
            log.exception("engine %s", job.kind)
            self._refuse(job.kind, f"{type(error).__name__}: {error}")
            if place is not None:
                place.discard()  # what cannot be loaded is built anew at the next start
            return
        limit = agreement.LIMIT if job.eight_bit is None else agreement.LIMIT_8_BIT
        if (reason := agreement.objection(found, limit)) is not None:
            engine.close()
            self._refuse(job.kind, reason)
            return
        self._swap_in(_Painting(engine, job, place), found)

    def _no_eight_bit(self, module: Any) -> str | None:
        """Why there are no 8-bit layers with this kind on this device."""
        if not getattr(module, "FP8", False):
            return "this kind has no 8-bit layers"
        from pipeline.engine.fp8 import supported

        return supported(self.eager.device)

    def _built(self, job: Job, place: Place, module: Any) -> None:
        """Whatever of `job` is not in its place yet."""
        if not hasattr(module, "build"):
            return
        with place.locked():
            there = place.rows()
            lacking = [rows for rows in job.rows if rows not in there]
            if lacking:
                self.build_in(job.with_rows(lacking), place.folder, self._outdated)
                place.finish(job.to_json(), {*there, *lacking})
        place.touch()
        prune(job.kind, place.folder, self.cache)

    def _compared(self, engine: Engine, rows: int) -> agreement.Distance:
        """The greatest distance from the eager engine over a few live frames, in UNet calls of so many rows."""
        reference = EagerEngine(self.eager.model)
        weights = reference.model.loras.weights_key
        found = agreement.Distance(0.0, 0.0, 0.0)
        for _ in range(LIVE_FRAMES):
            found = found.worst(agreement.distance(reference, engine, *self._next_live(), rows))
        if reference.model.loras.weights_key != weights:
            raise BuildStoppedError  # compared with two models: the newer one has been asked for
        return found

    def _next_live(self) -> tuple[Pictures, Admission]:
        while True:
            if self._outdated.wait(0.05):
                raise BuildStoppedError
            if (live := self.stage.live_frames()) is not None:
                return live

    def _swap_in(self, new: _Painting, found: agreement.Distance) -> None:
        taken, decided = [False], threading.Event()

        def swap() -> None:
            wanted = self._job
            if wanted is not None and _does_for(new.job, wanted):
                before = self.switch.swap(new.engine)
                if before is not self.eager:
                    before.close()
                self._painting = new
                taken[0] = True
            decided.set()

        if isinstance(new.engine, Extensible):
            new.engine.on_missing = self._miss
        self.stage.between_frames(swap)
        while not decided.wait(0.1):
            if self._stopped:
                raise BuildStoppedError
        if not taken[0]:
            new.engine.close()
            raise BuildStoppedError
        text = f"{new.job.kind} paints from now on (differs from eager by: {found})"
        self.tell("info", text, {"engine": new.job.kind, "distance": asdict(found)})

    def _miss(self, rows: int) -> None:
        """On a painting thread: a UNet call of so many rows is not compiled."""
        with self._change:
            self._missing |= {rows}
            self.settled.clear()
            self._change.notify_all()

    def _extend(self, job: Job, missing: frozenset[int] = frozenset(), *, ahead: bool = False) -> None:
        """What the engine that paints lacks of `job` and of `missing` rows; ahead: all that `job` could ever need."""
        painting = self._painting
        if painting is None or not isinstance(painting.engine, Extensible):
            return
        engine: Extensible = painting.engine
        job = _job_for(painting.job.kind, job)
        lacking = sorted({*(job.every_rows if ahead else job.rows), *missing} - engine.parts.rows())
        if not lacking or (ahead and engine.parts.large):
            return
        self.building = painting.job.kind
        try:
            self._built(painting.job.with_rows(lacking), painting.place, kind_of(painting.job.kind))
            for count in lacking:
                engine.extend(count)
        except (BuildError, RuntimeError, OSError) as error:
            self._refuse(f"{painting.job.kind} with {lacking} rows", str(error))

    def _refuse(self, kind: str, reason: str, level: str = "warning") -> None:
        """Said once a reason: the picture goes on."""
        self.refused = {**self.refused, kind: reason}
        text = f"{kind} does not paint: {reason}"
        if text not in self._said:
            self._said.add(text)
            data = {"engine": kind, "reason": reason}
            self.tell(level, f"{text}; {self.switch.kind} goes on painting", data)


def _does_for(built: Job, wanted: Job) -> bool:
    """Whether what was built for the one, of its kind, is what the other needs."""
    return _job_for(built.kind, wanted).like(built)


def _job_for(kind: str, job: Job) -> Job:
    """`job` as this kind carries it out."""
    module = kind_of(kind)
    if getattr(module, "ONE_STEP", False):
        job = job.one_step()
    if follows_weights(module, job):
        job = replace(job, weights=())  # it reads the painter's own, LoRAs fused
    return replace(job, kind=kind)
