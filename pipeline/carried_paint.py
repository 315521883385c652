"""Temporal consistency of what moves a little: the last painting, carried along the camera's motion.

`pipeline.consistency` steadies the latents of what stands still. A sitter breathes and sways by a fraction of a
latent cell, which latents cannot follow; a painting can. Where the camera's picture is the last one moved along
its optical flow, and moved little, the last painting is moved likewise and mixed into the new one:

    p' = p + w (q − p),   q = the last p', moved;   w = MOST · amount where the camera agrees, else 0

Everywhere near a change that the flow does not explain, or a motion of more than NEAR pixels, w is 0: what has just
been uncovered is painted as it is, so nothing trails behind.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

MOST = 0.875
"""w at amount 1: the painting follows a change that passes for noise within about seven frames, 0.8 within two."""
NEAR = 1.5
"""Pixels a frame: what moves faster shows no shimmer that an eye could follow, and uncovers more."""
STILL = 0.35
"""Pixels: a smaller flow is the sensor's noise, and following it would blur what stands."""
AROUND = 15
"""Pixels across the area that counts as changed around a change: flow is smooth, edges of things are not."""
AGREES, DIFFERS = 3.0, 7.0
"""In typical residuals: below the first the flow explains the picture, above the second it does not."""
LEAST_RESIDUAL, MOST_RESIDUAL = 0.4, 1.5
"""Grey levels, bounds of a typical residual: of a clean camera, and of one with a noise of σ ≈ 2."""


class CarriedPaint:
    """Steadies a stream of paintings in the order of the calls. For one thread.

    amount: 0 (off) to 1; may be changed between two frames. About 4 ms of CPU a frame at 256×256.
    """

    def __init__(self, amount: float = 0.8) -> None:
        self.amount = amount
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: tuple[object, Image, Image, Plane] | None = None  # state, camera, its grey, painting
        self._at = np.zeros((0, 0, 2), np.float32)

    def reset(self) -> None:
        """Start afresh: the next painting does not follow the last one."""
        self._last = None

    def steadied(self, camera: Image, painting: Image, state: object) -> Image:
        """The painting to show in place of `painting`.

        camera, painting: RGB uint8 [H, W, 3], the picture and what was made of it; neither is written to, and
        neither must be written to until the next call. state: what it was painted with; with another one (by
        identity) nothing is carried over.
        """
        if self.amount <= 0:
            self.reset()
            return painting
        grey: Image = cv2.cvtColor(camera, cv2.COLOR_RGB2GRAY)
        new = painting.astype(np.float32)
        last = self._last
        if last is not None and last[0] is state and last[1].shape == camera.shape:
            carried, weight = self._carried(camera, grey, last)
            _mix(new, carried, weight)
            np.clip(new, 0, 255, out=new)
        self._last = (state, camera, grey, new)
        shown: Image = np.rint(new).astype(np.uint8)
        return shown

    def _carried(
        self, camera: Image, grey: Image, last: tuple[object, Image, Image, Plane]
    ) -> tuple[Plane, Plane]:
        """The last painting [H, W, 3] moved to where its picture is now, and its weight w [H, W]."""
        _, before, grey_before, painted = last
        flow = self._flow.calc(grey, grey_before, None)  # of a pixel now: where it was
        length: Plane = cv2.magnitude(flow[..., 0], flow[..., 1])
        follows = (length >= STILL).astype(np.float32)
        cv2.multiply(flow, cv2.merge([follows, follows]), dst=flow)
        flow += self._grid(*grey.shape)
        moved = cv2.remap(before, flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        red, green, blue = cv2.split(cv2.absdiff(camera, moved))
        residual: Plane = cv2.boxFilter(cv2.max(cv2.max(red, green), blue), cv2.CV_32F, (5, 5))
        typical = float(np.percentile(residual[::3, ::3], 25))
        residual /= np.float32(min(max(typical, LEAST_RESIDUAL), MOST_RESIDUAL))

        changed = ((length > NEAR) | (residual > DIFFERS)).astype(np.uint8)
        changed = cv2.dilate(changed, np.ones((AROUND, AROUND), np.uint8))
        agrees = np.clip((DIFFERS - residual) / (DIFFERS - AGREES), 0, 1) * (1 - changed)
        weight: Plane = cv2.blur(agrees.astype(np.float32), (5, 5)) * np.float32(MOST * min(self.amount, 1.0))
        weight[changed > 0] = 0
        carried: Plane = cv2.remap(painted, flow, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return carried, weight

    def _grid(self, height: int, width: int) -> Plane:
        """Each pixel's own (x, y), [H, W, 2]."""
        if self._at.shape[:2] != (height, width):
            y, x = np.mgrid[:height, :width]
            self._at = np.stack([x, y], -1).astype(np.float32)
        return self._at


def _mix(into: Plane, other: Plane, weight: Plane) -> None:
    """into += w · (other − into), in place; `other` is used up. [H, W, 3] and [H, W]: a third of numpy's time."""
    cv2.subtract(other, into, dst=other)
    cv2.multiply(other, cv2.merge([weight, weight, weight]), dst=other)
    cv2.add(into, other, dst=into)
