"""The OpenVINO engine against the eager one, on fresh random inputs, with every number of rows a step can have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner, TextContext
from pipeline.engine.agreement import relative
from pipeline.engine.build_process import BuildError, build_in_process
from pipeline.engine.courteous import NICE
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.engine.kinds import openvino as kind
from pipeline.engine.lane_engine import LaneEngine
from pipeline.models.load import load_model
from pipeline.models.model import Model
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.sequential import denoise
from pipeline.stream_batch import StreamBatch

pytest.importorskip("openvino", reason="OpenVINO has no wheel for this machine")


pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 64, 96
JOB = Job(
    kind="openvino", model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype="float32",
    height=HEIGHT, width=WIDTH, frames=1, steps=2, rows=(2, 3), threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as the program builds it: in a process of its own."""
    made: Path = tmp_path_factory.mktemp("openvino")
    build_in_process(JOB, made, threading.Event())
    return made


@pytest.fixture(scope="module")
def engine(model: Model, folder: Path) -> LaneEngine:
    return kind.load(JOB, folder, EagerEngine(model))


@pytest.fixture
def eager(model: Model) -> EagerEngine:
    return EagerEngine(model)


def pictures(frames: int = 1, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng().integers(0, 256, (frames, height, width, 3), np.uint8)


def test_encode_and_decode_equal_eager(engine, eager):
    frame = pictures()
    z = eager.encode(frame)
    assert relative(engine.encode(frame), z) < 1e-3
    frame.flags.writeable = False
    assert relative(engine.encode(frame), z) < 1e-3
    z = torch.randn_like(z)
    got, expected = engine.decode(z), eager.decode(z)
    assert got.dtype == torch.uint8
    assert got.shape == expected.shape
    assert (got.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("rows", [2, 3])
def test_the_unet_equals_eager_with_prompts_of_their_own(model, engine, eager, rows):
    conditioner = TextConditioner(model)
    for words in (("anime", "oil painting", "comic book"), ("pixel art", "", "bronze statue")):
        context = TextContext.stack([conditioner.encode(w) for w in words[:rows]])
        x = torch.randn(rows, model.latent_channels, HEIGHT // 8, WIDTH // 8)
        t = torch.rand(rows) * 999
        assert relative(engine.predict(x, t, context), eager.predict(x, t, context)) < 2e-3
        assert engine.kind == "openvino"
    one = conditioner.encode("watercolor")
    x, t = torch.randn_like(x), torch.rand(rows) * 999
    assert relative(engine.predict(x, t, one), eager.predict(x, t, one)) < 2e-3
    plain = TextContext(context.embeds)
    assert relative(engine.predict(x, t, plain), eager.predict(x, t, context)) < 2e-3


def test_a_prompt_that_changes_in_place_is_seen(model, engine):
    """As `RowContexts` does it: new keys and values at the old addresses."""
    conditioner = TextConditioner(model)
    held = TextContext.stack([conditioner.encode("anime"), conditioner.encode("")])
    x, t = torch.randn(2, model.latent_channels, HEIGHT // 8, WIDTH // 8), torch.tensor([99.0, 400.0])
    before = engine.predict(x, t, held).clone()
    new = TextContext.stack([conditioner.encode("pencil sketch"), conditioner.encode("")])
    assert held.kv is not None
    assert new.kv is not None
    for (k, v), (new_k, new_v) in zip(held.kv, new.kv, strict=True):
        k.copy_(new_k)
        v.copy_(new_v)
    after = engine.predict(x, t, held).clone()
    assert not torch.allclose(after[0], before[0], atol=1e-3)
    assert torch.equal(after, engine.predict(x, t, new))


def test_rows_that_are_not_compiled_are_painted_by_eager_and_asked_for_once(model, folder, eager):
    engine = kind.load(replace(JOB, rows=(2,)), folder, EagerEngine(model))
    asked: list[int] = []
    engine.on_missing = asked.append
    context = TextConditioner(model).encode("anime")
    x, t = torch.randn(3, model.latent_channels, HEIGHT // 8, WIDTH // 8), torch.full((3,), 99.0)
    for _ in range(2):
        assert torch.equal(engine.predict(x, t, context), eager.predict(x, t, context))
        assert engine.kind == "eager"
    assert asked == [3]
    engine.parts.add(3)
    assert relative(engine.predict(x, t, context), eager.predict(x, t, context)) < 2e-3
    assert engine.kind == "openvino"


def test_another_canvas_is_painted_by_eager(engine, eager):
    frame = pictures(height=48)
    z = eager.encode(frame)
    assert torch.equal(engine.encode(frame), z)
    assert torch.equal(engine.decode(z), eager.decode(z))


def test_results_outlive_the_next_two_calls(engine, eager):
    frames = [pictures() for _ in range(3)]
    held = [engine.encode(frame) for frame in frames]
    for z, frame in zip(held, frames, strict=True):
        assert relative(z, eager.encode(frame)) < 1e-3


def states_for(model: Model, form: str, prompts: tuple[str, ...], steps: int = 2) -> list[Admission]:
    conditioner = TextConditioner(model)
    schedule = Schedule.of(model.alphas_cumprod, (20, 32, 40, 46)[-steps:], 0.5)
    latents = (model.latent_channels, HEIGHT // 8, WIDTH // 8)
    return [
        Admission(
            context=conditioner.encode(prompt),
            negative=conditioner.encode("photo"),
            guidance=form,
            guidance_scale=1.4,
            delta=0.9,
            schedule=schedule,
            noise=noise_for(n, steps, *latents),
            revision=n,
        )
        for n, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize("form", ["none", "self", "onetime", "full"])
def test_frames_on_two_lanes_are_what_eager_paints_and_leave_in_order(model, folder, eager, form):
    engine = kind.load(replace(JOB, threads=2, rows=(1, 2)), folder, EagerEngine(model))
    assert (engine.lanes, engine.calls_to_leave(4)) == (2, 1)
    states = states_for(model, form, ("anime", "oil painting", "comic book", "anime", "pixel art"))
    batch = StreamBatch(engine.predict, steps=2, prediction_type=model.prediction_type)
    frames = [pictures() for _ in states]
    leaving = []
    for n, (frame, state) in enumerate(zip(frames, states, strict=True)):
        z = engine.encode(frame)
        leaving.append(engine.step(batch, z, state, [n]))
        z.fill_(float("nan"))  # the encoder's memory has other numbers while a lane still works
    for n, (frame, state) in enumerate(zip(frames, states, strict=True)):
        emitted = leaving[n].emitted()
        assert (emitted.tags, emitted.revision, emitted.valid()) == ((n,), n, (True,))
        expected = denoise(eager.predict, eager.encode(frame), state, prediction_type=model.prediction_type)
        assert relative(emitted.latents, expected) < 5e-3
    assert engine.kind == "openvino"
    engine.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="niceness of threads is Linux's")
def test_the_threads_of_the_unet_give_way_to_the_others(model, folder):
    before = set(os.listdir("/proc/self/task"))
    engine = kind.load(replace(JOB, threads=2, rows=(1,)), folder, EagerEngine(model))
    batch = StreamBatch(engine.predict, steps=2, prediction_type=model.prediction_type)
    (state,) = states_for(model, "none", ("anime",))
    for leaving in [engine.step(batch, engine.encode(pictures()), state, [n]) for n in range(4)]:
        leaving.emitted()
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    started = set(os.listdir("/proc/self/task")) - before
    lower = [t for t in started if os.getpriority(os.PRIO_PROCESS, int(t)) == min(19, mine + NICE)]
    engine.close()
    assert len(lower) >= 2, "one worker a lane"


def test_frames_that_the_stream_batch_still_holds_are_given_up(model, folder, eager):
    engine = kind.load(replace(JOB, rows=(1,)), folder, EagerEngine(model))
    (state,) = states_for(model, "none", ("anime",))
    batch = StreamBatch(eager.predict, steps=2, prediction_type=model.prediction_type)
    assert eager.step(batch, eager.encode(pictures()), state, [0]) is None
    emitted = engine.step(batch, engine.encode(pictures()), state, [1]).emitted()
    engine.close()
    assert emitted.tags == (1,)
    assert batch.in_flight == 0
    assert eager.step(batch, eager.encode(pictures()), state, [2]) is None  # eager begins afresh


def test_immediate_takes_the_newest_state_of_the_same_stream(model, folder):
    engine = kind.load(replace(JOB, rows=(1,)), folder, EagerEngine(model))
    old, new = states_for(model, "none", ("anime", "oil painting"))
    batch = StreamBatch(engine.predict, steps=2, prompt_switch="immediate")
    z = engine.encode(pictures())
    passages = [engine.step(batch, z, state, [0]) for state in (old, new)]
    assert passages[0].newest is not None
    assert passages[0].newest() is new
    other = StreamBatch(engine.predict, steps=2, prompt_switch="immediate")  # of another canvas, it may be
    passages.append(engine.step(other, z, states_for(model, "none", ("pixel art",))[0], [0]))
    assert passages[0].newest() is old, "each keeps its own once there is another stream"
    assert passages[1].newest is not None
    assert passages[1].newest() is new
    for each in passages:
        assert each.emitted().valid() == (True,)
    engine.close()


def test_nothing_of_it_opens_a_connection_or_forks(folder):
    """In a fresh process, from the import on: OpenVINO as it comes reports its use from a forked process."""
    script = (
        "import sys, time\n"
        "seen = []\n"
        "watched = ('os.fork', 'os.posix_spawn', 'subprocess.Popen', 'socket.connect', 'socket.getaddrinfo')\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from pipeline.engine.eager import EagerEngine\n"
        "from pipeline.engine.job import Job\n"
        "from pipeline.engine.kinds import openvino as kind\n"
        "from pipeline.engine.openvino_model import traced\n"
        "from pipeline.engine.parts import EncodePart\n"
        "from pipeline.models.load import load_model\n"
        f"job = Job.from_json({replace(JOB, rows=()).to_json()!r})\n"
        "model = load_model('builtin')\n"
        f"kind.load(job, Path({str(folder)!r}), EagerEngine(model))\n"
        "traced(EncodePart(model), (torch.zeros(1, 32, 32, 3, dtype=torch.uint8),))\n"
        "time.sleep(1.0)\n"
        "print('openvino' in sys.modules, seen)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout.strip() == "True []"


def test_a_build_that_cannot_work_says_why_in_one_sentence(tmp_path):
    with pytest.raises(BuildError, match="there is no model at"):
        build_in_process(replace(JOB, model="/nowhere/at/all"), tmp_path, threading.Event())
