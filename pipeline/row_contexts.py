"""The prompts of all UNet rows as one context at fixed addresses, rewritten only where a prompt changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.conditioning import TextContext
from pipeline.errors import EngineError


class RowContexts:
    """Stacks one context per block of F rows. The result's tensors stay in place while `generation` does."""

    def __init__(self, frame_buffer_size: int) -> None:
        self.generation = 0
        """Counts reallocations: a graph captured in an earlier generation reads memory no longer used."""
        self.least = 0
        """Blocks there is room for at least."""
        self._F = frame_buffer_size
        self._held: list[TextContext | None] = []  # what each block of the buffers holds
        self._buffers: list[Tensor] = []  # embeds, then keys and values of each layer; capacity · F rows each
        self._stacks: dict[int, TextContext] = {}  # by number of blocks, views of the buffers

    def stack(self, blocks: Sequence[TextContext]) -> TextContext:
        """`blocks`, each R = 1 or F rows, as one context of len(blocks) · F rows. Copies only what changed.

        K/V are used where every block has them. Raises EngineError when two contexts differ in shape.
        """
        cached = all(c.kv is not None for c in blocks)
        parts = [_tensors(c, cached) for c in blocks]
        if max(len(blocks), self.least) > len(self._held) or not _alike(self._buffers, parts[0]):
            self._allocate(max(len(blocks), self.least), parts[0])
        destinations: list[Tensor] = []
        sources: list[Tensor] = []
        for i, (block, tensors) in enumerate(zip(blocks, parts, strict=True)):
            if self._held[i] is block:
                continue
            if not _alike(self._buffers, tensors) or tensors[0].shape[0] not in (1, self._F):
                raise EngineError(
                    f"a prompt of shape {tuple(tensors[0].shape)} cannot share a UNet call "
                    f"with one of shape {tuple(parts[0][0].shape)}",
                    "encode all prompts with the same text encoder",
                )
            for buffer, tensor in zip(self._buffers, tensors, strict=True):
                destinations.append(buffer[i * self._F : (i + 1) * self._F])
                sources.append(tensor.expand(self._F, *tensor.shape[1:]))
            self._held[i] = block
        if destinations:
            torch._foreach_copy_(destinations, sources)
        return self.view(len(blocks))

    def view(self, blocks: int) -> TextContext:
        """The first `blocks` blocks, always the same tensors in one generation."""
        if blocks not in self._stacks:
            self._stacks[blocks] = self._view(blocks * self._F)
        return self._stacks[blocks]

    @torch.inference_mode(False)  # tensors made in inference mode could not be written to outside of it
    def _allocate(self, blocks: int, like: Sequence[Tensor]) -> None:
        self._held = [None] * blocks
        self._buffers = [t.new_empty((blocks * self._F, *t.shape[1:])) for t in like]
        self._stacks.clear()
        self.generation += 1

    def _view(self, rows: int) -> TextContext:
        embeds, *kv = (b[:rows] for b in self._buffers)
        return TextContext(embeds, tuple(zip(kv[::2], kv[1::2], strict=True)) if kv else None)


def _tensors(context: TextContext, with_kv: bool) -> list[Tensor]:
    flat = [context.embeds]
    if with_kv and context.kv is not None:
        for key, value in context.kv:
            flat += [key, value]
    return flat


def _alike(buffers: Sequence[Tensor], tensors: Sequence[Tensor]) -> bool:
    """Same number of tensors with the same dtype, device and shape beyond the rows."""
    return len(buffers) == len(tensors) and all(
        b.shape[1:] == t.shape[1:] and b.dtype == t.dtype and b.device == t.device
        for b, t in zip(buffers, tensors, strict=True)
    )
