"""Which group normalisation is faster on this card, at a UNet's shapes: PyTorch's or ours. Measured at the start."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.engine.agreement import relative
from pipeline.engine.attention import Timer
from pipeline.models.group_norm import GroupNorm
from pipeline.models.unet import UNet

log = logging.getLogger(__name__)

Call = tuple[tuple[int, ...], int, bool]
"""Of a norm: the shape of its input, its groups, and whether SiLU follows."""


class NotInstalledError(Exception):
    """The kernels' compiler is not there."""


class Kernel(Protocol):
    """As `triton_group_norm.group_norm`."""

    def __call__(
        self, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float, *, silu: bool
    ) -> Tensor: ...


class FusedGroupNorm(nn.Module):
    """In place of a `GroupNorm`, over the same two tensors, by a kernel for channels_last."""

    def __init__(self, norm: GroupNorm, kernel: Kernel) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self._groups, self._eps, self._kernel = norm.num_groups, norm.eps, kernel

    def forward(self, x: Tensor) -> Tensor:
        return self._computed(x, silu=False)

    def with_silu(self, x: Tensor) -> Tensor:
        return self._computed(x, silu=True)

    def _computed(self, x: Tensor, *, silu: bool) -> Tensor:
        nhwc = x.contiguous(memory_format=torch.channels_last)
        return self._kernel(nhwc, self.weight, self.bias, self._groups, self._eps, silu=silu)


def fastest_on_card(unet: UNet, inputs: Sequence[Tensor]) -> tuple[UNet, str]:
    """`fastest` with the kernels in Triton, as replayed from a recording, beside whatever the card does meanwhile."""
    from pipeline.engine.card_timer import CardTimer

    device = inputs[0].device
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        chosen = fastest(unet, inputs, CardTimer(device), _in_triton)
        stream.synchronize()
    return chosen


def fastest(
    unet: UNet, inputs: Sequence[Tensor], milliseconds: Timer, load: Callable[[], Kernel]
) -> tuple[UNet, str]:
    """`unet`, or a copy over the same tensors whose norms are the kernel's; and in words whose norms those are.

    inputs: of one call, as `parts.example` makes them. The kernel is taken if it is at most twice as far from float32
    as PyTorch's and faster, summed over the norms of such a call. Never raises for a kernel that fails.
    """
    try:
        kernel = load()
        ours = theirs = 0.0
        for call, times in _calls(unet, inputs).items():
            norm, x = _drawn(call, inputs[0].device, unet.conv_in.weight.dtype)
            fused = FusedGroupNorm(norm, kernel)
            if (wrong := _difference(norm, fused, x, silu=call[2])) is not None:
                return unet, f"torch (Triton's differs: {wrong})"
            ours += times * milliseconds(partial(_run, fused, x, silu=call[2]))
            theirs += times * milliseconds(partial(_run, norm, x, silu=call[2]))
    except NotInstalledError as error:
        return unet, f"torch ({error})"
    except Exception as error:  # no C compiler, no memory left, a card or a driver that Triton does not know
        log.warning("group normalisation in Triton cannot be measured; PyTorch's is used", exc_info=True)
        first = str(error).partition("\n")[0]
        return unet, f"torch (measuring Triton's failed: {type(error).__name__}: {first})"
    said = f"Triton's takes {ours:.2f} ms a call of the UNet and PyTorch's {theirs:.2f} ms"
    log.info("group normalisation: %s", said)
    if ours >= theirs:
        return unet, f"torch ({said})"
    return with_norms(unet, lambda norm: FusedGroupNorm(norm, kernel)), f"triton ({said})"


def _in_triton() -> Kernel:
    try:
        from pipeline.engine.triton_group_norm import group_norm
    except ModuleNotFoundError as error:
        if error.name != "triton":
            raise
        raise NotInstalledError("Triton is not installed: pip install triton") from None
    return group_norm


def with_norms(unet: UNet, make: Callable[[GroupNorm], nn.Module]) -> UNet:
    """A copy of the tree of modules over the same tensors, so that weights written into them reach it."""
    tensors = [
        value
        for module in unet.modules()
        for value in (*vars(module).values(), *module._parameters.values(), *module._buffers.values())
        if isinstance(value, Tensor)
    ]
    copied = copy.deepcopy(unet, {id(tensor): tensor for tensor in tensors})
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, GroupNorm):
                setattr(module, name, make(child))
    return copied


class _Noting(nn.Module):
    """A norm that takes down how it is called."""

    def __init__(self, norm: GroupNorm, calls: Counter[Call]) -> None:
        super().__init__()
        self._norm, self._calls = norm, calls

    def forward(self, x: Tensor) -> Tensor:
        self._calls[tuple(x.shape), self._norm.num_groups, False] += 1
        out: Tensor = self._norm(x)
        return out

    def with_silu(self, x: Tensor) -> Tensor:
        self._calls[tuple(x.shape), self._norm.num_groups, True] += 1
        return self._norm.with_silu(x)


def _calls(unet: UNet, inputs: Sequence[Tensor]) -> Counter[Call]:
    """How often each kind of norm is called in one call of the UNet: by a UNet without memory, on inputs without."""
    from pipeline.engine.parts import paired

    calls: Counter[Call] = Counter()
    x, waves, *kv = (torch.empty(tuple(t.shape), device="meta") for t in inputs)
    with torch.device("meta"), torch.no_grad():
        noting = with_norms(UNet(unet.config), lambda norm: _Noting(norm, calls))
        noting.predict(x, waves, paired(tuple(kv)))
    return calls


def _drawn(call: Call, device: torch.device, dtype: torch.dtype) -> tuple[GroupNorm, Tensor]:
    """A norm and its input, whose channels have means of their own. Drawn on the CPU: the card's generator belongs to
    whoever records a graph."""
    (rows, channels, height, width), groups, _ = call
    norm = GroupNorm(groups, channels)
    norm.weight.data, norm.bias.data = 1 + 0.2 * torch.randn(channels), torch.randn(channels)
    x = torch.randn(rows, channels, height, width) + torch.randn(1, channels, 1, 1)
    nhwc = x.to(device, dtype).contiguous(memory_format=torch.channels_last)
    return norm.to(device, dtype).requires_grad_(False), nhwc


def _difference(norm: GroupNorm, fused: FusedGroupNorm, x: Tensor, *, silu: bool) -> str | None:
    """None, or how much farther the kernel is from float32 than twice what PyTorch's is."""
    x = x[:1]
    exact = _run(copy.deepcopy(norm).float(), x.float(), silu=silu)
    far, allowed = relative(_run(fused, x, silu=silu), exact), relative(_run(norm, x, silu=silu), exact)
    if far <= 2 * allowed + 1e-5:  # NaN is not
        return None
    return f"{far:.1e} from float32 where PyTorch's is {allowed:.1e}, at {tuple(x.shape)}"


def _run(norm: GroupNorm | FusedGroupNorm, x: Tensor, *, silu: bool) -> Tensor:
    """To channels_last, as the layer behind needs it."""
    out: Tensor = norm.with_silu(x) if silu else norm(x)
    return out.contiguous(memory_format=torch.channels_last)
