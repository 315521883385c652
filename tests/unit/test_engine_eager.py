"""The eager engine: pictures to latents and back, and precision by measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.conditioning import TextConditioner
from pipeline.engine import precision
from pipeline.engine.eager import EagerEngine
from pipeline.engine.pictures import PictureBuffer
from pipeline.models.load import BUILTIN, load_model
from pipeline.models.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin")


@pytest.fixture(scope="module")
def engine(model: Model) -> EagerEngine:
    return EagerEngine(model)


def smooth_pictures(frames: int, height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((frames, 3, 6, 6), dtype=np.float32))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (fine * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


@pytest.mark.parametrize(("height", "width"), [(128, 128), (96, 160)])
def test_a_picture_survives_the_autoencoder(engine, height, width):
    pictures = smooth_pictures(2, height, width, seed=height)
    z = engine.encode(pictures)
    assert z.shape == (2, 16, height // 8, width // 8)
    assert z.dtype == torch.float32
    back = engine.decode(z)
    assert back.shape == pictures.shape
    assert back.dtype == torch.uint8
    assert back.is_contiguous()
    error = np.abs(back.numpy().astype(int) - pictures).mean()
    assert error < 12, "mean error in grey levels; colours swapped or a wrong range are far above"


def test_encode_and_decode_are_diffusers_own_with_their_ranges(engine):
    from diffusers import AutoencoderTiny

    pictures = smooth_pictures(1, 64, 64, seed=3)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    theirs = AutoencoderTiny.from_pretrained(BUILTIN, subfolder="vae").float()
    with torch.inference_mode():
        z = theirs.encode(x).latents * theirs.config.scaling_factor
        y = theirs.decode(z / theirs.config.scaling_factor).sample
    assert torch.allclose(engine.encode(pictures), z, atol=1e-4)
    expected = ((y + 1.0) * 127.5).round().clamp(0, 255)
    difference = (engine.decode(z).float() - expected.permute(0, 2, 3, 1)).abs()
    assert difference.max() <= 1.0


def test_arrays_tensors_and_read_only_memory_give_the_same_latents(engine):
    pictures = smooth_pictures(1, 64, 64, seed=5)
    expected = engine.encode(pictures)
    assert torch.equal(engine.encode(torch.from_numpy(pictures.copy())), expected)
    frozen = pictures.copy()
    frozen.flags.writeable = False
    assert torch.equal(engine.encode(frozen), expected)
    assert torch.equal(engine.encode(pictures[:, :, ::-1][:, :, ::-1]), expected)


def test_pictures_of_a_wrong_shape_are_refused(engine):
    for wrong in (np.zeros((64, 64, 3), np.uint8), np.zeros((1, 64, 64, 4), np.uint8)):
        with pytest.raises(ValueError, match=r"must be uint8 \[F, H, W, 3\]"):
            engine.encode(wrong)
    with pytest.raises(ValueError, match="float32"):
        engine.encode(np.zeros((1, 64, 64, 3), np.float32))


def test_the_input_buffer_is_static_and_channels_last():
    buffer = PictureBuffer(torch.device("cpu"), torch.float32)
    pictures = smooth_pictures(2, 32, 48, seed=1)
    first = buffer.fill(pictures)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal((first * 255).round().byte().permute(0, 2, 3, 1), torch.from_numpy(pictures))
    assert buffer.fill(pictures).data_ptr() == first.data_ptr()


def test_decode_async_gives_what_decode_gives(engine):
    z = engine.encode(smooth_pictures(1, 64, 64, seed=8))
    pending = engine.decode_async(z)
    assert pending.ready()
    assert torch.equal(pending.result(), engine.decode(z))


def test_values_out_of_range_saturate_instead_of_wrapping(engine):
    from pipeline.engine.pictures import PendingPictures

    decoded = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert PendingPictures(decoded).result()[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_predict_keeps_the_callers_dtype_and_takes_any_timestep(model, engine):
    context = TextConditioner(model).encode("oil painting")
    x = torch.randn(2, 16, 8, 8)
    out = engine.predict(x, torch.tensor([99.0, 250.5]), context)
    assert out.dtype == x.dtype
    between = engine.predict(x[1:], torch.tensor([250.5]), context)
    assert torch.allclose(out[1:], between, atol=1e-5)
    assert not torch.allclose(between, engine.predict(x[1:], torch.tensor([251]), context), atol=1e-6)


def test_bfloat16_is_close_to_float32(model, engine):
    half = load_model("builtin", dtype=torch.bfloat16)
    pictures = smooth_pictures(1, 128, 128, seed=11)
    z = engine.encode(pictures)
    z_half = EagerEngine(half).encode(pictures)
    assert z_half.dtype == torch.float32
    assert (z - z_half).abs().mean() < 0.05 * z.std()
    t = torch.tensor([99])
    out = engine.predict(z, t, TextConditioner(model).encode("watercolor"))
    out_half = EagerEngine(half).predict(z, t, TextConditioner(half).encode("watercolor"))
    assert (out - out_half).abs().mean() < 0.05 * out.std()


def test_a_style_changes_the_picture_and_photo_keeps_it(model, engine):
    """The built-in model really paints: one step at t_index 45 from a noised latent."""
    pictures = smooth_pictures(1, 256, 256, seed=21)
    z = engine.encode(pictures)
    bar = model.alphas_cumprod[99]
    x = bar.sqrt() * z + (1 - bar).sqrt() * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    conditioner = TextConditioner(model)

    def painted(prompt: str) -> np.ndarray:
        v = engine.predict(x, torch.tensor([99]), conditioner.encode(prompt))
        return engine.decode(bar.sqrt() * x - (1 - bar).sqrt() * v).numpy().astype(int)

    photo, grey = painted(""), painted("black and white")
    assert np.abs(photo - pictures).mean() < 25
    colour = [np.abs(p - p.mean(-1, keepdims=True)).mean() for p in (photo, grey)]
    assert colour[1] < 0.5 * colour[0]


def test_warm_up_takes_every_shape(engine):
    engine.warm_up(rows=2, frames=1, height=64, width=96)
    engine.warm_up(rows=1, frames=2, height=64, width=64)


def test_precision_on_a_cpu_follows_the_measurement(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(precision, "bfloat16_advantage", lambda: 1.8)
    assert precision.choose(cpu) is torch.bfloat16
    monkeypatch.setattr(precision, "bfloat16_advantage", lambda: 0.3)
    assert precision.choose(cpu) is torch.float32
    assert precision.choose(torch.device("cuda")) is torch.float16


def test_the_measurement_is_a_ratio():
    assert 0.01 < precision.bfloat16_advantage() < 100
