"""Strength on the built-in model: how far the picture moves from the camera's rises with the slider."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner
from pipeline.engine.eager import EagerEngine
from pipeline.models.load import load_model
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.sequential import denoise

PICTURES, SIZE = 32, 64


def pictures_of(count: int) -> Tensor:
    """Random scenes, uint8 [count, SIZE, SIZE, 3]: soft fields of colour with a few hard-edged discs."""
    generator = torch.Generator()
    generator.seed()
    coarse = torch.rand((count, 3, 5, 5), generator=generator)
    scenes = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)
    y, x = torch.meshgrid(*[torch.linspace(0, 1, SIZE)] * 2, indexing="ij")
    for scene in scenes:
        for _ in range(4):
            cx, cy, r, *colour = torch.rand(6, generator=generator).tolist()
            inside = (x - cx) ** 2 + (y - cy) ** 2 < (0.05 + 0.25 * r) ** 2
            scene[:, inside] = torch.tensor(colour)[:, None]
    return (scenes.permute(0, 2, 3, 1) * 255).to(torch.uint8)


def test_the_picture_moves_further_the_stronger_it_is() -> None:
    model = load_model("builtin", offline=True)
    engine = EagerEngine(model)
    z = engine.encode(pictures_of(PICTURES))
    camera = model.vae.decode(z)
    distances = []
    for strength in (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0):
        state = Admission(
            context=TextConditioner(model).encode("oil painting"),
            negative=None,
            guidance="none",
            guidance_scale=1.0,
            delta=1.0,
            schedule=Schedule.of(model.alphas_cumprod, model.t_index_list, strength),
            noise=noise_for(3, len(model.t_index_list), *z.shape[1:]),
            revision=0,
        )
        with torch.inference_mode():
            painted = model.vae.decode(
                denoise(engine.predict, z, state, prediction_type=model.prediction_type)
            )
        distances.append((painted - camera).square().mean((1, 2, 3)).sqrt().mean().item())
    assert distances[0] == 0.0
    assert distances == sorted(distances)
    assert distances[-1] > 2 * distances[1]
