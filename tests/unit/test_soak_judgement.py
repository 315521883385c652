"""The soak's own judgement: it must see growth, and a killed process must not look like it."""

import random

from tests.faults.soak import MOST_GROWTH, Sample, longest_life, slope


def test_growth_is_seen_through_noise_and_outliers():
    chance = random.Random(5)

    def grown(rate):
        return [
            (t / 60, 300 + rate * t / 60 + chance.gauss(0, 0.5) + (80 if t % 37 == 0 else 0))
            for t in range(180)
        ]

    assert slope(grown(1.5)) > MOST_GROWTH
    assert abs(slope(grown(0.0))) < 0.5


def test_each_process_is_judged_alone():
    samples = [Sample(t, 1, 300) for t in range(5)] + [Sample(t, None, 0) for t in range(5, 8)]
    samples += [Sample(t, 2, 100) for t in range(8, 20)]
    assert {sample.pid for sample in longest_life(samples)} == {2}
