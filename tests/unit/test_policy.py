"""When to try again, when to give up, and what is made smaller when memory runs out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from daemon.children.smaller import LEAST, smaller
from daemon.policy import CAPTURE, ENGINE, SINK, Attempts, Policy
from pipeline.configs import EngineConfig
from pipeline.frame import Size
from pipeline.memory_fault import is_memory_fault

POLICY = Policy(first_s=1.0, most_s=8.0, limit=4, calm_s=10.0)


def test_waits_grow_up_to_the_most_and_are_jittered():
    waits = [[POLICY.seconds(n) for _ in range(50)] for n in (1, 2, 3, 4, 5, 10_000)]
    for tries, expected in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert 0.9 * expected <= min(tries) < max(tries) <= 1.1 * expected
        assert len(set(tries)) > 10


def test_faults_in_a_row_are_given_up_and_a_calm_run_begins_anew():
    attempts = Attempts(POLICY)
    assert [attempts.failed(0.1) is None for _ in range(4)] == [False, False, False, True]
    attempts.reset()
    assert [attempts.failed(11.0) is None for _ in range(20)] == [False] * 20


def test_the_world_is_waited_for_without_end():
    attempts = Attempts(POLICY)
    assert all(attempts.failed(0.1, waiting=True) is not None for _ in range(100))
    assert attempts.faults == 0


@pytest.mark.parametrize("policy", [CAPTURE, SINK])
def test_a_device_that_comes_back_is_taken_within_three_seconds(policy):
    assert policy.most_s * 1.1 < 3.0


def test_the_engine_is_tried_for_about_a_minute():
    assert 20 < sum(ENGINE.seconds(n) for n in range(1, ENGINE.limit)) < 120


def test_fewer_frames_side_by_side_go_first_then_the_canvas_until_nothing_is_left():
    config = EngineConfig("m", None, (), Size(320, 192), Size(1280, 720), "cover", "sharp", 4)
    seen = [config]
    while (less := smaller(seen[-1])) is not None:
        seen.append(less)
    assert [c.frame_buffer_size for c in seen[:3]] == [4, 2, 1]
    sizes = [c.canvas for c in seen[2:]]
    assert sizes[0] == Size(320, 192)
    assert all(b.width * b.height < a.width * a.height for a, b in pairwise(sizes))
    assert all(side % 32 == 0 and side >= LEAST for size in sizes for side in size)
    assert sizes[-1] == Size(LEAST, LEAST)


def test_memory_faults_are_known_from_others():
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_memory_fault(error.value)
    assert is_memory_fault(MemoryError())
    assert is_memory_fault(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    with pytest.raises(RuntimeError) as error:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not is_memory_fault(error.value)
    assert not is_memory_fault(ValueError("out of memory"))
