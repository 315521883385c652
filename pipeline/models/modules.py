"""A network of known shape filled with a file's tensors, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pipeline.errors import ModelError

Module = TypeVar("Module", bound=nn.Module)


class _NoInitialValues(TorchFunctionMode):
    """Leaves out `torch.nn.init`: on tensors without memory it does nothing, after importing half of PyTorch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def filled(make: Callable[[], Module], weights: Mapping[str, Tensor], where: Path) -> Module:
    """`make()`'s module with exactly these weights, in evaluation mode, with no gradients.

    It is made without memory first, so that nothing is initialised at random only to be overwritten. Raises
    ModelError naming `where` when a tensor is missing, left over or of another shape.
    """
    with torch.device("meta"), _NoInitialValues():
        module = make()
    expected = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    problems = [f"{k} is missing" for k in expected.keys() - weights.keys()]
    problems += [f"{k} is not part of it" for k in weights.keys() - expected.keys()]
    problems += [
        f"{k} has shape {tuple(weights[k].shape)}, not {shape}"
        for k, shape in expected.items()
        if k in weights and tuple(weights[k].shape) != shape
    ]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ModelError(
            f"{where}: the weights do not fit the config ({min(problems)}{more})",
            "download or copy the model again",
        )
    module.load_state_dict(dict(weights), strict=True, assign=True)
    return module.eval().requires_grad_(False)
