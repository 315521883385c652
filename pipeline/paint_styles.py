"""Every style of a list on one picture, without a daemon: `python -m pipeline.paint_styles` reads one line of JSON,

    {"config": EngineConfig, "t_index_list", "styles": [{…}], "picture": path or null (the packaged portrait)}

and prints lines of JSON: {"progress"} while it loads, {"original": base64 PNG}, then {"name", "png"} or
{"name", "reason"} for each style, in order.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from pipeline.configs import EngineConfig, from_json
from pipeline.devices import cores, device_for, dtype_for
from pipeline.errors import PhospheneError
from pipeline.frame import Image, Size
from pipeline.messages import Style
from pipeline.models.load import load_model
from pipeline.sources.image import load_image
from pipeline.style_picture import StylePainter, demo_picture, fitted


def sheet_size(edge: int) -> Size:
    """5:3 with about the pixels that a model of `edge`² was trained on."""
    return Size(round(edge * 1.25 / 64) * 64, round(edge * 0.75 / 64) * 64)


def paint_styles(asked: dict[str, Any]) -> None:
    config = from_json(EngineConfig, asked["config"])
    styles = TypeAdapter(tuple[Style, ...]).validate_python(asked["styles"])
    device = device_for(config.device)
    if device.type == "cpu":
        torch.set_num_threads(config.threads or cores())
    model = load_model(
        config.model,
        vae=config.vae,
        loras=config.loras,
        device=device,
        dtype=dtype_for(config.dtype, device),
        offline=config.offline,
        allow_pickle=config.allow_pickle,
        progress=lambda message, fraction: say({"progress": message}),
    )
    size = sheet_size(model.default_size)
    picture = asked["picture"]
    original = fitted(load_image(Path(picture)), size) if picture else demo_picture(size)
    say({"original": png(original)})
    painter = StylePainter(model, add_noise=config.add_noise)
    steps = tuple(asked["t_index_list"])
    for style in styles:
        say({"name": style.name, **_painted(painter, style, steps, original)})


def _painted(painter: StylePainter, style: Style, steps: tuple[int, ...], original: Image) -> dict[str, str]:
    """One style's answer; what cannot be painted is told, and the next one has its turn."""
    try:
        return {"png": png(painted_in(painter, style, steps, original))}
    except PhospheneError as error:
        return {"reason": error.message}
    except (RuntimeError, ValueError) as error:
        return {"reason": str(error)}


def painted_in(painter: StylePainter, style: Style, steps: tuple[int, ...], original: Image) -> Image:
    size = Size(original.shape[1], original.shape[0])

    def paint() -> Image:
        return painter.prepare(style, steps, lambda: original, size)()

    weights = dict(style.loras)
    return paint() if painter.in_force(weights) else painter.with_loras(weights, paint)


def png(image: Image) -> str:
    """HWC RGB uint8 as base64 PNG."""
    import cv2

    _, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return base64.b64encode(data.tobytes()).decode("ascii")


def say(fact: dict[str, Any]) -> None:
    _OUT.write(json.dumps(fact) + "\n")
    _OUT.flush()


if __name__ == "__main__":
    _OUT, sys.stdout = sys.stdout, sys.stderr  # a library's print must not break a line
    try:
        paint_styles(json.loads(sys.stdin.readline()))
    except PhospheneError as error:
        say({"error": error.message, "mend": error.mend})
        sys.exit(1)
