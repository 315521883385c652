"""Style truth: is each output nearest its own teacher's picture among those of all teachers?

Two distances, at 256²: `levels`, the mean absolute difference, sees tones but prefers any smooth picture to a fine
pattern that is a pixel out of place; `angle` compares how the output and the target differ from the mean of all
targets, over the bands of a Laplacian pyramid, and sees patterns but not how strong they are. Nearest is by their
product; each alone is reported beside it.

No photograph here was trained on. Two groups, so that nothing is chosen on the pictures that are reported:
`validation` is what weights and the bank's numbers may be chosen by, `test` is only ever measured.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import Image, covering
from benchmarks.painter import Painter, bank
from pipeline.models.training.styles import STYLES

_SCENES = "skimage/data"
PHOTOGRAPHS = {
    "validation": (
        f"{_SCENES}/astronaut.png", f"{_SCENES}/chelsea.png", f"{_SCENES}/coffee.png", f"{_SCENES}/camera.png",
        f"{_SCENES}/rocket.jpg", f"{_SCENES}/motorcycle_left.png", f"{_SCENES}/coins.png",
    ),
    "test": (
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg", "sklearn/datasets/images/china.jpg",
        "sklearn/datasets/images/flower.jpg", "mahotas/demos/data/luispedro.jpg",
        "mahotas/demos/data/DepartmentStore.jpg", "imgaug/quokka.jpg",
    ),
}  # fmt: skip
"""Photographs of scenes that lie in packages, by package and path."""
PACKAGES = "scikit-image scikit-learn matplotlib mahotas imgaug"
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def photographs(group: str, folder: Path | None = None) -> dict[str, Image]:
    """A group's pictures at 256², and those of `folder`. Names what is missing; ends the program without any."""
    files = [(name, _file_in_package(name)) for name in PHOTOGRAPHS[group]]
    if absent := [name for name, file in files if file is None]:
        print(f"missing (pip install --no-deps {PACKAGES}): {', '.join(absent)}")
    found = [file for _, file in files if file is not None]
    if folder is not None:
        found += sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit("style truth has no photograph")
    return {file.stem: read(file) for file in found}


def _file_in_package(name: str) -> Path | None:
    package, _, path = name.partition("/")
    spec = importlib.util.find_spec(package)  # found, not imported: its own dependencies are not needed
    file = Path((spec.submodule_search_locations or [""])[0]) / path if spec else None
    return file if file is not None and file.is_file() else None


def read(file: Path, width: int = 256, height: int = 256) -> Image:
    """The middle of a picture, RGB."""
    image = cv2.imread(str(file))
    if image is None:
        raise SystemExit(f"{file} cannot be read")
    return covering(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), width, height)


def bands(image: Image, levels: int = 5) -> list[np.ndarray]:
    """The Laplacian pyramid, each band as one vector."""
    rest, found = image.astype(np.float32), []
    for _ in range(levels):
        smaller = cv2.pyrDown(rest)
        found.append((rest - cv2.pyrUp(smaller, dstsize=(rest.shape[1], rest.shape[0]))).ravel())
        rest = smaller
    return [*found, rest.ravel()]


class Targets:
    """Every teacher's picture of one photograph, to measure outputs against."""

    def __init__(self, photograph: Image) -> None:
        self.pictures = {name: style.teach(photograph) for name, style in STYLES.items()}
        pyramids = [bands(picture) for picture in self.pictures.values()]
        self._means = [np.mean(of_band, axis=0) for of_band in zip(*pyramids, strict=True)]
        self._directions = [self._direction(pyramid) for pyramid in pyramids]

    def _direction(self, pyramid: list[np.ndarray]) -> list[np.ndarray]:
        """From the mean of all targets, unit length in every band."""
        away = [band - mean for band, mean in zip(pyramid, self._means, strict=True)]
        return [band / (np.linalg.norm(band) + 1e-6) for band in away]

    def nearest(self, output: Image) -> dict[str, str]:
        """The nearest style by each distance and by their product."""
        names = list(self.pictures)
        levels = np.array([np.abs(output.astype(np.float32) - p).mean() for p in self.pictures.values()])
        direction = self._direction(bands(output))
        cosines = [np.mean([a @ b for a, b in zip(direction, d, strict=True)]) for d in self._directions]
        angle = 1 - np.array(cosines)
        by = {"levels": levels, "angle": angle, "product": levels * angle}
        return {name: names[int(distance.argmin())] for name, distance in by.items()}


def style_truth(painter: Painter, pictures: dict[str, Image]) -> dict[str, Any]:
    """Shares of (photograph, style) whose output is nearest its own target, and the confusions by style.

    `targets themselves`: the same share for the targets after a way through the autoencoder; what no denoiser can
    pass.
    """
    as_banked = {style.prompt: style for style in bank()}
    right: Counter[str] = Counter()
    taken_for: dict[str, Counter[str]] = {}
    for image in pictures.values():
        latents, targets = painter.latents(image), Targets(image)
        for name, style in STYLES.items():
            rebuilt = targets.nearest(painter.rebuilt(targets.pictures[name]))
            right["targets themselves"] += rebuilt["product"] == name
            painted = next(as_banked[prompt] for prompt in style.names if prompt in as_banked)
            nearest = targets.nearest(painter.paint(latents, painted))
            for distance, found in nearest.items():
                right[distance] += found == name
            if nearest["product"] != name:
                taken_for.setdefault(name, Counter())[nearest["product"]] += 1
    cases = len(pictures) * len(STYLES)
    shares: dict[str, Any] = {name: round(count / cases, 4) for name, count in right.items()}
    confusions = {
        name: dict(found.most_common())
        for name, found in sorted(taken_for.items(), key=lambda item: -item[1].total())
    }
    return {**shares, "photographs": len(pictures), "cases": cases, "taken for": confusions}


def report(group: str, truth: dict[str, Any]) -> list[str]:
    lines = [
        f"Style truth, {group}: {truth['product']:.1%} of {truth['cases']} outputs ({truth['photographs']} "
        f"photographs) are nearest their own target (levels alone {truth['levels']:.1%}, angle alone "
        f"{truth['angle']:.1%}; the targets themselves through the autoencoder "
        f"{truth['targets themselves']:.1%})."
    ]
    for name, found in truth["taken for"].items():
        others = ", ".join(f"{other} {count}" for other, count in found.items())
        lines.append(f"- {name}: {sum(found.values())} of {truth['photographs']} are nearer {others}")
    return lines
