"""What TensorRT is given: the parts as ONNX files, run by ONNX Runtime beside the eager engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.conditioning import TextConditioner, TextContext
from pipeline.engine.agreement import relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.engine.kinds import tensorrt as kind
from pipeline.engine.onnx_model import unet_inputs, write_all
from pipeline.engine.parts import flat
from pipeline.models.load import load_model

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

JOB = Job(
    kind="tensorrt", model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype="float32",
    height=32, width=48, frames=1, steps=1, rows=(2,), threads=1,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_onnx_files_compute_what_the_eager_engine_does(tmp_path: Path) -> None:
    model = load_model("builtin")
    eager = EagerEngine(model)
    assert write_all(model, JOB, tmp_path) == ["encode", "decode", "unet_2"]

    for name in ("encode", "decode", "unet_2"):
        assert bytes_inside(onnx.load(tmp_path / f"{name}.onnx")) == [], f"{name}: TensorRT moves no bytes"

    def run(name: str, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        session = ort.InferenceSession(str(tmp_path / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        return torch.from_numpy(
            session.run(["out"], {k: t.contiguous().numpy() for k, t in inputs.items()})[0]
        )

    frame = torch.from_numpy(np.random.default_rng().integers(0, 256, (1, 32, 48, 3), np.uint8))
    z = eager.encode(frame)
    assert relative(run("encode", {"pictures": frame}), z) < 1e-4
    assert (run("decode", {"latents": z}).int() - eager.decode(z).int()).abs().max() <= 1
    conditioner = TextConditioner(model)
    context = TextContext.stack([conditioner.encode("anime"), conditioner.encode("oil painting")])
    assert context.kv is not None
    x, t = torch.randn(2, *z.shape[1:]), torch.rand(2) * 999
    given = [x, model.unet.waves(t), *flat(context.kv)]
    names = unet_inputs(len(context.kv))
    out = run("unet_2", dict(zip(names, given, strict=True)))
    assert relative(out, eager.predict(x, t, context)) < 1e-4


def bytes_inside(network: Any) -> list[str]:
    """Names of uint8 tensors that are neither input nor output."""
    graph = onnx.shape_inference.infer_shapes(network).graph
    ends = {value.name for value in (*graph.input, *graph.output)}
    return [
        value.name
        for value in graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8 and value.name not in ends
    ]


def test_without_the_card_or_the_library_it_says_what_mends_it(monkeypatch):
    assert "device is cpu" in (kind.available("cpu") or "")
    monkeypatch.setattr(kind.importlib.util, "find_spec", lambda name: None)
    assert "phosphene[tensorrt]" in (kind.available("cuda") or "")
    assert replace(JOB, fp8="all") != JOB
