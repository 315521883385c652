"""Whether an engine paints what the eager one paints, on the same frames under the same state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.admission import Admission
from pipeline.conditioning import TextContext
from pipeline.engine.likeness import EQUAL_DB, psnr_db, ssim
from pipeline.engine.pictures import Pictures
from pipeline.schedule import clean_from, epsilon_from

if TYPE_CHECKING:
    from pipeline.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Distance:
    """latents, prediction: root mean square of the difference over that of the reference. pictures: mean difference
    of a frame that went through the whole step, in grey levels of 255. Infinite where a number is not finite.

    psnr_db, ssim: of the same pictures (`pipeline.engine.likeness`), to be read and not judged by.
    """

    latents: float
    prediction: float
    pictures: float
    psnr_db: float = EQUAL_DB
    ssim: float = 1.0

    def __str__(self) -> str:
        return (
            f"latents {self.latents:.2%}, prediction {self.prediction:.2%}, pictures {self.pictures:.2f} grey levels, "
            f"PSNR {self.psnr_db:.1f} dB, SSIM {self.ssim:.3f}"
        )

    def worst(self, other: Distance) -> Distance:
        return Distance(
            max(self.latents, other.latents),
            max(self.prediction, other.prediction),
            max(self.pictures, other.pictures),
            min(self.psnr_db, other.psnr_db),
            min(self.ssim, other.ssim),
        )


LIMIT = Distance(latents=0.03, prediction=0.03, pictures=2.0)
"""Twice and more what two kinds of 16-bit rounding differ by (0.4–1.2 % and 0.2–0.8 grey levels measured with the
built-in model), and far below a wrong weight, layout or colour order (over 30 %)."""

LIMIT_8_BIT = Distance(latents=0.03, prediction=0.12, pictures=4.0)
"""Where coarser numbers were asked for: their rounding alone is 1–3 % with linear layers, 3–8 % with all."""


@torch.inference_mode()
def distance(
    reference: Engine, other: Engine, pictures: Pictures, admission: Admission, rows: int | None = None
) -> Distance:
    """Of `other` from `reference` on F frames [F, H, W, 3] admitted under one state, at every step of its schedule.

    Guidance and the schedule are the denoiser's own and the same for both. rows: of a UNet call, as `other` has them
    compiled; None: T·F, those of a stream batch without negative rows.
    """
    schedule, steps, frames = admission.schedule, admission.schedule.steps, pictures.shape[0]
    z = reference.encode(pictures).clone()
    latents = relative(other.encode(pictures), z)
    noise = admission.noise.to(z.device, torch.float32)
    column = (-1, 1, 1, 1)
    a = torch.tensor(schedule.a, device=z.device).repeat_interleave(frames).view(column)
    b = torch.tensor(schedule.b, device=z.device).repeat_interleave(frames).view(column)
    x = a * z.repeat(steps, 1, 1, 1) + b * noise.repeat_interleave(frames, 0)
    tau = torch.tensor(schedule.timesteps, device=z.device).repeat_interleave(frames)
    outputs = [_predicted(engine, x, tau, admission.context, rows or len(x)) for engine in (reference, other)]
    painted = [
        engine.decode(
            clean_from(epsilon_from(out, x, a, b, reference.model.prediction_type), x, a, b)[-frames:]
        ).float()
        for engine, out in zip((reference, other), outputs, strict=True)
    ]
    return Distance(
        latents,
        relative(outputs[1], outputs[0]),
        _mean_difference(painted[1], painted[0]),
        psnr_db(painted[1], painted[0]),
        ssim(painted[1], painted[0]),
    )


def _predicted(engine: Engine, x: Tensor, tau: Tensor, context: TextContext, rows: int) -> Tensor:
    """Of all rows of `x`, in calls of exactly `rows`: the last ones once more where the last call is not full."""
    calls = [range(first, first + rows) for first in range(0, len(x), rows)]
    of_call = [[min(i, len(x) - 1) for i in call] for call in calls]
    out = [
        engine.predict(x[of], tau[of], TextContext.stack([context] * rows).expand(rows)).float().clone()
        for of in of_call
    ]
    return torch.cat(out)[: len(x)]


def relative(got: Tensor, expected: Tensor) -> float:
    """√(mean (got − expected)² / mean expected²); infinite where not finite."""
    difference = (got.float() - expected.float()).pow(2).mean().sqrt()
    value = float(difference / expected.float().pow(2).mean().sqrt().clamp_min(1e-12))
    return value if value == value else float("inf")


def _mean_difference(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().mean())


def objection(found: Distance, limit: Distance = LIMIT) -> str | None:
    """Why an engine at this distance must not paint; None where it may."""
    names = ("latents", "prediction", "pictures")
    too_far = [name for name in names if not getattr(found, name) <= getattr(limit, name)]
    if not too_far:
        return None
    most = f"latents {limit.latents:.0%}, prediction {limit.prediction:.0%}, pictures {limit.pictures:g} grey levels"
    return f"it differs from the eager engine ({found}; at most {most})"
