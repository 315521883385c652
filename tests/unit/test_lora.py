"""LoRA: what peft makes of a file, fused; switched live; nothing of a file ever ignored."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pipeline.conditioning import TextConditioner
from pipeline.engine.eager import EagerEngine
from pipeline.errors import ModelError
from pipeline.models.load import load_lora, load_model
from pipeline.models.unet import UNet
from tests.unit.tiny_pipelines import save_folder, tiny_pipeline, tiny_vae

SEED = random.randrange(2**31)
RANK = 3
UNET = (
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v",
    "up_blocks.2.attentions.1.transformer_blocks.0.attn1.to_out.0",
    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "mid_block.attentions.0.proj_in",
    "down_blocks.1.resnets.0.conv1",
    "down_blocks.2.resnets.0.time_emb_proj",
    "up_blocks.0.upsamplers.0.conv",
)
TEXT = ("text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc2")


@pytest.fixture(scope="module")
def pipeline_and_folder(tmp_path_factory):
    pipeline = tiny_pipeline("sd15", SEED, scheduler="LCM")
    pipeline.vae = tiny_vae()
    return pipeline, save_folder(pipeline, tmp_path_factory.mktemp("model"))


@pytest.fixture
def model(pipeline_and_folder):
    return load_model(str(pipeline_and_folder[1]))


def random_factors(model, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """(down, up) of every layer above, of the right shapes."""
    generator = torch.Generator().manual_seed(seed)
    modules = dict(model.unet.named_modules())
    texts = {f"text_model.{n}": m for n, m in model.text_encoder.named_modules()}
    out = {}
    for part, names, found in (("unet", UNET, modules), ("text_encoder", TEXT, texts)):
        for name in names:
            weight = found[name].weight
            down = torch.randn(RANK, *weight.shape[1:], generator=generator) * 0.3
            up = torch.randn(weight.shape[0], RANK, *(1,) * (weight.ndim - 2), generator=generator) * 0.3
            out[f"{part}.{name}"] = (down, up)
    return out


def kohya_file(
    model, path: Path, seed: int, alpha: float | None, parts: tuple[str, ...] = ("unet", "text_encoder")
) -> Path:
    tensors = {}
    for name, (down, up) in random_factors(model, seed).items():
        part, _, layer = name.partition(".")
        if part not in parts:
            continue
        flat = f"lora_{'unet' if part == 'unet' else 'te'}_{layer.replace('.', '_')}"
        tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
        if alpha is not None:
            tensors[f"{flat}.alpha"] = torch.tensor(alpha)
    safetensors.torch.save_file(tensors, path)
    return path


def peft_file(model, path: Path, seed: int, metadata: dict[str, str] | None = None) -> Path:
    tensors = {}
    for name, (down, up) in random_factors(model, seed).items():
        if name.startswith("text_encoder."):
            continue
        tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt", **(metadata or {})})
    return path


def noise(unet) -> torch.Tensor:
    """Of our UNet or of diffusers'."""
    generator = torch.Generator().manual_seed(7)
    x, text = torch.randn(1, 4, 16, 16, generator=generator), torch.randn(1, 77, 64, generator=generator)
    with torch.inference_mode():
        if isinstance(unet, UNet):
            return unet(x, torch.tensor([259]), unet.project_text(text))
        return unet(x, torch.tensor([259]), text, return_dict=False)[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # peft and diffusers warn about one another
@pytest.mark.parametrize("form", ["kohya", "kohya without alpha", "peft", "peft with alpha"])
def test_a_fused_lora_is_what_diffusers_and_peft_make_of_the_file(pipeline_and_folder, model, tmp_path, form):
    """On the UNet: diffusers 0.42 drops the text encoder's q, k and v layers of a kohya file without an
    error."""
    pytest.importorskip("peft")
    pipeline, _ = pipeline_and_folder
    file = tmp_path / "style.safetensors"
    if form.startswith("kohya"):
        kohya_file(model, file, SEED, alpha=None if "without" in form else 1.5, parts=("unet",))
    elif form == "peft":
        peft_file(model, file, SEED)
    else:
        settings = {"unet.lora_alpha": 6, "unet.r": RANK, "unet.target_modules": list(UNET)}
        peft_file(model, file, SEED, {"lora_adapter_metadata": json.dumps(settings)})
    before = noise(pipeline.unet)
    pipeline.load_lora_weights(str(file), adapter_name="style")
    try:
        pipeline.set_adapters("style", 0.7)
        theirs = noise(pipeline.unet)
    finally:
        pipeline.unload_lora_weights()
    load_lora(model, str(file))
    model.set_lora_weights({str(file): 0.7})
    assert (theirs - before).abs().max() > 1e-2, "the LoRA must do something"
    error = (noise(model.unet) - theirs).abs()
    assert error.mean() < 1e-3 * (theirs - before).abs().mean()


def test_every_layer_gets_its_low_rank_change_and_no_other_does(model, tmp_path):
    file = str(kohya_file(model, tmp_path / "a.safetensors", SEED, alpha=1.5))
    factors = random_factors(model, SEED)
    before = {n: p.clone() for n, p in _parameters(model).items()}
    load_lora(model, file)
    model.set_lora_weights({file: 0.7})
    for name, after in _parameters(model).items():
        layer = name.removesuffix(".weight").replace("text_encoder.", "text_encoder.text_model.")
        if name.endswith(".weight") and layer in factors:
            down, up = factors[layer]
            change = 0.7 * 1.5 / RANK * (up.flatten(1) @ down.flatten(1))
            assert torch.allclose(after, before[name] + change.reshape(after.shape), atol=1e-5)
        else:
            assert torch.equal(after, before[name])


def _parameters(model) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": p
        for part, root in (("unet", model.unet), ("text_encoder", model.text_encoder))
        for name, p in root.named_parameters()
    }


def test_weights_switch_live_and_zero_is_the_plain_model(model, tmp_path):
    files = [str(kohya_file(model, tmp_path / f"{n}.safetensors", SEED + n, alpha=2.0)) for n in range(2)]
    engine, conditioner = EagerEngine(model), TextConditioner(model)
    x, t = torch.randn(1, 4, 8, 8), torch.tensor([259])

    def picture() -> torch.Tensor:
        return engine.predict(x, t, conditioner.encode("a cat"))

    addresses = {n: p.data_ptr() for n, p in model.unet.named_parameters()}
    plain = picture()
    for file in files:
        load_lora(model, file)
    assert torch.equal(picture(), plain), "loaded with weight 0"
    seen = {}
    for weights in ((1.0, 0.0), (0.0, 1.0), (0.5, -0.5), (1.0, 0.0)):
        model.set_lora_weights(dict(zip(files, weights, strict=True)))
        seen.setdefault(weights, picture())
        assert torch.equal(seen[weights], picture())
        assert not torch.allclose(picture(), plain, atol=1e-3)
    assert not torch.allclose(seen[1.0, 0.0], seen[0.0, 1.0], atol=1e-3)
    model.set_lora_weights({})
    assert torch.equal(picture(), plain), "back to the very same weights"
    assert addresses == {n: p.data_ptr() for n, p in model.unet.named_parameters()}


def test_cached_keys_and_values_follow_the_weights(model, tmp_path):
    file = str(kohya_file(model, tmp_path / "a.safetensors", SEED, alpha=2.0))
    conditioner = TextConditioner(model)
    before = conditioner.encode("a cat")
    load_lora(model, file)
    assert conditioner.encode("a cat") is before
    model.set_lora_weights({file: 1.0})
    after = conditioner.encode("a cat")
    fresh = TextConditioner(model).encode("a cat")
    assert not torch.allclose(after.embeds, before.embeds, atol=1e-4)
    for (k, v), (k_true, v_true) in zip(after.kv, fresh.kv, strict=True):
        assert torch.equal(k, k_true)
        assert torch.equal(v, v_true)
    model.set_lora_weights({file: 0.0})
    assert conditioner.encode("a cat") is before, "known weights are still in the cache"


def test_loras_of_the_settings_are_fused_and_stay(pipeline_and_folder, model, tmp_path):
    base = kohya_file(model, tmp_path / "lcm.safetensors", SEED, alpha=1.0)
    style = kohya_file(model, tmp_path / "style.safetensors", SEED + 1, alpha=1.0)
    fused = load_model(str(pipeline_and_folder[1]), loras=[(str(base), 0.8)])
    assert fused.loras.weights_key == ((str(base), 0.8),)
    load_lora(fused, str(style))
    fused.set_lora_weights({str(style): 0.5})
    assert dict(fused.loras.weights_key) == {str(base): 0.8, str(style): 0.5}
    fused.set_lora_weights({})
    assert fused.loras.weights_key == ((str(base), 0.8),)


def test_a_folder_with_one_lora_is_enough(model, tmp_path):
    kohya_file(model, tmp_path / "pytorch_lora_weights.safetensors", SEED, alpha=1.0)
    load_lora(model, str(tmp_path))
    assert model.loras.names == (str(tmp_path),)


def said(model, file: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_lora(model, str(file))
    assert caught.value.mend
    assert model.loras.names == ()
    return caught.value.message


def test_a_lora_that_does_not_fit_is_an_error_with_its_name(model, tmp_path):
    file = tmp_path / "wrong.safetensors"
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    good = {
        f"{layer}.lora_down.weight": torch.ones(2, 64, 1, 1),
        f"{layer}.lora_up.weight": torch.ones(64, 2, 1, 1),
    }

    def save(**changes: torch.Tensor | None) -> None:
        changed = {**good, **{k.replace("__", "."): v for k, v in changes.items()}}
        safetensors.torch.save_file({k: v for k, v in changed.items() if v is not None}, file)

    for changes, words in (
        ({f"{layer}__lora_up__weight": None}, "has only down"),
        ({f"{layer}__lora_down__weight": torch.ones(2, 320, 1, 1)}, "changes 64×320 weights"),
        ({f"{layer}__lora_up__weight": torch.ones(64, 3, 1, 1)}, "changes"),
        ({f"{layer}__lora_up__weight": torch.full((64, 2, 1, 1), float("nan"))}, "not finite"),
        ({"lora_unet_down_blocks_9_x__lora_down__weight": torch.ones(2, 4)}, "belongs to no layer"),
        ({f"{layer}__dora_scale": torch.ones(64)}, "dora_scale' belongs to no layer"),
        ({f"{layer}__hada_w1_a": torch.ones(64)}, "hada_w1_a' belongs to no layer"),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1__lora_down__weight": torch.ones(1, 64)}, "no layer"),
    ):
        save(**changes)
        message = said(model, file)
        assert words in message
        assert str(file) in message
    save()
    load_lora(model, str(file))


def test_a_broken_empty_missing_or_pickled_lora_is_an_error_with_its_name(model, tmp_path):
    file = tmp_path / "a.safetensors"
    file.write_bytes(b"\x10" * 40)
    assert str(file) in said(model, file)
    safetensors.torch.save_file({}, file)
    assert "is empty" in said(model, file)
    assert "gone.safetensors" in said(model, tmp_path / "gone.safetensors")
    torch.save({}, tmp_path / "a.pt")
    assert "is a pickle" in said(model, tmp_path / "a.pt")


def test_unknown_names_and_wild_weights_change_nothing(model, tmp_path):
    file = str(kohya_file(model, tmp_path / "a.safetensors", SEED, alpha=1.0))
    load_lora(model, file)
    model.set_lora_weights({file: 0.5})
    for weights in ({"other": 1.0}, {file: float("nan")}, {file: float("inf")}):
        with pytest.raises(ModelError, match=r"LoRA '"):
            model.set_lora_weights(weights)
        assert model.loras.weights_key == ((file, 0.5),)
