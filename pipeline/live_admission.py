"""From the live state to what a frame is admitted with: encoded prompts, noise and schedule, ready for the denoiser.

`update` runs on the thread that hears the host and does the slow part (encoding a prompt, drawing noise); `at` runs
on the denoiser's thread, between two frames, and only takes what is ready or steps a morph forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pipeline.admission import Admission
from pipeline.conditioning import Morph, TextConditioner, TextContext
from pipeline.messages import LiveState
from pipeline.schedule import Schedule


@dataclass(frozen=True, eq=False, slots=True)
class _Target:
    """Where the picture is going: an admission, and the way there."""

    admission: Admission
    context: Morph | None
    negative: Morph | None
    began_ns: int

    def seconds(self, now_ns: int) -> float:
        return (now_ns - self.began_ns) / 1e9

    def arrived(self, now_ns: int) -> bool:
        return self.context is None or self.context.done(self.seconds(now_ns))


class LiveAdmission:
    """schedule_for(t_index_list, strength), noise_for(weighted seeds) → [T, C, h, w]: both called by `update` only."""

    def __init__(
        self,
        conditioner: TextConditioner,
        schedule_for: Callable[[tuple[int, ...], float], Schedule],
        noise_for: Callable[[Sequence[tuple[int, float]]], Tensor],
        *,
        pictures: bool = True,
    ) -> None:
        self._conditioner = conditioner
        self._schedule_for = schedule_for
        self._noise_for = noise_for
        self._pictures = pictures
        self._target: _Target | None = None
        self._words: tuple[tuple[str, str, float], ...] = ()
        self.seed = 0  # which walk a dream takes
        self._noise: tuple[tuple[tuple[int, float], ...], Tensor] | None = None

    @property
    def revision(self) -> int:
        """Of the newest state that is ready; 0 before the first."""
        return self._target.admission.revision if self._target else 0

    def update(self, state: LiveState, now_ns: int) -> None:
        """Make `state` what frames are admitted with from now on.

        Where the prompts differ from those before, they are reached over `state.morph_s` seconds; a change of
        anything else leaves a morph on its way. In a blend the prompts and seeds are those of `state.blend`, the
        numbers those of `state.style`.
        """
        parts = state.blend or ((state.style, 1.0),)
        words = tuple((style.prompt, style.negative_prompt, weight) for style, weight in parts)
        style, before = state.style, self._target
        same = before is not None and words == self._words
        if same and before is not None:
            context, negative = before.admission.context, before.admission.negative
        else:
            # An empty negative prompt is the model's own neutral one.
            context = self._encode([(prompt, weight) for prompt, _, weight in words])
            negative = self._encode([(prompt, weight) for _, prompt, weight in words])
        seeds = tuple((part.seed, weight) for part, weight in parts) if state.blend else ((style.seed, 1.0),)
        admission = Admission(
            context=context,
            negative=negative,
            guidance=style.guidance,
            guidance_scale=style.guidance_scale,
            delta=style.delta,
            schedule=self._schedule_for(state.t_index_list, style.strength),
            noise=self._noise_of(seeds),
            revision=state.revision,
            start="image" if self._pictures else "noise",
        )
        self.seed, self._words = style.seed, words
        if same and before is not None:
            self._target = replace(before, admission=admission)
        elif state.morph_s <= 0 or before is None or negative is None:
            self._target = _Target(admission, None, None, now_ns)
        else:
            present = self._contexts(before, now_ns)
            self._target = _Target(
                admission,
                Morph(self._conditioner, present[0], context, state.morph_s),
                Morph(self._conditioner, present[1], negative, state.morph_s),
                now_ns,
            )

    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode into the cache, on the thread that calls `update`."""
        for prompt in prompts:
            self._conditioner.encode(prompt)

    def at(self, now_ns: int) -> tuple[Admission, bool]:
        """What a frame admitted at this moment gets, and whether a morph is under way."""
        target = self._target
        assert target is not None, "update comes first"
        if target.arrived(now_ns):
            return target.admission, False
        context, negative = self._contexts(target, now_ns)
        return replace(target.admission, context=context, negative=negative), True

    @staticmethod
    def _contexts(target: _Target, now_ns: int) -> tuple[TextContext, TextContext]:
        negative = target.admission.negative
        assert negative is not None
        if target.context is None or target.negative is None:
            return target.admission.context, negative
        seconds = target.seconds(now_ns)
        return target.context.at(seconds), target.negative.at(seconds)

    def _encode(self, prompts: Sequence[tuple[str, float]]) -> TextContext:
        contexts = [(self._conditioner.encode(prompt), weight) for prompt, weight in prompts]
        return contexts[0][0] if len(contexts) == 1 else self._conditioner.blend(contexts)

    def _noise_of(self, seeds: tuple[tuple[int, float], ...]) -> Tensor:
        if self._noise is None or self._noise[0] != seeds:
            self._noise = (seeds, self._noise_for(seeds))
        return self._noise[1]
