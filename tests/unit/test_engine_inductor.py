"""PyTorch's compiler ahead of time, on small shapes of a CPU: loaded by another process, it paints as eager does."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from pipeline.conditioning import TextConditioner, TextContext
from pipeline.engine.agreement import relative
from pipeline.engine.build_process import build_in_process
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.engine.kinds import inductor as kind
from pipeline.models.load import load_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kind.available("cpu") is not None, reason=kind.available("cpu") or ""),
]

JOB = Job(
    kind="inductor", model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype="float32",
    height=32, width=48, frames=1, steps=2, rows=(2,), threads=1,
)  # fmt: skip


def test_packages_equal_eager_and_are_built_once(tmp_path):
    build_in_process(JOB, tmp_path, threading.Event())
    packages = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.pt2")}
    assert set(packages) == {"encode.pt2", "decode.pt2", "unet_2.pt2"}
    model = load_model("builtin")
    eager = EagerEngine(model)
    engine = kind.load(JOB, tmp_path, EagerEngine(model))
    conditioner = TextConditioner(model)
    for words in (("anime", "oil painting"), ("", "pixel art")):
        frame = np.random.default_rng().integers(0, 256, (1, 32, 48, 3), np.uint8)
        z = eager.encode(frame)
        assert relative(engine.encode(frame), z) < 1e-4
        assert (engine.decode(z).int() - eager.decode(z).int()).abs().max() <= 1
        context = TextContext.stack([conditioner.encode(w) for w in words])
        x, t = torch.randn(2, *z.shape[1:]), torch.rand(2) * 999
        assert relative(engine.predict(x, t, context), eager.predict(x, t, context)) < 1e-4
        assert engine.kind == "inductor"
