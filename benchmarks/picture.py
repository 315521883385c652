"""What the viewer sees: style truth, flicker with and without the temporal-consistency option, contact sheet.

    python benchmarks/picture.py [--clip FILE] [--photographs FOLDER] [--sheet sheet.jpg] [--log]

Style truth: `benchmarks/style_truth.py`, with the bank's own settings; `--group validation` to choose by, the
default `test` to report. Flicker: `benchmarks/flicker.py`, for every style of the bank in `config.yaml`, on a still
scene with a sensor noise of σ = 2 grey levels and on the calmest and liveliest stretch of the clip.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.clips import Image, covering, noisy, read_clip, stretches  # noqa: E402
from benchmarks.flicker import flicker, mean, table  # noqa: E402
from benchmarks.painter import Painter, bank  # noqa: E402
from benchmarks.style_truth import PHOTOGRAPHS, photographs, report, style_truth  # noqa: E402
from pipeline.engine import precision  # noqa: E402
from pipeline.messages import Style  # noqa: E402


def contact_sheet(painter: Painter, pictures: Sequence[Image], styles: Sequence[Style], file: Path) -> None:
    """A row a style, a column a picture, the camera's own first."""
    latents = [painter.latents(p) for p in pictures]
    rows = [_labelled(np.concatenate(pictures, 1), "camera")]
    for style in styles:
        painted = [painter.paint(z, style) for z in latents]
        rows.append(_labelled(np.concatenate(painted, 1), style.name))
    half = -(-len(rows) // 2)
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    sheet = np.concatenate([np.concatenate(rows[:half], 0), np.concatenate(rows[half:], 0)], 1)
    cv2.imwrite(str(file), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


def _labelled(image: Image, text: str) -> Image:
    image = image.copy()
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, cv2.LINE_AA)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, help="a video with a talking person")
    parser.add_argument("--group", choices=sorted(PHOTOGRAPHS), default="test")
    parser.add_argument("--photographs", type=Path, help="folder of more photographs for style truth")
    parser.add_argument("--model", default="builtin", help="builtin or a folder like it")
    parser.add_argument("--size", default="320x192")
    parser.add_argument("--frames", type=int, default=12, help="of each stretch")
    parser.add_argument("--styles", nargs="*", default=[], help="of config.yaml; all of them by default")
    parser.add_argument("--t-index-list", type=int, nargs="+", default=[45])
    parser.add_argument("--amount", type=float, default=0.8, help="of the consistency option")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sheet", type=Path, help="write a contact sheet there")
    parser.add_argument("--skip", nargs="*", default=[], choices=["truth", "flicker"])
    parser.add_argument("--log", action="store_true", help="add the result to benchmarks/LOG.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    width, height = map(int, args.size.split("x"))
    cpu = torch.device("cpu")
    dtype = precision.choose(cpu) if args.dtype == "auto" else getattr(torch, args.dtype)
    styles = bank(args.styles)
    result: dict[str, Any] = {"benchmark": "picture", "size": args.size, "t_index_list": args.t_index_list}
    lines: list[str] = []

    if "truth" not in args.skip:
        square = Painter(256, 256, args.t_index_list, dtype, args.model)
        truth = style_truth(square, photographs(args.group, args.photographs))
        result["style_truth"] = {"group": args.group, **truth}
        lines += report(args.group, truth)
        print("\n".join(lines), flush=True)

    painter = Painter(width, height, args.t_index_list, dtype, args.model)
    portrait = covering(next(iter(photographs("validation").values())), width, height)
    rng = np.random.default_rng(0)
    scenes = {"still, σ = 2": [noisy(portrait, 2, rng) for _ in range(args.frames)]}
    if args.clip:
        scenes |= stretches(read_clip(args.clip, width, height), args.frames)
    if "flicker" not in args.skip:
        rows = {name: flicker(painter, frames, styles, args.amount) for name, frames in scenes.items()}
        lines += ["", *table(rows, styles)]
        for name, row in rows.items():
            result[f"flicker, {name}"] = mean(row)
        print("\n".join(lines[-len(styles) - 4 :]))

    if args.sheet:
        shown = [portrait]
        for stretch in list(scenes.values())[1:]:
            shown += [stretch[0], stretch[-1]]
        contact_sheet(painter, shown, styles, args.sheet)
    if args.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(
                f"\n## {date.today()} · picture.py · {platform.machine()}\n\n" + "\n".join(lines) + "\n"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
