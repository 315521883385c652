"""From the eager engine to a faster one while frames run: real model, stages and slots; the kinds are made here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.build import Build, build
from pipeline.configs import EngineConfig
from pipeline.devices import compiled_threads
from pipeline.engine import upgrade as upgrade_module
from pipeline.engine.build_process import BuildError
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.frame import Frame, Size, now_ns
from pipeline.messages import LiveState, Style
from pipeline.models.load import BUILTIN
from pipeline.slot import SlotReader, SlotWriter, ThreadBell, ring_bytes

CANVAS = Size(64, 48)
STATE = LiveState(
    Style(prompt="anime", seed=3), t_index_list=(40, 46), similarity=False, steadiness=0, revision=1
)


class Twin(EagerEngine):
    """Paints as the eager engine does, times `gain`; new weights do not reach it."""

    kind = "twin"
    follows_weights = False

    def __init__(self, eager: EagerEngine, gain: float = 1.0, rows: tuple[int, ...] = ()) -> None:
        """rows: of the calls that `gain` is for; () for all."""
        super().__init__(eager.model)
        self.gain = gain
        self.rows = rows
        self.calls = 0
        self.closed = False

    def predict(self, x: Tensor, timesteps: Tensor, context: Any) -> Tensor:
        self.calls += 1
        out = super().predict(x, timesteps, context)
        return out * self.gain if not self.rows or len(x) in self.rows else out

    def close(self) -> None:
        self.closed = True


class Stand:
    """An engine process without its process; `builds` are the jobs that were built, `made` the engines loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path, gain: float = 1.0) -> None:
        camera, styled = bytearray(ring_bytes(CANVAS)), bytearray(ring_bytes(CANVAS))
        bell, out = ThreadBell(), ThreadBell()
        self.camera, self.styled = SlotWriter(camera, CANVAS, bell.ring), SlotReader(styled, CANVAS, out)
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.builds: list[Job] = []
        self.made: list[Twin] = []
        self.error: Exception | None = None
        self.only_rows = False
        self.gate = threading.Event()
        self.gate.set()
        config = EngineConfig(
            model="builtin", vae=None, loras=(), canvas=CANVAS, output=CANVAS, fit="cover", upscale="bilinear",
            device="cpu", dtype="float32", kind="eager",
        )  # fmt: skip
        self.build: Build = build(
            config, STATE, SlotReader(camera, CANVAS, bell), SlotWriter(styled, CANVAS, out.ring),
            lambda *_: None, lambda *_: None, lambda *said: self.told.append(said),
        )  # fmt: skip

        def load(job: Job, folder: Path, eager: EagerEngine) -> Twin:
            self.made.append(Twin(eager, gain, job.rows if self.only_rows else ()))
            return self.made[-1]

        kind = SimpleNamespace(
            available=lambda device: None, versions=lambda: ("1",), build=self._build, load=load
        )
        self.kind: Any = kind
        monkeypatch.setattr(upgrade_module, "kind_of", lambda name: kind)
        upgrade = self.build.upgrade
        upgrade.kinds, upgrade.cache, upgrade.build_in = ("twin",), cache, self._build
        self.sent = 0
        self.given_up = 0
        self.out: list[Frame] = []

    def _build(self, job: Job, folder: Path, stop: threading.Event) -> None:
        self.builds.append(job)
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Stand:
        self.build.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self.build.stop()

    def paint(self, count: int = 1) -> None:
        """`count` frames, each let through before the next; what has come out is in `out`."""
        for _ in range(count):
            counts = self.build.runner.counts
            calls = counts.calls
            picture = np.full((CANVAS.height, CANVAS.width, 3), self.sent % 200, np.uint8)
            self.camera.put(Frame(picture, self.sent, now_ns(), 0))
            self.sent += 1
            until(lambda calls=calls, counts=counts: counts.calls > calls)
            patience = time.monotonic() + 0.5  # a new stream gives up the frames that were in flight
            while counts.frames_out < counts.calls - 1 - self.given_up and time.monotonic() < patience:
                time.sleep(0.001)
            self.given_up = max(self.given_up, counts.calls - 1 - counts.frames_out)
            while (frame := self.styled.take()) is not None:
                self.out.append(replace(frame, image=frame.image.copy()))

    def settle(self) -> None:
        until(lambda: self.build.upgrade.settled.is_set() or self.paint())


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    with Stand(monkeypatch, tmp_path) as made:
        yield made


def test_it_paints_at_once_and_swaps_without_a_lost_or_doubled_frame(monkeypatch, tmp_path):
    stand = Stand(monkeypatch, tmp_path)
    stand.gate.clear()
    with stand:
        stand.paint(3)
        assert stand.build.engine.kind == "eager"
        assert stand.build.upgrade.building == "twin"
        stand.gate.set()
        stand.settle()
        assert stand.build.engine.kind == "twin"
        stand.paint(3)
        [twin] = stand.made
        assert twin.calls >= 3
        seen = [frame.seq for frame in stand.out]
        assert seen == list(range(len(seen))), "every frame once, in order"
        assert len(seen) == stand.sent - 1, "the newest is still on its way through two steps"
        [(level, message, data)] = stand.told
        assert (level, data["engine"]) == ("info", "twin")
        assert "twin paints from now on" in message
        assert data["distance"]["pictures"] == 0.0


def test_an_engine_that_paints_something_else_is_refused_with_its_distance(monkeypatch, tmp_path):
    with Stand(monkeypatch, tmp_path, gain=1.2) as stand:
        stand.settle()
        assert stand.build.engine.kind == "eager"
        [(level, message, data)] = stand.told
        assert level == "warning"
        assert "differs from the eager engine" in message
        assert "prediction 20.0" in message
        assert stand.build.upgrade.refused == {"twin": data["reason"]}
        assert stand.made[0].closed
        stand.paint(2)


@pytest.mark.parametrize("guidance", ["full", "onetime"])
def test_an_engine_is_compared_in_calls_of_the_rows_it_was_built_for(monkeypatch, tmp_path, guidance):
    """Others are painted by eager, which would agree with itself."""
    stand = Stand(monkeypatch, tmp_path, gain=1.5)
    stand.only_rows = True
    style = replace(STATE.style, guidance=guidance, guidance_scale=1.4)
    stand.build.apply(replace(STATE, style=style, revision=2))
    with stand:
        stand.settle()
        assert stand.builds[0].rows == ({"full": 4, "onetime": 3}[guidance],)
        assert stand.build.engine.kind == "eager"
        assert "differs from the eager engine" in stand.build.upgrade.refused["twin"]


def test_a_kind_that_does_one_step_a_call_is_asked_for_rows_of_one_step(monkeypatch, tmp_path):
    stand = Stand(monkeypatch, tmp_path)
    stand.kind.ONE_STEP = True
    with stand:
        stand.settle()
        assert [(job.steps, job.rows) for job in stand.builds] == [(1, (1,))]
        style = replace(STATE.style, guidance="full", guidance_scale=1.4)
        stand.build.apply(replace(STATE, style=style, t_index_list=(20, 32, 40, 46), revision=2))
        stand.paint(2)
        stand.settle()
        assert stand.build.engine.kind == "twin"
        assert len(stand.made) == 1
    jobs = [
        replace(stand.builds[0], steps=4, frames=2, rows=rows).one_step() for rows in ((8,), (10,), (16, 8))
    ]
    assert [(job.steps, job.rows, job.every_rows) for job in jobs] == [
        (1, (2,), (2, 4)), (1, (4, 2), (2, 4)), (1, (4, 2), (2, 4)),
    ]  # fmt: skip


def test_nan_is_never_near_enough(monkeypatch, tmp_path):
    with Stand(monkeypatch, tmp_path, gain=float("nan")) as stand:
        stand.settle()
        assert stand.build.engine.kind == "eager"


@pytest.mark.parametrize("error", [BuildError("the compiler has no memory"), OSError("no space left")])
def test_a_build_that_fails_says_why_once_and_the_picture_goes_on(monkeypatch, tmp_path, error):
    stand = Stand(monkeypatch, tmp_path)
    stand.error = error
    with stand:
        stand.settle()
        stand.build.apply(replace(STATE, canvas_scale=0.5, revision=2))  # tried again for the new canvas
        until(lambda: len(stand.builds) == 2 or stand.paint())
        stand.settle()
        [(level, message, _)] = stand.told
        assert level == "warning"
        assert str(error) in message
        assert "eager goes on painting" in message
        stand.paint(2)


def test_an_engine_that_cannot_be_used_is_a_warning_only_where_it_was_asked_for(monkeypatch, tmp_path):
    for asked, level in ((False, "info"), (True, "warning")):
        stand = Stand(monkeypatch, tmp_path)
        absent = SimpleNamespace(available=lambda device: "it is not installed: pip install it")
        monkeypatch.setattr(upgrade_module, "kind_of", lambda name, absent=absent: absent)
        stand.build.upgrade.asked_for = asked
        with stand:
            stand.settle()
            assert [(said[0], "pip install it" in said[1]) for said in stand.told] == [(level, True)]


def test_the_second_start_builds_nothing(monkeypatch, tmp_path):
    with Stand(monkeypatch, tmp_path) as first:
        first.settle()
        assert [job.rows for job in first.builds] == [(2,)]
    with Stand(monkeypatch, tmp_path) as second:
        second.settle()
        assert second.build.engine.kind == "twin"
        assert second.builds == []


def test_prompt_seed_strength_steps_and_guidance_need_no_other_engine(stand):
    stand.settle()
    for revision, changes in enumerate(
        (
            {"prompt": "oil painting"}, {"seed": 99}, {"strength": 0.7}, {"guidance_scale": 1.4},
            {"guidance_scale": 1.4, "guidance": "onetime"}, {"negative_prompt": "photo"},
        ), 2,
    ):  # fmt: skip
        style = replace(STATE.style, **changes)
        stand.build.apply(replace(STATE, style=style, revision=revision))
        stand.paint(2)
    stand.build.apply(replace(STATE, t_index_list=(45,), revision=99))
    stand.paint(2)
    stand.settle()
    assert len(stand.made) == 1
    assert stand.build.engine.present is stand.made[0]


def lora_in(folder: Path) -> Path:
    import safetensors.torch

    file = folder / "a.safetensors"
    safetensors.torch.save_file(
        {
            "lora_unet_conv_in.lora_down.weight": torch.randn(2, 16, 3, 3) * 0.1,
            "lora_unet_conv_in.lora_up.weight": torch.randn(64, 2, 1, 1) * 0.1,
        },
        file,
    )
    return file


def test_other_lora_weights_are_painted_by_eager_until_an_engine_with_them_is_there(stand, tmp_path):
    stand.settle()
    file = lora_in(tmp_path)
    stand.gate.clear()
    with_lora = replace(STATE, style=replace(STATE.style, loras=((str(file), 0.5),)), revision=2)
    stand.build.apply(with_lora)
    until(lambda: stand.build.engine.kind == "eager")
    stand.paint(2)
    assert stand.made[0].closed
    stand.gate.set()
    stand.settle()
    assert stand.build.engine.kind == "twin"
    assert [job.weights for job in stand.builds] == [(), ((str(file), 0.5),)]


def test_a_lora_that_engines_follow_stops_no_build(monkeypatch, tmp_path):
    """The first kind paints and follows it; the second, still being built, is not forgotten for it."""
    file = lora_in(tmp_path)
    monkeypatch.setattr(Twin, "follows_weights", True)
    stand = Stand(monkeypatch, tmp_path / "cache")
    stand.gate.clear()

    def build_in(job: Job, folder: Path, stop: threading.Event) -> None:
        if job.kind == "slow":
            stand._build(job, folder, stop)
        else:
            stand.builds.append(job)

    stand.kind.FOLLOWS_WEIGHTS = True
    stand.build.upgrade.kinds, stand.build.upgrade.build_in = ("quick", "slow"), build_in
    with stand:
        until(lambda: [job.kind for job in stand.builds] == ["quick", "slow"] or stand.paint())
        for revision, weight in ((2, 0.5), (3, 0.7)):
            style = replace(STATE.style, loras=((str(file), weight),))
            stand.build.apply(replace(STATE, style=style, revision=revision))
            stand.paint(2)
        assert stand.build.engine.present is stand.made[0]
        stand.gate.set()
        stand.settle()
        assert [job.kind for job in stand.builds] == ["quick", "slow"]
        assert {job.weights for job in stand.builds} == {()}
        assert stand.made[-1] is stand.build.engine.present, "the slow one"


def test_what_cannot_be_loaded_is_built_anew_at_the_next_start(monkeypatch, tmp_path):
    with Stand(monkeypatch, tmp_path) as first:
        first.settle()

    def broken(job: Job, folder: Path, eager: EagerEngine) -> Twin:
        raise RuntimeError("half a file")

    second = Stand(monkeypatch, tmp_path)
    monkeypatch.setattr(upgrade_module.kind_of("twin"), "load", broken)
    with second:
        second.settle()
        assert second.build.engine.kind == "eager"
        assert "half a file" in second.told[0][1]
        assert second.builds == []
    with Stand(monkeypatch, tmp_path) as third:
        third.settle()
        assert third.build.engine.kind == "twin"
        assert len(third.builds) == 1


def test_an_end_while_an_engine_is_loaded_is_no_fault_of_its(monkeypatch, tmp_path):
    """Only ends that nobody asked for count against an engine that may end the process."""
    loading, gate = threading.Event(), threading.Event()

    def slow(job: Job, folder: Path, eager: EagerEngine) -> Twin:
        loading.set()
        assert gate.wait(20)
        return Twin(eager)

    def trials() -> list[Path]:
        return list(tmp_path.rglob("trials"))

    for _ in range(3):
        stand = Stand(monkeypatch, tmp_path)
        stand.kind.RISKY = True
        monkeypatch.setattr(stand.kind, "load", slow)
        with stand:
            until(lambda stand=stand: loading.is_set() or stand.paint())
            assert len(trials()) == 1, "a crash now would count"
        assert trials() == []
        assert stand.told == []
        loading.clear()
    gate.set()


def test_8_bit_layers_are_not_left_out_silently(monkeypatch, tmp_path):
    stand = Stand(monkeypatch, tmp_path)
    stand.build.config = replace(stand.build.config, fp8="linear")
    stand.build.apply(replace(STATE, revision=2))
    with stand:
        stand.settle()
        assert stand.build.engine.kind == "eager"
        assert [(level, "engine.fp8 is linear" in message) for level, message, _ in stand.told] == [
            ("warning", True)
        ]


def test_a_compiled_engine_has_every_core_of_a_small_machine():
    assert [compiled_threads(cores) for cores in (1, 2, 4, 6, 16)] == [1, 2, 4, 4, 14]


def test_the_key_names_everything_that_another_result_could_come_from(monkeypatch):
    job = Job(
        kind="openvino", model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype="bfloat16",
        height=256, width=256, frames=1, steps=1, rows=(1,), threads=1,
    )  # fmt: skip
    key = job.key("2026.4")
    assert key == replace(job, rows=(1, 2), steps=2).key("2026.4")
    others = {
        replace(job, **change).key("2026.4")
        for change in (
            {"model": str(BUILTIN)}, {"device": "cpu:0"}, {"dtype": "float32"}, {"height": 128}, {"width": 320},
            {"frames": 2}, {"threads": 2}, {"fp8": "all"}, {"vae": str(BUILTIN / "vae")},
            {"weights": ((str(BUILTIN / "vae" / "config.json"), 0.5),)},
            {"weights": ((str(BUILTIN / "vae" / "config.json"), 0.6),)},
        )
    }  # fmt: skip
    others.add(job.key("2026.5"))
    monkeypatch.setattr(torch, "__version__", "9.9")
    others.add(job.key("2026.4"))
    assert len(others | {key}) == 14
