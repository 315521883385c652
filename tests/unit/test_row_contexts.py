"""The stacked prompts of a UNet call: right rows, steady addresses, copies only of what changed."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.conditioning import TextContext
from pipeline.row_contexts import RowContexts


def context(layers: int = 2, rows: int = 1) -> TextContext:
    """Random embeddings [rows, 5, 6] and the keys and values of `layers` layers, 2 heads of width 4."""
    kv = tuple((torch.randn(rows, 2, 5, 4), torch.randn(rows, 2, 5, 4)) for _ in range(layers))
    return TextContext(torch.randn(rows, 5, 6), kv or None)


def tensors(of: TextContext) -> list[torch.Tensor]:
    return [of.embeds, *(t for pair in of.kv or () for t in pair)]


def test_every_row_has_its_prompt() -> None:
    contexts = RowContexts(frame_buffer_size=3)
    for blocks in ([context(), context()], [context(), context(rows=3)], [context()] * 4, [context()]):
        stacked = contexts.stack(blocks)
        for i, block in enumerate(blocks):
            for got, expected in zip(tensors(stacked), tensors(block), strict=True):
                assert got.shape[0] == 3 * len(blocks)
                assert torch.equal(got[3 * i : 3 * i + 3], expected.expand(3, *expected.shape[1:]))


def test_only_a_changed_prompt_is_copied_and_nothing_moves() -> None:
    copied: list[int] = []

    class Copies(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if "copy_" in str(func):
                copied.append(len(args[0]))
            return func(*args, **(kwargs or {}))

    contexts = RowContexts(frame_buffer_size=1)
    a, b, c = context(), context(), context()
    first = contexts.stack([a, b, b])
    with Copies():
        assert contexts.stack([a, b, b]) is first
        again = contexts.stack([a, c, b])
    assert copied == [5]  # one block: embeddings, and keys and values of two layers, in one call
    assert [t.data_ptr() for t in tensors(again)] == [t.data_ptr() for t in tensors(first)]
    assert torch.equal(again.embeds, torch.cat([a.embeds, c.embeds, b.embeds]))
    assert contexts.generation == 1
    contexts.stack([a, b])
    assert contexts.generation == 1  # fewer rows fit where more did
    contexts.stack([a, b, c, a])
    assert contexts.generation == 2


def test_without_cached_keys_on_one_side_the_layers_project_all() -> None:
    contexts = RowContexts(frame_buffer_size=1)
    with_kv, without = context(), context(layers=0)
    assert contexts.stack([with_kv, with_kv]).kv is not None
    mixed = contexts.stack([with_kv, without])
    assert mixed.kv is None
    assert torch.equal(mixed.embeds, torch.cat([with_kv.embeds, without.embeds]))
    assert contexts.stack([with_kv, with_kv]).kv is not None
