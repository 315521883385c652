"""From the live state to what a frame is admitted with: encoded prompts, noise and schedule, ready for the denoiser.

`prepared` runs on the thread that hears the host and does the slow part (encoding a prompt, drawing noise); `take` and
`at` run on the denoiser's thread, between two frames: what is ready is taken, and a morph steps forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pipeline.admission import Admission
from pipeline.conditioning import Morph, TextConditioner, TextContext
from pipeline.messages import LiveState
from pipeline.schedule import Schedule

Words = tuple[tuple[str, str, float], ...]
"""(prompt, negative prompt, weight) of each style."""


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """Where the picture is going: an admission, and the way there. seed: which walk a dream takes."""

    admission: Admission
    context: Morph | None
    negative: Morph | None
    began_ns: int
    words: Words
    seed: int

    def seconds(self, now_ns: int) -> float:
        return (now_ns - self.began_ns) / 1e9

    def arrived(self, now_ns: int) -> bool:
        return self.context is None or self.context.done(self.seconds(now_ns))


class LiveAdmission:
    """schedule_for(t_index_list, strength), noise_for(weighted seeds) → [T, C, h, w]: `prepared` alone calls them."""

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
        self._target: Target | None = None
        self._newest: Target | None = None  # prepared, and perhaps not taken yet
        self._noise: tuple[tuple[tuple[int, float], ...], Tensor] | None = None

    @property
    def revision(self) -> int:
        """Of the newest state that is ready; 0 before the first."""
        return self._target.admission.revision if self._target else 0

    @property
    def seed(self) -> int:
        return self._target.seed if self._target else 0

    def draw_noise_with(self, noise_for: Callable[[Sequence[tuple[int, float]]], Tensor]) -> None:
        """For another number of steps or another canvas, from the next `prepared` on."""
        self._noise_for, self._noise = noise_for, None

    def update(self, state: LiveState, now_ns: int) -> None:
        """`prepared` and `take` at once."""
        self.take(self.prepared(state, now_ns))

    def take(self, target: Target) -> None:
        """Admit frames with it from now on."""
        self._target = target

    def prepared(self, state: LiveState, now_ns: int) -> Target:
        """What frames are admitted with under `state`.

        Where the prompts differ from those before, they are reached over `state.morph_s` seconds; a change of
        anything else leaves a morph on its way. In a blend the prompts and seeds are those of `state.blend`, the
        numbers those of `state.style`.
        """
        target = self._newest = self._prepared(state, now_ns)
        return target

    def _prepared(self, state: LiveState, now_ns: int) -> Target:
        parts = state.blend or ((state.style, 1.0),)
        words = tuple((style.prompt, style.negative_prompt, weight) for style, weight in parts)
        style, before = state.style, self._newest
        same = before is not None and words == before.words
        if same and before is not None:
            context, negative = before.admission.context, before.admission.negative
        else:
            # An empty negative prompt is the model's own neutral one.
            context = self._encode([(prompt, weight) for prompt, _, weight in words])
            negative = self._encode([(prompt, weight) for _, prompt, weight in words])
        seeds = (
            state.seeds or tuple((part.seed, weight) for part, weight in state.blend) or ((style.seed, 1.0),)
        )
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
        if same and before is not None:
            return replace(before, admission=admission, seed=style.seed)
        if state.morph_s <= 0 or before is None or negative is None:
            return Target(admission, None, None, now_ns, words, style.seed)
        present = self._contexts(before, now_ns)
        return Target(
            admission,
            Morph(self._conditioner, present[0], context, state.morph_s),
            Morph(self._conditioner, present[1], negative, state.morph_s),
            now_ns,
            words,
            style.seed,
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
    def _contexts(target: Target, now_ns: int) -> tuple[TextContext, TextContext]:
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
