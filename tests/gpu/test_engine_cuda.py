"""The eager engine on a CUDA card, in float16, against the same model in float32 on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.conditioning import TextConditioner, TextContext
from pipeline.engine import precision
from pipeline.engine.agreement import relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.pictures import PictureBuffer
from pipeline.models.load import load_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def engines() -> tuple[EagerEngine, EagerEngine]:
    return EagerEngine(load_model("builtin")), EagerEngine(
        load_model("builtin", device=CUDA, dtype=torch.float16)
    )


def pictures(seed: int, frames: int = 1) -> np.ndarray:
    coarse = torch.rand(frames, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, (256, 256), mode="bicubic").clamp(0, 1)
    return (fine * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def test_float16_is_the_choice_on_a_card():
    assert precision.choose(CUDA) is torch.float16


def test_encode_predict_and_decode_are_close_to_float32_on_the_cpu(engines):
    cpu, gpu = engines
    z, z_gpu = cpu.encode(pictures(1)), gpu.encode(pictures(1))
    assert z_gpu.device.type == "cuda"
    assert z_gpu.dtype == torch.float32
    assert (z - z_gpu.cpu()).abs().mean() < 0.01 * z.std()
    t = torch.tensor([99])
    out = cpu.predict(z, t, TextConditioner(cpu.model).encode("watercolor"))
    out_gpu = gpu.predict(z.to(CUDA), t.to(CUDA), TextConditioner(gpu.model).encode("watercolor"))
    assert (out - out_gpu.cpu()).abs().mean() < 0.01 * out.std()
    assert (cpu.decode(z).int() - gpu.decode(z.to(CUDA)).int()).abs().float().mean() < 1.0


def test_cached_and_uncached_keys_and_values_agree(engines):
    _, gpu = engines
    conditioner = TextConditioner(gpu.model)
    context = TextContext.stack([conditioner.encode(p) for p in ("oil painting", "anime")])
    x, t = torch.randn(2, 16, 32, 32, device=CUDA), torch.tensor([99, 499], device=CUDA)
    cached, plain = gpu.predict(x, t, context), gpu.predict(x, t, TextContext(context.embeds))
    assert relative(cached, plain) < 0.01


def test_a_second_upload_does_not_overwrite_the_first(engines):
    """The staging buffer is reused: the earlier copy must have left it."""
    _, gpu = engines
    buffer = PictureBuffer(CUDA, torch.float16)
    expected = [gpu.encode(pictures(seed)).cpu() for seed in range(8)]
    seen = []
    for seed in range(8):
        torch.cuda._sleep(2_000_000)  # the stream is behind, as under load
        seen.append(buffer.fill(pictures(seed)).clone())
    for z, picture in zip(expected, seen, strict=True):
        assert torch.equal(gpu.model.vae.encode(picture).float().cpu(), z)


def test_decode_async_does_not_wait(engines):
    _, gpu = engines
    z = gpu.encode(pictures(3))
    expected = gpu.decode(z).clone()
    gpu.decode_async(z).result()  # its page-locked memory is free again: taking some would wait for the card
    torch.cuda._sleep(200_000_000)
    pending = gpu.decode_async(z)
    assert not pending.ready()
    assert torch.equal(pending.result(), expected)
    assert pending.ready()


def test_lora_weights_are_written_in_place(engines, tmp_path):
    import safetensors.torch

    from pipeline.models.load import load_lora

    _, gpu = engines
    model = gpu.model
    weights = {
        "lora_unet_conv_in.lora_down.weight": torch.randn(2, 16, 3, 3),
        "lora_unet_conv_in.lora_up.weight": torch.randn(64, 2, 1, 1),
    }
    file = tmp_path / "a.safetensors"
    safetensors.torch.save_file(weights, file)
    before, address = model.unet.conv_in.weight.clone(), model.unet.conv_in.weight.data_ptr()
    load_lora(model, str(file))
    model.set_lora_weights({str(file): 1.0})
    assert not torch.equal(model.unet.conv_in.weight, before)
    model.set_lora_weights({str(file): 0.0})
    assert torch.equal(model.unet.conv_in.weight, before)
    assert model.unet.conv_in.weight.data_ptr() == address
