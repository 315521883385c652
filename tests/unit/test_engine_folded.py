"""Folded layers against the layers themselves, in float64 on fresh random numbers, edges included."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.engine.folded import (
    FirstConvolutions,
    LastConvolutions,
    UpsampledConvolution,
    fold,
    folded_decoder,
)
from pipeline.models.load import load_model
from pipeline.models.tiny_vae import TinyVae

EXACT = {"rtol": 0.0, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


def convolution(ins: int, outs: int, **kwargs: int | bool) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 3, padding=1, dtype=torch.float64, **kwargs)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 4)])
def test_an_upsampled_convolution_is_a_transposed_one(bias, height, width):
    conv = convolution(5, 6, bias=bias)
    x = torch.randn(2, 5, height, width, dtype=torch.float64)
    expected = conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(UpsampledConvolution(conv)(x), expected, **EXACT)


def test_to_an_odd_size_it_upsamples_as_before():
    conv = convolution(3, 3)
    x, size = torch.randn(1, 3, 4, 4, dtype=torch.float64), torch.Size((7, 8))
    expected = conv(functional.interpolate(x, size=(7, 8), mode="nearest"))
    torch.testing.assert_close(UpsampledConvolution(conv)(x, size), expected, **EXACT)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5), (8, 6)])
def test_the_last_two_convolutions_are_one_and_the_edges_are_right(height, width):
    upsample, first, second = (
        nn.Upsample(scale_factor=2, mode="nearest"), convolution(4, 6, bias=False), convolution(6, 3),
    )  # fmt: skip
    x = torch.randn(2, 4, height, width, dtype=torch.float64)
    torch.testing.assert_close(
        LastConvolutions(upsample, first, second)(x), second(first(upsample(x))), **EXACT
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 6), (16, 10)])
def test_the_first_two_convolutions_are_one_and_the_edges_are_right(bias, height, width):
    first, second = convolution(3, 5), convolution(5, 7, stride=2, bias=bias)
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(FirstConvolutions(first, second)(x), second(first(x)), **EXACT)


def test_a_published_tiny_autoencoder_keeps_its_blocks_and_its_pictures():
    vae = TinyVae({}, Path("taesd")).double().eval()
    z = torch.randn(1, 4, 5, 6, dtype=torch.float64)
    expected = vae.decode(z)
    vae.decoder.layers = folded_decoder(vae.decoder.layers)
    assert sum(isinstance(layer, UpsampledConvolution) for layer in vae.decoder.layers) == 3
    torch.testing.assert_close(vae.decode(z), expected, **EXACT)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (72, 88)])
def test_the_folded_model_paints_what_the_model_paints(height, width):
    plain, folded = load_model("builtin"), load_model("builtin")
    for model in (plain, folded):
        model.unet.double()
        model.vae.double()
    fold(folded)
    assert isinstance(folded.vae.autoencoder.decoder.layers[-1], LastConvolutions)
    assert isinstance(folded.vae.autoencoder.encoder.layers[0], FirstConvolutions)
    picture = torch.rand(1, 3, height, width, dtype=torch.float64)
    z = plain.vae.encode(picture)
    torch.testing.assert_close(folded.vae.encode(picture), z, **EXACT)
    torch.testing.assert_close(folded.vae.decode(z), plain.vae.decode(z), **EXACT)
    embeds = torch.randn(1, plain.max_tokens, plain.text_width, dtype=torch.float64)
    kv, waves = plain.unet.project_text(embeds), plain.unet.waves(torch.tensor([99.0])).double()
    torch.testing.assert_close(
        folded.unet.predict(z, waves, kv), plain.unet.predict(z, waves, kv), rtol=0, atol=1e-9
    )
