"""Settings that every source of pictures has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.geometry import Look
from pipeline.options import Options, setting

Part = Annotated[float, Field(ge=0.0, le=1.0)]


class PictureOptions(Options):
    """Applied by the capture role through `pipeline.pixels`, in this order: crop, rotate, mirror.

    `mirror` is off: call programs already mirror your own view of yourself and send others the true one;
    a mirrored camera would show them reversed text.
    """

    crop: tuple[Part, Part, Part, Part] = setting(
        (0.0, 0.0, 1.0, 1.0),
        "part of the picture to use: left, top, width, height as parts of 1",
        applies="prepare",
    )
    rotate: Literal[0, 90, 180, 270] = setting(0, "turn the picture clockwise, degrees", applies="prepare")
    mirror: bool = setting(False, "swap left and right", applies="prepare")

    @field_validator("crop")
    @classmethod
    def _inside(cls, crop: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, top, width, height = crop
        if width < 0.05 or height < 0.05 or left + width > 1.0 + 1e-9 or top + height > 1.0 + 1e-9:
            raise ValueError(
                "crop is left, top, width, height as parts of 1: width and height at least 0.05, "
                "left + width and top + height at most 1"
            )
        return crop

    @property
    def look(self) -> Look:
        """For `pixels.place_on_canvas` and `pixels.place_on_output`."""
        return Look(self.crop, self.rotate, self.mirror)
