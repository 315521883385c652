"""The stream batch of StreamDiffusion (arXiv 2312.12491): one UNet call works on T steps of T frames.

Slot k holds the F frames that are at denoising step k. A call admits F new frames to slot 0, runs the UNet
once over all slots, emits what leaves slot T − 1 and moves everything one slot on: frame n leaves call
⌊n/F⌋ + T − 1 at position n mod F. `pipeline.sequential` takes one buffer through all steps at once and is
the reference for every number here.

A step in three parts, so that an engine can capture the middle one: `load` writes numbers and prompts into
static tensors, `compute` only runs device work on those, `collect` keeps the books. `step` is all three.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pipeline.admission import Admission, Emitted, Finite, Predict, Start, finite_rows, over_latents
from pipeline.conditioning import TextContext
from pipeline.errors import EngineError
from pipeline.guidance import guided_noise, residual_noise
from pipeline.messages import GuidanceForm
from pipeline.row_contexts import RowContexts
from pipeline.schedule import PredictionType, clean_from, consistency, epsilon_from
from pipeline.stream_state import Layout, StreamState

__all__ = ["Admission", "Emitted", "Finite", "Layout", "Predict", "PromptSwitch", "Start", "StreamBatch"]

PromptSwitch = Literal["admitted", "immediate"]
"""admitted: a frame keeps the state it came in with. immediate: the newest holds for all frames in flight."""


@dataclass(slots=True)
class _Slot:
    """F frames in flight. anchored: whether the negative prompt's x̂_0 was asked for them."""

    admission: Admission
    tags: tuple[object, ...]
    anchored: bool = False


class StreamBatch:
    """T denoising steps over a stream of frames. One thread; any device, dtype and number of channels."""

    def __init__(
        self,
        predict: Predict,
        *,
        steps: int,
        frame_buffer_size: int = 1,
        prediction_type: PredictionType = "epsilon",
        add_noise: bool = True,
        prompt_switch: PromptSwitch = "admitted",
        dtype: torch.dtype | None = None,
    ) -> None:
        """steps: T. frame_buffer_size: F. add_noise: whether steps 1… add noise (the first one always does).

        dtype: of the UNet's input; None takes that of the latents.
        """
        if steps < 1 or frame_buffer_size < 1:
            raise EngineError(f"steps is {steps} and frame_buffer_size {frame_buffer_size}; both start at 1")
        self.predict = predict
        self.steps = steps
        self.frame_buffer_size = frame_buffer_size
        self.prediction_type: PredictionType = prediction_type
        self.add_noise = add_noise
        self.prompt_switch: PromptSwitch = prompt_switch
        self._dtype = dtype
        self._state: StreamState | None = None
        self._contexts = RowContexts(frame_buffer_size)
        self._context: TextContext | None = None
        self._slots: deque[_Slot | None] = deque([None] * steps, maxlen=steps)
        self._newest: Admission | None = None
        self._planned: tuple[tuple[Admission, bool], ...] = ()
        self._layout: Layout | None = None
        self._unread: deque[Finite] = deque()
        self._dropped = 0

    # ------------------------------------------------------------ one step

    def step(self, latents: Tensor, admission: Admission, tags: Sequence[object]) -> Emitted | None:
        """Admits F frames and emits the F admitted T − 1 calls ago; None while the first are on their way.

        latents: clean latents [F, C, h, w] (unit-normal noise where `admission.start` is "noise").
        tags: F of them; they come back beside the frames.
        Raises EngineError when shapes or state do not suit this stream batch.
        """
        self.allocate(latents)
        layout = self.load(admission, tags)
        return self.collect(*self.compute(latents, layout))

    def allocate(self, latents: Tensor) -> None:
        """Static tensors for latents like these [F, C, h, w]; at once when they are there already."""
        if self._state is not None and self._state.fits(latents):
            return
        if latents.ndim != 4 or latents.shape[0] != self.frame_buffer_size:
            raise EngineError(
                f"latents of shape {tuple(latents.shape)} reached a denoiser "
                f"built for {self.frame_buffer_size} frames",
                "admit exactly frame_buffer_size frames a step, as [F, C, h, w]",
            )
        if self._state is not None and self.in_flight:
            raise EngineError(
                f"latents changed from {tuple(self._state.shape)} {self._state.latents_dtype} "
                f"on {self._state.device} to {tuple(latents.shape)} {latents.dtype} on {latents.device} "
                f"with {self.in_flight} frames in flight",
                "drain or reset the stream batch before its size changes",
            )
        generation = 0 if self._state is None else self._state.generation + 1
        self._state = StreamState(self.steps, latents, self._dtype or latents.dtype, generation)
        self._planned = ()

    @torch.no_grad()
    def load(self, admission: Admission, tags: Sequence[object]) -> Layout:
        """Takes F frames into slot 0 and writes what changed since the last call into the static tensors."""
        state = self._allocated()
        admission.check(self.steps)
        if len(tags) != self.frame_buffer_size or tuple(admission.noise.shape[1:]) != state.picture:
            raise EngineError(
                f"{len(tags)} tags and noise of shape {tuple(admission.noise.shape)} came with "
                f"latents of shape {tuple(state.shape)}",
                "give one tag a frame, and noise [T, C, h, w] of the latents' size",
            )
        self._newest = admission
        self._slots[0] = _Slot(admission, tuple(tags))
        return self._plan(state, admission)

    @torch.no_grad()
    def compute(
        self,
        latents: Tensor,
        layout: Layout,
        predict: Predict | None = None,
        context: TextContext | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The device's part of a step: no number is read back, no tensor of the state changes its address.

        latents: as for `step`. predict, context: for a recording (see `steady_layouts`); None: the batch's own and
        what `load` left. Returns what leaves the last slot: clean latents [F, C, h, w] in the
        latents' dtype, zeros where not finite, and those flags [F] (bool, on the device). Garbage while the
        last slot is empty.
        """
        state = self._allocated()
        c = state.coefficients

        # 1. The new frames take slot 0. One that is not finite goes on as zeros: no row ever holds a NaN.
        finite = finite_rows(latents)
        state.finite[0].copy_(finite)
        state.estimate[0].copy_(torch.where(over_latents(finite), latents, 0.0))
        torch.mul(state.estimate[0], c.own[0], out=state.clean[0])

        # 2. x_k = a_k x̂_{k−1} + b_k N_k, with x̂_{−1} = z
        torch.mul(state.estimate, c.signal, out=state.x)
        state.x.addcmul_(state.noise, c.sigma)

        # 3. The UNet, guidance (Eq. 5) and the consistency function; not for frames at strength 0
        if len(layout.bypass) == self.steps:
            denoised = state.clean
        else:
            denoised = self._denoise(state, layout, predict or self.predict, context or self._context)
            for k in layout.bypass:
                denoised[k].copy_(state.clean[k])

        # 4. Emit x̂_{T−1}, and every other frame moves on
        finite = finite_rows(denoised.to(latents.dtype)) & state.finite
        denoised = torch.where(over_latents(finite), denoised, 0.0)
        state.shift(denoised, finite)
        return denoised[-1].to(latents.dtype), finite[-1]

    def collect(self, latents: Tensor, finite: Tensor) -> Emitted | None:
        """What `compute` returned, with the tags of its frames; None when the last slot was empty."""
        newest = self._newest
        assert newest is not None, "load comes before collect"
        for slot in self._slots:
            if slot is not None:
                slot.anchored = self._effective(slot, newest).form == "onetime" or slot.anchored
        leaving = self._slots[-1]
        self._slots.appendleft(None)
        self._count_dropped()
        if leaving is None:
            return None
        flags = Finite(finite)
        self._unread.append(flags)
        return Emitted(latents, leaving.tags, self._effective(leaving, newest), flags)

    # ------------------------------------------------------------ the stream as a whole

    @property
    def in_flight(self) -> int:
        """Frames admitted and not yet emitted."""
        return sum(slot is not None for slot in self._slots) * self.frame_buffer_size

    @property
    def dropped(self) -> int:
        """Frames that came out not finite since the start, as far as the device has got."""
        self._count_dropped()
        return self._dropped

    def drain(self) -> list[Emitted]:
        """Takes all frames in flight through their remaining steps, nothing new behind them; oldest first."""
        emitted: list[Emitted] = []
        if self._state is None or self._newest is None:
            return emitted
        self._slots[0] = None  # what a failed step left there was never denoised
        blank = torch.zeros(self._state.shape, device=self._state.device, dtype=self._state.latents_dtype)
        while self.in_flight:
            layout = self._plan(self._state, self._newest)
            out = self.collect(*self.compute(blank, layout))
            if out is not None:
                emitted.append(out)
        return emitted

    def reset(self) -> None:
        """Forgets all frames in flight: the next T − 1 calls emit nothing."""
        self._slots.extend([None] * self.steps)
        if self._state is not None:
            self._state.clear()

    # ------------------------------------------------------------ for an engine that records

    def reserve(self) -> None:
        """Room for every form of guidance at once, so that no static tensor moves when the form changes."""
        self._allocated().reserve(2 * self.steps * self.frame_buffer_size)
        self._contexts.least = 2 * self.steps
        self._planned = ()

    def twin(self) -> StreamBatch:
        """Another batch of the same shape with tensors of its own, to run the operations on without an effect."""
        state = self._allocated()
        other = StreamBatch(
            self.predict, steps=self.steps, frame_buffer_size=self.frame_buffer_size,
            prediction_type=self.prediction_type, add_noise=self.add_noise, prompt_switch=self.prompt_switch,
            dtype=self._dtype,
        )  # fmt: skip
        other.allocate(torch.zeros(state.shape, device=state.device, dtype=state.latents_dtype))
        other.reserve()
        return other

    @property
    def latents_dtype(self) -> torch.dtype:
        return self._allocated().latents_dtype

    def steady_layouts(self) -> Iterator[tuple[Layout, TextContext]]:
        """The layout of every form of guidance when all slots have it, and the prompts' static tensors. After
        `reserve` and the first `load`; from any thread."""
        state, F = self._allocated(), self.frame_buffer_size
        forms: tuple[GuidanceForm, ...] = ("none", "self", "onetime", "full")
        for form in forms:
            slots = {"onetime": range(1), "full": range(self.steps)}.get(form, range(0))
            extra = tuple((k, form) for k in slots)
            blocks = self.steps + len(extra)
            layout = Layout(
                rows=blocks * F,
                extra=extra,
                guided=form != "none",
                residual=form in ("self", "onetime"),
                bypass=(),
                generation=state.generation + self._contexts.generation,
            )
            yield layout, self._contexts.view(blocks)

    # ------------------------------------------------------------ inside

    def _denoise(
        self, state: StreamState, layout: Layout, predict: Predict, context: TextContext | None
    ) -> Tensor:
        """x̂_k of every slot, [T, F, C, h, w] float32, from one UNet call."""
        c, F, B = state.coefficients, self.frame_buffer_size, self.steps * self.frame_buffer_size
        x = state.x
        rows = state.rows[: layout.rows]
        rows[:B].copy_(x.flatten(0, 1))
        blocks = [slice(B + i * F, B + (i + 1) * F) for i in range(len(layout.extra))]
        for (k, _), block in zip(layout.extra, blocks, strict=True):
            rows[block].copy_(rows[k * F : (k + 1) * F])

        assert context is not None
        output = predict(rows, state.timesteps[: layout.rows], context)
        if output.shape != rows.shape:
            raise EngineError(f"the UNet made {tuple(output.shape)} of latents {tuple(rows.shape)}")
        output = output.float()
        epsilon = epsilon_from(output[:B].reshape(x.shape), x, c.a, c.b, self.prediction_type)

        if layout.guided:
            # 3a. the negative rows: ε_u itself (full), or the x̂_0 that stays with the frame (onetime)
            true_negatives: list[tuple[int, Tensor]] = []
            for (k, form), block in zip(layout.extra, blocks, strict=True):
                a, b = c.a[k], c.b[k]
                epsilon_n = epsilon_from(output[block], x[k], a, b, self.prediction_type)
                if form == "onetime":
                    state.negative[k].copy_(clean_from(epsilon_n, x[k], a, b))
                else:
                    true_negatives.append((k, epsilon_n))
            # 3b. ε_u = δ S_k with S_k from Eq. 5 (self, onetime)
            if layout.residual:
                z = torch.where(c.once > 0, state.negative, state.clean)
                epsilon_u = c.delta * residual_noise(x, z, c.a, c.b)
            else:
                epsilon_u = epsilon.clone()
            for k, epsilon_n in true_negatives:
                epsilon_u[k].copy_(epsilon_n)
            # 3c. ε̂ = ε_u + g (ε_c − ε_u)
            epsilon = guided_noise(epsilon, epsilon_u, c.guidance)

        return consistency(epsilon, x, c.a, c.b, c.c_skip, c.c_out)

    def _plan(self, state: StreamState, newest: Admission) -> Layout:
        """The layout of the next call; nothing is written while every slot's state is what it was."""
        planned = tuple(
            (self._effective(slot, newest), k > 0 and (slot is None or slot.anchored))
            for k, slot in enumerate(self._slots)
        )
        if self._layout is not None and _same(planned, self._planned):
            return self._layout
        extra: list[tuple[int, GuidanceForm]] = []
        for k, (admission, anchored) in enumerate(planned):
            if admission.form == "full" or (admission.form == "onetime" and not anchored):
                extra.append((k, admission.form))
        states = [admission for admission, _ in planned]
        rows = (self.steps + len(extra)) * self.frame_buffer_size
        state.reserve(rows)
        state.write(states, extra, self.add_noise)
        self._context = self._contexts.stack(
            [s.context for s in states] + [_negative(states[k]) for k, _ in extra]
        )
        forms = {s.form for s in states}
        self._layout = Layout(
            rows=rows,
            extra=tuple(extra),
            guided=forms != {"none"},
            residual=bool(forms & {"self", "onetime"}),
            bypass=tuple(k for k, s in enumerate(states) if s.schedule.bypass),
            generation=state.generation + self._contexts.generation,
        )
        self._planned = planned
        return self._layout

    def _effective(self, slot: _Slot | None, newest: Admission) -> Admission:
        """The state that holds for a slot; an empty one runs along with the newest: the layout stays."""
        return newest if slot is None or self.prompt_switch == "immediate" else slot.admission

    def _allocated(self) -> StreamState:
        if self._state is None:
            raise EngineError("the stream batch has no tensors yet", "call allocate(latents) first")
        return self._state

    def _count_dropped(self) -> None:
        while self._unread and self._unread[0].ready():
            self._dropped += self._unread.popleft().read().count(False)


def _negative(admission: Admission) -> TextContext:
    assert admission.negative is not None, "Admission.check saw to it"
    return admission.negative


def _same(left: tuple[tuple[Admission, bool], ...], right: tuple[tuple[Admission, bool], ...]) -> bool:
    return len(left) == len(right) and all(
        p[0] is q[0] and p[1] == q[1] for p, q in zip(left, right, strict=True)
    )
