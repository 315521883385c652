"""Fused self-attention, 8-bit linear layers, and the choice of an attention kernel by measurement."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend

from pipeline.conditioning import TextConditioner
from pipeline.engine import attention
from pipeline.engine.agreement import LIMIT, Distance, objection, relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.fp8 import Fp8Linear, quantize
from pipeline.models.load import load_model


def test_fused_attention_is_the_same_and_follows_weights_written_in_place():
    model = load_model("builtin")
    eager, context = EagerEngine(model), TextConditioner(model).encode("anime")
    x, t = torch.randn(2, 16, 4, 6), torch.rand(2) * 999
    before = eager.predict(x, t, context)
    model.unet.fuse_attention()
    model.unet.fuse_attention()
    assert relative(eager.predict(x, t, context), before) < 1e-5
    layer = model.unet.mid_block.attentions[0].transformer_blocks[0].attn1
    plain = copy.deepcopy(model)
    with torch.inference_mode():
        layer.to_k.weight.mul_(3.0)  # as LoRA weights are written
        plain.unet.mid_block.attentions[0].transformer_blocks[0].attn1._fused = None
        plain.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_k.weight.mul_(3.0)
    changed = eager.predict(x, t, context)
    assert relative(changed, before) > 1e-4
    assert relative(changed, EagerEngine(plain).predict(x, t, context)) < 1e-5


@pytest.mark.parametrize("bias", [True, False])
def test_an_8_bit_layer_is_near_its_linear_layer(bias):
    linear = nn.Linear(128, 64, bias=bias)
    with torch.no_grad():
        linear.weight[3] *= 100  # outputs and tokens of very different sizes each have a scale
        x = torch.randn(2, 9, 128)
        x[0, 4] *= 1000
        got, expected = Fp8Linear(linear)(x), linear(x)
    assert got.dtype == x.dtype
    # Each product has two roundings of at most 1/16; they are small beside |x| |w| for every token and output.
    size = x.norm(dim=-1, keepdim=True) * linear.weight.detach().norm(dim=1)
    assert ((got - expected).abs() / size).max() < 0.06
    assert (expected.abs() / size).max() > 0.1


def test_8_bit_layers_take_every_suitable_place_and_the_unet_stays_near():
    model = load_model("builtin")
    eager, context = EagerEngine(model), TextConditioner(model).encode("anime")
    x, t = torch.randn(1, 16, 4, 6), torch.tensor([99.0])
    before = eager.predict(x, t, context)
    model.unet.fuse_attention()
    linears = sum(isinstance(m, nn.Linear) for m in model.unet.modules())
    taken = quantize(model.unet)
    assert model.unet.mid_block.attentions[0].transformer_blocks[0].attn1._fused is None
    assert linears / 2 < taken <= linears
    assert 1e-4 < relative(eager.predict(x, t, context), before) < 0.1


def test_the_fastest_backend_that_works_comes_first_and_mathematics_last():
    took = iter((3.0, 1.0))

    def milliseconds(call: object) -> float:
        call()  # type: ignore[operator]
        return next(took)

    candidates = (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION)
    order = attention.order_for(
        [(1, 2, 16, 32)], torch.device("cpu"), torch.float32, milliseconds, candidates
    )
    assert order[:2] == [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    assert order[-1] is SDPBackend.MATH


def test_shapes_of_self_attention_are_the_crossed_levels():
    model = load_model("builtin")
    assert attention.shapes_of(model.unet.config, 2, 32, 32) == [(2, 4, 256, 28), (2, 4, 64, 40)]


def test_an_engine_is_refused_for_any_of_its_distances():
    assert objection(Distance(0.01, 0.01, 1.0)) is None
    for far in (Distance(0.5, 0, 0), Distance(0, 0.04, 0), Distance(0, 0, 2.1), Distance(float("inf"), 0, 0)):
        assert str(LIMIT) in (objection(far) or "")
