"""Group normalisation with the SiLU that follows it in a UNet, as one layer: what an engine may compute at once."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class GroupNorm(nn.GroupNorm):
    """PyTorch's own. x [N, C, h, w]; of each row the mean and variance of every group of channels (Wu & He 2018)."""

    def with_silu(self, x: Tensor) -> Tensor:
        """y · σ(y) of the normalised y."""
        return functional.silu(self(x), inplace=True)
