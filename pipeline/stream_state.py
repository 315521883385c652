"""The static tensors of a stream batch, read and written by a captured graph; numbers become tensors here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.admission import Admission
from pipeline.messages import GuidanceForm


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything about one call that is not a number in a static tensor; a captured graph serves one layout.

    rows: of the UNet call, B + those of `extra`.
    extra: (slot, form) of each block of F negative rows, in order.
    guided: whether any slot has guidance. residual: whether any of it is RCFG. bypass: slots at strength 0.
    generation: counts reallocations of static tensors.
    """

    rows: int
    extra: tuple[tuple[int, GuidanceForm], ...]
    guided: bool
    residual: bool
    bypass: tuple[int, ...]
    generation: int


class Coefficients(NamedTuple):
    """Per slot, float32 [T, 1, 1, 1, 1], so that they broadcast over latents [T, F, C, h, w].

    signal, sigma: x_k = signal · x̂_{k−1} + sigma · N_k; sigma is 0 where no noise is added or slot 0 dreams.
    a, b, c_skip, c_out: as in `pipeline.schedule`. guidance: g (1: none). delta: δ.
    own: slot 0's share of the incoming latents in z (0: dreaming, where z is 0).
    once: not 0 where Eq. 5's z is the negative prompt's x̂_0.
    """

    signal: Tensor
    sigma: Tensor
    a: Tensor
    b: Tensor
    c_skip: Tensor
    c_out: Tensor
    guidance: Tensor
    delta: Tensor
    own: Tensor
    once: Tensor


class StreamState:
    """The tensors of T slots of F frames. Latents are float32 whatever the UNet's dtype: they are small."""

    @torch.inference_mode(False)  # tensors made in inference mode could not be written to outside of it
    def __init__(self, steps: int, latents: Tensor, dtype: torch.dtype, generation: int = 0) -> None:
        """`latents`: any tensor [F, C, h, w] of the stream. dtype: of the UNet's input."""
        self.steps = steps
        self.shape = latents.shape
        self.device = latents.device
        self.latents_dtype = latents.dtype
        self.frames, *picture = latents.shape
        self.picture = tuple(picture)
        slots = (steps, self.frames, *self.picture)
        self.estimate = self._zeros(slots)  # x̂ of the step before; slot 0: the latents that came in
        self.clean = self._zeros(slots)  # z, each frame's own clean latents
        self.negative = self._zeros(slots)  # the negative prompt's x̂_0, of frames with onetime guidance
        self.finite = torch.ones((steps, self.frames), device=self.device, dtype=torch.bool)
        self.x = self._zeros(slots)
        self.noise = self._zeros((steps, 1, *self.picture))
        self.table = self._zeros((len(Coefficients._fields), steps, 1, 1, 1, 1))
        self.coefficients = Coefficients(*self.table.unbind(0))
        self.rows = torch.zeros((steps * self.frames, *self.picture), device=self.device, dtype=dtype)
        self.timesteps = self._zeros((steps * self.frames,))
        self.generation = generation
        self._noise_held: list[Tensor | None] = [None] * steps

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, dtype=torch.float32, device=self.device)

    def fits(self, latents: Tensor) -> bool:
        return (
            latents.shape == self.shape
            and latents.device == self.device
            and latents.dtype == self.latents_dtype
        )

    @torch.inference_mode(False)
    def reserve(self, rows: int) -> None:
        """Room for `rows` UNet rows, at new addresses if there was too little."""
        if rows > self.rows.shape[0]:
            self.rows = self.rows.new_zeros((rows, *self.picture))
            self.timesteps = self.timesteps.new_zeros(rows)
            self.generation += 1

    def write(
        self, states: Sequence[Admission], extra: Sequence[tuple[int, GuidanceForm]], add_noise: bool
    ) -> None:
        """The numbers of every slot's state into the static tensors; no wait for the device."""
        columns = [_column(k, state, add_noise) for k, state in enumerate(states)]
        table = torch.tensor(columns, dtype=torch.float32).t().reshape(self.table.shape)
        self.table.copy_(table, non_blocking=True)
        of_slot = [state.schedule.timesteps[k] for k, state in enumerate(states)]
        of_block = of_slot + [of_slot[k] for k, _ in extra]
        of_row = [tau for tau in of_block for _ in range(self.frames)]
        self.timesteps[: len(of_row)].copy_(torch.tensor(of_row, dtype=torch.float32), non_blocking=True)
        for k, state in enumerate(states):
            if self._noise_held[k] is not state.noise:
                self.noise[k, 0].copy_(state.noise[k], non_blocking=True)
                self._noise_held[k] = state.noise

    def clear(self) -> None:
        """Forgets every frame."""
        for tensor in (self.estimate, self.clean, self.negative):
            tensor.zero_()
        self.finite.fill_(True)

    def shift(self, denoised: Tensor, finite: Tensor) -> None:
        """Every frame moves one slot on, with its `denoised` [T, F, C, h, w] and its flag `finite` [T, F]."""
        self.estimate[1:].copy_(denoised[:-1])
        self.finite[1:].copy_(finite[:-1])
        for k in range(self.steps - 1, 0, -1):
            self.clean[k].copy_(self.clean[k - 1])
            self.negative[k].copy_(self.negative[k - 1])


def _column(k: int, state: Admission, add_noise: bool) -> list[float]:
    """Slot k's coefficients, in the order of `Coefficients`."""
    schedule, form = state.schedule, state.form
    a, b = schedule.a[k], schedule.b[k]
    dreams = k == 0 and state.start == "noise"
    noisy = not dreams if k == 0 else add_noise
    return [
        1.0 if dreams else a,
        b if noisy else 0.0,
        a,
        b,
        schedule.c_skip[k],
        schedule.c_out[k],
        1.0 if form == "none" else state.guidance_scale,
        state.delta,
        0.0 if dreams else 1.0,
        1.0 if form == "onetime" else 0.0,
    ]
