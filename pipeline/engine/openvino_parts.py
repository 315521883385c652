"""Compiled OpenVINO networks called with PyTorch's tensors in place: nothing is copied on the way in or out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from pipeline.engine.courteous import courteously
from pipeline.engine.job import Job
from pipeline.engine.openvino_model import compiled, compiled_unet, is_large, lanes_of
from pipeline.engine.openvino_quiet import openvino
from pipeline.engine.parts import NetworkParts

_ROTATING: Final = 3


def openvino_parts(job: Job, folder: Path) -> NetworkParts:
    """Compiled networks from the cache in `folder`; what is not there yet is compiled on the calling thread."""
    core = openvino().Core()
    encoder, decoder = (compiled(core, folder, job, name) for name in ("encode", "decode"))
    latents = tuple(int(n) for n in decoder.inputs[0].shape)
    pictures = (job.frames, job.height, job.width, 3)

    def unet_for(rows: int) -> list[_Request]:
        unet = courteously(lambda: compiled_unet(core, folder, job, rows))
        return [_Request(unet, (rows, *latents[1:]), torch.float32) for _ in range(lanes_of(job))]

    return NetworkParts(
        _Request(encoder, latents, torch.float32),
        _Request(decoder, pictures, torch.uint8),
        unet_for,
        large=is_large(folder),
    )


class _Request:
    """One network with memory of its own for results; inputs are bound again only where their address changed."""

    def __init__(self, compiled: Any, out: tuple[int, ...], dtype: torch.dtype) -> None:
        ov = openvino()

        self._tensor = ov.Tensor
        self._types = [port.element_type for port in compiled.inputs]
        self._request = compiled.create_infer_request()
        self._bound: list[tuple[int, torch.Size] | None] = [None] * len(self._types)
        self._held: list[Tensor | None] = [None] * len(self._types)
        with torch.inference_mode(False):
            self._results = [torch.empty(out, dtype=dtype) for _ in range(_ROTATING)]
        self._out = [ov.Tensor(result.numpy(), shared_memory=True) for result in self._results]
        self._turn = 0

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        for i, given in enumerate(inputs):
            tensor = given.contiguous()
            place = (tensor.data_ptr(), tensor.shape)
            if self._bound[i] != place:
                self._request.set_input_tensor(i, self._shared(tensor, i))
                self._bound[i] = place
            self._held[i] = tensor  # the memory must outlive the call
        self._turn = (self._turn + 1) % _ROTATING
        self._request.set_output_tensor(0, self._out[self._turn])
        self._request.infer()
        return self._results[self._turn]

    def _shared(self, tensor: Tensor, i: int) -> Any:
        if tensor.dtype is torch.bfloat16:  # numpy has no such numbers: the bits travel as integers
            return self._tensor(tensor.view(torch.int16).numpy(), list(tensor.shape), self._types[i])
        return self._tensor(tensor.numpy(), shared_memory=True)
