"""A bar chart of frames a second: the eager engine, the engine alone and the whole daemon, for each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

BACKGROUND, INK, SOFT, GRID = "#ffffff", "#1d1b26", "#6b6778", "#e4e1ea"
SERIES: Final = (
    ("eager engine alone", "#b9b3c9"),
    ("engine alone", "#8b6be0"),
    ("whole daemon", "#e0608a"),
)
SCALE: Final = 2  # drawn at twice the size it is shown at
WIDTH: Final = 760
BAR, GAP, ROW_GAP = 18, 4, 22
LEFT, RIGHT, TOP, BOTTOM = 150, 70, 84, 44


def draw(figures: dict[str, Any], path: Path) -> None:
    """Write a PNG. figures: as `phosphene bench` gives them."""
    from PIL import Image, ImageDraw

    values = {
        name: (row["eager"]["fps"], row["engine"]["fps"], row["daemon"]["fps"])
        for name, row in figures["rows"].items()
    }
    row_height = len(SERIES) * (BAR + GAP) + ROW_GAP
    height = TOP + len(values) * row_height + BOTTOM
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), BACKGROUND)
    pen = _Pen(ImageDraw.Draw(image))
    pen.text(24, 18, "Frames a second", 20, INK)
    where = f"{figures['model']}, {figures['size']}, {figures['dtype']} on {_device(figures)}"
    pen.text(24, 46, where, 12, SOFT)
    pen.legend(WIDTH - 24, 22)
    most = max(max(of) for of in values.values())
    step = _step(most)
    across = (WIDTH - LEFT - RIGHT) / (most * 1.02)
    for tick in range(0, int(most) + 1, step):
        x = LEFT + tick * across
        pen.line(x, TOP - 8, height - BOTTOM, GRID)
        pen.text(x, height - BOTTOM + 8, str(tick), 12, SOFT, "ma")
    for n, (name, of) in enumerate(values.items()):
        y = TOP + n * row_height
        pen.text(LEFT - 14, y + (row_height - ROW_GAP) / 2, name, 14, INK, "rm")
        for (_, colour), value in zip(SERIES, of, strict=True):
            pen.bar(LEFT, y, value * across, colour)
            pen.text(LEFT + value * across + 8, y + BAR / 2, f"{value:.1f}", 12, INK, "lm")
            y += BAR + GAP
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def _device(figures: dict[str, Any]) -> str:
    threads = figures.get("threads")
    return f"{threads} CPU cores" if figures["device"] == "cpu" and threads else str(figures["device"])


def _step(most: float) -> int:
    """A round number that gives four to ten ticks."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / step <= 10)


class _Pen:
    def __init__(self, canvas: Any) -> None:
        self._canvas = canvas

    def text(self, x: float, y: float, text: str, size: int, colour: str, anchor: str = "la") -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(size * SCALE)
        self._canvas.text((x * SCALE, y * SCALE), text, colour, font, anchor)

    def width(self, text: str, size: int) -> float:
        from PIL import ImageFont

        return float(ImageFont.load_default(size * SCALE).getlength(text)) / SCALE

    def line(self, x: float, top: float, bottom: float, colour: str) -> None:
        self._canvas.line([(x * SCALE, top * SCALE), (x * SCALE, bottom * SCALE)], colour, SCALE)

    def bar(self, x: float, y: float, length: float, colour: str) -> None:
        box = [x * SCALE, y * SCALE, (x + max(2.0, length)) * SCALE, (y + BAR) * SCALE]
        self._canvas.rounded_rectangle(box, 3 * SCALE, colour, corners=(False, True, True, False))

    def legend(self, right: float, y: float) -> None:
        """On one line, ending at `right`."""
        x = right
        for name, colour in reversed(SERIES):
            x -= self.width(name, 12)
            self.text(x, y, name, 12, INK)
            x -= 18
            self._canvas.rounded_rectangle(
                [x * SCALE, (y + 1) * SCALE, (x + 12) * SCALE, (y + 13) * SCALE], 3 * SCALE, colour
            )
            x -= 18
