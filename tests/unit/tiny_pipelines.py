"""Tiny random Stable Diffusion pipelines of the real classes, saved as folders and in CompVis' single-file
names."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

Family = Literal["sd15", "turbo"]

CHANNELS = {"sd15": (32, 64, 64, 64), "turbo": (64, 128, 128, 128)}


def tiny_pipeline(
    family: Family, seed: int, vae: Literal["kl", "tiny"] = "kl", scheduler: str = "PNDM"
) -> Any:
    """SD 1.5 (8 heads a layer, CLIP-L) or SD-Turbo (SD 2.1: 64 wide heads, linear projections, OpenCLIP)."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    channels = CHANNELS[family]
    unet = diffusers.UNet2DConditionModel(
        sample_size=64,
        block_out_channels=channels,
        cross_attention_dim=64,
        attention_head_dim=8 if family == "sd15" else tuple(c // 64 for c in channels),
        use_linear_projection=family == "turbo",
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=3,
            num_attention_heads=1,
            hidden_act="quick_gelu" if family == "sd15" else "gelu",
        )
    )
    kind = {"PNDM": "PNDMScheduler", "Euler": "EulerDiscreteScheduler", "LCM": "LCMScheduler"}[scheduler]
    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
    return diffusers.StableDiffusionPipeline(
        vae=tiny_vae() if vae == "tiny" else full_vae(),
        text_encoder=text,
        tokenizer=clip_tokenizer("<|endoftext|>" if family == "sd15" else "!"),
        unet=unet,
        scheduler=getattr(diffusers, kind)(
            **betas, **({"skip_prk_steps": True} if scheduler == "PNDM" else {})
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tiny_vae() -> Any:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4)


def full_vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )


@lru_cache(maxsize=2)
def clip_tokenizer(pad: str) -> Any:
    """transformers' own CLIPTokenizer with OpenAI's vocabulary."""
    from transformers import CLIPTokenizer

    from pipeline.models.single_file_text import openai_bpe

    model = json.loads(openai_bpe().to_str())["model"]
    return CLIPTokenizer(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]], pad_token=pad)


def save_folder(pipeline: Any, folder: Path) -> Path:
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def original_names(pipeline: Any) -> dict[str, torch.Tensor]:
    """The pipeline's tensors under the names (and shapes) of CompVis' and Stability's checkpoints."""
    out = {f"model.diffusion_model.{_unet_name(k)}": v for k, v in pipeline.unet.state_dict().items()}
    for key, value in pipeline.vae.state_dict().items():
        name = _vae_name(key)
        is_attention = ".mid.attn_1." in name and name.endswith(".weight") and "norm" not in name
        out[f"first_stage_model.{name}"] = value[:, :, None, None] if is_attention else value
    text = {k.removeprefix("text_model."): v for k, v in pipeline.text_encoder.state_dict().items()}
    if pipeline.text_encoder.config.hidden_act == "quick_gelu":
        out |= {f"cond_stage_model.transformer.text_model.{k}": v for k, v in text.items()}
    else:
        out |= {f"cond_stage_model.model.{k}": v for k, v in _open_clip_names(text).items()}
    return {k: v.detach().clone().contiguous() for k, v in out.items()}


_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def _unet_name(key: str) -> str:
    for ours, theirs in _UNET_ENDS.items():
        if key.startswith(f"{ours}."):
            return theirs + key.removeprefix(ours)
    parts = key.split(".")
    if parts[0] == "mid_block":
        kind, j, rest = parts[1], int(parts[2]), parts[3:]
        block = f"middle_block.{1 if kind == 'attentions' else 2 * j}"
    else:
        i, kind, j, rest = int(parts[1]), parts[2], int(parts[3]), parts[4:]
        down = parts[0] == "down_blocks"
        if kind == "downsamplers":
            return f"input_blocks.{3 * (i + 1)}.0.op.{rest[-1]}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * i + 2}.{1 if i == 0 else 2}.conv.{rest[-1]}"
        number = 3 * i + j + 1 if down else 3 * i + j
        block = f"{'input' if down else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}"
    if kind == "resnets":
        rest = [_RESNET[rest[0]], *rest[1:]]
    return ".".join([block, *rest])


def _vae_name(key: str) -> str:
    for ours, theirs in (
        ("conv_norm_out", "norm_out"),
        ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
        ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
        ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
        ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
        ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("conv_shortcut", "nin_shortcut"),
    ):
        key = key.replace(ours, theirs)
    for i in range(4):
        key = key.replace(f"down_blocks.{i}.resnets", f"down.{i}.block")
        key = key.replace(f"down_blocks.{i}.downsamplers.0", f"down.{i}.downsample")
        key = key.replace(f"up_blocks.{i}.resnets", f"up.{3 - i}.block")
        key = key.replace(f"up_blocks.{i}.upsamplers.0", f"up.{3 - i}.upsample")
    return key


def _open_clip_names(text: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With one more layer at the end, which Stable Diffusion 2 does not use."""
    out = {
        "token_embedding.weight": text["embeddings.token_embedding.weight"],
        "positional_embedding": text["embeddings.position_embedding.weight"],
        "ln_final.weight": text["final_layer_norm.weight"],
        "ln_final.bias": text["final_layer_norm.bias"],
        "text_projection": torch.randn(64, 64),
        "logit_scale": torch.tensor(1.0),
    }
    for i in (0, 1, 2, 2):
        ours, theirs = f"encoder.layers.{i}", f"transformer.resblocks.{i}"
        if f"{theirs}.ln_1.weight" in out:
            theirs = f"transformer.resblocks.{i + 1}"
        for kind in ("weight", "bias"):
            stacked = torch.cat(
                [text[f"{ours}.self_attn.{p}.{kind}"] for p in ("q_proj", "k_proj", "v_proj")]
            )
            out[f"{theirs}.attn.in_proj_{kind}"] = stacked
            for a, b in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                out[f"{theirs}.{b}.{kind}"] = text[f"{ours}.{a}.{kind}"]
    return out
