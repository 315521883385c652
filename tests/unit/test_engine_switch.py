"""The engine that paints now: swapped between two frames, with no frame lost, doubled or disturbed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pipeline.admission import Admission, Emitted
from pipeline.conditioning import TextContext
from pipeline.engine.engine import StreamBatched
from pipeline.engine.pictures import PendingPictures
from pipeline.engine.switch import EngineSwitch
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import FORMS, LISTS, TinyUNet, admission, assert_alike, buffers_of


class Painter(StreamBatched):
    """An engine around the tiny UNet; it counts its calls."""

    device, dtype, follows_weights = torch.device("cpu"), torch.float32, True

    def __init__(self, kind: str, unet: TinyUNet) -> None:
        self.kind = kind
        self.unet = unet
        self.steps = 0

    def predict(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        return self.unet(x, timesteps, context)

    def step(
        self, batch: StreamBatch, latents: Tensor, state: Admission, tags: Sequence[object]
    ) -> Emitted | None:
        self.steps += 1
        return batch.step(latents, state, tags)

    def decode_async(self, latents: Tensor) -> PendingPictures:
        return PendingPictures(latents[:, :3])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_swap_in_mid_stream_changes_no_frame_and_loses_none(form, steps):
    state = admission(LISTS[steps], guidance=form)
    buffers = buffers_of(9)
    unet = TinyUNet(4, seed=steps)

    def stream(swaps: dict[int, str]) -> tuple[list[Emitted], dict[str, Painter]]:
        painters = {kind: Painter(kind, unet) for kind in ("first", "second")}
        switch = EngineSwitch(painters["first"])
        batch = StreamBatch(switch.predict, steps=steps)
        out: list[Emitted] = []
        for i, z in enumerate(buffers):
            if i in swaps:
                switch.swap(painters[swaps[i]])
            if (emitted := switch.step(batch, z, state, [i])) is not None:
                out.append(emitted)
        return out, painters

    whole, _ = stream({})
    swapped, painters = stream({3: "second", 5: "first", 6: "second"})
    assert [e.tags for e in swapped] == [(i,) for i in range(9 - steps + 1)]
    for a, b in zip(whole, swapped, strict=True):
        assert_alike(b.latents, a.latents)
    assert (painters["first"].steps, painters["second"].steps) == (4, 5)


def test_a_swap_gives_back_the_engine_that_painted_and_everything_leads_to_the_new_one():
    first, second = Painter("first", TinyUNet(4)), Painter("second", TinyUNet(4, seed=1))
    switch = EngineSwitch(first)
    assert switch.swap(second) is first
    assert (switch.kind, switch.present) == ("second", second)
    x, t, c = torch.randn(1, 4, 6, 6), torch.tensor([99.0]), admission().context
    assert torch.equal(switch.predict(x, t, c), second.predict(x, t, c))
    assert not torch.equal(switch.predict(x, t, c), first.predict(x, t, c))
