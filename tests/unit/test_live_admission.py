"""From the live state to what frames are admitted with: blends, morphs, seeds, and what stays cached."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from pipeline.conditioning import TextContext
from pipeline.live_admission import LiveAdmission
from pipeline.messages import LiveState, Style
from pipeline.noise import blend_noise, noise_for
from pipeline.schedule import Schedule
from tests.unit.tiny_denoiser import ALPHAS_CUMPROD

S = 1_000_000_000


class Conditioner:
    """Every prompt is one direction; blends and arcs are those of plain vectors."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, prompt: str) -> TextContext:
        self.encoded.append(prompt)
        generator = torch.Generator().manual_seed(abs(hash(prompt)) % 2**31)
        return TextContext(torch.randn(1, 3, 8, generator=generator))

    def blend(self, weighted):
        total = sum(w for _, w in weighted)
        return TextContext(sum(c.embeds * (w / total) for c, w in weighted))

    def slerp(self, a: TextContext, b: TextContext, w: float) -> TextContext:
        return TextContext(torch.lerp(a.embeds, b.embeds, w))


def live() -> tuple[LiveAdmission, Conditioner]:
    conditioner = Conditioner()

    def noise(seeds):
        return blend_noise([(noise_for(seed, 1, 2, 4, 4), weight) for seed, weight in seeds])

    return LiveAdmission(conditioner, lambda t, s: Schedule.of(ALPHAS_CUMPROD, t, s), noise), conditioner


def state(revision: int, *, morph_s: float = 0.0, blend=(), **style) -> LiveState:
    return LiveState(style=Style(**style), blend=blend, morph_s=morph_s, revision=revision)


def test_a_state_is_taken_whole_and_at_once():
    admissions, _ = live()
    admissions.update(
        state(1, prompt="a", guidance="full", guidance_scale=1.7, delta=0.6, strength=0.3, seed=9), 0
    )
    admission, morphing = admissions.at(5 * S)
    assert not morphing
    assert (admission.guidance, admission.guidance_scale, admission.delta) == ("full", 1.7, 0.6)
    assert admission.schedule == Schedule.of(ALPHAS_CUMPROD, (45,), 0.3)
    assert torch.equal(admission.noise, noise_for(9, 1, 2, 4, 4))
    assert admission.revision == admissions.revision == 1


def test_a_morph_begins_at_the_old_prompt_and_ends_at_the_very_new_one():
    admissions, _ = live()
    admissions.update(state(1, prompt="a"), 0)
    start = admissions.at(0)[0].context
    admissions.update(state(2, prompt="b", morph_s=2.0), 10 * S)
    first, morphing = admissions.at(10 * S)
    assert morphing
    assert torch.equal(first.context.embeds, start.embeds)
    assert first.revision == 2
    goal = Conditioner().encode("b").embeds
    distances = [
        float((admissions.at(int((10 + t) * S))[0].context.embeds - goal).norm())
        for t in np.linspace(0, 2, 9)
    ]
    assert all(later < earlier + 1e-6 for earlier, later in itertools.pairwise(distances))
    last, morphing = admissions.at(12 * S)
    assert not morphing
    assert torch.equal(last.context.embeds, goal)


def test_a_morph_that_turns_round_goes_on_from_where_it_is():
    admissions, _ = live()
    admissions.update(state(1, prompt="a"), 0)
    admissions.update(state(2, prompt="b", morph_s=2.0), 0)
    halfway = admissions.at(1 * S)[0].context.embeds
    admissions.update(state(3, prompt="c", morph_s=2.0), 1 * S)
    assert torch.allclose(admissions.at(1 * S)[0].context.embeds, halfway)
    admissions.update(state(4, prompt="d"), 1 * S)
    assert torch.equal(admissions.at(1 * S)[0].context.embeds, Conditioner().encode("d").embeds)


def test_a_blend_mixes_prompts_and_seeds_by_weight_and_takes_the_numbers_of_the_state():
    admissions, conditioner = live()
    parts = ((Style(prompt="a", seed=1), 0.75), (Style(prompt="b", seed=2), 0.25))
    admissions.update(
        state(1, blend=parts, guidance="onetime", guidance_scale=1.75, strength=0.45, seed=1), 0
    )
    admission, _ = admissions.at(0)
    want = 0.75 * conditioner.encode("a").embeds + 0.25 * conditioner.encode("b").embeds
    assert torch.allclose(admission.context.embeds, want)
    assert (admission.guidance, admission.guidance_scale) == ("onetime", 1.75)
    assert admission.schedule.strength == 0.45
    alone = noise_for(1, 1, 2, 4, 4)
    other = noise_for(2, 1, 2, 4, 4)
    assert float((admission.noise - alone).norm()) < float((admission.noise - other).norm())
    assert not torch.equal(admission.noise, alone)


def test_a_number_that_changes_leaves_a_morph_on_its_way():
    admissions, _ = live()
    admissions.update(state(1, prompt="a"), 0)
    admissions.update(state(2, prompt="b", morph_s=2.0), 0)
    halfway = admissions.at(1 * S)[0].context.embeds
    admissions.update(state(3, prompt="b", morph_s=2.0, strength=0.9), 1 * S)
    admission, morphing = admissions.at(1 * S)
    assert morphing
    assert torch.equal(admission.context.embeds, halfway)
    assert admission.schedule.strength == 0.9
    assert not admissions.at(2 * S)[1], "it ends when it would have ended"
    admissions.update(state(4, prompt="b", morph_s=2.0, strength=0.8), 5 * S)
    assert not admissions.at(5 * S)[1], "nothing to morph to"


def test_noise_is_drawn_once_a_seed():
    drawn: list[object] = []

    def noise(seeds):
        drawn.append(seeds)
        return noise_for(seeds[0][0], 1, 2, 4, 4)

    admissions = LiveAdmission(Conditioner(), lambda t, s: Schedule.of(ALPHAS_CUMPROD, t, s), noise)
    for revision, prompt in enumerate("abcd"):
        admissions.update(state(revision, prompt=prompt, seed=3), 0)
    assert len(drawn) == 1


def test_mixed_seeds_go_before_the_style_s_own_and_stay_unit_normal():
    admissions, _ = live()
    mixed = LiveState(style=Style(prompt="a", seed=3), seeds=((7, 0.75), (12, 0.25)), revision=1)
    admissions.update(mixed, 0)
    expected = blend_noise([(noise_for(7, 1, 2, 4, 4), 0.75), (noise_for(12, 1, 2, 4, 4), 0.25)])
    assert torch.equal(admissions.at(0)[0].noise, expected)
    admissions.update(LiveState(style=Style(prompt="a", seed=3), revision=2), 0)
    assert torch.equal(admissions.at(0)[0].noise, noise_for(3, 1, 2, 4, 4))
