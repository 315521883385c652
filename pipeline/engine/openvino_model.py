"""The parts of a model as OpenVINO networks. Made in the building process: tracing runs Python for seconds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from pipeline.engine.folded import fold
from pipeline.engine.job import Job
from pipeline.engine.openvino_quiet import openvino
from pipeline.engine.parts import DecodePart, EncodePart, UNetPart, example
from pipeline.models.model import Model

PRECISION: Final = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
MOST_LANES: Final = 2
LARGE: Final = 300e6  # weights: above it every compiled number of rows costs gigabytes


def lanes_of(job: Job) -> int:
    """Frames at a time: two keep every core busy that is not needed elsewhere, and more would each take longer."""
    return min(MOST_LANES, job.threads)


def threads_of(job: Job) -> int:
    """Of one call of one network."""
    return job.threads // lanes_of(job)


def settings_of(job: Job, cache: Path, *, lanes: int = 1) -> dict[str, Any]:
    """Of one compiled part: so many requests at a time, in the eager engine's precision.

    Without spinning: oneTBB's workers sleep where OpenMP's burn the core they wait on.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": lanes,
        "INFERENCE_NUM_THREADS": lanes * threads_of(job),
        "INFERENCE_PRECISION_HINT": PRECISION[job.dtype],
        "ENABLE_CPU_PINNING": False,  # the system moves threads away from a busy camera
        "CPU_DENORMALS_OPTIMIZATION": True,
        "CACHE_DIR": str(cache),
    }


def write_networks(model: Model, job: Job, folder: Path) -> None:
    """encode, unet and decode (.xml and .bin) for any number of rows; weights in 16 bits, as models are stored.

    `model` is float32 and of no other use afterwards: it is folded. The precision of the numbers is chosen when a
    network is compiled.
    """
    fold(model)
    ov = openvino()
    from openvino.preprocess import PrePostProcessor

    pictures = torch.zeros(job.frames, job.height, job.width, 3, dtype=torch.uint8)
    latents = torch.zeros(
        job.frames, model.latent_channels, job.height // model.vae_scale, job.width // model.vae_scale
    )
    for name, part, inputs in (
        ("encode", EncodePart(model), (pictures,)),
        ("decode", DecodePart(model), (latents,)),
        ("unet", UNetPart(model), example(model, 2, job.height, job.width)),
    ):
        network = traced(part, inputs)
        if name == "unet":
            prepared = PrePostProcessor(network)
            for i in range(
                2, len(inputs)
            ):  # keys and values come in the model's own numbers, and are not copied
                prepared.input(i).tensor().set_element_type(getattr(ov.Type, PRECISION[job.dtype]))
            network = prepared.build()
            wild = [[-1, *t.shape[1:]] for t in inputs]
        else:
            wild = [list(t.shape) for t in inputs]
        network.reshape(dict(zip(network.inputs, wild, strict=True)))
        ov.save_model(network, folder / f"{name}.xml", compress_to_fp16=True)


def traced(part: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """An OpenVINO network of `part`.

    Through the front end itself: `openvino.convert_model` would do the same, and more besides.
    """
    openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the trace holds for this canvas, and is used for no other
        decoder = TorchScriptPythonDecoder(
            part.eval(), example_input=inputs, trace_kwargs={"check_trace": False}
        )
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def unet_of(core: Any, folder: Path, rows: int) -> Any:
    """The UNet's network for so many rows, not compiled."""
    network = core.read_model(folder / "unet.xml")
    network.reshape({port: [rows, *list(port.partial_shape)[1:]] for port in network.inputs})
    return network


def compiled(core: Any, folder: Path, job: Job, name: str) -> Any:
    """encode or decode, from the cache in `folder` where it is there."""
    network = core.read_model(folder / f"{name}.xml")
    return core.compile_model(network, "CPU", settings_of(job, folder / "compiled"))


def compiled_unet(core: Any, folder: Path, job: Job, rows: int) -> Any:
    """The UNet for so many rows and all lanes, which share its weights; as `compiled`."""
    settings = settings_of(job, folder / "compiled", lanes=lanes_of(job))
    return core.compile_model(unet_of(core, folder, rows), "CPU", settings)


def is_large(folder: Path) -> bool:
    return (folder / "unet.bin").stat().st_size / 2 > LARGE
