"""The text encoder and tokenizer of a single-file Stable Diffusion model."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from pipeline.errors import ModelError
from pipeline.models.clip import ClipConfig, ClipText, clip_weights
from pipeline.models.modules import filled
from pipeline.models.tokenizer import Tokenizer, clip_bpe

_CLIP_L = "cond_stage_model.transformer."
_OPEN_CLIP = "cond_stage_model.model."
_HEAD_WIDTH = 64
_VOCABULARY = Path(__file__).parent / "clip_vocabulary" / "bpe_simple_vocab_16e6.txt.gz"


def single_file_text(tensors: Mapping[str, Tensor], file: Path) -> tuple[ClipText, Tokenizer, bool]:
    """(text encoder, tokenizer, whether it is Stable Diffusion 2's OpenCLIP). Raises ModelError naming the
    file."""
    is_version_2 = any(k.startswith(_OPEN_CLIP) for k in tensors)
    try:
        weights = _open_clip(tensors) if is_version_2 else _clip_l(tensors)
        vocabulary, width = weights["embeddings.token_embedding.weight"].shape
        positions = weights["embeddings.position_embedding.weight"].shape[0]
        config = ClipConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=weights["encoder.layers.0.mlp.fc1.weight"].shape[0],
            num_hidden_layers=len({k.split(".")[2] for k in weights if k.startswith("encoder.layers.")}),
            num_attention_heads=max(width // _HEAD_WIDTH, 1),
            max_position_embeddings=positions,
            hidden_act="gelu" if is_version_2 else "quick_gelu",
        )
    except (KeyError, ValueError) as e:
        raise ModelError(
            f"{file} has no text encoder that is known ({e})", "use a whole SD 1.x or 2.x file"
        ) from e
    # Stable Diffusion 2 pads with "!", whose id is 0; 1.x with the end token.
    pad = "!" if is_version_2 else "<|endoftext|>"
    tokenizer = Tokenizer(
        openai_bpe(pad), max_tokens=positions, start="<|startoftext|>", end="<|endoftext|>", pad=pad
    )
    return filled(lambda: ClipText(config), weights, file), tokenizer, is_version_2


def _clip_l(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return clip_weights({k.removeprefix(_CLIP_L): v for k, v in tensors.items() if k.startswith(_CLIP_L)})


_RENAMED = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def _open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenCLIP's tensors under CLIPTextModel's names, the last layer left out: SD 2 reads the one before
    it."""
    found = {k.removeprefix(_OPEN_CLIP): v for k, v in tensors.items() if k.startswith(_OPEN_CLIP)}
    out = {
        "embeddings.token_embedding.weight": found["token_embedding.weight"],
        "embeddings.position_embedding.weight": found["positional_embedding"],
        "final_layer_norm.weight": found["ln_final.weight"],
        "final_layer_norm.bias": found["ln_final.bias"],
    }
    blocks = "transformer.resblocks."
    last = max(int(k.split(".")[2]) for k in found if k.startswith(blocks))
    for key, value in found.items():
        if not key.startswith(blocks):
            continue
        index, _, name = key.removeprefix(blocks).partition(".")
        if int(index) == last:
            continue
        layer = f"encoder.layers.{index}"
        if name in ("attn.in_proj_weight", "attn.in_proj_bias"):
            kind = name.removeprefix("attn.in_proj_")
            for part, piece in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
                out[f"{layer}.self_attn.{part}.{kind}"] = piece
        else:
            stem, _, kind = name.rpartition(".")
            out[f"{layer}.{_RENAMED[stem]}.{kind}"] = value
    return out


@lru_cache(maxsize=2)
def openai_bpe(pad: str = "<|endoftext|>") -> object:
    """OpenAI CLIP's tokenizer of 49,408 tokens, built as its `simple_tokenizer.py` builds it."""
    lines = gzip.decompress(_VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    merges = [(p[0], p[1]) for p in pairs]
    letters = list(_byte_letters())
    tokens = [*letters, *(c + "</w>" for c in letters), *(a + b for a, b in merges)]
    special = ("<|startoftext|>", "<|endoftext|>")
    vocab = {t: i for i, t in enumerate([*tokens, *special])}
    return clip_bpe(vocab, merges, unknown="<|endoftext|>", special=(*special, pad))


def _byte_letters() -> str:
    """One printable letter for each of the 256 bytes, in OpenAI's order: printable Latin-1 first."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in own]
    return "".join(map(chr, own)) + "".join(chr(256 + n) for n in range(len(rest)))
