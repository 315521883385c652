"""Fused self-attention, 8-bit layers, and the choice of an attention kernel by measurement."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.attention import SDPBackend

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner
from pipeline.engine import attention
from pipeline.engine.agreement import LIMIT_8_BIT, Distance, distance, objection, relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.fp8 import Fp8Convolution, Fp8Linear, quantize
from pipeline.models.load import load_model
from pipeline.schedule import Schedule
from pipeline.sources.demo import PORTRAIT


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


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "bias"),
    [(3, 1, 1, True), (3, 2, 1, False), (1, 1, 0, True), ((1, 3), 1, (0, 2), True)],
)
def test_an_8_bit_layer_is_near_its_convolution(kernel, stride, padding, bias):
    conv = nn.Conv2d(32, 48, kernel, stride, padding, bias=bias)
    with torch.no_grad():
        conv.weight[3] *= 100  # outputs and rows of very different sizes each have a scale
        x = torch.randn(2, 32, 7, 10).to(memory_format=torch.channels_last)
        x[1] *= 1000
        got, expected = Fp8Convolution(conv)(x), conv(x)
        size = nn.functional.conv2d(x**2, torch.ones_like(conv.weight[:1]), None, stride, padding).sqrt()
        size = size * conv.weight.flatten(1).norm(dim=1)[:, None, None] + 1e-6
    assert got.shape == expected.shape
    assert got.dtype == x.dtype
    assert got.is_contiguous(memory_format=torch.channels_last)
    # One scale for a row's whole picture: beside |x| |w|, small numbers are rounded to nothing near large ones.
    assert ((got - expected).abs() / size).max() < 0.05
    assert (expected.abs() / size).max() > 0.12


@pytest.mark.parametrize("what", ["linear", "all"])
def test_8_bit_layers_take_every_suitable_place_and_the_picture_stays_near(what):
    model, plain = load_model("builtin"), load_model("builtin")
    model.unet.fuse_attention()
    kinds = (nn.Linear,) if what == "linear" else (nn.Linear, nn.Conv2d)
    places = sum(isinstance(m, kinds) for m in model.unet.modules())
    taken = quantize(model.unet, what)
    assert model.unet.mid_block.attentions[0].transformer_blocks[0].attn1._fused is None
    assert places / 2 < taken <= places
    assert any(isinstance(m, Fp8Convolution) for m in model.unet.modules()) == (what == "all")
    context = TextConditioner(plain).encode("anime")
    admission = Admission(
        context=context, negative=None, guidance="none", guidance_scale=1.0, delta=1.0,
        schedule=Schedule.of(plain.alphas_cumprod, (20, 40)), noise=torch.randn(2, 16, 12, 16), revision=1,
    )  # fmt: skip
    portrait = np.asarray(Image.open(PORTRAIT).convert("RGB").resize((128, 96)))
    found = distance(EagerEngine(plain), EagerEngine(model), portrait[None], admission)
    assert found.latents == 0.0, "the autoencoder keeps its numbers"
    assert found.prediction > 1e-3
    assert objection(found, LIMIT_8_BIT) is None, found
    assert found.psnr_db > 25
    assert found.ssim > 0.8


def test_the_fastest_backend_that_works_comes_first_and_mathematics_last():
    took = iter((3.0, 1.0))

    def milliseconds(call: object) -> float:
        call()  # type: ignore[operator]
        return next(took)

    called: list[tuple[SDPBackend, tuple[int, ...]]] = []

    def kernel(backend: SDPBackend) -> attention.Kernel:
        return lambda q, k, v: called.append((backend, tuple(q.shape)))

    def refuses(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> object:
        raise RuntimeError("no kernel for this head width")

    flash, efficient = SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION
    kernels = {SDPBackend.CUDNN_ATTENTION: refuses, flash: kernel(flash), efficient: kernel(efficient)}
    order = attention.order_for(((1, 2, 16, 32),), torch.device("cpu"), torch.float32, milliseconds, kernels)
    assert order == [efficient, flash, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH]
    assert called == [(flash, (1, 2, 16, 32)), (efficient, (1, 2, 16, 32))]


def test_heads_of_odd_widths_are_for_flash_attention_alone_and_padded():
    seen = []

    def milliseconds(call: object) -> float:
        call()  # type: ignore[operator]
        return 1.0

    kernels = {backend: lambda q, k, v: seen.append(q.shape[-1]) for backend in attention.KERNELS}
    order = attention.order_for(((1, 4, 16, 28),), torch.device("cpu"), torch.float32, milliseconds, kernels)
    assert order[0] is SDPBackend.FLASH_ATTENTION
    assert seen == [32]


def test_measuring_forbids_nothing_to_the_thread_that_paints():
    """`sdpa_kernel` would: its switches are the whole process's."""
    q = torch.randn(1, 2, 4, 8)

    def milliseconds(call: object) -> float:
        with ThreadPoolExecutor(1) as painter:
            painter.submit(
                nn.functional.scaled_dot_product_attention, q.double(), q.double(), q.double()
            ).result(5)
        assert torch.backends.cuda.math_sdp_enabled()
        return 1.0

    attention.order_for(((1, 2, 4, 8),), torch.device("cpu"), torch.float32, milliseconds)


def test_shapes_of_self_attention_are_the_crossed_levels():
    model = load_model("builtin")
    assert attention.shapes_of(model.unet.config, 2, 32, 32) == ((2, 4, 256, 28), (2, 4, 64, 40))


def test_an_engine_is_refused_for_any_of_its_distances():
    assert objection(Distance(0.01, 0.01, 1.0, psnr_db=20.0, ssim=0.5)) is None
    for far in (Distance(0.5, 0, 0), Distance(0, 0.04, 0), Distance(0, 0, 2.1), Distance(float("inf"), 0, 0)):
        assert "at most latents 3%, prediction 3%, pictures 2 grey levels" in (objection(far) or "")
    assert objection(Distance(0.01, 0.1, 3.0)) is not None
    assert objection(Distance(0.01, 0.1, 3.0), LIMIT_8_BIT) is None
    assert objection(Distance(0.01, 0.3, 3.0), LIMIT_8_BIT) is not None


def test_the_worst_of_two_distances_is_the_worse_in_every_number():
    worse = Distance(0.1, 0.2, 3.0, 30.0, 0.9).worst(Distance(0.2, 0.1, 2.0, 20.0, 0.95))
    assert worse == Distance(0.2, 0.2, 3.0, 20.0, 0.9)
