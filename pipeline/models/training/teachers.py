"""Procedural teachers: each turns an RGB uint8 photograph (H, W, 3) into a stylised one of the same shape.

Deterministic, so that the same photograph always has the same target; sizes are in pixels of a 256² picture.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.models.training.filters import (
    Colour,
    Grey,
    Image,
    as_image,
    as_picture,
    blur,
    edge_strength,
    equalised,
    gradient_map,
    grey,
    in_grey,
    kuwahara,
    luma,
    saturated,
    smoothed,
    xdog,
)

# ------------------------------------------------------------------ drawings


def pencil(image: Image) -> Image:
    """Colour dodge of the luma by its blurred negative."""
    values = luma(image)
    dodged = np.clip(values / (1 - blur(1 - values, 6) + 1e-3), 0, 1) ** 2.2
    return in_grey(dodged * 0.95 + 0.03, (1, 0.99, 0.96))


def charcoal(image: Image) -> Image:
    values = as_picture(equalised(image, 3, 4))
    lines = xdog(values, 1.6, 14, 0.55, 6)
    shade = np.clip(blur(values, 2.5) * 1.25 - 0.1, 0, 1) * 0.75 + 0.2
    return in_grey(shade * (0.25 + 0.75 * lines), (0.97, 0.95, 0.92))


def blueprint(image: Image) -> Image:
    values = luma(smoothed(image, 2))
    dx, dy = edge_strength(values)
    lines = 0.75 * (1 - xdog(values, 1.0, 18, 0.6, 9)) + 0.7 * np.clip(np.hypot(dx, dy) * 1.2, 0, 1)
    ink = np.clip(lines, 0, 1)[..., None]
    paper = gradient_map(values, [(10, 40, 110), (18, 60, 150), (40, 90, 180)])
    return as_image(paper * (1 - ink) + ink * np.array([0.92, 0.96, 1.0]))


# ------------------------------------------------------------------ paintings


def oil(image: Image) -> Image:
    return as_image(saturated(kuwahara(as_image(kuwahara(image, 7)), 5), 1.35, 1.05))


def watercolor(image: Image) -> Image:
    dabs = kuwahara(smoothed(image, 2), 6)
    rims = as_picture(cv2.morphologyEx(grey(as_image(dabs)), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    wash = saturated(1 - (1 - dabs) * 0.72, 1.25)
    wet = wash * (1 - 0.55 * np.clip(rims * 2, 0, 1))[..., None]
    return as_image(wet * np.array([1, 0.995, 0.97]))


def strokes(image: Image) -> Image:
    """Noise and colour smeared along the edges' tangents: brush strokes that follow the forms."""
    smooth = smoothed(image)
    values, colours = luma(smooth), as_picture(smooth)
    dx, dy = cv2.Sobel(values, -1, 1, 0, ksize=5), cv2.Sobel(values, -1, 0, 1, ksize=5)
    angle = 0.5 * np.arctan2(blur(2 * dx * dy, 5), blur(dx * dx - dy * dy, 5)) + np.pi / 2
    along_x, along_y = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    height, width = values.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grain = _grain(height, width)
    smeared, streaks = np.zeros_like(colours), np.zeros_like(values)
    steps = range(-6, 7, 2)
    for step in steps:
        at = (x + step * along_x, y + step * along_y)
        smeared += cv2.remap(colours, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        streaks += cv2.remap(grain, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    lit = saturated(smeared / len(steps), 1.6, 1.05) + (streaks / len(steps) * 0.55)[..., None]
    return as_image(lit)


def storybook(image: Image) -> Image:
    dabs = saturated(kuwahara(smoothed(image, 2), 5), 1.45, 1.12)
    lab = cv2.cvtColor(dabs, cv2.COLOR_RGB2LAB)
    lab[..., 0] = 100 * (lab[..., 0] / 100) ** 0.8
    lab[..., 2] += 6
    colours = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    lines = xdog(luma(smoothed(image, 3)), 0.8, 16, 0.4, 10)[..., None]
    return as_image((colours * 0.8 + blur(colours, 6) * 0.25) * (0.45 + 0.55 * lines))


# ------------------------------------------------------------------ comics and prints


def comic(image: Image) -> Image:
    flat = np.floor(saturated(as_picture(smoothed(image)), 1.5, 1.1) * 5 + 0.5) / 5
    lines = xdog(luma(smoothed(image, 1)), 1.1, 20, 0.55, 12)
    return as_image(flat * lines[..., None])


def anime(image: Image) -> Image:
    smooth = smoothed(image, 4)
    hsv = cv2.cvtColor(as_picture(smooth), cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(np.floor(hsv[..., 2] * 4 + 0.5) / 4 * 0.8 + 0.28, 0, 1)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.6, 0, 1)
    cels = blur(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0.8)
    lines = xdog(luma(smooth), 0.9, 22, 0.5, 14)
    return as_image(cels * (0.25 + 0.75 * lines)[..., None])


def halftone(image: Image) -> Image:
    """Dots of 7 pixels on three screens, at 15, 75 and 45 degrees."""
    colours = saturated(as_picture(smoothed(image, 1)), 1.7, 1.1)
    height, width = colours.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    printed = np.ones_like(colours)
    for channel, degrees in enumerate((15, 75, 45)):
        turn = np.deg2rad(degrees)
        u = (x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / 7
        v = (-x * np.sin(turn) + y * np.cos(turn)) * 2 * np.pi / 7
        screen = (np.cos(u) + np.cos(v)) / 4 + 0.5
        printed[..., channel] = 1 / (1 + np.exp(-(colours[..., channel] - 1 + screen) * 14))
    return as_image(0.25 * colours + 0.75 * printed)


def ukiyo(image: Image) -> Image:
    """A few tones of each colour, indigo lines, warm paper."""
    smooth = smoothed(image, 4)
    lab = cv2.cvtColor(kuwahara(smooth, 5), cv2.COLOR_RGB2LAB)
    for channel, step, gain, offset in ((0, 16, 0.85, 14), (1, 12, 1.2, 2), (2, 12, 1.1, 9)):
        lab[..., channel] = np.floor(lab[..., channel] / step + 0.5) * step * gain + offset
    colours = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)
    lines = xdog(luma(smooth), 1.3, 20, 0.5, 10)[..., None]
    return as_image(colours * lines + (1 - lines) * np.array([0.1, 0.12, 0.25]))


# ------------------------------------------------------------------ light, glass, metal, games


def neon(image: Image) -> Image:
    values = luma(smoothed(image, 2))
    dx, dy = edge_strength(values)
    hue = (290 + 70 * np.sin(2 * np.arctan2(dy, dx))) % 360
    brightness = np.clip(np.hypot(dx, dy) * 1.6, 0, 1)
    hsv = np.stack([hue.astype(np.float32), np.full_like(values, 0.9), brightness], -1)
    tubes = cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)
    glow = blur(tubes, 4) * 1.6 + blur(tubes, 1.2)
    night = gradient_map(values, [(6, 4, 20), (30, 10, 60), (60, 20, 110)]) * 0.8
    return as_image(night + glow + tubes * 0.5)


def vaporwave(image: Image) -> Image:
    values = as_picture(equalised(smoothed(image, 2), 2, 2))
    sunset: list[Colour] = [
        (30, 10, 70),
        (120, 30, 150),
        (255, 80, 170),
        (255, 160, 160),
        (120, 235, 250),
        (240, 255, 255),
    ]
    row = np.arange(image.shape[0])[:, None, None]
    return as_image(gradient_map(values, sunset) * (0.93 + 0.07 * ((row // 2) % 2)))


def stained(image: Image) -> Image:
    """Irregular panes of one colour each, joined by lead."""
    height, width = image.shape[:2]
    pane, lead = _panes(height, width)
    colours = as_picture(image).reshape(-1, 3)
    label = pane.reshape(-1)
    count = np.bincount(label) + 1e-6
    mean = np.stack([np.bincount(label, colours[:, c]) / count for c in range(3)], -1)
    glass = saturated(mean[label].reshape(height, width, 3), 1.9, 1.2)
    return as_image(np.floor(glass * 6 + 0.5) / 6 * (1 - 0.9 * lead)[..., None])


def bronze(image: Image) -> Image:
    relief = cv2.filter2D(
        luma(smoothed(image, 1)), -1, np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], np.float32)
    )
    metal: list[Colour] = [(40, 25, 12), (150, 95, 45), (225, 180, 105), (255, 240, 200)]
    return as_image(gradient_map(np.clip(0.5 + relief * 0.9, 0, 1), metal))


_GAME_PALETTE = np.array(
    [
        (20, 12, 28), (68, 36, 52), (48, 52, 109), (78, 74, 78), (133, 76, 48), (52, 101, 36), (208, 70, 72),
        (117, 113, 97), (89, 125, 206), (210, 125, 44), (133, 149, 161), (109, 170, 44), (210, 170, 153),
        (109, 194, 202), (218, 212, 94), (222, 238, 214),
    ],
    np.float32,
)  # fmt: skip


def pixel(image: Image) -> Image:
    """Blocks of 8 pixels, three quarters of the way to a palette of 16 colours."""
    height, width = image.shape[:2]
    vivid = as_image(saturated(as_picture(image), 1.25))
    blocks = cv2.resize(vivid, (width // 8, height // 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    distance = ((blocks[:, :, None] - _GAME_PALETTE) ** 2 * np.array([0.3, 0.59, 0.11])).sum(-1)
    coloured = 0.75 * _GAME_PALETTE[distance.argmin(-1)] + 0.25 * blocks
    enlarged: Image = cv2.resize(coloured, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    return enlarged


# ------------------------------------------------------------------ cameras


def photo(image: Image) -> Image:
    return image.copy()


def thermal(image: Image) -> Image:
    heat = cv2.GaussianBlur(equalised(image, 2, 2), (0, 0), 1.5)
    colours: Image = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return colours


def noir(image: Image) -> Image:
    """Hard contrast and a vignette."""
    values = 1 / (1 + np.exp(-(as_picture(equalised(image, 3, 3)) - 0.5) * 9))
    height, width = values.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - 0.45 * np.clip(x * x + y * y, 0, 1.6) / 1.6
    return in_grey(values * vignette)


# ------------------------------------------------------------------ fixed patterns, one for each size


@lru_cache(maxsize=4)
def _grain(height: int, width: int) -> Grey:
    noise = np.random.default_rng(5).normal(0, 1, (height, width)).astype(np.float32)
    return blur(noise, 1.0)


@lru_cache(maxsize=4)
def _panes(height: int, width: int, across: int = 26) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Voronoi cells of a jittered grid of `across`² points: pane number and lead (1 on it), both (H, W)."""
    jitter = np.random.default_rng(3).normal(0, height / across * 0.28, (across * across, 2))
    rows, columns = np.meshgrid(np.arange(across) + 0.5, np.arange(across) + 0.5, indexing="ij")
    grid = np.stack([rows * height / across, columns * width / across], -1).reshape(-1, 2)
    points = np.clip(np.round(grid + jitter), 0, [height - 1, width - 1]).astype(int)
    empty = np.full((height, width), 255, np.uint8)
    empty[points[:, 0], points[:, 1]] = 0
    _, pane = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    lead = np.zeros((height, width), np.uint8)
    lead[:-1] |= pane[1:] != pane[:-1]
    lead[:, :-1] |= pane[:, 1:] != pane[:, :-1]
    return pane, cv2.dilate(lead, np.ones((2, 2), np.uint8))
