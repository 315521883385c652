"""Group normalisation of our own: the choice by measurement, the copy over the same tensors, and the Triton kernels:
run by Triton's interpreter on a CPU, and compiled to machine code for cards that are not there."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.conditioning import TextConditioner
from pipeline.engine import norms
from pipeline.engine.agreement import relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.module_parts import ModuleParts
from pipeline.engine.parts import example, paired
from pipeline.models.group_norm import GroupNorm
from pipeline.models.load import load_model

ROOT = Path(__file__).parents[2]


def plain_kernel(x, weight, bias, groups, eps, *, silu):
    y = functional.group_norm(x, groups, weight, bias, eps)
    return functional.silu(y) if silu else y


def wrong_kernel(x, weight, bias, groups, eps, *, silu):
    return plain_kernel(x, weight, bias, groups, eps, silu=silu) * 1.01


def broken_kernel(x, weight, bias, groups, eps, *, silu):
    raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")


def not_a_number(x, weight, bias, groups, eps, *, silu):
    return x * float("nan")


def not_installed():
    raise norms.NotInstalledError("Triton is not installed: pip install triton")


def no_library():
    raise OSError("libtriton.so: cannot open shared object file")


class Clock:
    """A timer by which the first of two is `ratio` times as fast as the second."""

    def __init__(self, ratio):
        self.ratio, self.calls = ratio, 0

    def __call__(self, call):
        call()
        self.calls += 1
        return 1.0 / self.ratio if self.calls % 2 else 1.0


@pytest.fixture(scope="module")
def model():
    return load_model("builtin")


@pytest.fixture
def inputs(model):
    return example(model, 2, 64, 96)


def norms_of(unet):
    return [m for m in unet.modules() if isinstance(m, GroupNorm | norms.FusedGroupNorm)]


def test_the_faster_kernel_is_taken_and_changes_no_prediction(model, inputs):
    clock = Clock(1.5)
    with torch.no_grad():
        unet, said = norms.fastest(model.unet, inputs, clock, lambda: plain_kernel)
    assert said.startswith("triton (")
    assert {type(m) for m in norms_of(unet)} == {norms.FusedGroupNorm}
    assert {type(m) for m in norms_of(model.unet)} == {GroupNorm}, "the painter's own UNet is left alone"
    assert len(norms_of(unet)) == len(norms_of(model.unet))
    assert clock.calls >= 2 * 3  # norms of several shapes were measured
    x, waves, *kv = inputs
    with torch.no_grad():
        plain = ModuleParts(model, (2,)).unet(x, waves, paired(tuple(kv)))
        other = ModuleParts(model, (2,), unet=unet).unet(x, waves, paired(tuple(kv)))
    assert relative(other, plain) < 1e-5


def test_the_copy_shares_every_tensor_and_follows_weights_written_in_place():
    model = load_model("builtin")
    model.unet.fuse_attention()
    with torch.no_grad():
        unet, _ = norms.fastest(model.unet, example(model, 1, 64, 64), Clock(2.0), lambda: plain_kernel)
    theirs, mine = dict(model.unet.named_parameters()), dict(unet.named_parameters())
    assert mine.keys() == theirs.keys()
    assert all(mine[name].data_ptr() == theirs[name].data_ptr() for name in theirs)
    twin = dataclasses.replace(model, unet=unet)
    context, x, t = TextConditioner(model).encode("anime"), torch.randn(1, 16, 8, 8), torch.tensor([400.0])
    before = EagerEngine(twin).predict(x, t, context)
    layer = model.unet.mid_block.attentions[0].transformer_blocks[0].attn1
    with torch.inference_mode():
        layer.to_k.weight.mul_(3.0)  # as LoRA weights are written; read through the fused matrix
        model.unet.conv_in.weight.mul_(1.1)
    after = EagerEngine(twin).predict(x, t, context)
    assert relative(after, before) > 1e-4
    assert relative(after, EagerEngine(model).predict(x, t, context)) < 1e-5


@pytest.mark.parametrize(
    ("load", "ratio", "said"),
    [
        (lambda: plain_kernel, 0.9, r"torch \(Triton's takes .* and PyTorch's"),
        (lambda: wrong_kernel, 9.0, r"torch \(Triton's differs: "),
        (lambda: not_a_number, 9.0, r"torch \(Triton's differs: inf"),
        (
            lambda: broken_kernel,
            9.0,
            r"torch \(measuring Triton's failed: RuntimeError: Failed to find C compiler.\)",
        ),
        (no_library, 9.0, r"torch \(measuring Triton's failed: OSError: libtriton.so"),
        (not_installed, 9.0, r"torch \(Triton is not installed: pip install triton\)"),
    ],
    ids=["slower", "wrong", "NaN", "broken", "no library", "not installed"],
)
def test_any_other_kernel_leaves_pytorchs(model, inputs, load, ratio, said):
    with torch.no_grad():
        unet, why = norms.fastest(model.unet, inputs, Clock(ratio), load)
    assert unet is model.unet
    assert re.fullmatch(said + ".*", why), why


def test_a_start_that_ended_the_process_leaves_triton_out_from_then_on(tmp_path):
    from pipeline.engine.cache import Place
    from pipeline.engine.kinds.cuda_graph import _crashed

    place = Place(tmp_path / "engine")
    with place.trial():
        assert _crashed(place.folder) is None
    (place.folder / "trials").write_text("x")  # as a process leaves it that ended inside
    for _ in range(2):
        with place.trial():
            assert "without-triton" in (_crashed(place.folder) or "")
    (place.folder / "without-triton").unlink()
    with place.trial():
        assert _crashed(place.folder) is None


# ---------------------------------------------------------------- the kernels

FOLDER = os.environ.get("PHOSPHENE_TRITON", "")
"""Where Triton lies apart from all else, for PyTorch uses what it finds."""
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None and not (Path(FOLDER) / "triton" / "__init__.py").exists(),
    reason="Triton is not installed: pip install triton",
)


def run(code: str, tmp_path: Path, **environment: str) -> None:
    """Triton decides at its import whether it interprets: a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": FOLDER, "TRITON_CACHE_DIR": str(tmp_path), **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


EQUAL = """
import torch
from torch.nn import functional
from pipeline.engine.agreement import relative
from pipeline.engine.triton_group_norm import group_norm

def check(rows, channels, height, width, groups, dtype, limit, mean=0.0, spread=1.0):
    x = torch.randn(rows, channels, height, width) * spread * torch.rand(rows, channels, 1, 1) + mean
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(channels).to(dtype), torch.randn(channels).to(dtype)
    exact = functional.group_norm(x.double(), groups, weight.double(), bias.double(), 1e-5)
    for silu in (False, True):
        got = group_norm(x, weight, bias, groups, 1e-5, silu=silu)
        far = relative(got, functional.silu(exact) if silu else exact)
        assert far < limit, (rows, channels, height, width, groups, dtype, silu, far)
        assert got.dtype == dtype and got.is_contiguous(memory_format=torch.channels_last)

check(1, 64, 8, 8, 8, torch.float32, 1e-5)
check(2, 320, 9, 7, 32, torch.float32, 1e-5)      # ten channels a group, an odd number of pixels
check(1, 96, 1, 1, 8, torch.float32, 1e-5)        # one pixel
check(1, 24, 66, 65, 4, torch.float32, 1e-5)      # more chunks than are joined at a time
check(1, 64, 16, 16, 8, torch.float32, 1e-4, mean=300.0)   # a mean that would cost E[x^2] - E[x]^2 its digits
check(3, 48, 5, 3, 8, torch.bfloat16, 4e-3)
check(1, 160, 16, 16, 32, torch.float16, 5e-4)
check(1, 64, 8, 8, 8, torch.float32, 1e-5, spread=50.0)

x = torch.randn(1, 8, 4, 4)
try:
    group_norm(x, x[0, :, 0, 0], x[0, :, 0, 0], 4, 1e-5, silu=False)
except ValueError as error:
    assert "not channels_last" in str(error)
else:
    raise AssertionError("planar memory was taken")
"""

COMPILED = """
import warnings
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from pipeline.engine import triton_group_norm as kernels

warnings.simplefilter("error")
POINTERS = {"x", "out", "mean", "squares", "scale", "shift", "weight", "bias"}

def compiled(name, dtype, capability, **constants):
    kernel = getattr(kernels, name)
    floats = {"mean", "squares", "scale", "shift"}
    def type_of(argument):
        if argument in constants:
            return "constexpr"
        if argument in floats:
            return "*fp32"
        return {"x": "*" + dtype, "out": "*" + dtype, "weight": "*" + dtype, "bias": "*" + dtype, "eps": "fp32"}.get(
            argument, "i32")
    source = ASTSource(
        kernel,
        signature={argument: type_of(argument) for argument in kernel.arg_names},
        constexprs={(kernel.arg_names.index(key),): value for key, value in constants.items()},
        attrs={  # as a launch finds them, so that it is this code that is compiled
            (place,): [["tt.divisibility", 16]]
            for place, argument in enumerate(kernel.arg_names) if argument in POINTERS | {"channels"}
        },
    )
    options = {"enable_fp_fusion": True}
    assert triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["cubin"]

for capability, dtype in ((75, "fp16"), (80, "fp32"), (90, "bf16")):
    compiled("_moments", dtype, capability, PIXELS=64, CHANNELS=64)
    for silu in (False, True):
        compiled("_apply", dtype, capability, SILU=silu, PIXELS=64, CHANNELS=64)
for joined, width in ((64, 16), (64, 32), (32, 64), (16, 128), (1, 16)):
    compiled("_affine", "fp16", 90, PIXELS=64, CHUNKS=joined, WIDTH=width)
"""


@needs_triton
@pytest.mark.slow
def test_the_kernels_equal_pytorchs(tmp_path):
    run(EQUAL, tmp_path, TRITON_INTERPRET="1")


@needs_triton
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Triton's wheels bring NVIDIA's assembler on Linux")
def test_the_kernels_compile_for_cards(tmp_path):
    run(COMPILED, tmp_path)


def test_a_group_norm_with_silu_is_both():
    norm = GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    x = torch.randn(2, 8, 5, 3)
    assert torch.equal(norm.with_silu(x), functional.silu(nn.GroupNorm.forward(norm, x)))
