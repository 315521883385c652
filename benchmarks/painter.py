"""The built-in model as the benchmarks of the picture use it, and the style bank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.clips import Image
from pipeline.conditioning import TextConditioner
from pipeline.engine.eager import EagerEngine
from pipeline.live_admission import LiveAdmission
from pipeline.messages import LiveState, Style
from pipeline.models.load import load_model
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.sequential import denoise

ROOT = Path(__file__).resolve().parents[1]


class Painter:
    """A model, frame by frame, as the daemon runs it with one frame in flight."""

    def __init__(
        self,
        width: int,
        height: int,
        t_index_list: Sequence[int],
        dtype: torch.dtype,
        model: str = "builtin",
    ) -> None:
        loaded = load_model(model, dtype=dtype)
        self.engine = EagerEngine(loaded)
        self.t_index_list = tuple(t_index_list)
        shape = (loaded.latent_channels, height // loaded.vae_scale, width // loaded.vae_scale)
        self._live = LiveAdmission(
            TextConditioner(loaded),
            lambda indices, strength: Schedule.of(loaded.alphas_cumprod, indices, strength),
            lambda seeds: noise_for(seeds[0][0], len(self.t_index_list), *shape),
            pictures=True,
        )

    def paint(self, latents: torch.Tensor, style: Style) -> Image:
        """One frame's clean latents [1, C, h, w] → RGB uint8 (H, W, 3)."""
        self._live.update(LiveState(style=style, t_index_list=self.t_index_list), 0)
        model = self.engine.model
        clean = denoise(
            self.engine.predict, latents, self._live.at(0)[0], prediction_type=model.prediction_type
        )
        return self.engine.decode(clean)[0].numpy()

    def latents(self, image: Image) -> torch.Tensor:
        return self.engine.encode(image[None])

    def rebuilt(self, image: Image) -> Image:
        """Encoded and decoded, nothing between."""
        return self.engine.decode(self.latents(image))[0].numpy()


def bank(names: Sequence[str] = ()) -> list[Style]:
    """The styles of `config.yaml`; all of them where no name is given."""
    entries = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["styles"]
    if unknown := set(names) - set(entries):
        raise SystemExit(f"config.yaml has no style {', '.join(sorted(unknown))}")
    return [Style(name=name, **entries[name]) for name in names or entries]
