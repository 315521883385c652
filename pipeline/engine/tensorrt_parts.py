"""TensorRT engines behind `Parts`: built from ONNX once, called with PyTorch's memory on PyTorch's stream.

Written without a card at hand; `tests/gpu/test_engine_tensorrt.py` is what has to pass on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from pipeline.engine.job import Job
from pipeline.engine.onnx_model import unet_inputs, write_all
from pipeline.engine.parts import NetworkParts
from pipeline.engine.recording import keep
from pipeline.models.model import Model

if TYPE_CHECKING:
    from pipeline.engine.kinds._contract import Say

_LARGE: Final = 300e6
_WORKSPACE: Final = 4 << 30  # bytes of the card that tactics may take while they are tried


def build_engines(model: Model, job: Job, folder: Path, say: Say) -> None:
    """NAME.engine for every part. Timings of kernels are kept in `timing.cache` beside the folders of other keys."""
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.WARNING)
    say("TensorRT: writing the network")
    names = write_all(model, job, folder)
    for name in names:
        if (folder / f"{name}.engine").exists():
            continue
        say(f"TensorRT: building {name}")
        builder = trt.Builder(logger)
        network = builder.create_network(_strongly_typed(trt))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse_from_file(str(folder / f"{name}.onnx")):
            reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise RuntimeError(f"TensorRT cannot read {name}.onnx: {reasons}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
        cache = folder.parent / "timing.cache"
        timings = config.create_timing_cache(cache.read_bytes() if cache.exists() else b"")
        config.set_timing_cache(timings, ignore_mismatch=True)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise RuntimeError(f"TensorRT built nothing for {name}: its log above says why")
        new = folder / f"{name}.engine.new"
        new.write_bytes(bytes(plan))
        new.replace(folder / f"{name}.engine")
        cache.write_bytes(bytes(config.get_timing_cache().serialize()))
    for leftover in (*folder.glob("*.onnx"), *folder.glob("*.onnx.data")):
        leftover.unlink()
    (folder / "large").write_text(str(int(sum(p.numel() for p in model.unet.parameters()) > _LARGE)), "utf-8")


def _strongly_typed(trt: Any) -> int:
    """The network's own precisions hold; since TensorRT 11 every network is so, and the flag is gone."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def tensorrt_parts(job: Job, folder: Path) -> NetworkParts:
    import tensorrt as trt

    runtime, device = trt.Runtime(trt.Logger(trt.Logger.WARNING)), torch.device(job.device)

    def network(name: str, inputs: list[str] | None = None) -> _Network:
        return _Network(runtime, folder / f"{name}.engine", inputs, device)

    large = (folder / "large").read_text("utf-8") == "1"
    return NetworkParts(
        network("encode", ["pictures"]),
        network("decode", ["latents"]),
        lambda rows: [network(f"unet_{rows}")],
        large=large,
    )


class _Network:
    """One engine, enqueued on the current stream, so that a graph can capture it.

    A context is one execution's scratch memory, and a captured one is used again at every replay: so each recording
    has a context and a result of its own, and keeps them.
    """

    def __init__(self, runtime: Any, file: Path, names: list[str] | None, device: torch.device) -> None:
        self._engine = runtime.deserialize_cuda_engine(file.read_bytes())
        if self._engine is None:
            raise RuntimeError(f"TensorRT cannot load {file.name}: it was built for another card or version")
        self._names = names or unet_inputs((self._engine.num_io_tensors - 3) // 2)
        self._shape, self._device = tuple(self._engine.get_tensor_shape("out")), device
        kinds = {"FLOAT": torch.float32, "HALF": torch.float16, "BF16": torch.bfloat16, "UINT8": torch.uint8}
        self._types = {n: kinds[self._engine.get_tensor_dtype(n).name] for n in (*self._names, "out")}
        self._execution: tuple[Any, Tensor] | None = None
        self._held: list[Tensor] = []

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        context, out = self._execution or self._new_execution()
        held = [t.to(self._types[name]).contiguous() for name, t in zip(self._names, inputs, strict=True)]
        for name, tensor in zip(self._names, held, strict=True):
            context.set_tensor_address(name, tensor.data_ptr())
        context.set_tensor_address("out", out.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError("TensorRT refused to run: its log above says why")
        if torch.cuda.is_current_stream_capturing():
            keep((context, out, held))
            self._execution = None  # the recording's, from here on
        else:
            self._execution, self._held = (context, out), held
        return out

    def _new_execution(self) -> tuple[Any, Tensor]:
        with torch.inference_mode(False):
            out = torch.empty(self._shape, dtype=self._types["out"], device=self._device)
        return self._engine.create_execution_context(), out
