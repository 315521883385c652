"""`model:` of the settings → a `Model`: the built-in one, a folder, a hub id or a single file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.errors import ModelError
from pipeline.models.files import in_words
from pipeline.models.folder import Progress, load_folder
from pipeline.models.model import Model
from pipeline.models.parts import joined

BUILTIN = Path(__file__).parent / "builtin"


def load_model(
    name: str,
    *,
    vae: str | None = None,
    loras: Sequence[tuple[str, float]] = (),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    offline: bool = False,
    allow_pickle: bool = False,
    progress: Progress = lambda what, share: None,
) -> Model:
    """Load a model whole, in evaluation mode, on its device.

    name: "builtin", a diffusers folder, a hub id ("stabilityai/sd-turbo") or a `.safetensors` file. vae:
    another autoencoder's folder or hub id. loras: (file, folder or hub id; weight), fused. offline: never
    touch the network. progress(what, share): called from this thread. Raises ModelError with what is wrong
    and what mends it.
    """
    target = torch.device(device)
    path = located(name, offline=offline, progress=progress)
    vae_path = located(vae, offline=offline, progress=progress) if vae else None
    if vae_path is not None and vae_path.is_file():
        raise ModelError(
            f"model.vae: {vae} is a file", "give the folder of a diffusers autoencoder, or its hub id"
        )
    if path.is_dir():
        parts = load_folder(path, vae=vae_path, allow_pickle=allow_pickle, progress=progress)
    else:
        from pipeline.models.single_file import load_single_file

        parts = load_single_file(path, vae=vae_path, allow_pickle=allow_pickle, progress=progress)
    with in_words(path):
        model = joined(name, parts, target, dtype)
    for lora, weight in loras:
        load_lora(model, lora, weight, offline=offline, progress=progress)
    model.set_lora_weights({})
    return model


def load_lora(
    model: Model,
    name: str,
    weight: float = 0.0,
    *,
    offline: bool = False,
    progress: Progress = lambda what, share: None,
) -> None:
    """Read a LoRA (a `.safetensors` file, a folder with one, or a hub id) under its own name.

    It takes force at the next `model.set_lora_weights`. Raises ModelError with its name.
    """
    if name in model.loras.names:
        return
    path = located(name, offline=offline, progress=progress)
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        usual = path / "pytorch_lora_weights.safetensors"
        if len(files) != 1 and usual not in files:
            raise ModelError(
                f"LoRA {name!r}: {path} has {len(files)} .safetensors files", "name the file itself"
            )
        path = usual if usual in files else files[0]
    progress(f"LoRA {name}", None)
    model.loras.load(name, path, weight)


def located(name: str, *, offline: bool, progress: Progress) -> Path:
    """The folder or file of a model's name; a hub id is downloaded unless it already lies in the cache."""
    if name == "builtin":
        return BUILTIN
    path = Path(name).expanduser()
    if path.exists():
        return path
    if (
        path.suffix in {".safetensors", ".ckpt", ".pt", ".bin"}
        or name.startswith((".", "/", "~"))
        or "\\" in name
    ):
        raise ModelError(f"there is no model at {path}", "check the path in model:")
    from pipeline.models.hub import downloaded, is_hub_id

    if not is_hub_id(name):
        raise ModelError(
            f"{name!r} is no model: neither a folder, nor a file, nor a hub id",
            'use "builtin", a diffusers folder, a .safetensors file or an id such as stabilityai/sd-turbo',
        )
    return downloaded(name, offline=offline, progress=progress)
