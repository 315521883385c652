"""A loaded model: the parts, and what the denoiser must know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor, device, dtype, nn

if TYPE_CHECKING:
    from pipeline.models.lora import Loras
    from pipeline.models.tokenizer import Tokenizer
    from pipeline.models.unet import UNet
    from pipeline.models.vae import LatentCodec

PredictionType = Literal["epsilon", "v_prediction", "sample"]


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A text-conditioned latent diffusion model, in evaluation mode, on one device.

    name: as the user wrote it. unet: latents → the raw prediction. vae: pictures ↔ latents.
    text_encoder: token ids [R, L] → embeddings [R, L, D]. alphas_cumprod: ᾱ, float32 [1000], on the CPU.
    default_size: pixels a side the model was trained at. vae_scale: pixels per latent pixel.
    t_index_list: a good default on the grid of 50. empty_prompt: what "" means to this model.
    """

    name: str
    unet: UNet
    vae: LatentCodec
    text_encoder: nn.Module
    tokenizer: Tokenizer
    loras: Loras
    prediction_type: PredictionType
    alphas_cumprod: Tensor
    latent_channels: int
    text_width: int
    max_tokens: int
    default_size: int
    vae_scale: int
    t_index_list: tuple[int, ...]
    empty_prompt: str
    device: device
    dtype: dtype

    def set_lora_weights(self, weights: Mapping[str, float]) -> None:
        """Weight of every LoRA by name from the next frame on (absent: the weight it was loaded with).

        Contexts encoded before belong to the old weights: encode the prompt again.
        """
        self.loras.set_weights(weights)
