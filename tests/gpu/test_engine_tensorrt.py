"""TensorRT on a card: built apart, loaded, equal to eager."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from pipeline.engine.agreement import distance, objection
from pipeline.engine.build_process import build_in_process
from pipeline.engine.eager import EagerEngine
from pipeline.engine.kinds import tensorrt as kind
from pipeline.models.load import load_model
from tests.gpu.test_engine_cuda_graph import job, picture, state_for

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),  # compilers
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.skipif(kind.available("cuda") is not None, reason=kind.available("cuda") or ""),
]


@pytest.mark.parametrize("steps", [1, 4])
def test_its_pictures_are_those_of_eager(tmp_path, steps):
    model = load_model("builtin", device="cuda", dtype=torch.float16)
    wanted = replace(job(steps), kind="tensorrt")
    build_in_process(wanted, tmp_path, threading.Event())
    engine = kind.load(wanted, tmp_path, EagerEngine(model))
    found = distance(EagerEngine(model), engine, picture(), state_for(model, steps, 3))
    assert objection(found) is None, found
    engine.close()
