"""Models load from every place they come in, equal diffusers' own, and say in one sentence what is wrong."""

from __future__ import annotations

import json
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pipeline.conditioning import TextConditioner
from pipeline.engine.eager import EagerEngine
from pipeline.errors import ModelError
from pipeline.models.load import BUILTIN, load_model
from pipeline.models.model import Model
from pipeline.models.parts import Hints, alphas_cumprod
from pipeline.models.tokenizer import load_tokenizer
from tests.unit.tiny_pipelines import full_vae, original_names, save_folder, tiny_pipeline, tiny_vae

SEED = random.randrange(2**31)


@pytest.fixture(scope="module")
def sd15(tmp_path_factory):
    pipeline = tiny_pipeline("sd15", SEED, scheduler="PNDM")
    return pipeline, save_folder(pipeline, tmp_path_factory.mktemp("sd15"))


@pytest.fixture(scope="module")
def turbo(tmp_path_factory):
    pipeline = tiny_pipeline("turbo", SEED, scheduler="Euler")
    return pipeline, save_folder(pipeline, tmp_path_factory.mktemp("turbo"))


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))


def edited(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def compare_with(pipeline, model: Model) -> None:
    """The whole of a loaded model against the diffusers pipeline it came from, in numbers."""
    prompt = "an astronaut, 'quoted' & 42 times"
    ids = pipeline.tokenizer(
        prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    )
    latents, t = torch.randn(2, 4, 16, 16), torch.tensor([99, 739])
    pictures = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        embeds = pipeline.text_encoder(ids.input_ids)[0]
        noise = pipeline.unet(latents, t, embeds.expand(2, -1, -1), return_dict=False)[0]
        encoded = pipeline.vae.encode(pictures.permute(0, 3, 1, 2) / 127.5 - 1.0)
        mean = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    engine, context = EagerEngine(model), TextConditioner(model).encode(prompt)
    assert torch.allclose(context.embeds, embeds, atol=1e-5)
    # channels_last sums in another order, and a random UNet's group norms of few values amplify that.
    error = (engine.predict(latents, t, context) - noise).abs()
    assert error.mean() < 1e-4
    assert error.max() < 5e-3
    z = mean * pipeline.vae.config.scaling_factor
    assert torch.allclose(engine.encode(pictures), z, atol=1e-5)
    assert torch.equal(engine.encode(pictures), engine.encode(pictures)), (
        "no sampling: a still camera is still"
    )
    expected = ((decoded + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1)
    assert (engine.decode(latents).float() - expected).abs().max() <= 1.0


# ---------------------------------------------------------------- what loads


def test_the_builtin_model_is_what_its_configs_say():
    model = load_model("builtin")
    assert (model.latent_channels, model.text_width, model.max_tokens) == (16, 128, 32)
    assert (model.prediction_type, model.default_size, model.vae_scale) == ("v_prediction", 256, 8)
    assert model.t_index_list == (45,)
    assert model.empty_prompt == "photo"
    assert not model.unet.training
    assert not any(p.requires_grad for p in model.unet.parameters())


@pytest.mark.parametrize("family", ["sd15", "turbo"])
def test_a_folder_is_the_pipeline_that_was_saved(family, request):
    pipeline, folder = request.getfixturevalue(family)
    model = load_model(str(folder))
    compare_with(pipeline, model)
    assert (model.latent_channels, model.max_tokens, model.prediction_type) == (4, 77, "epsilon")
    assert model.default_size == 512
    assert torch.allclose(model.alphas_cumprod, pipeline.scheduler.alphas_cumprod, atol=1e-6)


@pytest.mark.parametrize("family", ["sd15", "turbo"])
def test_a_single_file_is_the_pipeline_it_was_made_of(family, request, tmp_path):
    pipeline, _ = request.getfixturevalue(family)
    file = tmp_path / "model.safetensors"
    safetensors.torch.save_file(original_names(pipeline), file)
    model = load_model(str(file), offline=True)
    compare_with(pipeline, model)
    assert model.prediction_type == "epsilon"


@pytest.mark.slow
def test_a_single_file_is_what_diffusers_makes_of_it(turbo, tmp_path):
    from diffusers import StableDiffusionPipeline

    pipeline, folder = turbo
    file = tmp_path / "model.safetensors"
    safetensors.torch.save_file(original_names(pipeline), file)
    theirs = StableDiffusionPipeline.from_single_file(str(file), config=str(folder), local_files_only=True)
    ours = load_model(str(file))
    for a, b in ((theirs.unet, ours.unet), (theirs.vae, ours.vae.autoencoder.vae)):
        assert a.state_dict().keys() == b.state_dict().keys()
        assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_a_lcm_scheduler_and_a_tiny_vae_in_one_folder(tmp_path):
    pipeline = tiny_pipeline("sd15", SEED + 1, vae="tiny", scheduler="LCM")
    compare_with(pipeline, load_model(str(save_folder(pipeline, tmp_path / "m"))))


@pytest.mark.parametrize("make", [tiny_vae, full_vae])
def test_another_vae_takes_the_place_of_the_models_own(sd15, tmp_path, make):
    torch.manual_seed(SEED + 2)
    vae = make()
    vae.save_pretrained(tmp_path / "vae")
    pipeline, folder = sd15
    own, pipeline.vae = pipeline.vae, vae
    try:
        compare_with(pipeline, load_model(str(folder), vae=str(tmp_path / "vae")))
    finally:
        pipeline.vae = own


def test_old_attention_names_in_a_vae_are_understood(sd15, tmp_path):
    pipeline, folder = sd15
    moved = copied(folder, tmp_path / "m")
    file = moved / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for key, value in safetensors.torch.load_file(file).items():
        for new, name in old.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{name}.")
        renamed[key] = value
    assert any("query" in k for k in renamed)
    safetensors.torch.save_file(renamed, file)
    compare_with(pipeline, load_model(str(moved)))


def test_a_fp16_variant_and_shards_are_found(sd15, tmp_path):
    pipeline, folder = sd15
    moved = copied(folder, tmp_path / "m")
    file = moved / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    file.unlink()
    keys = sorted(tensors)
    parts = {"a-00001-of-00002.safetensors": keys[::2], "a-00002-of-00002.safetensors": keys[1::2]}
    for name, some in parts.items():
        safetensors.torch.save_file({k: tensors[k] for k in some}, moved / "unet" / name)
    index = {"weight_map": {k: name for name, some in parts.items() for k in some}}
    (moved / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    text = moved / "text_encoder"
    (text / "model.safetensors").rename(text / "model.fp16.safetensors")
    compare_with(pipeline, load_model(str(moved)))


def test_vocab_and_merges_make_the_same_tokenizer(sd15, tmp_path):
    pipeline, _ = sd15
    bpe = json.loads(pipeline.tokenizer.backend_tokenizer.to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in bpe["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"pad_token": {"content": "<|endoftext|>"}}))
    tokenizer = load_tokenizer(tmp_path, 77)
    texts = [
        "a cat",
        "Hello, WORLD's 12 ñandú 日本 😀",
        "x " * 200,
        "",
        "don't ... <|endoftext|> stop",
        "é\u0301ﬁ",
    ]
    for text in texts:
        expected = pipeline.tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids
        assert tokenizer.encode(text).ids == expected


@pytest.mark.parametrize("kind", ["scaled_linear", "linear", "squaredcos_cap_v2"])
def test_alphas_are_diffusers_own(kind):
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(beta_schedule=kind, beta_start=0.00085, beta_end=0.012)
    assert torch.allclose(alphas_cumprod(theirs.config), theirs.alphas_cumprod, atol=1e-6)


def test_zero_terminal_snr_is_rescaled_and_stays_above_zero():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(beta_schedule="scaled_linear", rescale_betas_zero_snr=True)
    ours = alphas_cumprod(theirs.config)
    assert torch.allclose(ours, theirs.alphas_cumprod, atol=1e-6)
    assert 0 < float(ours[-1]) < 1e-6


def test_v_prediction_of_a_single_file_is_read_from_its_neighbour_or_header(sd15, tmp_path):
    tensors = original_names(sd15[0])
    file = tmp_path / "v.safetensors"
    safetensors.torch.save_file(tensors, file)
    file.with_suffix(".yaml").write_text("model:\n  params:\n    parameterization: v\n")
    assert load_model(str(file)).prediction_type == "v_prediction"
    told = tmp_path / "told.safetensors"
    safetensors.torch.save_file(tensors, told, metadata={"modelspec.prediction_type": "v"})
    assert load_model(str(told)).prediction_type == "v_prediction"


@pytest.mark.slow
def test_loading_the_builtin_model_imports_no_heavy_library():
    """Each of these costs seconds at every start of the engine."""
    code = (
        "import sys; from pipeline.models.load import load_model; from pipeline.engine.eager import EagerEngine;"
        "EagerEngine(load_model('builtin')).warm_up(1, 1, 64, 64);"
        "print([m for m in ('diffusers', 'transformers', 'torch._dynamo', 'scipy') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_progress_is_told_in_order():
    heard: list[tuple[str, float | None]] = []
    load_model("builtin", progress=lambda what, share: heard.append((what, share)))
    shares = [s for _, s in heard if s is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# ---------------------------------------------------------------- what does not


def refused(name: str | Path, **options: object) -> str:
    """The error's one sentence; it must tell what mends it."""
    with pytest.raises(ModelError) as caught:
        load_model(str(name), **options)
    assert caught.value.mend
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_model_that_is_nowhere(tmp_path):
    assert "neither a folder" in refused("no model of this name")
    assert str(tmp_path / "gone.safetensors") in refused(tmp_path / "gone.safetensors")
    assert "model_index.json is missing" in refused(tmp_path)


@pytest.mark.parametrize(
    "part", ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"]
)
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "absent"])
def test_a_damaged_file_is_named(tmp_path, part, damage):
    folder = copied(BUILTIN, tmp_path / "m")
    file = folder / f"{part}.safetensors"
    whole = file.read_bytes()
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"\xff" * 500, "empty": b""}[damage])
    message = refused(folder)
    assert str(file if damage != "absent" else file.parent) in message


def test_a_damaged_single_file_is_named(tmp_path):
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"{not safetensors")
    assert str(file) in refused(file)


def test_weights_that_are_missing_left_over_or_misshapen_are_told(tmp_path):
    for change, said in (
        (lambda w: w.pop("conv_in.bias"), "conv_in.bias is missing"),
        (lambda w: w.update({"aaa": torch.ones(1)}), "aaa is not part of it"),
        (lambda w: w.update({"conv_in.bias": torch.ones(3)}), "conv_in.bias has shape (3,), not (64,)"),
    ):
        folder = copied(BUILTIN, tmp_path / said)
        file = folder / "unet" / "diffusion_pytorch_model.safetensors"
        weights = safetensors.torch.load_file(file)
        change(weights)
        safetensors.torch.save_file(weights, file)
        assert said in refused(folder)


class _Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_refused_and_never_run(sd15, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pipeline, folder = sd15
    moved = copied(folder, tmp_path / "m")
    (moved / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    file = moved / "unet" / "diffusion_pytorch_model.bin"
    file.write_bytes(pickle.dumps({"conv_in.weight": _Bomb()}, protocol=2))
    assert f"{file} is a pickle" in refused(moved)
    assert str(file) in refused(moved, allow_pickle=True), "torch's weights-only reader runs nothing"
    assert not Path("exploded").exists()
    torch.save(pipeline.unet.state_dict(), file)
    compare_with(pipeline, load_model(str(moved), allow_pickle=True))
    checkpoint = tmp_path / "m.ckpt"
    torch.save({"state_dict": original_names(pipeline)}, checkpoint)
    assert "is a pickle" in refused(checkpoint)
    compare_with(pipeline, load_model(str(checkpoint), allow_pickle=True))


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        (
            "model_index.json",
            {"unet": ["diffusers", "SD3Transformer2DModel"]},
            "unet is SD3Transformer2DModel",
        ),
        ("model_index.json", {"text_encoder_2": ["transformers", "CLIPTextModel"]}, "SDXL"),
        ("vae/config.json", {"_class_name": "VQModel"}, "the VAE is VQModel"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow"}, "prediction_type 'flow'"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "magic"}, "beta_schedule 'magic'"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 4000}, "4000 timesteps"),
        ("text_encoder/config.json", {"hidden_act": "swish"}, "hidden_act 'swish'"),
        ("unet/config.json", {"time_cond_proj_dim": 32}, "time_cond_proj_dim 32"),
        ("unet/config.json", {"down_block_types": ["NoSuchBlock"] * 3}, "NoSuchBlock"),
        ("phosphene.json", {"t_index_list": [50]}, "t_index_list [50]"),
        ("phosphene.json", {"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_an_unsupported_setting_is_named(tmp_path, file, changes, said):
    folder = copied(BUILTIN, tmp_path / "m")
    edited(folder / file, **changes)
    assert said in refused(folder)


@pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
def test_a_broken_config_is_named(tmp_path, content):
    folder = copied(BUILTIN, tmp_path / "m")
    (folder / "unet" / "config.json").write_text(content)
    assert str(folder / "unet" / "config.json") in refused(folder)


def test_a_vae_of_another_family_is_refused(tmp_path):
    tiny_vae().save_pretrained(tmp_path / "vae")
    assert "4 latent channels, the UNet 16" in refused("builtin", vae=str(tmp_path / "vae"))


def test_a_file_that_is_no_whole_model_is_refused(tmp_path):
    file = tmp_path / "lora.safetensors"
    safetensors.torch.save_file({"lora_unet_x.lora_down.weight": torch.ones(1)}, file)
    assert "no whole Stable Diffusion model" in refused(file)
    safetensors.torch.save_file({"conditioner.embedders.0.x": torch.ones(1)}, file)
    assert "SDXL" in refused(file)
    safetensors.torch.save_file({"model.diffusion_model.x": torch.ones(1)}, file)
    assert "no text encoder" in refused(file)


def test_hints_have_defaults(tmp_path):
    assert Hints.read({}, tmp_path) == Hints()
    assert Hints.read({"t_index_list": [40, 46]}, tmp_path).t_index_list == (40, 46)
