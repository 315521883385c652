"""What the teachers are built from. RGB: uint8 in 0–255 (`Image`) or float32 in 0–1 (`Picture`)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]
Grey = npt.NDArray[np.float32]
Colour = tuple[float, float, float]


def as_picture(image: Image) -> Picture:
    return image.astype(np.float32) / np.float32(255)


def as_image(picture: npt.NDArray[np.floating]) -> Image:
    """Clipped to 0–1 and rounded."""
    levels: Image = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return levels


def grey(image: Image) -> Image:
    """Luma, (H, W)."""
    luma: Image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return luma


def luma(image: Image) -> Grey:
    """Luma in 0–1, (H, W)."""
    return as_picture(grey(image))


def in_grey(values: npt.NDArray[np.floating], tint: Colour = (1, 1, 1)) -> Image:
    """One channel as a picture, each channel times its `tint`."""
    return as_image(values[..., None] * np.array(tint, np.float32))


def blur(values: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Gaussian of σ pixels."""
    blurred: npt.NDArray[np.float32] = cv2.GaussianBlur(values, (0, 0), sigma)
    return blurred


def equalised(image: Image, clip: float, tiles: int) -> Image:
    """Luma after contrast-limited histogram equalisation, (H, W)."""
    result: Image = cv2.createCLAHE(clip, (tiles, tiles)).apply(grey(image))
    return result


def xdog(
    values: Grey, sigma: float, sharpness: float, threshold: float, slope: float, ratio: float = 1.6
) -> Grey:
    """Extended difference of Gaussians (Winnemöller 2012): ink lines, 0 on a line and 1 on paper."""
    lines = (1 + sharpness) * blur(values, sigma) - sharpness * blur(values, sigma * ratio)
    ink = np.where(lines >= threshold, 1.0, 1 + np.tanh(slope * (lines - threshold)))
    return ink.astype(np.float32)


def smoothed(image: Image, passes: int = 3) -> Image:
    """Flat regions and sharp edges: repeated bilateral filter."""
    for _ in range(passes):
        image = cv2.bilateralFilter(image, 7, 40, 7)
    return image


def kuwahara(image: Image, radius: int) -> Picture:
    """Paint dabs: each pixel takes the mean of the calmest of its four corner windows (softly chosen)."""
    size = (radius + 1, radius + 1)
    values = luma(image)

    def box(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        mean: npt.NDArray[np.float32] = cv2.boxFilter(plane, -1, size, borderType=cv2.BORDER_REFLECT)
        return mean

    mean = box(as_picture(image))
    grey_mean = box(values)
    variance = box(values * values) - grey_mean * grey_mean
    reach = radius // 2 + radius % 2
    height, width = image.shape[:2]
    means: list[npt.NDArray[np.float32]] = []
    variances: list[npt.NDArray[np.float32]] = []
    for dy in (-reach, reach):
        for dx in (-reach, reach):
            shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
            for plane, into in ((mean, means), (variance, variances)):
                into.append(cv2.warpAffine(plane, shift, (width, height), borderMode=cv2.BORDER_REFLECT))
    weights = 1 / (1e-4 + np.maximum(np.stack(variances), 0)) ** 4
    weights /= weights.sum(0)
    dabs: Picture = (np.stack(means) * weights[..., None]).sum(0).astype(np.float32)
    return dabs


def saturated(picture: npt.NDArray[np.floating], saturation: float, value: float = 1.0) -> Picture:
    """Saturation and value multiplied, in HSV."""
    hsv = cv2.cvtColor(np.clip(picture, 0, 1).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 1)
    hsv[..., 2] = np.clip(hsv[..., 2] * value, 0, 1)
    result: Picture = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return result


def gradient_map(values: Grey, colours: Sequence[Colour]) -> Picture:
    """0–1 to evenly spaced colours (0–255), linear between them."""
    table = np.array(colours, np.float32) / 255
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(values, stops, table[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).astype(np.float32)


def edge_strength(values: Grey) -> tuple[Grey, Grey]:
    """Sobel derivatives along x and y."""
    return cv2.Sobel(values, -1, 1, 0), cv2.Sobel(values, -1, 0, 1)
