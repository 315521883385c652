"""CUDA graphs on a card: equal to eager through live changes, nothing recorded anew, no wait in the painting thread."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner
from pipeline.engine.agreement import LIMIT, LIMIT_8_BIT, distance, objection, relative
from pipeline.engine.build_process import build_in_process
from pipeline.engine.cuda_capture import WARM_UPS, CudaRecorder, graph_engine
from pipeline.engine.eager import EagerEngine
from pipeline.engine.fp8 import supported
from pipeline.engine.graph_engine import GraphEngine
from pipeline.engine.job import Job
from pipeline.engine.kinds import cuda_graph, inductor
from pipeline.engine.module_parts import ModuleParts
from pipeline.engine.norms import FusedGroupNorm, fastest_on_card, with_norms
from pipeline.engine.parts import example
from pipeline.models.load import load_model
from pipeline.models.model import Model
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.stream_batch import StreamBatch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

SIDE = 256
STEPS = {1: (45,), 4: (20, 30, 40, 46)}


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin", device="cuda", dtype=torch.float16)


def job(steps: int, **changes: object) -> Job:
    made = Job(
        kind="cuda_graph", model="builtin", vae=None, weights=(), allow_pickle=False, device="cuda", dtype="float16",
        height=SIDE, width=SIDE, frames=1, steps=steps, rows=(steps,), threads=1,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def state_for(model: Model, steps: int, seed: int, **changes: object) -> Admission:
    conditioner = TextConditioner(model)
    made = Admission(
        context=conditioner.encode(("oil painting", "anime", "comic book", "pixel art")[seed % 4]),
        negative=conditioner.encode("photo"), guidance="self", guidance_scale=1.3, delta=0.9,
        schedule=Schedule.of(model.alphas_cumprod, STEPS[steps]),
        noise=noise_for(seed, steps, model.latent_channels, SIDE // 8, SIDE // 8, device="cuda"), revision=seed,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def picture() -> np.ndarray:
    coarse = np.random.default_rng().integers(0, 256, (1, 8, 8, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(SIDE // 8, 1).repeat(SIDE // 8, 2))


def batch_for(engine: EagerEngine | GraphEngine, steps: int) -> StreamBatch:
    return StreamBatch(engine.predict, steps=steps, prediction_type=engine.model.prediction_type)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_stream_equals_eager_through_every_live_change(model, steps, tmp_path):
    engine = cuda_graph.load(job(steps), tmp_path, EagerEngine(model))
    eager = EagerEngine(model)
    ours, theirs = batch_for(engine, steps), batch_for(eager, steps)
    states = [state_for(model, steps, 0)]
    forms = ("none", "self", "onetime", "full")
    states += [state_for(model, steps, i, guidance=form) for i, form in enumerate(forms) for _ in range(3)]
    for i, state in enumerate(states):
        frame = picture()
        got = engine.step(ours, engine.encode(frame), state, [i])
        expected = eager.step(theirs, eager.encode(frame), state, [i])
        if i == 0:
            assert engine.recorded(60)
            assert engine.info()["graphs"] == 4
        if got is None or expected is None:
            assert got is expected
            continue
        assert relative(got.latents, expected.latents) < LIMIT.prediction
        pictures = engine.decode_async(got.latents).result().int()
        assert (pictures - eager.decode(expected.latents).int()).abs().float().mean() < LIMIT.pictures
    engine.close()


def test_pictures_that_follow_each_other_without_a_wait_do_not_mix(model, tmp_path):
    """The decode queue is behind; the main queue goes on writing."""
    engine, eager = cuda_graph.load(job(1), tmp_path, EagerEngine(model)), EagerEngine(model)
    batch, state = batch_for(engine, 1), state_for(model, 1, 1)
    for _ in range(6):
        frames = [picture() for _ in range(2)]
        pending = []
        for frame in frames:
            emitted = engine.step(batch, engine.encode(frame), state, [0])
            assert emitted is not None
            torch.cuda._sleep(5_000_000)
            pending.append(engine.decode_async(emitted.latents))
        for frame, waiting in zip(frames, pending, strict=True):
            out = batch_for(eager, 1).step(eager.encode(frame), state, [0])
            assert out is not None
            expected = eager.decode(out.latents).int()
            assert (waiting.result().int() - expected).abs().float().mean() < LIMIT.pictures
    engine.close()


def test_the_painting_thread_never_waits(model, tmp_path):
    """A step is asked for while the card is busy for a long time: the call comes back at once."""
    engine = cuda_graph.load(job(1), tmp_path, EagerEngine(model))
    batch, state, frame = batch_for(engine, 1), state_for(model, 1, 1), picture()
    for _ in range(3):
        engine.step(batch, engine.encode(frame), state, [0])
        engine.recorded(60)
    torch.cuda.synchronize()
    torch.cuda._sleep(400_000_000)
    begin = time.perf_counter()
    emitted = engine.step(batch, engine.encode(frame), state, [0])
    assert emitted is not None
    pending = engine.decode_async(emitted.latents)
    assert time.perf_counter() - begin < 0.05
    assert not pending.ready()
    pending.result()
    engine.close()


def test_recording_beside_a_thread_that_paints_and_allocates(model, tmp_path):
    eager, halt, failed = EagerEngine(model), threading.Event(), []

    def paint() -> None:
        batch, state = batch_for(eager, 1), state_for(model, 1, 2)
        try:
            while not halt.is_set():
                batch.step(eager.encode(picture()), state, [0])
                torch.empty(1 << 22, device="cuda")
        except Exception as error:  # noqa: BLE001 handed to the test
            failed.append(error)

    thread = threading.Thread(target=paint)
    thread.start()
    try:
        engine = cuda_graph.load(job(1), tmp_path, EagerEngine(model))
        found = distance(EagerEngine(model), engine, picture(), state_for(model, 1, 3))
    finally:
        halt.set()
        thread.join()
    assert not failed
    assert objection(found) is None
    engine.close()


def test_rows_are_added_while_steps_are_recorded(model, tmp_path):
    """All on the card's one generator and allocator: a recording that fails would refuse every later one."""
    engine = cuda_graph.load(job(1), tmp_path, EagerEngine(model))
    batch, state = batch_for(engine, 1), state_for(model, 1, 1)
    engine.step(batch, engine.encode(picture()), state, [0])
    for rows in (3, 5, 6):
        engine.extend(rows)
    assert engine.recorded(60)
    assert engine.info()["graphs"] == 4
    assert {3, 5, 6} <= set(engine.info()["rows"])
    torch.randn(4, device="cuda")  # refused after a capture that did not end
    engine.close()


def test_a_recording_that_fails_leaves_the_card_usable():
    recorder = CudaRecorder(torch.device("cuda"))
    x, calls = torch.zeros(4, device="cuda"), iter(range(100))

    def breaks() -> torch.Tensor:
        if next(calls) >= WARM_UPS:  # the capture itself
            x.sum().item()  # reads back: forbidden
        return x + 1

    with pytest.raises(RuntimeError):
        recorder.record(breaks)
    torch.randn(4, device="cuda")
    out, replay = recorder.record(lambda: x + 2)
    replay()
    torch.cuda.synchronize()
    assert out.tolist() == [2.0] * 4


@pytest.mark.parametrize("what", ["linear", "all"])
def test_8_bit_layers_stay_near(model, what, tmp_path):
    if (reason := supported(torch.device("cuda"))) is not None:
        pytest.skip(reason)
    engine = cuda_graph.load(job(1, fp8=what), tmp_path, EagerEngine(model))
    assert not engine.follows_weights
    found = distance(EagerEngine(model), engine, picture(), state_for(model, 1, 3))
    assert objection(found, LIMIT_8_BIT) is None, found
    engine.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)  # compilers
@pytest.mark.parametrize("what", ["none", "linear", "all"])
def test_inductor_builds_apart_and_equals_eager(model, tmp_path, what):
    if (reason := inductor.available("cuda")) is not None:
        pytest.skip(reason)
    if what != "none" and (reason := supported(torch.device("cuda"))) is not None:
        pytest.skip(reason)
    wanted = job(1, kind="inductor", fp8=what)
    build_in_process(wanted, tmp_path, threading.Event())
    engine = inductor.load(wanted, tmp_path, EagerEngine(model))
    found = distance(EagerEngine(model), engine, picture(), state_for(model, 1, 3))
    assert objection(found, LIMIT if what == "none" else LIMIT_8_BIT) is None, found
    engine.close()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_group_norm_in_triton_equals_pytorchs_on_the_card(dtype: torch.dtype) -> None:
    pytest.importorskip("triton", reason="Triton is not installed: pip install triton")
    from torch.nn import functional

    from pipeline.engine.triton_group_norm import group_norm

    limit = {torch.float16: 1e-3, torch.bfloat16: 6e-3, torch.float32: 1e-5}[dtype]
    for rows, channels, side in ((1, 320, 64), (4, 640, 32), (2, 1280, 8), (1, 2560, 16), (3, 96, 33)):
        x = (torch.randn(rows, channels, side, side) + torch.randn(1, channels, 1, 1)).to("cuda", dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        weight, bias = (torch.randn(channels).to("cuda", dtype) for _ in range(2))
        exact = functional.group_norm(x.double(), 32, weight.double(), bias.double(), 1e-5)
        for silu in (False, True):
            got = group_norm(x, weight, bias, 32, 1e-5, silu=silu)
            assert got.is_contiguous(memory_format=torch.channels_last)
            assert relative(got, functional.silu(exact) if silu else exact) < limit, (rows, channels, side)


@pytest.mark.parametrize("what", ["none", "all"])
def test_norms_in_triton_are_recorded_and_follow_weights(model: Model, what: str) -> None:
    """Taken whether they are faster or not."""
    pytest.importorskip("triton", reason="Triton is not installed: pip install triton")
    from pipeline.engine.triton_group_norm import group_norm

    if what != "none" and (reason := supported(torch.device("cuda"))) is not None:
        pytest.skip(reason)
    wanted = job(1, fp8=what)
    unet = with_norms(model.unet, lambda norm: FusedGroupNorm(norm, group_norm))
    parts = ModuleParts(model, wanted.every_rows, unet=unet, eight_bit=wanted.eight_bit)
    engine = graph_engine("cuda_graph", EagerEngine(model), parts, wanted)
    limit = LIMIT if what == "none" else LIMIT_8_BIT
    assert objection(distance(EagerEngine(model), engine, picture(), state_for(model, 1, 3)), limit) is None
    batch, state = batch_for(engine, 1), state_for(model, 1, 3)
    engine.step(batch, engine.encode(picture()), state, [0])
    assert engine.recorded(60)
    if what == "none":
        weight = model.unet.conv_norm_out.weight
        with torch.inference_mode():
            weight.mul_(1.5)
        try:
            found = distance(EagerEngine(model), engine, picture(), state)
        finally:
            with torch.inference_mode():
                weight.div_(1.5)
        assert objection(found, limit) is None
    engine.close()


def test_the_choice_of_norms_is_told_with_both_times(model: Model) -> None:
    pytest.importorskip("triton", reason="Triton is not installed: pip install triton")
    _, said = fastest_on_card(model.unet, example(model, 1, SIDE, SIDE))
    assert "ms a call of the UNet and PyTorch's" in said, said
