"""Cross-attention keys and values of a prompt: computed once a prompt, not once a frame.

K = W_k e and V = W_v e of every cross-attention layer depend on the prompt's embedding e alone, and have no
bias: a blend Σ w_i e_i of prompts has exactly the keys Σ w_i K_i and the values Σ w_i V_i.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

LayerKV = tuple[Tensor, Tensor]
"""Keys and values of one layer, each [R, heads, L, head width], R prompts of L tokens."""

KV = tuple[LayerKV, ...]
"""One pair per cross-attention layer, in the order of `unet.named_modules()`."""


class CrossAttentionKV:
    """Makes every cross-attention layer of a diffusers UNet read its keys and values from here.

    Inside `bound(kv)` a forward pass reads the precomputed pairs; outside, each layer computes its own from
    `encoder_hidden_states` (same output). One thread at a time.
    """

    def __init__(self, unet: nn.Module) -> None:
        self.layers: list[Any] = [m for n, m in unet.named_modules() if n.endswith(".attn2")]
        for index, layer in enumerate(self.layers):
            layer.set_processor(_CachedProcessor(self, index))
        self.current: KV | None = None

    @property
    def is_linear(self) -> bool:
        """True where K and V are linear in the embedding, so that a blend may blend the cached pairs.

        False for the rare UNets that normalise the text inside the layer or give `to_k` a bias.
        """
        return all(
            layer.norm_cross is None
            and layer.norm_k is None
            and layer.to_k.bias is None
            and layer.to_v.bias is None
            for layer in self.layers
        )

    @contextmanager
    def bound(self, kv: KV | None) -> Iterator[None]:
        """Forward passes inside the block read these pairs. Raises ValueError when the layer counts differ."""
        if kv is not None and len(kv) != len(self.layers):
            raise ValueError(
                f"{len(kv)} key/value pairs for a UNet of {len(self.layers)} cross-attention layers"
            )
        self.current = kv
        try:
            yield
        finally:
            self.current = None

    @torch.inference_mode()
    def project(self, embeds: Tensor) -> KV:
        """Keys and values of prompt embeddings [R, L, D] in every layer. Same dtype and device as
        `embeds`."""
        return tuple(_project(layer, embeds) for layer in self.layers)


class _CachedProcessor:
    """diffusers' attention processor interface for one layer."""

    def __init__(self, owner: CrossAttentionKV, index: int) -> None:
        self._owner = owner
        self._index = index

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        if encoder_hidden_states is None or attention_mask is not None or hidden_states.ndim != 3:
            raise ValueError("cross-attention takes [rows, pixels, width], the text's embedding and no mask")
        rows = hidden_states.shape[0]
        bound = self._owner.current
        key, value = bound[self._index] if bound is not None else _project(attn, encoder_hidden_states)
        if key.shape[0] != rows:
            key, value = key.expand(rows, -1, -1, -1), value.expand(rows, -1, -1, -1)
        query = _heads(attn.to_q(hidden_states), attn.heads)
        read = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out: Tensor = attn.to_out[0](read)
        if attn.residual_connection:
            out = out + hidden_states
        if attn.rescale_output_factor != 1.0:
            out = out / attn.rescale_output_factor
        return out


def _heads(x: Tensor, heads: int) -> Tensor:
    """[R, N, heads·d] → [R, heads, N, d], a view."""
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def _project(attn: Any, embeds: Tensor) -> LayerKV:
    if attn.norm_cross is not None:
        embeds = attn.norm_encoder_hidden_states(embeds)
    key, value = _heads(attn.to_k(embeds), attn.heads), _heads(attn.to_v(embeds), attn.heads)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    return key.contiguous(), value.contiguous()
