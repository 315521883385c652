"""Models of the Hugging Face hub: what is needed of them and no more, with progress, into huggingface_hub's
cache."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.folder import Progress

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_lora_weights")


def is_hub_id(name: str) -> bool:
    """True for "owner/model"."""
    return re.fullmatch(r"[\w][\w.\-]*/[\w][\w.\-]*", name) is not None


def downloaded(repo: str, *, offline: bool, progress: Progress) -> Path:
    """The folder of a hub model, a VAE or a LoRA: from the cache where it is whole there, else fetched.

    A cached copy is used as it is, without asking the network: a model never changes unasked. Raises
    ModelError in one sentence: offline, no such model, gated, no safetensors, disk full, connection lost.
    """
    from huggingface_hub import constants

    if (cached := _cached(repo)) is not None:
        return cached
    if offline or constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{repo} is not on this machine, and the network is switched off",
            "run once with the network on, or put the model's folder in model:",
        )
    progress(f"looking up {repo}", None)
    return _explained(repo, progress)


def _cached(repo: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repo, local_files_only=True, allow_patterns=["*.json"]))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    return folder if _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    """False for what another program, or an interrupted download, left in the cache without some of its
    files."""
    if not (folder / "model_index.json").is_file():
        return _has_weights(folder)
    tokenizer = [folder / "tokenizer" / name for name in ("tokenizer.json", "merges.txt")]
    parts = [folder / name for name in ("unet", "vae", "text_encoder")]
    return (
        (folder / "scheduler" / "scheduler_config.json").is_file()
        and any(file.is_file() for file in tokenizer)
        and all((part / "config.json").is_file() and _has_weights(part) for part in parts)
    )


def _has_weights(folder: Path) -> bool:
    found = {f.name for f in folder.glob("*.safetensors")}
    shards = {name for name in found if re.search(r"-\d+-of-\d+", name)}
    counts = {int(name.rpartition("-of-")[2].split(".")[0]) for name in shards}
    return bool(found - shards) or (len(counts) == 1 and len(shards) == counts.pop())


def _explained(repo: str, progress: Progress) -> Path:
    """`_fetch` with every way it fails turned into one sentence."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return _fetch(repo, progress)
    except GatedRepoError as e:
        raise ModelError(
            f"{repo} is gated: its owner asks you to accept a licence first",
            f"accept it on https://huggingface.co/{repo}, then run `hf auth login`",
        ) from e
    except (RepositoryNotFoundError, HFValidationError) as e:
        raise ModelError(
            f"the hub has no model {repo} (or it is private)",
            "check the id; for a private one run `hf auth login`",
        ) from e
    except HfHubHTTPError as e:
        raise ModelError(f"{repo}: the hub answered {e.response.status_code}", "try again later") from e
    except (LocalEntryNotFoundError, HTTPError, ConnectionError, TimeoutError) as e:
        raise ModelError(
            f"{repo} cannot be downloaded: the hub cannot be reached ({type(e).__name__})",
            "check the network, or put a model's folder in model:",
        ) from e
    except OSError as e:
        raise ModelError(
            f"{repo} cannot be stored: {e}", "free some disk space, or set HF_HOME to another disk"
        ) from e


def _fetch(repo: str, progress: Progress) -> Path:
    from huggingface_hub import HfApi, constants, hf_hub_download
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    info = HfApi().model_info(repo, files_metadata=True)
    sizes = {s.rfilename: s.size or 0 for s in info.siblings or []}
    files = wanted(repo, sizes)
    total = max(sum(sizes[f] for f in files), 1)
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(cache).free) < total * 1.05:
        raise ModelError(
            f"{repo} needs {total / 1e9:.1f} GB, and {cache} has {free / 1e9:.1f} GB free",
            "free some disk space, or set HF_HOME to another disk",
        )
    before = 0

    class Bar(tqdm):  # type: ignore[misc]
        """huggingface_hub reports through a tqdm class: this one draws nothing and tells `progress`."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "leave": False})

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            progress(f"downloading {repo}", min((before + self.n) / total, 1.0))
            return True

    path = ""
    for file in files:
        path = hf_hub_download(repo, file, tqdm_class=Bar)
        before += sizes[file]
        progress(f"downloading {repo}", min(before / total, 1.0))
    return Path(path).parents[files[-1].count("/")]


def wanted(repo: str, sizes: Mapping[str, int]) -> list[str]:
    """The files of a repository to fetch, of all its names: each part's settings and one set of safetensors.

    The fp16 variant is taken where there is one (half the download, the same picture). Raises ModelError when
    the weights come only as pickles.
    """
    folders: Iterable[str] = PARTS if "model_index.json" in sizes else ("",)
    chosen = [f for f in ("model_index.json", "phosphene.json") if f in sizes]
    for folder in folders:
        prefix = f"{folder}/" if folder else ""
        inside = [f for f in sizes if f.startswith(prefix) and "/" not in f.removeprefix(prefix)]
        chosen += [
            f for f in inside if f.endswith((".json", ".txt")) and ".index." not in f and f not in chosen
        ]
        if folder in ("tokenizer", "scheduler"):
            continue
        weights = [f for f in inside if f.endswith(".safetensors")]
        known = [f for f in weights if f.removeprefix(prefix).startswith(_STEMS) and ".non_ema" not in f]
        weights = known or weights
        half = [f for f in weights if ".fp16" in f]
        weights = half or weights
        if not weights:
            raise ModelError(
                f"{repo} has no safetensors in {folder or 'its folder'} (only pickles, which can run code)",
                "choose a model that comes as .safetensors",
            )
        shards = [f for f in weights if re.search(r"-\d+-of-\d+", f)]
        whole = [f for f in weights if f not in shards]
        chosen += whole or shards
        if not whole:
            chosen += [
                f for f in inside if f.endswith(".json") and ".index." in f and ("fp16" in f) == bool(half)
            ]
    return chosen
