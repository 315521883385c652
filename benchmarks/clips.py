"""Pictures for the benchmarks: frames of a clip, and photographs, cut to the model's canvas."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def covering(image: Image, width: int, height: int) -> Image:
    """The middle of an RGB picture that fills width × height."""
    scale = max(width / image.shape[1], height / image.shape[0])
    size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[y : y + height, x : x + width])


def read_clip(path: Path, width: int, height: int) -> list[Image]:
    """Every frame, RGB. Ends the program where the file cannot be read."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (got := capture.read())[0]:
        frames.append(covering(cv2.cvtColor(got[1], cv2.COLOR_BGR2RGB), width, height))
    if not frames:
        raise SystemExit(f"{path} has no readable frames")
    return frames


def noisy(image: npt.NDArray[np.generic], sigma: float, rng: np.random.Generator) -> Image:
    """With a sensor noise of `sigma` grey levels."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma)
    return np.clip(image.astype(np.float32) + noise, 0, 255).round().astype(np.uint8)


CUT = 40.0
"""Mean change of a 64×64 thumbnail, grey levels, beyond which two frames are of different scenes."""


def stretches(frames: list[Image], length: int) -> dict[str, list[Image]]:
    """The calmest and the liveliest `length` frames in a row: "talking" (a still sitter) and "moving".

    Without a cut in them, where the clip has so long a stretch.
    """
    small = [cv2.resize(f, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) for f in frames]
    motion = np.array([np.abs(a - b).mean() for a, b in pairwise(small)])
    length = min(length, len(motion))
    window = np.convolve(motion, np.ones(length), "valid")
    whole = np.convolve(motion > CUT, np.ones(length), "valid") < 0.5
    if not whole.any():
        whole[:] = True
    calmest = int(np.where(whole, window, np.inf).argmin())
    liveliest = int(np.where(whole, window, -np.inf).argmax())
    return {
        name: frames[start : start + length] for name, start in (("talking", calmest), ("moving", liveliest))
    }
