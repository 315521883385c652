"""A small picture of what a style makes of a standard picture (or of the camera's newest), for tiles and sheets.

It is painted between two live frames by plain PyTorch calls at a size of its own, whatever engine paints the
stream: nothing of the stream batch is touched. The host asks for one at a time and leaves long pauses (see
`daemon.bank.pictures`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner
from pipeline.engine.eager import EagerEngine
from pipeline.errors import EngineError
from pipeline.frame import Image, Size
from pipeline.geometry import cut_to_aspect
from pipeline.messages import Style
from pipeline.models.load import load_lora
from pipeline.models.model import Model
from pipeline.noise import noise_for
from pipeline.pixels import part, resize, size_of
from pipeline.schedule import Schedule
from pipeline.sequential import denoise

QUALITY: Final = 88  # JPEG

Paint = Callable[[], Image]
"""Paints one picture; called on the denoiser's thread."""


def tile_size(model: Model) -> Size:
    """About 8:5, sides that every UNet takes, about a fifth to a half of a frame's work."""
    return Size(256, 160) if model.default_size <= 256 else Size(320, 192)


class StylePainter:
    """Paints styles with `model`. `prepare` runs on one thread, what it returns on another."""

    def __init__(self, model: Model, *, add_noise: bool) -> None:
        self._model = model
        self._add_noise = add_noise
        self._engine = EagerEngine(model)
        self._conditioner = TextConditioner(model, cache_size=8)

    def prepare(
        self, style: Style, t_index_list: tuple[int, ...], picture: Callable[[], Image], size: Size
    ) -> Paint:
        """Everything slow that needs no UNet. picture: HWC RGB uint8, asked when it is painted; the middle of it in
        the aspect of `size` is used. The weights of LoRAs are the caller's to set. Raises what an admission raises."""
        model, steps = self._model, len(t_index_list)
        admission = Admission(
            context=self._conditioner.encode(style.prompt),
            negative=self._conditioner.encode(style.negative_prompt),
            guidance=style.guidance,
            guidance_scale=style.guidance_scale,
            delta=style.delta,
            schedule=Schedule.of(model.alphas_cumprod, t_index_list, style.strength),
            noise=noise_for(
                style.seed,
                steps,
                model.latent_channels,
                size.height // model.vae_scale,
                size.width // model.vae_scale,
                device=model.device,
            ),
            revision=0,
        )

        def paint() -> Image:
            pixels = fitted(picture(), size)
            painted = denoise(
                self._engine.predict,
                self._engine.encode(pixels[None]),
                admission,
                prediction_type=model.prediction_type,
                add_noise=self._add_noise,
            )
            if not bool(painted.isfinite().all()):
                raise EngineError("the picture came out with NaN or infinite values")
            made: Image = self._engine.decode(painted).numpy()[0]
            return made

        return paint

    def with_loras(self, weights: Mapping[str, float], paint: Callable[[], Image]) -> Image:
        """`paint()` under other LoRA weights than those in force; they are put back. On the denoiser's thread, and
        only while nothing is streamed: fusing takes as long as many frames."""
        before = dict(self._model.loras.weights_key)
        for name in weights:
            load_lora(self._model, name)
        try:
            self._model.set_lora_weights({**dict.fromkeys(self._model.loras.names, 0.0), **weights})
            return paint()
        finally:
            self._model.set_lora_weights({**dict.fromkeys(self._model.loras.names, 0.0), **before})

    def in_force(self, weights: Mapping[str, float]) -> bool:
        """Whether the stream is painted under just these LoRA weights."""
        return {n: w for n, w in weights.items() if w} == dict(self._model.loras.weights_key)


def fitted(image: Image, size: Size) -> Image:
    """The middle of `image` (HWC RGB uint8) in the aspect of `size`, resampled to it; C-contiguous."""
    return np.ascontiguousarray(resize(part(image, cut_to_aspect(size_of(image), size)), size))


def demo_picture(size: Size) -> Image:
    """The packaged portrait as the demo source shows it at its start, HWC RGB uint8."""
    import cv2

    from pipeline.sources.demo import PORTRAIT, view_at
    from pipeline.sources.image import load_image

    portrait = load_image(PORTRAIT)
    linear = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(
        portrait, view_at(0.0, size), size, flags=linear, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.ascontiguousarray(shown, np.uint8)


def jpeg(image: Image) -> bytes:
    """HWC RGB uint8 as JPEG."""
    import cv2

    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise EngineError("the picture could not be encoded as JPEG")
    encoded: bytes = data.tobytes()
    return encoded
