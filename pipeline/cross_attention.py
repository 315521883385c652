"""Keys and values of a prompt in every cross-attention layer: computed once a prompt, not once a frame.

K = W_k e and V = W_v e depend on the prompt's embedding e alone and have no bias, so a blend Σ w_i e_i of
prompts has exactly the keys Σ w_i K_i and the values Σ w_i V_i. `pipeline.models.unet.UNet.project_text`
makes them.
"""

from __future__ import annotations

from torch import Tensor

LayerKV = tuple[Tensor, Tensor]
"""Keys and values of one layer, each [R, heads, L, head width], R prompts of L tokens."""

KV = tuple[LayerKV, ...]
"""One pair a cross-attention layer, in the order in which the UNet's forward pass uses them."""
