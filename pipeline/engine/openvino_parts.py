"""Compiled OpenVINO networks called with PyTorch's tensors in place: nothing is copied on the way in or out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from pipeline.cross_attention import KV
from pipeline.engine.job import Job
from pipeline.engine.openvino_model import is_large, settings_of, unet_of
from pipeline.engine.openvino_quiet import openvino
from pipeline.engine.parts import flat

_ROTATING: Final = 3


class OpenVinoParts:
    """See `pipeline.engine.parts.Parts`. Compiled networks come from the cache in `folder`; what is not there yet is
    compiled on the calling thread."""

    def __init__(self, job: Job, folder: Path) -> None:
        ov = openvino()

        self._job = job
        self._folder = folder
        self.large = is_large(folder)
        self._core = ov.Core()
        latents = (job.frames, *self._shape_of_latents())
        self._encode = self._request("encode", job.threads, latents, torch.float32)
        pictures = (job.frames, job.height, job.width, 3)
        self._decode = self._request("decode", max(1, job.threads // 2), pictures, torch.uint8)
        self._unets: dict[int, _Request] = {}

    def _shape_of_latents(self) -> tuple[int, int, int]:
        network = self._core.read_model(self._folder / "decode.xml")
        _, channels, height, width = (int(n) for n in network.inputs[0].shape)
        return channels, height, width

    def _request(self, name: str, threads: int, out: tuple[int, ...], dtype: torch.dtype) -> _Request:
        settings = settings_of(self._job, threads, self._folder / "compiled")
        compiled = self._core.compile_model(
            self._core.read_model(self._folder / f"{name}.xml"), "CPU", settings
        )
        return _Request(compiled, out, dtype)

    def rows(self) -> frozenset[int]:
        return frozenset(self._unets)

    def add(self, rows: int) -> None:
        settings = settings_of(self._job, self._job.threads, self._folder / "compiled")
        compiled = self._core.compile_model(unet_of(self._core, self._folder, rows), "CPU", settings)
        shape = (rows, *self._shape_of_latents())
        self._unets = {**self._unets, rows: _Request(compiled, shape, torch.float32)}

    def encode(self, pictures: Tensor) -> Tensor:
        return self._encode([pictures])

    def unet(self, x: Tensor, waves: Tensor, kv: KV) -> Tensor:
        return self._unets[x.shape[0]]([x, waves, *flat(kv)])

    def decode(self, latents: Tensor) -> Tensor:
        return self._decode([latents])


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

    def __call__(self, inputs: list[Tensor]) -> Tensor:
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
