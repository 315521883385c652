"""A CUDA graph for a CPU: the operations of one run, replayed on the very memory they ran on.

Python does not run again: a value that was read by Python is fixed, a tensor that was not static is not seen. So
whatever works on this tape keeps the discipline that a captured graph needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.saved: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default or func is torch.ops.aten.item.default:
            raise AssertionError("a number is read back from the device inside a recording")
        for argument, value in zip(func._schema.arguments, args, strict=False):
            alias = argument.alias_info
            if alias is not None and alias.is_write and isinstance(value, Tensor):
                self.saved.setdefault(id(value), (value, value.clone()))
        out = func(*args, **kwargs)
        self.operations.append(
            (func, args, kwargs, [t for t in tree_flatten(out)[0] if isinstance(t, Tensor)])
        )
        return out


class TapeRecorder:
    """A `Recorder`. Recording leaves no effect on what was there before, as a capture does."""

    def __init__(self) -> None:
        self.recorded = 0

    def record(
        self, work: Callable[[], Any], warm_up: Callable[[], Any] | None = None, *, apart: bool = False
    ) -> tuple[Any, Callable[[], None]]:
        (warm_up or work)()
        with torch.no_grad(), _Tape() as tape:
            result = work()
        for tensor, before in reversed(list(tape.saved.values())):
            tensor.copy_(before)
        self.recorded += 1
        for tensor in tree_flatten(result)[0]:
            tensor.zero_()  # what a capture returns holds nothing before the first replay

        @torch.no_grad()
        def replay() -> None:
            for func, args, kwargs, outs in tape.operations:
                again = [t for t in tree_flatten(func(*args, **kwargs))[0] if isinstance(t, Tensor)]
                for old, new in zip(outs, again, strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)

        return result, replay
