"""Prompts: cached keys and values change nothing but the time; blends and morphs of them are exact."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.conditioning import Morph, TextConditioner, TextContext, clean_prompt, slerp_coefficients
from pipeline.engine.eager import EagerEngine
from pipeline.models.load import BUILTIN, load_model
from pipeline.models.model import Model

PROMPTS = (
    "oil painting in warm sunset colors",
    "neon cyberpunk",
    "pencil sketch",
    "a blueprint of a cat",
    "",
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin")


@pytest.fixture
def conditioner(model: Model) -> TextConditioner:
    return TextConditioner(model)


def uncached(context: TextContext) -> TextContext:
    return TextContext(context.embeds)


def latents(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 16, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_a_unet_call_is_the_same_with_and_without_cached_keys_and_values(model, conditioner):
    engine = EagerEngine(model)
    for rows in (1, 2, 3):
        context = TextContext.stack([conditioner.encode(p) for p in PROMPTS[:rows]])
        x, t = latents(rows, rows), torch.arange(rows) * 200 + 99
        with_cache, without = engine.predict(x, t, context), engine.predict(x, t, uncached(context))
        assert torch.allclose(with_cache, without, atol=1e-5, rtol=0)
        assert with_cache.std() > 0.1


@pytest.mark.slow
def test_the_cached_path_is_diffusers_own_unet(model, conditioner):
    from diffusers import UNet2DConditionModel

    theirs = UNet2DConditionModel.from_pretrained(BUILTIN, subfolder="unet").float()
    for rows, side in ((1, (8, 8)), (2, (12, 20)), (3, (5, 7))):
        context = TextContext.stack([conditioner.encode(p) for p in PROMPTS[:rows]])
        x, t = torch.randn(rows, 16, *side), torch.tensor([99.0, 499.5, 999.0])[:rows]
        with torch.inference_mode():
            expected = theirs(x, t, context.embeds, return_dict=False)[0]
        assert torch.allclose(EagerEngine(model).predict(x, t, context), expected, atol=1e-4)


def test_each_row_reads_its_own_prompt(model, conditioner):
    engine = EagerEngine(model)
    contexts = [conditioner.encode(p) for p in PROMPTS[:3]]
    x, t = latents(3), torch.tensor([99, 299, 499])
    together = engine.predict(x, t, TextContext.stack(contexts))
    for i, context in enumerate(contexts):
        alone = engine.predict(x[i : i + 1], t[i : i + 1], context)
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5, rtol=0)


def test_one_context_serves_every_row_without_a_copy(model, conditioner):
    context = conditioner.encode(PROMPTS[0])
    assert TextContext.stack([context] * 4) is context
    expanded = context.expand(3)
    assert expanded.rows == 3
    assert expanded.embeds.data_ptr() == context.embeds.data_ptr()
    engine, x, t = EagerEngine(model), latents(3), torch.tensor([99, 299, 499])
    assert torch.equal(engine.predict(x, t, context), engine.predict(x, t, expanded))
    with pytest.raises(ValueError, match="3 rows cannot serve 2"):
        expanded.expand(2)


def test_a_context_for_another_unet_is_refused(model, conditioner):
    context = conditioner.encode("photo")
    with pytest.raises(ValueError, match="1 key/value pairs for a UNet of 7"):
        EagerEngine(model).predict(
            latents(1), torch.tensor([99]), TextContext(context.embeds, context.kv[:1])
        )


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 1.0), st.sampled_from(PROMPTS), st.sampled_from(PROMPTS))
def test_a_morph_of_cached_keys_and_values_is_the_projection_of_the_morphed_embedding(w, a, b):
    model = load_once()
    conditioner = TextConditioner(model)
    between = conditioner.slerp(conditioner.encode(a), conditioner.encode(b), w)
    projected = model.unet.project_text(between.embeds)
    for (k, v), (k_true, v_true) in zip(between.kv, projected, strict=True):
        assert torch.allclose(k, k_true, atol=1e-5, rtol=1e-5)
        assert torch.allclose(v, v_true, atol=1e-5, rtol=1e-5)


_loaded: list[Model] = []


def load_once() -> Model:
    if not _loaded:
        _loaded.append(load_model("builtin"))
    return _loaded[0]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=4))
def test_a_blend_has_the_weighted_embedding_and_its_keys_and_values(weights):
    model = load_once()
    conditioner = TextConditioner(model)
    contexts = [conditioner.encode(p) for p in PROMPTS[: len(weights)]]
    blended = conditioner.blend(list(zip(contexts, weights, strict=True)))
    expected = sum(c.embeds * (w / sum(weights)) for c, w in zip(contexts, weights, strict=True))
    assert torch.allclose(blended.embeds, expected, atol=1e-5)
    for (k, v), (k_true, v_true) in zip(blended.kv, model.unet.project_text(expected), strict=True):
        assert torch.allclose(k, k_true, atol=1e-5, rtol=1e-5)
        assert torch.allclose(v, v_true, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weights", [[0.0], [1.0, -0.5], []])
def test_a_blend_without_a_sum_is_refused(conditioner, weights):
    context = conditioner.encode("photo")
    with pytest.raises(ValueError, match="must be ≥ 0 and not all 0"):
        conditioner.blend([(context, w) for w in weights])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 1.0))
def test_slerp_keeps_the_length_and_moves_evenly_along_the_arc(seed, w):
    a, b = torch.randn(2, 1, 5, 32, generator=torch.Generator().manual_seed(seed))
    a, b = (x / x.norm(dim=-1, keepdim=True) for x in (a, b))
    of_a, of_b = slerp_coefficients(a, b, w)
    at = of_a * a + of_b * b
    assert torch.allclose(at.norm(dim=-1), torch.ones(1, 5), atol=1e-4)
    whole, part = (torch.acos((a * x).sum(-1).clamp(-1, 1)) for x in (b, at))
    assert torch.allclose(part, w * whole, atol=3e-3)


def test_slerp_of_equal_tokens_is_finite_and_stays_there():
    a = torch.randn(1, 4, 16)
    for w in (0.0, 0.3, 1.0):
        of_a, of_b = slerp_coefficients(a, a, w)
        assert torch.allclose(of_a * a + of_b * a, a, atol=1e-6)


def test_a_morph_starts_and_ends_in_its_prompts_and_can_turn_round(conditioner):
    a, b = conditioner.encode(PROMPTS[0]), conditioner.encode(PROMPTS[1])
    morph = Morph(conditioner, a, b, 2.0)
    assert morph.at(-1.0) is a
    assert morph.at(0.0) is a
    assert morph.at(2.0) is b
    assert not morph.done(1.99)
    assert morph.done(2.0)
    distances = [float((morph.at(t).embeds - a.embeds).norm()) for t in torch.linspace(0, 2, 21).tolist()]
    assert distances == sorted(distances)
    back = Morph(conditioner, morph.at(1.0), a, 1.0)
    assert torch.equal(back.at(0.0).embeds, morph.at(1.0).embeds)
    assert back.at(1.0) is a
    assert Morph(conditioner, a, b, 0.0).at(0.0) is b


def test_the_cache_keeps_the_prompts_used_last(model):
    conditioner = TextConditioner(model, cache_size=2)
    first = conditioner.encode("oil painting")
    assert conditioner.encode("  oil\n painting ") is first
    conditioner.encode("anime")
    assert conditioner.encode("oil painting") is first
    conditioner.encode("watercolor")  # pushes "anime" out
    assert conditioner.encode("oil painting") is first


def test_an_empty_prompt_is_the_models_neutral_one(conditioner):
    assert conditioner.encode("") is conditioner.encode("photo")
    assert conditioner.encode(" \n\t") is conditioner.encode("photo")


def test_control_characters_are_cleaned():
    assert clean_prompt("neon\x00 city\r\n\u200b at\u2028night\ud800") == "neon city at night"
    assert clean_prompt("日本 ñandú 😀") == "日本 ñandú 😀"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_encoded(text):
    conditioner = TextConditioner(load_once())
    context = conditioner.encode(text)
    assert context.embeds.shape == (1, 32, 128)
    assert bool(torch.isfinite(context.embeds).all())


def test_what_does_not_fit_is_said_once_with_the_text_that_is_left_out(model):
    heard: list[tuple[str, str]] = []
    conditioner = TextConditioner(model, on_truncated=lambda prompt, dropped: heard.append((prompt, dropped)))
    prompt = "oil painting " + "vivid " * 40 + "zebra"
    long = conditioner.encode(prompt)
    conditioner.encode(prompt)
    assert len(heard) == 1
    assert heard[0][0] == clean_prompt(prompt)
    assert heard[0][1].endswith("vivid zebra")
    assert conditioner.dropped(prompt) == heard[0][1]
    assert conditioner.dropped("oil painting") == ""
    kept = clean_prompt(prompt).removesuffix(heard[0][1]).strip()
    assert torch.equal(conditioner.encode(kept).embeds, long.embeds)
    assert len(heard) == 1
