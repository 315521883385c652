"""The parts of a model as ONNX files, the form in which TensorRT takes them."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.engine.job import Job
from pipeline.engine.parts import DecodePart, EncodePart, UNetPart, example
from pipeline.models.model import Model

OPSET = 18


def unet_inputs(layers: int) -> list[str]:
    """Names in order: latents, waves, then keys and values of every cross-attention layer."""
    return ["x", "waves", *(f"{which}_{i}" for i in range(layers) for which in ("key", "value"))]


def write_onnx(part: nn.Module, inputs: tuple[Tensor, ...], names: list[str], file: Path) -> None:
    """One part with static shapes. Its numbers are those of the part: make it float16 for TensorRT, which does not
    choose precisions itself any more."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.eval(), inputs, str(file), input_names=names, output_names=["out"], opset_version=OPSET,
            dynamo=True, verbose=False, external_data=True,
        )  # fmt: skip


def write_all(model: Model, job: Job, folder: Path) -> list[str]:
    """encode.onnx, decode.onnx and unet_ROWS.onnx for every number of rows in `job.rows`. Returns the names."""
    device = model.device
    pictures = torch.zeros(job.frames, job.height, job.width, 3, dtype=torch.uint8, device=device)
    sides = job.height // model.vae_scale, job.width // model.vae_scale
    latents = torch.zeros(job.frames, model.latent_channels, *sides, device=device)
    made = ["encode", "decode"]
    write_onnx(EncodePart(model), (pictures,), ["pictures"], folder / "encode.onnx")
    write_onnx(DecodePart(model), (latents,), ["latents"], folder / "decode.onnx")
    for rows in job.rows:
        inputs = example(model, rows, job.height, job.width)
        names = unet_inputs((len(inputs) - 2) // 2)
        write_onnx(UNetPart(model), inputs, names, folder / f"unet_{rows}.onnx")
        made.append(f"unet_{rows}")
    return made
