"""How large the pictures are that a model was trained on, read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_USUAL: Final = (
    512  # Stable Diffusion 1.5, Turbo and their kin; a hub id is not asked before it is downloaded
)
_LATENT_SCALE: Final = 8


def native_edge(name: str) -> int:
    """Pixels along one side: from a local folder's `unet/config.json` where there is one, else 512."""
    folder = Path(__file__).parent / "builtin" if name == "builtin" else Path(name).expanduser()
    try:
        size = json.loads((folder / "unet" / "config.json").read_text("utf-8")).get("sample_size")
    except (OSError, ValueError):
        return _USUAL
    return int(size) * _LATENT_SCALE if isinstance(size, int) and size >= 8 else _USUAL
