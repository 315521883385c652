"""The parts of a model compiled ahead of time by PyTorch's Inductor: one package a part and number of rows.

Ahead of time, because `torch.compile` traces in the process that paints and holds Python's lock meanwhile. A package is
code without weights: it reads the painter's own, so that it loads in a moment (with gigabytes inside, loading would
hold that lock too), costs no memory for each number of rows, and follows a LoRA. Only a UNet's with rounded weights
(8 bits) has them inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from pipeline.engine.denormals import flushed
from pipeline.engine.job import Job
from pipeline.engine.parts import DecodePart, EncodePart, Network, NetworkParts, UNetPart, example
from pipeline.models.model import Model

if TYPE_CHECKING:
    from pipeline.engine.kinds._contract import Say

_LARGE: Final = 300e6  # weights: each number of rows takes minutes to compile


def compile_parts(model: Model, job: Job, folder: Path, say: Say) -> None:
    """encode.pt2, decode.pt2 and unet_ROWS.pt2 for every number of rows in `job.rows`; what is there stays."""
    pictures = torch.zeros(job.frames, job.height, job.width, 3, dtype=torch.uint8, device=model.device)
    sides = job.height // model.vae_scale, job.width // model.vae_scale
    latents = torch.zeros(job.frames, model.latent_channels, *sides, device=model.device)
    wanted: list[tuple[str, nn.Module, tuple[Tensor, ...]]] = [
        ("encode", EncodePart(model), (pictures,)),
        ("decode", DecodePart(model), (latents,)),
    ]
    wanted += [(f"unet_{r}", UNetPart(model), example(model, r, job.height, job.width)) for r in job.rows]
    with _fastest_attention(model, job):
        for name, part, inputs in wanted:
            if not (folder / f"{name}.pt2").exists():
                say(f"Inductor: {name}")
                compile_part(part.eval(), inputs, folder / f"{name}.pt2", weights_inside=_inside(job, name))
    (folder / "large").write_text(str(int(sum(p.numel() for p in model.unet.parameters()) > _LARGE)), "utf-8")


def _inside(job: Job, name: str) -> bool:
    """Whether a part's package holds its weights: the painter has no rounded ones."""
    return job.eight_bit is not None and name.startswith("unet")


@contextmanager
def _fastest_attention(model: Model, job: Job) -> Iterator[None]:
    """On a card the kernel is chosen while compiling: the one that was measured here. Nobody paints in this process."""
    if model.device.type != "cuda":
        yield
        return
    from torch.nn.attention import sdpa_kernel

    from pipeline.engine.attention import order_for_model

    with sdpa_kernel(order_for_model(model, job), set_priority=True):
        yield


def compile_part(part: nn.Module, inputs: tuple[Tensor, ...], package: Path, *, weights_inside: bool) -> None:
    """One package. On a card, convolutions and matrix products are autotuned: minutes, once.

    The code that only starts kernels is not optimised: a C++ compiler takes a minute longer over it for nothing.
    """
    configs: dict[str, Any] = {
        "aot_inductor.compile_wrapper_opt_level": "O0",
        "aot_inductor.package_constants_in_so": weights_inside,
    }
    if inputs[0].device.type == "cuda":
        configs["max_autotune"] = True
    with torch.no_grad():
        exported = torch.export.export(part, inputs, strict=False)
        new = package.with_suffix(".new.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=str(new), inductor_configs=configs)
        new.replace(package)


def inductor_parts(job: Job, folder: Path, model: Model) -> NetworkParts:
    """model: the painter's, whose weights the packages read where they lie."""
    device = torch.device(job.device)
    unet = UNetPart(model)

    def network(name: str, part: nn.Module) -> Network:
        # Single-threaded: each package has one caller, and a capture of a graph bears no query of an event.
        path = str(folder / f"{name}.pt2")
        package: Any = torch._inductor.aoti_load_package(path, run_single_threaded=True)
        weights = {} if _inside(job, name) else part.state_dict(keep_vars=True)
        if weights:
            needed = {key: weights[key] for key in package.get_constant_fqns()}
            package.load_constants(needed, check_full_update=True, user_managed=True)

        def run(inputs: Sequence[Tensor], kept: object = weights) -> Tensor:
            with flushed(device):
                out = package(*(t.contiguous() for t in inputs))
            result: Tensor = out[0] if isinstance(out, (list, tuple)) else out
            return result

        return run

    large = (folder / "large").read_text("utf-8") == "1"
    return NetworkParts(
        network("encode", EncodePart(model)),
        network("decode", DecodePart(model)),
        lambda rows: [network(f"unet_{rows}", unet)],
        large=large,
    )
