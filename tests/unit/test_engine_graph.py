"""The graph engine's discipline, proved without a card: recorded once, replayed for every frame on static memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner
from pipeline.engine.agreement import relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.graph_engine import GraphEngine, Replay
from pipeline.engine.job import Job
from pipeline.engine.module_parts import ModuleParts
from pipeline.engine.pictures import Pending, Pictures, ReadyPictures
from pipeline.models.load import load_model
from pipeline.models.model import Model
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.stream_batch import StreamBatch
from tests.unit.tape import TapeRecorder
from tests.unit.tiny_denoiser import FORMS, LISTS

SIDE = 32


class Copies:
    """`Transfers` of a device without queues."""

    def upload(self, pictures: Pictures, into: Tensor) -> None:
        into.copy_(torch.as_tensor(np.asarray(pictures)))

    def keep(self, latents: Tensor) -> Tensor:
        return latents.clone()

    def decode(self, latents: Tensor, into: Tensor, replay: Replay, pictures: Tensor) -> Pending:
        into.copy_(latents)
        replay()
        return ReadyPictures(pictures.clone())


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin")


def job(steps: int, frames: int = 1) -> Job:
    return Job(
        kind="cuda_graph", model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype="float32",
        height=SIDE, width=SIDE, frames=frames, steps=steps, rows=(steps * frames,), threads=1,
    )  # fmt: skip


def engine_for(model: Model, steps: int, frames: int = 1) -> tuple[GraphEngine, TapeRecorder]:
    recorder, wanted = TapeRecorder(), job(steps, frames)
    parts = ModuleParts(model, wanted.every_rows)
    made = GraphEngine(
        "cuda_graph", EagerEngine(model), parts, wanted, recorder, Copies(), {}, follows_weights=True
    )
    return made, recorder


def batch_for(engine: EagerEngine | GraphEngine, steps: int, frames: int = 1) -> StreamBatch:
    return StreamBatch(
        engine.predict, steps=steps, frame_buffer_size=frames, prediction_type=engine.model.prediction_type
    )


def state_for(model: Model, steps: int, seed: int, **changes: object) -> Admission:
    conditioner = TextConditioner(model)
    strength = float(changes.pop("strength", 0.5))  # type: ignore[arg-type]
    words = ("oil painting", "anime", "comic book", "pixel art")
    made = Admission(
        context=conditioner.encode(words[seed % 4]),
        negative=conditioner.encode("photo"),
        guidance="self",
        guidance_scale=1.3,
        delta=0.9,
        schedule=Schedule.of(model.alphas_cumprod, LISTS[steps], strength),
        noise=noise_for(seed, steps, model.latent_channels, SIDE // 8, SIDE // 8),
        revision=seed,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def pictures(frames: int = 1) -> np.ndarray:
    return np.random.default_rng().integers(0, 256, (frames, SIDE, SIDE, 3), np.uint8)


def test_encode_predict_and_decode_equal_eager_on_every_replay(model):
    engine, recorder = engine_for(model, 2)
    eager = EagerEngine(model)
    count = recorder.recorded
    for seed in range(3):
        frame = pictures()
        z = eager.encode(frame)
        assert relative(engine.encode(frame), z) < 1e-5
        assert (engine.decode(z).int() - eager.decode(z).int()).abs().max() <= 1
        context = TextConditioner(model).encode(("anime", "oil painting", "")[seed])
        for rows in (2, 3, 4):
            x, t = torch.randn(rows, *z.shape[1:]), torch.rand(rows) * 999
            assert relative(engine.predict(x, t, context), eager.predict(x, t, context)) < 1e-5
    assert recorder.recorded == count
    engine.close()


@pytest.mark.parametrize(
    ("steps", "frames"),
    [(1, 1), pytest.param(2, 2, marks=pytest.mark.slow), pytest.param(4, 1, marks=pytest.mark.slow)],
)
def test_the_whole_stream_equals_eager_through_every_live_change(model, steps, frames):
    """Prompt, seed, strength, scale, delta, form of guidance: frame by frame, with those in flight mixed."""
    engine, recorder = engine_for(model, steps, frames)
    eager = EagerEngine(model)
    ours, theirs = batch_for(engine, steps, frames), batch_for(eager, steps, frames)
    states = [
        state_for(model, steps, 0),
        *(state_for(model, steps, 1 + i, guidance=form) for i, form in enumerate(FORMS) for _ in range(2)),
        state_for(model, steps, 7, strength=0.7),
        state_for(model, steps, 7, strength=0.0),
        state_for(model, steps, 8, delta=0.5, guidance_scale=2.0),
        *(state_for(model, steps, 9) for _ in range(steps + 1)),
    ]
    recorded_after_first = None
    for i, state in enumerate(states):
        frame = pictures(frames)
        got = engine.step(ours, engine.encode(frame), state, [i] * frames)
        expected = eager.step(theirs, eager.encode(frame), state, [i] * frames)
        assert (got is None) == (expected is None)
        if got is not None and expected is not None:
            assert got.tags == expected.tags
            assert relative(got.latents, expected.latents) < 1e-4
            assert got.valid() == expected.valid()
        if i == 0:
            assert engine.recorded(30)
            recorded_after_first = recorder.recorded
    assert recorder.recorded == recorded_after_first, "a live change recorded something anew"
    assert engine.info()["graphs"] == 4
    engine.close()


def test_a_recording_is_what_runs(model):
    """Not the Python behind it: with the parts gone, recorded layouts still paint."""
    engine, _ = engine_for(model, 1)
    batch, state = batch_for(engine, 1), state_for(model, 1, 3)
    frame = pictures()
    engine.step(batch, engine.encode(frame), state, [0])
    assert engine.recorded(30)
    expected = batch_for(EagerEngine(model), 1).step(EagerEngine(model).encode(frame), state, [1])
    engine.parts = None  # type: ignore[assignment]
    got = engine.step(batch, engine.encode(frame), state, [1])
    assert got is not None
    assert expected is not None
    assert relative(got.latents, expected.latents) < 1e-4
    engine.close()


def test_new_lora_weights_reach_what_was_recorded(model):
    engine, _ = engine_for(model, 1)
    eager = EagerEngine(model)
    context = TextConditioner(model).encode("anime")
    x, t = torch.randn(1, model.latent_channels, SIDE // 8, SIDE // 8), torch.tensor([99.0])
    weight = model.unet.conv_out.weight
    before = weight.clone()
    with torch.inference_mode():
        weight.mul_(1.5)
    try:
        assert engine.follows_weights
        assert relative(engine.predict(x, t, context), eager.predict(x, t, context)) < 1e-5
    finally:
        with torch.inference_mode():
            weight.copy_(before)
        engine.close()


def test_a_frame_that_is_not_finite_stays_alone(model):
    engine, _ = engine_for(model, 2)
    batch, state = batch_for(engine, 2), state_for(model, 2, 1)
    z = engine.encode(pictures()).clone()
    flags = []
    for i in range(5):
        emitted = engine.step(batch, z * float("nan") if i == 1 else z, state, [i])
        if i == 0:
            assert engine.recorded(30)
        if emitted is not None:
            flags += emitted.valid()
    assert flags == [True, False, True, True]
    engine.close()


def test_a_recording_that_fails_is_no_recording_and_the_others_are_made(model):
    engine, recorder = engine_for(model, 1)
    batch, state = batch_for(engine, 1), state_for(model, 1, 3)
    record, calls = recorder.record, iter(range(100))

    def breaks_once(work: Any, warm_up: Any = None, *, apart: bool = False) -> Any:
        if next(calls) == 0:
            raise RuntimeError("out of memory")
        return record(work, warm_up, apart=apart)

    recorder.record = breaks_once  # type: ignore[method-assign]
    engine.step(batch, engine.encode(pictures()), state, [0])
    assert not engine.recorded(30)
    assert engine.info()["graphs"] == 3
    engine.extend(3)
    assert engine.recorded(30), "it is tried again"
    assert engine.info()["graphs"] == 4
    engine.close()
