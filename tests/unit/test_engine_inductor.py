"""PyTorch's compiler ahead of time, on small shapes of a CPU: loaded by another process, it paints as eager does."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.conditioning import TextConditioner, TextContext
from pipeline.engine.agreement import relative
from pipeline.engine.build_process import build_in_process
from pipeline.engine.eager import EagerEngine
from pipeline.engine.fp8 import Fp8Convolution, Fp8Linear, quantize
from pipeline.engine.inductor_parts import compile_part
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
    # The code has no weights of its own: it reads those of the model that paints.
    assert (tmp_path / "unet_2.pt2").stat().st_size < 2 * sum(p.numel() for p in model.unet.parameters())
    assert engine.follows_weights
    before = engine.predict(x, t, context).clone()
    with torch.no_grad():
        for layer in (
            model.unet.conv_in,
            model.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_k,
        ):
            layer.weight.mul_(1.5)  # as a LoRA's are written
    changed = engine.predict(x, t, context)
    assert relative(changed, before) > 1e-2
    assert relative(changed, eager.predict(x, t, context)) < 1e-4


class _Blocks(nn.Module):
    """A residual block and a feed-forward of the model's middle: every kind of layer that has 8 bits."""

    def __init__(self) -> None:
        super().__init__()
        middle = load_model("builtin").unet.mid_block
        self.resnet = middle.resnets[0]
        self.forward_part = middle.attentions[0].transformer_blocks[0].ff

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        out: Tensor = self.forward_part(self.resnet(x, time).permute(0, 2, 3, 1).flatten(1, 2))
        return out


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of its compiler; else a process of its own hears them
@torch.no_grad()
def test_8_bit_layers_are_compiled_as_they_are_called(tmp_path):
    blocks = _Blocks().eval()
    x, time = torch.randn(2, 160, 8, 6), torch.randn(2, 256)
    plain = blocks(x, time)
    assert quantize(blocks, "all") == 5
    assert {Fp8Convolution, Fp8Linear} <= {type(module) for module in blocks.modules()}
    called = blocks(x, time)
    compile_part(blocks, (x, time), tmp_path / "blocks.pt2", weights_inside=True)
    compiled = torch._inductor.aoti_load_package(str(tmp_path / "blocks.pt2"))(x, time)
    assert 1e-3 < relative(called, plain) < 0.1
    # A sum in another order may round a number to its neighbour: far below what the 8 bits themselves do.
    assert relative(compiled, called) < 0.2 * relative(called, plain)
