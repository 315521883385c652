"""The package streamdiffusion 0.1.1 as its users run it: uint8 frame in, uint8 frame out.

Nothing of it is changed but what a machine without a card lacks (its timing by CUDA events), and its fixed number of
latent channels, where a model has others.
"""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.measure.alone import Timing

FORMS = {"none": "none", "self": "self", "full": "full", "onetime": "initialize"}


class UntimedEvent:
    """For torch.cuda.Event on a machine without a card."""

    def __init__(self, enable_timing: bool = False) -> None: ...

    def record(self) -> None: ...

    def elapsed_time(self, other: UntimedEvent) -> float:
        return 0.0


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """A diffusers pipeline of that folder."""
    import diffusers

    if device.type != "cuda":
        torch.cuda.Event = UntimedEvent
        torch.cuda.synchronize = lambda *_: None
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=dtype, safety_checker=None, requires_safety_checker=False, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


class Original:
    """One configuration of it. batched: the stream batch; without, one frame goes through all steps in a call."""

    def __init__(
        self,
        pipe: Any,
        size: tuple[int, int],
        t_index_list: tuple[int, ...],
        form: str,
        *,
        batched: bool = True,
        compiled: bool = False,
    ) -> None:
        from streamdiffusion import StreamDiffusion

        dtype, (width, height) = pipe.unet.dtype, size
        self.stream = stream = StreamDiffusion(
            pipe, list(t_index_list), torch_dtype=dtype, width=width, height=height,
            use_denoising_batch=batched, cfg_type=FORMS[form],
        )  # fmt: skip
        stream.prepare("oil painting", guidance_scale=1.0 if form == "none" else 1.4)
        self._fit_channels(pipe.unet.config.in_channels)
        if compiled:
            # What an expert user does: the two models, wrapped by hand. Each configuration is compiled for its own
            # shapes: another one's would make it "dynamic", and slower.
            torch._dynamo.reset()
            stream.vae = copy.deepcopy(stream.vae)
            for owner, name in ((stream, "unet"), (stream.vae, "encoder"), (stream.vae, "decoder")):
                setattr(
                    owner, name, torch.compile(getattr(owner, name), mode="reduce-overhead", dynamic=False)
                )
        self._compiled = compiled
        random = np.random.default_rng()
        self._pictures = [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(4)]
        self._number = 0
        self._steps = len(t_index_list)

    def _fit_channels(self, channels: int) -> None:
        """It draws noise of four channels whatever the model's are."""
        stream = self.stream
        if stream.init_noise.shape[1] != channels:
            for name in ("init_noise", "stock_noise", "x_t_latent_buffer"):
                if (old := getattr(stream, name)) is not None:
                    setattr(stream, name, torch.randn_like(old[:, :1].repeat(1, channels, 1, 1)))

    @torch.no_grad()
    def turn(self) -> np.ndarray:
        if self._compiled:
            torch.compiler.cudagraph_mark_step_begin()
        picture = torch.from_numpy(self._pictures[self._number % len(self._pictures)])
        self._number += 1
        pixels = picture.to(self.stream.device).permute(2, 0, 1)[None].to(self.stream.dtype) / 255
        out = self.stream(pixels)
        whole = (out / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
        pixels_out: np.ndarray = whole[0].permute(1, 2, 0).contiguous().cpu().numpy()
        return pixels_out

    def warm_up(self) -> None:
        for _ in range(self._steps + 3):
            self.turn()

    def run(self, seconds: float, least: int = 3) -> Timing:
        ms: list[float] = []
        begin, end = time.perf_counter(), time.perf_counter() + seconds
        while begin < end or len(ms) < least:
            self.turn()
            now = time.perf_counter()
            ms.append((now - begin) * 1e3)
            begin = now
        return Timing(tuple(ms))
