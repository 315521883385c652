"""A still picture as a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from pipeline.errors import SourceError
from pipeline.frame import Image, Size
from pipeline.geometry import even
from pipeline.options import setting
from pipeline.pixels import resize, size_of
from pipeline.source import Picture, SourceInfo
from pipeline.sources._options import PictureOptions
from pipeline.sources._pace import Pace

ARGUMENT: Final = "path"
LARGEST: Final = (
    1920  # pixels of the longer side; a 50-megapixel photograph would cost 100 ms to shrink each time
)


class Options(PictureOptions):
    path: str = setting(..., "picture file (PNG, JPEG, WebP, …)", applies="prepare", min_length=1)
    fps: float = setting(30.0, "times a second it is shown", applies="prepare", gt=0, le=240)


def available() -> str | None:
    return None


def create(options: Options) -> ImageSource:
    return ImageSource(options)


def load_image(path: Path) -> Image:
    """A picture file as HWC RGB uint8, turned as its EXIF says. Raises SourceError."""
    import cv2

    _refuse_oversize(path)
    try:
        data = np.fromfile(path, np.uint8)  # not imread: that cannot open every file name on Windows
    except FileNotFoundError:
        raise SourceError(f"image: there is no file {path}", "give the path of a picture") from None
    except OSError as error:
        raise SourceError(
            f"image: {path} cannot be read: {error.strerror}", "check the path and its rights"
        ) from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise SourceError(f"image: {path} is not a picture that OpenCV can decode", "use a PNG or JPEG file")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _refuse_oversize(path: Path) -> None:
    """A few kilobytes can stand for gigapixels, and a device file never ends: looked at before it is read."""
    import warnings

    from PIL import Image as Pictures

    if path.exists() and not path.is_file():
        raise SourceError(f"image: {path} is not a file", "give the path of a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pictures.DecompressionBombWarning)
            Pictures.open(path).close()
    except (Pictures.DecompressionBombError, Pictures.DecompressionBombWarning):
        raise SourceError(
            f"image: {path} has more than {(Pictures.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels",
            f"make it smaller; {LARGEST} pixels of the longer side are used",
        ) from None
    except (OSError, ValueError):
        return  # what is wrong with it, or a format that only OpenCV knows, is seen when it is read


class ImageSource:
    """Shows the same picture `fps` times a second. Pictures share one read-only array."""

    def __init__(self, options: Options) -> None:
        path = Path(options.path).expanduser()
        image = load_image(path)
        own = size_of(image)
        if (largest := max(own)) > LARGEST:
            image = resize(
                image, Size(even(own.width * LARGEST / largest), even(own.height * LARGEST / largest))
            )
        self._image = image
        self._image.flags.writeable = False
        size = size_of(image)
        shrunk = f", from {own}" if size != own else ""
        self._info = SourceInfo(
            "image",
            path.name,
            str(path.absolute()),
            size,
            options.fps,
            detail=f"still picture {size}{shrunk}",
        )
        self._pace = Pace(options.fps)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self) -> Picture | None:
        return Picture(self._image, self._pace.wait())

    def close(self) -> None:
        return
