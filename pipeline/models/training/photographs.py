"""Photographs in a folder → square crops → every style's target of every crop, in one mapped file."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.errors import ModelError
from pipeline.models.training.filters import Image
from pipeline.models.training.styles import STYLES

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_CHUNK = 32


def photographs_in(folder: Path) -> list[Path]:
    """Every picture below `folder`, in order. Raises ModelError when there is none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ModelError(
            f"--photos: no photographs in {folder}", f"put {', '.join(sorted(SUFFIXES))} files there"
        )
    return found


def crop(photograph: Image, side: int, dice: random.Random) -> Image:
    """A random square of `side` pixels: whole or closer, mirrored or not, now and then darker or lighter."""
    height, width = photograph.shape[:2]
    shorter = min(height, width)
    size = shorter if dice.random() < 0.5 else dice.randint(int(shorter * 0.6), shorter)
    y, x = dice.randint(0, height - size), dice.randint(0, width - size)
    shrinks = size > side
    square = cv2.resize(
        photograph[y : y + size, x : x + size],
        (side, side),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )
    if dice.random() < 0.5:
        square = square[:, ::-1]
    if dice.random() < 0.3:
        exposed = square.astype(np.float32) * dice.uniform(0.6, 1.25) + dice.uniform(-15, 15)
        square = np.clip(exposed, 0, 255).astype(np.uint8)
    image: Image = np.ascontiguousarray(square)
    return image


def crops(files: list[Path], count: int, side: int, dice: random.Random) -> Iterator[Image]:
    """`count` crops, RGB, the files over and over in random order. Raises ModelError if none is readable."""
    made = 0
    while made < count:
        before = made
        for path in dice.sample(files, len(files)):
            photograph = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            if photograph is None:
                continue
            yield crop(cv2.cvtColor(photograph, cv2.COLOR_BGR2RGB), side, dice)
            made += 1
            if made == count:
                return
        if made == before:
            raise ModelError(f"--photos: none of the {len(files)} files is a picture", "check the folder")


def teach(
    files: list[Path], into: Path, *, count: int, side: int, seed: int, processes: int
) -> npt.NDArray[np.uint8]:
    """Targets [count, styles, side, side, 3] uint8, the photograph itself first; written to `into` (.npy).

    About 3.7 MB a crop at 256². With more than one process the teachers run in parallel.
    """
    shape = (count, len(STYLES), side, side, 3)
    np.lib.format.open_memmap(into, mode="w+", dtype=np.uint8, shape=shape).flush()
    jobs = _chunks(crops(files, count, side, random.Random(seed)))
    work = partial(_teach_chunk, into)
    if processes > 1:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for _ in pool.imap_unordered(work, jobs):
                pass
    else:
        for job in jobs:
            work(job)
    targets: npt.NDArray[np.uint8] = np.load(into, mmap_mode="r")
    return targets


def _chunks(images: Iterator[Image]) -> Iterator[tuple[int, list[Image]]]:
    first, chunk = 0, []
    for image in images:
        chunk.append(image)
        if len(chunk) == _CHUNK:
            yield first, chunk
            first, chunk = first + _CHUNK, []
    if chunk:
        yield first, chunk


def _teach_chunk(into: Path, job: tuple[int, list[Image]]) -> None:
    cv2.setNumThreads(1)
    first, images = job
    targets = np.lib.format.open_memmap(into, mode="r+")
    for row, image in enumerate(images, first):
        for column, style in enumerate(STYLES.values()):
            targets[row, column] = style.teach(image)
    targets.flush()
