"""Reading a model's files: plain errors that name the file, safetensors only, nothing executed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.errors import ModelError

AGAIN = "download or copy it again"

MOST_LAYERS = 100
MOST_WIDTH = 1_000_000
MOST_VALUES = 64
"""What no Stable Diffusion model comes near: beyond it, a few bytes of settings would make us build for hours."""


@contextlib.contextmanager
def in_words(where: Path) -> Iterator[None]:
    """What a stranger's settings make our code raise becomes a ModelError that names their file."""
    try:
        yield
    except (
        TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError
    ) as e:  # fmt: skip
        raise ModelError(f"{where}: what it says cannot be used ({type(e).__name__}: {e})", AGAIN) from e


def read_settings(path: Path) -> dict[str, Any]:
    """A network's config.json, refused where its numbers are beyond any real model's. Raises ModelError."""
    settings = read_json(path)
    for key, value in settings.items():
        most = MOST_LAYERS if "layers" in key or ("num_" in key and "block" in key) else MOST_WIDTH
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_VALUES or any(
            isinstance(v, int | float) and not abs(v) <= most for v in values
        ):
            raise ModelError(f"{path}: {key} is {str(value)[:60]}, beyond any model known", AGAIN)
    return settings


def read_text(path: Path) -> str:
    """Raises ModelError naming the file when it is missing, unreadable or no text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise ModelError(f"{path} is missing", "the model's folder is incomplete: download it again") from e
    except (OSError, UnicodeDecodeError) as e:
        raise ModelError(f"{path} cannot be read: {e}", AGAIN) from e


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelError naming the file."""
    try:
        data = json.loads(read_text(path))
    except json.JSONDecodeError as e:
        raise ModelError(f"{path}, line {e.lineno}: not JSON ({e.msg})", AGAIN) from e
    if not isinstance(data, dict):
        raise ModelError(f"{path} holds a {type(data).__name__}, not settings", AGAIN)
    return data


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of one file, on the CPU. Raises ModelError naming the file when it is broken or cut
    short."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(str(path)))
    except FileNotFoundError as e:
        raise ModelError(f"{path} is missing", "the model's folder is incomplete: download it again") from e
    except (SafetensorError, OSError, ValueError, KeyError) as e:
        raise ModelError(f"{path} is no whole safetensors file: {e}", AGAIN) from e


def read_weights(folder: Path, stem: str, *, allow_pickle: bool) -> dict[str, Tensor]:
    """The weights of one part of a model: `stem`.safetensors, its fp16 variant, or its shards.

    A pickle (`.bin`) can run code while it is read: refused with a ModelError unless `allow_pickle`.
    """
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (folder / name).is_file():
            return read_safetensors(folder / name)
    for name in (f"{stem}.safetensors.index.json", f"{stem}.safetensors.index.fp16.json"):
        if (folder / name).is_file():
            with in_words(folder / name):
                shards = sorted(
                    {Path(shard).name for shard in read_json(folder / name)["weight_map"].values()}
                )
            return {k: v for shard in shards for k, v in read_safetensors(folder / shard).items()}
    pickle_stem = "pytorch_model" if stem == "model" else stem
    for name in (f"{pickle_stem}.bin", f"{pickle_stem}.fp16.bin"):
        if (folder / name).is_file():
            return read_pickle(folder / name, allow_pickle=allow_pickle)
    raise ModelError(
        f"{folder} has no {stem}.safetensors", "the model's folder is incomplete: download it again"
    )


def read_pickle(path: Path, *, allow_pickle: bool) -> dict[str, Tensor]:
    """A torch pickle's tensors (through torch's weights-only reader), where the user allowed it."""
    import pickle

    import torch

    refuse_pickle(path, allow_pickle=allow_pickle)
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as e:
        raise ModelError(f"{path} cannot be read as plain weights: {str(e).splitlines()[0]}", AGAIN) from e
    data = data.get("state_dict", data)
    return {k: v for k, v in data.items() if isinstance(v, Tensor)}


def refuse_pickle(path: Path, *, allow_pickle: bool) -> None:
    """Raises ModelError for a file that can run code while it is read, unless the user allowed it."""
    if not allow_pickle:
        raise ModelError(
            f"{path} is a pickle, which can run any code while it is read",
            "use the model's .safetensors file; if you trust this one, set model.allow_pickle: true",
        )
