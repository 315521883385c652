"""On what the engine computes: the device, its number format, how many threads."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

import torch

from pipeline.engine import precision
from pipeline.errors import EngineError

_CARDS: Final = "CUDA_VISIBLE_DEVICES"


def device_for(wanted: str) -> torch.device:
    """auto: the first CUDA (or ROCm) card, else Apple's GPU, else Intel's, else the CPU.

    A card asked for by number becomes cuda:0, the only one that this process sees. Raises EngineError where a device
    is asked for by name that PyTorch cannot see.
    """
    if wanted == "auto":
        return torch.device(next((name for name, there in _present().items() if there), "cpu"))
    device = torch.device(wanted)
    if device.type == "cuda" and device.index is not None:
        _see_only(device.index)
        device = torch.device("cuda:0")
    if not _present().get(device.type, True):
        raise EngineError(
            f"engine.device is {wanted}, but this PyTorch ({torch.__version__}) sees no such device",
            "use engine.device: auto, or install a PyTorch built for it",
        )
    return device


def _see_only(card: int) -> None:
    """Hide all other cards from this process and its children, before any is used.

    A new thread works on card 0, whatever another one has chosen: so the card that is meant has to be that.
    """
    given = _cards_given()
    if not given:
        return  # the caller says that there is none
    if card >= len(given):
        raise EngineError(
            f"engine.device is cuda:{card}, but there are {len(given)} cards",
            "use cuda:0 (nvidia-smi -L lists them)",
        )
    now = os.environ.get(_CARDS, "").split(",")[0] or "0"
    if _is_used() and now != given[card]:
        raise EngineError(
            f"this process computes on another card than cuda:{card} already", "phosphene restart"
        )
    os.environ[_CARDS] = given[card]


def _is_used() -> bool:
    """Whether cards have been looked at: from then on, hiding others has no effect."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


@cache
def _cards_given() -> tuple[str, ...]:
    """The names of the cards that the user's environment leaves to see, once and for all."""
    named = tuple(filter(None, os.environ.get(_CARDS, "").split(",")))
    return named or tuple(map(str, range(torch.cuda.device_count())))  # counted without looking at them


def _present() -> dict[str, bool]:
    """Kinds of devices that this PyTorch sees, best first."""
    return {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xpu": torch.xpu.is_available(),
    }


def dtype_for(wanted: str, device: torch.device) -> torch.dtype:
    """auto: measured (see `pipeline.engine.precision`)."""
    named = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    return named[wanted] if wanted in named else precision.choose(device)


def device_name(device: torch.device) -> str:
    """For people: the card's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def cores() -> int:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def denoiser_threads(available: int) -> int:
    """Threads of one UNet operation on a CPU of so many cores.

    One core is left to decoding, camera and sinks, beyond four a second one; on two cores the UNet has one to
    itself (see `pipeline.runner`).
    """
    return max(1, available - 1 if available <= 4 else available - 2)


def compiled_threads(available: int) -> int:
    """Threads of a compiled engine on a CPU of so many cores, whether one call has them or two at a time.

    All of up to four: they sleep at a barrier, so decoding, camera and sinks take their share by the system's own
    scheduling. Beyond four, two cores are left to those.
    """
    return max(1, available if available <= 4 else available - 2)
