"""uint8 pictures in, uint8 pictures out: the two ends of the engine."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Pictures = npt.NDArray[np.uint8] | Tensor
"""RGB uint8 [F, H, W, 3]."""


class PictureBuffer:
    """uint8 pictures as the VAE's input, in static buffers (of the shape seen last)."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._buffer = torch.empty(0, device=device, dtype=dtype)
        self._staging = torch.empty(0, dtype=torch.uint8)
        self._uploaded = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def fill(self, pictures: Pictures) -> Tensor:
        """[F, H, W, 3] uint8 → [F, 3, H, W] in [0, 1], channels_last; valid until the next call."""
        if (
            len(pictures.shape) != 4
            or pictures.shape[-1] != 3
            or pictures.dtype not in (torch.uint8, np.uint8)
        ):
            raise ValueError(
                f"pictures must be uint8 [F, H, W, 3], not {pictures.dtype} {tuple(pictures.shape)}"
            )
        # HWC seen as CHW is channels_last already: one pass converts the numbers, a second scales them in
        # place.
        nchw = self._on_device(pictures).permute(0, 3, 1, 2)
        if self._buffer.shape != nchw.shape:
            self._buffer = torch.empty(
                nchw.shape, device=self._device, dtype=self._dtype, memory_format=torch.channels_last
            )
        return self._buffer.copy_(nchw).mul_(1.0 / 255.0)

    def _on_device(self, pictures: Pictures) -> Tensor:
        if isinstance(pictures, Tensor) and pictures.device.type == self._device.type:
            return pictures
        if self._uploaded is None and isinstance(pictures, np.ndarray) and pictures.flags.writeable:
            return torch.from_numpy(pictures).to(self._device)
        # Page-locked memory uploads without the CPU; a read-only array cannot become a tensor without a copy.
        if self._staging.shape != pictures.shape:
            self._staging = torch.empty(
                pictures.shape, dtype=torch.uint8, pin_memory=self._uploaded is not None
            )
        elif self._uploaded is not None:
            self._uploaded.synchronize()  # the upload before this one still reads the staging buffer
        np.copyto(self._staging.numpy(), np.asarray(pictures))
        uploaded = self._staging.to(self._device, non_blocking=True)
        if self._uploaded is not None:
            self._uploaded.record()
        return uploaded


class Pending(Protocol):
    """Pictures that were asked for and need not be there yet."""

    def ready(self) -> bool:
        """True when `result()` would not wait."""
        ...

    def result(self) -> Tensor:
        """RGB uint8 [F, H, W, 3] on the CPU, C-contiguous."""
        ...


class ReadyPictures:
    """Pictures that are there."""

    def __init__(self, pictures: Tensor) -> None:
        self._pictures = pictures

    def ready(self) -> bool:
        return True

    def result(self) -> Tensor:
        return self._pictures


class PendingPictures:
    """Decoded pictures on their way to the CPU."""

    def __init__(self, decoded: Tensor) -> None:
        """`decoded`: [F, 3, H, W], about [0, 1]. Started on the current stream, not waited for."""
        whole = decoded.mul(255.0).add_(0.5).clamp_(0.0, 255.0).to(torch.uint8)
        hwc = whole.permute(0, 2, 3, 1).contiguous()
        self._done: torch.cuda.Event | None = None
        if hwc.device.type == "cuda":
            self._pictures = torch.empty(hwc.shape, dtype=torch.uint8, pin_memory=True)
            self._pictures.copy_(hwc, non_blocking=True)
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record()
        else:
            self._pictures = hwc.cpu()

    def ready(self) -> bool:
        """True when `result()` would not wait."""
        return self._done is None or bool(self._done.query())  # type: ignore[no-untyped-call]

    def result(self) -> Tensor:
        """RGB uint8 [F, H, W, 3] on the CPU, C-contiguous."""
        if self._done is not None:
            self._done.synchronize()
        return self._pictures
