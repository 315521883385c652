"""The contact sheet: pictures of styles side by side, each with its name, colour and prompt."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daemon.picture.slate import font
from pipeline.errors import PhospheneError

GAP: Final = 18
NIGHT: Final = (16, 16, 22)
INK: Final = (236, 234, 246)
FAINT: Final = (158, 154, 180)
EMPTY: Final = (40, 38, 52)


@dataclass(frozen=True, slots=True)
class Cell:
    """picture: encoded, or None with `reason` why there is none. colour: #rrggbb or ""."""

    name: str
    text: str = ""
    colour: str = ""
    picture: bytes | None = None
    reason: str = ""


def sheet(cells: list[Cell], columns: int = 0) -> Any:
    """A PIL image. columns 0: so many that the sheet is about as wide as 16:10."""
    from PIL import Image, ImageDraw

    pictures = [Image.open(io.BytesIO(c.picture)).convert("RGB") if c.picture else None for c in cells]
    width, height = next((p.size for p in pictures if p is not None), (320, 192))
    unit = width / 320
    label = round(46 * unit)
    gap = round(GAP * unit)
    columns = min(columns or _columns(len(cells), (height + label) / width), max(1, len(cells)))
    rows = math.ceil(len(cells) / columns)
    size = (columns * (width + gap) + gap, rows * (height + label + gap) + gap)
    page = Image.new("RGB", size, NIGHT)
    draw = ImageDraw.Draw(page)
    big, small = font(15 * unit), font(11 * unit)
    for n, (cell, picture) in enumerate(zip(cells, pictures, strict=True)):
        x, y = gap + n % columns * (width + gap), gap + n // columns * (height + label + gap)
        if picture is not None:
            page.paste(
                picture.resize((width, height)) if picture.size != (width, height) else picture, (x, y)
            )
        else:
            draw.rectangle((x, y, x + width, y + height), fill=EMPTY)
            said = _shortened(cell.reason, width - 2 * gap, small, draw)
            draw.text((x + width / 2, y + height / 2), said, font=small, fill=FAINT, anchor="mm")
        left = x
        if cell.colour:
            edge = round(11 * unit)
            draw.ellipse((x, y + height + edge, x + edge, y + height + edge * 2), fill=cell.colour)
            left += round(17 * unit)
        draw.text((left, y + height + 22 * unit), _shortened(cell.name, x + width - left, big, draw),
                  font=big, fill=INK, anchor="ls")  # fmt: skip
        draw.text((x, y + height + 39 * unit), _shortened(cell.text, width, small, draw),
                  font=small, fill=FAINT, anchor="ls")  # fmt: skip
    return page


def _columns(cells: int, aspect: float) -> int:
    """About 16:10 in all, with as few places left empty as that allows. aspect: a cell's height by its width."""
    fit = max(1, round(math.sqrt(cells * 1.6 * aspect)))
    return min((fit, fit + 1, max(1, fit - 1)), key=lambda columns: -cells % columns)


def save(page: Any, path: Path) -> None:
    """As the file's ending says. Raises PhospheneError."""
    try:
        page.save(path)
    except (OSError, ValueError) as error:
        raise PhospheneError(
            f"{path} cannot be written: {error}", "name a .png or .jpg in a folder of yours"
        ) from None


def _shortened(text: str, width: float, font: Any, draw: Any) -> str:
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text.rstrip(" ,") + "…"
