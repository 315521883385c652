"""Against the original: the package streamdiffusion 0.1.1 runs here on a tiny random pipeline, on the CPU.

Same weights, noise, prompts and pictures: our latents are its latents wherever it is sound (T > 1, F = 1,
noise added). Where we differ on purpose, a test shows its fault and that ours has none.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from pipeline.admission import Admission, Emitted
from pipeline.conditioning import TextContext
from pipeline.guidance import residual_noise
from pipeline.schedule import Schedule
from pipeline.stream_batch import StreamBatch

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        importlib.util.find_spec("streamdiffusion") is None,
        reason="the original is not installed: pip install --no-deps streamdiffusion==0.1.1",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

TOKENIZER = Path(__file__).parents[2] / "pipeline/models/builtin/tokenizer"
SIZE = 64
THEIR_NAME = {"none": "none", "full": "full", "self": "self", "onetime": "initialize"}


class UntimedEvent:
    """Stands in for torch.cuda.Event, with which the original measures time; nothing else of it is
    replaced.
    """

    def __init__(self, enable_timing: bool = False) -> None: ...

    def record(self) -> None: ...

    def elapsed_time(self, other: UntimedEvent) -> float:
        return 0.0


@pytest.fixture(autouse=True)
def _no_cuda_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", UntimedEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)


@pytest.fixture(scope="module")
def pipe() -> Any:
    """A Stable Diffusion pipeline of the usual classes, tiny and random."""
    from diffusers import AutoencoderTiny, LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(11)
    tokenizer = CLIPTokenizer.from_pretrained(TOKENIZER)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=32, projection_dim=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), attention_head_dim=4,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1),
    )  # fmt: skip
    made = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet, scheduler=LCMScheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


class Original:
    """The package as its user runs it, with the latents it decodes laid open."""

    def __init__(self, pipe: Any, t_index_list: tuple[int, ...], form: str, **options: Any) -> None:
        from streamdiffusion import StreamDiffusion

        self.stream = StreamDiffusion(
            pipe, list(t_index_list), torch_dtype=torch.float32, width=SIZE, height=SIZE,
            cfg_type=THEIR_NAME[form], **options,
        )  # fmt: skip
        self.emitted: list[Tensor] = []
        self.encoded: list[Tensor] = []
        decode, encode = self.stream.decode_image, self.stream.encode_image

        def decode_image(latents: Tensor) -> Tensor:
            self.emitted.append(latents.clone())
            return decode(latents)

        def encode_image(picture: Tensor) -> Tensor:
            x = encode(picture)
            a, b = self.stream.alpha_prod_t_sqrt[0], self.stream.beta_prod_t_sqrt[0]
            self.encoded.append((x - b * self.stream.init_noise[0]) / a)
            return x

        self.stream.decode_image = decode_image
        self.stream.encode_image = encode_image

    def prepare(self, **options: Any) -> None:
        self.stream.prepare("oil", **({"negative_prompt": "photo", "seed": 5} | options))

    def run(self, pictures: list[PIL.Image.Image]) -> list[Tensor]:
        """What it decoded for each picture, latents [1, 4, h, w]."""
        first = len(self.emitted)
        for picture in pictures:
            self.stream(picture)
        return self.emitted[first:]


def pictures_of(count: int) -> list[PIL.Image.Image]:
    pixels = np.random.default_rng().integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    return [PIL.Image.fromarray(p) for p in pixels]


@torch.no_grad()
def clean_latents(original: Original, picture: PIL.Image.Image) -> Tensor:
    """The picture as the original's VAE sees it, without its noise."""
    stream = original.stream
    return stream.vae.encode(stream.image_processor.preprocess(picture, SIZE, SIZE)).latents * (
        stream.vae.config.scaling_factor
    )


def prompt(pipe: Any, text: str) -> TextContext:
    return TextContext(pipe.encode_prompt(text, "cpu", 1, False)[0].detach())


def state_of(original: Original, pipe: Any, form: str, g: float = 1.2, delta: float = 1.0) -> Admission:
    """The very state the original was prepared with; its noise too."""
    stream = original.stream
    return Admission(
        context=prompt(pipe, "oil"),
        negative=prompt(pipe, "photo"),
        guidance=form,  # type: ignore[arg-type]
        guidance_scale=g,
        delta=delta,
        schedule=Schedule.of(stream.scheduler.alphas_cumprod, stream.t_list),
        noise=stream.init_noise,
        revision=1,
    )


def batch_of(pipe: Any, steps: int, **options: Any) -> StreamBatch:
    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        out: Tensor = pipe.unet(x, timesteps, encoder_hidden_states=context.embeds, return_dict=False)[0]
        return out

    return StreamBatch(predict, steps=steps, **options)


def ours(
    batch: StreamBatch, original: Original, pictures: list[PIL.Image.Image], state: Admission
) -> list[Emitted | None]:
    return [batch.step(clean_latents(original, p), state, [n]) for n, p in enumerate(pictures)]


def assert_alike(mine: Tensor, theirs: Tensor) -> None:
    """Equal to 1e-4, in 1/20 of the range: a random UNet under strong guidance makes latents of hundreds."""
    scale = max(1.0, theirs.abs().max().item() / 20)
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * scale)


# ---------------------------------------------------------------- where it is sound, we are it


@pytest.mark.parametrize("form", ["none", "full", "self", "onetime"])
@pytest.mark.parametrize(
    ("t_index_list", "g", "delta"),
    [
        ((32, 45), 1.2, 1.0),
        ((32, 45), 1.05, 0.0),
        ((0, 25), 1.4, 0.5),
        ((10, 20, 30), 2.5, 0.8),
        ((0, 16, 32, 45), 1.4, 1.0),
        ((0, 16, 32, 45), 2.5, 0.8),
    ],
)
def test_our_latents_are_the_originals(
    pipe: Any, form: str, t_index_list: tuple[int, ...], g: float, delta: float
) -> None:
    T, pictures = len(t_index_list), pictures_of(len(t_index_list) + 2)
    original = Original(pipe, t_index_list, form)
    original.prepare(guidance_scale=g, delta=delta)
    theirs = original.run(pictures)
    for n, out in enumerate(
        ours(batch_of(pipe, T), original, pictures, state_of(original, pipe, form, g, delta))
    ):
        if n < T - 1:
            assert out is None  # the original emits what it denoised of an empty buffer
            continue
        assert out is not None
        assert_alike(out.latents, theirs[n])


@pytest.mark.parametrize("form", ["none", "self"])
def test_immediate_is_the_originals_prompt_switch(pipe: Any, form: str) -> None:
    pictures, T = pictures_of(8), 4
    original = Original(pipe, (0, 16, 32, 45), form)
    original.prepare()
    before = state_of(original, pipe, form)
    after = replace(before, context=prompt(pipe, "manga"))
    theirs = original.run(pictures[:5])
    original.stream.update_prompt("manga")
    theirs += original.run(pictures[5:])
    for mode in ("immediate", "admitted"):
        batch = batch_of(pipe, T, prompt_switch=mode)
        out = ours(batch, original, pictures[:5], before) + ours(batch, original, pictures[5:], after)
        for n, (mine, his) in enumerate(zip(out, theirs, strict=True)):
            if mine is None:
                continue
            alike = torch.allclose(mine.latents, his, rtol=0, atol=1e-4)
            assert alike == (
                mode == "immediate" or n < 5
            )  # `admitted` keeps the old prompt for frames in flight


# ---------------------------------------------------------------- its faults, none of which is ours


@pytest.mark.parametrize("form", ["self", "onetime"])
def test_one_step_diverges_there_and_not_here(pipe: Any, form: str) -> None:
    """With T = 1 the stock noise of `self` is never reset to N_0: every frame's guidance adds to the last's.

    In `initialize` the one row there is takes the negative's noise at every call, which is sound.
    """
    original = Original(pipe, (5,), form)
    original.prepare(guidance_scale=1.2)
    pictures = pictures_of(25)
    theirs = torch.cat(original.run(pictures))
    out = ours(batch_of(pipe, 1), original, pictures, state_of(original, pipe, form))
    mine = torch.cat([e.latents for e in out if e is not None])
    assert mine.shape == theirs.shape
    assert mine.isfinite().all()
    assert mine.abs().max() < 200
    if form == "self":
        assert not theirs.abs().max() < 1e6
    else:
        assert_alike(mine, theirs)


def test_without_added_noise_its_residual_is_wrong_and_ours_right(pipe: Any) -> None:
    """It adds N_k to S although x_k has none: the virtual negative no longer leads back to the frame."""
    original = Original(pipe, (16, 32), "self", do_add_noise=False)
    original.prepare()
    picture, *rest = pictures_of(3)
    original.run([picture])
    x = original.stream.x_t_latent_buffer
    s = state_of(original, pipe, "self").schedule
    right = residual_noise(x, clean_latents(original, picture), s.a[1], s.b[1])
    theirs = original.stream.stock_noise[:1]
    torch.testing.assert_close(theirs - right, original.stream.init_noise[1:], rtol=0, atol=1e-3)

    state = state_of(original, pipe, "self")
    batch = batch_of(pipe, 2, add_noise=False)
    out = ours(batch, original, [picture, *rest], state)[1]
    assert out is not None
    tau = torch.tensor([s.timesteps[1]])
    with torch.no_grad():
        epsilon = pipe.unet(x, tau, encoder_hidden_states=state.context.embeds, return_dict=False)[0]
    epsilon = right + 1.2 * (epsilon - right)
    expected = s.c_out[1] * (x - s.b[1] * epsilon) / s.a[1] + s.c_skip[1] * x
    torch.testing.assert_close(out.latents, expected, rtol=0, atol=1e-4)


def test_buffers_of_several_frames_fail_there_and_not_here(pipe: Any) -> None:
    original = Original(pipe, (16, 32), "none", frame_buffer_size=2)
    original.prepare()
    with pytest.raises(RuntimeError, match="size"):
        original.run(pictures_of(1))

    single = Original(pipe, (16, 32), "none")
    single.prepare()
    pictures = pictures_of(6)
    theirs = single.run(pictures)
    state, batch = state_of(single, pipe, "none"), batch_of(pipe, 2, frame_buffer_size=2)
    latents = torch.cat([clean_latents(single, p) for p in pictures])
    outs = [batch.step(latents[i : i + 2], state, [i, i + 1]) for i in (0, 2, 4)]
    for out in outs[1:]:
        assert out is not None
        for n, mine in zip(out.tags, out.latents, strict=True):
            assert isinstance(n, int)
            torch.testing.assert_close(mine, theirs[n + 1][0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", ["full", "onetime"])
def test_a_new_prompt_loses_the_negative_there_and_not_here(pipe: Any, form: str) -> None:
    """`update_prompt` drops the rows of the negative prompt, which the next call counts on."""
    original = Original(pipe, (16, 32), form)
    original.prepare()
    pictures = pictures_of(3)
    original.run(pictures[:2])
    original.stream.update_prompt("manga")
    with pytest.raises((RuntimeError, ValueError)):
        original.run(pictures[2:])

    before = state_of(original, pipe, form)
    batch = batch_of(pipe, 2)
    ours(batch, original, pictures, before)
    changed = replace(before, context=prompt(pipe, "manga"), negative=prompt(pipe, "pixel"))
    out = ours(batch, original, pictures, changed)[2]
    fresh = Original(pipe, (16, 32), form)
    fresh.stream.prepare("manga", negative_prompt="pixel", seed=5)
    assert out is not None
    torch.testing.assert_close(out.latents, fresh.run(pictures)[2], rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", ["full", "onetime"])
@pytest.mark.parametrize("g", [0.0, 1.0])
def test_scales_up_to_one_crash_there_and_not_here(pipe: Any, form: str, g: float) -> None:
    original = Original(pipe, (16, 32), form)
    with pytest.raises((AttributeError, RuntimeError, TypeError, ValueError)):
        original.prepare(guidance_scale=g)
    plain = Original(pipe, (16, 32), "none")
    plain.prepare()
    pictures = pictures_of(3)
    theirs = plain.run(pictures)
    out = ours(batch_of(pipe, 2), plain, pictures, state_of(plain, pipe, form, g))[2]
    assert out is not None
    torch.testing.assert_close(out.latents, theirs[2], rtol=0, atol=1e-4)
