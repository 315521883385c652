"""What the benchmarks measure with: arithmetic, ceilings, energy, processes, and the times of published frames."""

from __future__ import annotations

import os
import sys
import time
import types
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from daemon.bench.published import Published
from pipeline.conditioning import TextConditioner
from pipeline.engine.eager import EagerEngine
from pipeline.frame import Frame, Size, now_ns
from pipeline.measure import ceiling as ceiling_module
from pipeline.measure import energy
from pipeline.measure.ceiling import ceiling
from pipeline.measure.flops import flops_of_call
from pipeline.measure.process import cpu_seconds, rss_mb
from pipeline.models.load import load_model
from pipeline.similarity import SimilarityFilter
from pipeline.slot import SlotReader, SlotWriter, ring_bytes
from pipeline.sources import memory

# ---------------------------------------------------------------- arithmetic


@pytest.fixture(scope="module")
def eager() -> EagerEngine:
    return EagerEngine(load_model("builtin"))


def test_flops_are_at_least_those_of_every_layer_that_was_called(eager):
    """Counted a second time by hand, from the shapes that each convolution and linear layer saw."""
    seen = [0]

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            seen[0] += 2 * output.numel() * layer.in_channels // layer.groups * layer.kernel_size[0] ** 2
        else:
            seen[0] += 2 * output.numel() * layer.in_features

    context = TextConditioner(eager.model).encode("anime")  # the prompt's keys and values are not a frame's
    layers = [m for m in eager.model.unet.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        one = flops_of_call(eager, context, Size(64, 64), 1, 1)
        by_hand, seen[0] = seen[0], 0
        two = flops_of_call(eager, context, Size(64, 64), 1, 2)
    finally:
        for hook in hooks:
            hook.remove()
    assert seen[0] == pytest.approx(2 * by_hand, rel=0.01)
    # attention itself, and layers whose weights are used without calling them, come on top
    assert by_hand < two - one < 1.4 * by_hand


def test_flops_grow_by_the_rows_of_the_unet_and_the_frames_of_the_autoencoder(eager):
    context = TextConditioner(eager.model).encode("anime")

    def flops(frames: int, rows: int, side: int = 64) -> int:
        return flops_of_call(eager, context, Size(side, side), frames, rows)

    of_row = flops(1, 2) - flops(1, 1)
    of_frame = flops(2, 2) - flops(1, 2)
    assert flops(1, 5) == pytest.approx(flops(1, 1) + 4 * of_row)
    assert flops(1, 1) == pytest.approx(of_row + of_frame, rel=0.01)
    # docs/builtin-model.md: 2.6 GFLOP a row at 256²
    assert flops(1, 2, 256) - flops(1, 1, 256) == pytest.approx(2.6e9, rel=0.05)


def test_a_ceiling_is_arithmetic_over_time(monkeypatch):
    monkeypatch.setattr(ceiling_module, "_best", lambda work, device, seconds: work() is None or 0.5)
    found = ceiling(torch.device("cpu"), torch.float32)
    assert found.gemm == pytest.approx(2 * 1536**3 / 0.5 / 1e12)
    assert found.convolution == pytest.approx(2 * 9 * 4 * 64**2 * 256**2 / 0.5 / 1e12)
    assert found.best == max(found.gemm, found.convolution)


# ---------------------------------------------------------------- energy


def rapl(folder, **counters):
    for name, microjoules in counters.items():
        zone = folder / f"intel-rapl:{name[1:].replace('_', ':')}"
        zone.mkdir(exist_ok=True)
        (zone / "energy_uj").write_text(f"{microjoules}\n")
        (zone / "max_energy_range_uj").write_text("1000000\n")


def test_rapl_sums_packages_without_their_parts_and_sees_a_wrap(tmp_path):
    rapl(tmp_path, z0=900_000, z1=100, z0_0=5)
    meter = energy.meter("cpu", tmp_path)
    assert not isinstance(meter, str)
    before = meter.joules()
    rapl(tmp_path, z0=100_000, z1=300_100, z0_0=999_999)  # package 0 has wrapped: 200,000 µJ
    assert meter.joules() - before == pytest.approx(0.5)


def test_without_counters_it_says_why(tmp_path):
    assert "no RAPL" in str(energy.meter("cpu", tmp_path))
    rapl(tmp_path, z0=1)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("nonsense")
    assert "cannot be read" in str(energy.meter("cpu", tmp_path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_counters_that_only_root_may_read_are_named(tmp_path):
    rapl(tmp_path, z0=1)
    (tmp_path / "intel-rapl:0" / "energy_uj").chmod(0)
    assert "chmod" in str(energy.meter("cpu", tmp_path))


def test_a_card_tells_millijoules(monkeypatch):
    class NVMLError(Exception):
        pass

    told = [1000.0, 1000.0, 4500.0]
    nvml = types.SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: ("card", index),
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: told.pop(0),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = energy.meter("cuda:1")
    assert not isinstance(meter, str)
    assert -meter.joules() + meter.joules() == pytest.approx(3.5)

    def refuse(index):
        raise NVMLError("Not Supported")

    monkeypatch.setattr(nvml, "nvmlDeviceGetHandleByIndex", refuse)
    assert "Not Supported" in str(energy.meter("cuda"))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install" in str(energy.meter("cuda"))


# ---------------------------------------------------------------- processes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_processor_time_of_a_process():
    before, resident = cpu_seconds(os.getpid()), rss_mb(os.getpid())
    assert before is not None
    assert resident is not None
    kept = np.ones(60_000_000, np.uint8)
    assert (rss_mb(os.getpid()) or 0) - resident == pytest.approx(60, abs=15)
    end = time.process_time() + 0.15
    while time.process_time() < end:
        kept[0] ^= 1
    assert (cpu_seconds(os.getpid()) or 0) - before >= 0.1
    assert rss_mb(2**22 + 1) is None
    assert cpu_seconds(2**22 + 1) is None


# ---------------------------------------------------------------- frames


def test_published_times_are_the_writers_own_and_none_is_missed():
    size = Size(16, 16)
    ring = bytearray(ring_bytes(size))
    writer, reader = SlotWriter(ring, size), SlotReader(ring, size)
    picture = np.zeros((16, 16, 3), np.uint8)
    writer.put(Frame(picture, 0, now_ns(), 0))
    times = []
    with Published(reader) as published:
        for n in range(40):
            time.sleep(0.006 if n % 10 else 0.05)
            writer.put(Frame(picture, n, now_ns(), 0))
            times.append(max(reader.times().values()))
        time.sleep(0.02)
    facts = published.facts()
    ms = sorted((b - a) / 1e6 for a, b in pairwise(times))
    assert facts["frames"] == 40
    assert facts["frame_ms"]["p50"] == pytest.approx(ms[len(ms) // 2], rel=0.2)
    assert facts["frame_ms"]["p99"] == pytest.approx(ms[-1], rel=0.02)
    assert facts["p99_over_p50"] > 1.5


def test_the_scene_from_memory_is_still_but_for_its_noise():
    source = memory.create(memory.Options(width=320, height=192, fps=2000))
    filter_ = SimilarityFilter()
    pictures = []
    for _ in range(60):
        picture = source.read()
        assert picture is not None
        pictures.append(picture.image)
    assert len({p.tobytes() for p in pictures}) > 1
    skipped = [
        not filter_.decide(p, state_changed=False, morphing=False, in_flight_calls=1).process
        for p in pictures
    ]
    assert sum(skipped) > 40
