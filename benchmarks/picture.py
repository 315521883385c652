"""What the viewer sees: style truth, flicker with and without the temporal-consistency option, contact sheet.

    python benchmarks/picture.py [--clip FILE] [--size 320x192] [--styles NAME …] [--t-index-list 45]
        [--sheet sheet.jpg] [--log]

Style truth: photographs that the model was not trained on (those that scikit-image ships), painted in every
style it was taught, with the bank's own settings; each output should be nearest its own teacher's picture among
those of all teachers. Two distances, at 256²: `levels`, the mean absolute difference, sees tones but prefers any
smooth picture to a fine pattern that is a pixel out of place; `angle` compares how the output and the target
differ from the mean of all targets, over the bands of a Laplacian pyramid, and sees patterns but not how strong
they are. Nearest is by their product; each alone is reported beside it.

Flicker: mean absolute difference between an output and the output before it, warped along the input's optical
flow (DIS), over the same for the input; pixels that the flow cannot follow are left out. Measured on a still
scene with a sensor noise of σ = 2 grey levels and on the clip, for each style of the bank in `config.yaml`,
with the option off and on. Ghosting: at newly uncovered pixels, how far the output is from the output painted
without the option, in grey levels, beside how far it is at all moving pixels.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.clips import Image, covering, noisy, read_clip, stretches  # noqa: E402
from pipeline.consistency import TemporalConsistency  # noqa: E402
from pipeline.engine import precision  # noqa: E402
from pipeline.engine.eager import EagerEngine  # noqa: E402
from pipeline.live_admission import LiveAdmission  # noqa: E402
from pipeline.messages import LiveState, Style  # noqa: E402
from pipeline.models.load import load_model  # noqa: E402
from pipeline.models.training.styles import STYLES  # noqa: E402
from pipeline.noise import noise_for  # noqa: E402
from pipeline.schedule import Schedule  # noqa: E402
from pipeline.sequential import denoise  # noqa: E402

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "camera", "rocket", "motorcycle_left", "coins")


class Painter:
    """The built-in model, frame by frame, as the daemon runs it with one frame in flight."""

    def __init__(self, width: int, height: int, t_index_list: Sequence[int], dtype: torch.dtype) -> None:
        from pipeline.conditioning import TextConditioner

        model = load_model("builtin", dtype=dtype)
        self.engine = EagerEngine(model)
        self.t_index_list = tuple(t_index_list)
        shape = (model.latent_channels, height // model.vae_scale, width // model.vae_scale)
        self._live = LiveAdmission(
            TextConditioner(model),
            lambda indices, strength: Schedule.of(model.alphas_cumprod, indices, strength),
            lambda seeds: noise_for(seeds[0][0], len(self.t_index_list), *shape),
            pictures=True,
        )

    def paint(self, latents: torch.Tensor, style: Style) -> Image:
        """One frame's clean latents [1, C, h, w] → RGB uint8 (H, W, 3)."""
        self._live.update(LiveState(style=style, t_index_list=self.t_index_list), 0)
        model = self.engine.model
        clean = denoise(
            self.engine.predict, latents, self._live.at(0)[0], prediction_type=model.prediction_type
        )
        return self.engine.decode(clean)[0].numpy()

    def latents(self, image: Image) -> torch.Tensor:
        return self.engine.encode(image[None])


def photographs() -> dict[str, Image]:
    """Those that scikit-image's wheel holds; any it would download are left out."""
    try:
        from skimage import data
    except ImportError:
        raise SystemExit("style truth needs scikit-image: pip install scikit-image") from None
    folder = Path(data.__file__).parent
    found = {}
    for name in PHOTOGRAPHS:
        files = [f for f in folder.glob(f"{name}.*") if f.suffix in {".png", ".jpg"}]
        if files and (image := cv2.imread(str(files[0]))) is not None:
            found[name] = covering(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), 256, 256)
    return found


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
        self.names = list(STYLES)
        self._pictures = [style.teach(photograph) for style in STYLES.values()]
        pyramids = [bands(picture) for picture in self._pictures]
        self._means = [np.mean(of_band, axis=0) for of_band in zip(*pyramids, strict=True)]
        self._directions = [self._direction(pyramid) for pyramid in pyramids]

    def _direction(self, pyramid: list[np.ndarray]) -> list[np.ndarray]:
        """From the mean of all targets, unit length in every band."""
        away = [band - mean for band, mean in zip(pyramid, self._means, strict=True)]
        return [band / (np.linalg.norm(band) + 1e-6) for band in away]

    def nearest(self, output: Image) -> dict[str, str]:
        """The nearest style by each distance and by their product."""
        levels = np.array([np.abs(output.astype(np.float32) - p).mean() for p in self._pictures])
        direction = self._direction(bands(output))
        cosines = [np.mean([a @ b for a, b in zip(direction, d, strict=True)]) for d in self._directions]
        angle = 1 - np.array(cosines)
        by = {"levels": levels, "angle": angle, "product": levels * angle}
        return {name: self.names[int(distance.argmin())] for name, distance in by.items()}


def style_truth(painter: Painter) -> dict[str, Any]:
    """Shares of (photograph, style) whose output is nearest its own target, and the confusions."""
    as_banked = {style.prompt: style for style in bank(())}
    right = {"levels": 0, "angle": 0, "product": 0}
    total, confusions = 0, []
    for photograph, image in photographs().items():
        latents, targets = painter.latents(image), Targets(image)
        for name, style in STYLES.items():
            painted = next(as_banked[prompt] for prompt in style.names if prompt in as_banked)
            nearest = targets.nearest(painter.paint(latents, painted))
            total += 1
            for distance, found in nearest.items():
                right[distance] += found == name
            if nearest["product"] != name:
                confusions.append(f"{photograph}: {name} looks like {nearest['product']}")
    shares = {distance: round(count / total, 4) for distance, count in right.items()}
    return {**shares, "cases": total, "confusions": confusions}


class Motion:
    """Optical flow between two input frames, and where it can be followed."""

    def __init__(self, before: Image, after: Image) -> None:
        grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (before, after)]
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back = dis.calc(grey[1], grey[0], None)  # for a pixel of `after`, where it was in `before`
        there = dis.calc(grey[0], grey[1], None)
        height, width = grey[0].shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        self._at = (x + back[..., 0], y + back[..., 1])
        returned = np.stack([self._warped(there[..., i]) for i in range(2)], -1)
        self.followed = np.hypot(*np.moveaxis(back + returned, -1, 0)) < 1.0
        self.moving = np.hypot(back[..., 0], back[..., 1]) > 1.0

    def _warped(self, plane: np.ndarray) -> np.ndarray:
        return cv2.remap(plane, *self._at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def error(self, before: Image, after: Image) -> float:
        """Mean absolute difference of `after` from `before` brought to where it has moved, grey levels."""
        d = np.abs(after.astype(np.float32) - self._warped(before.astype(np.float32)))
        return float(d[self.followed].mean())

    @property
    def uncovered(self) -> np.ndarray:
        """Pixels that were hidden in `before`: not followed, and near a motion."""
        near = cv2.dilate(self.moving.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        return ~self.followed & near


def flicker(painter: Painter, frames: list[Image], styles: Sequence[Style], amount: float) -> dict[str, Any]:
    """Per style: output's flow-warped error over the input's, option off and on; and ghosting."""
    motions = [Motion(a, b) for a, b in pairwise(frames)]
    of_input = float(np.mean([m.error(a, b) for m, (a, b) in zip(motions, pairwise(frames), strict=True)]))
    consistency = TemporalConsistency(amount)
    plain = [painter.latents(f) for f in frames]
    steady = [consistency.steadied(f[None], z) for f, z in zip(frames, plain, strict=True)]
    rows: dict[str, Any] = {"input": round(of_input, 3)}
    for style in styles:
        painted = {on: [painter.paint(z, style) for z in of] for on, of in ((False, plain), (True, steady))}
        error = {
            on: float(np.mean([m.error(a, b) for m, (a, b) in zip(motions, pairwise(of), strict=True)]))
            for on, of in painted.items()
        }
        ghosts = []
        for motion, off, on in zip(motions, painted[False][1:], painted[True][1:], strict=True):
            if motion.uncovered.sum() > 50:
                d = np.abs(on.astype(np.float32) - off)
                ghosts.append(float(d[motion.uncovered].mean()))
        rows[style.name] = {
            "off": round(error[False] / of_input, 3),
            "on": round(error[True] / of_input, 3),
            "ghost": round(float(np.mean(ghosts)), 3) if ghosts else None,
        }
    return rows


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


def bank(names: Sequence[str]) -> list[Style]:
    """The styles of `config.yaml`; all of them where no name is given."""
    entries = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["styles"]
    if unknown := set(names) - set(entries):
        raise SystemExit(f"config.yaml has no style {', '.join(sorted(unknown))}")
    return [Style(name=name, **entries[name]) for name in names or entries]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, help="a video with a talking person")
    parser.add_argument("--size", default="320x192")
    parser.add_argument("--frames", type=int, default=30, help="of each stretch")
    parser.add_argument("--styles", nargs="*", default=[], help="of config.yaml; all of them by default")
    parser.add_argument("--t-index-list", type=int, nargs="+", default=[45])
    parser.add_argument("--amount", type=float, default=0.8, help="of the consistency option")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sheet", type=Path, help="write a contact sheet there")
    parser.add_argument("--skip-truth", action="store_true")
    parser.add_argument("--log", action="store_true", help="add the result to benchmarks/LOG.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    width, height = map(int, args.size.split("x"))
    cpu = torch.device("cpu")
    dtype = precision.choose(cpu) if args.dtype == "auto" else getattr(torch, args.dtype)
    styles = bank(args.styles)
    result: dict[str, Any] = {"benchmark": "picture", "size": args.size, "t_index_list": args.t_index_list}
    lines: list[str] = []

    if not args.skip_truth:
        truth = style_truth(Painter(256, 256, args.t_index_list, dtype))
        result["style_truth"] = truth
        lines += [
            f"Style truth: {truth['product']:.1%} of {truth['cases']} outputs are nearest their own target "
            f"(by levels alone {truth['levels']:.1%}, by angle alone {truth['angle']:.1%})."
        ]
        lines += [f"- {confusion}" for confusion in truth["confusions"]]
        print("\n".join(lines), flush=True)

    painter = Painter(width, height, args.t_index_list, dtype)
    portrait = covering(next(iter(photographs().values())), width, height)
    rng = np.random.default_rng(0)
    scenes = {"still, σ = 2": [noisy(portrait, 2, rng) for _ in range(args.frames)]}
    if args.clip:
        clip = read_clip(args.clip, width, height)
        scenes |= stretches(clip, args.frames)
    lines += ["", "| style | " + " | ".join(f"{s}: off, on (ghost)" for s in scenes) + " |"]
    lines += ["|---|" + "---|" * len(scenes)]
    rows = {name: flicker(painter, frames, styles, args.amount) for name, frames in scenes.items()}
    lines += [
        "| error of the input | " + " | ".join(f"{r['input']:.2f} grey levels" for r in rows.values()) + " |"
    ]
    for style in styles:
        cells = []
        for row in rows.values():
            got = row[style.name]
            ghost = "" if got["ghost"] is None else f" ({got['ghost']:.2f})"
            cells.append(f"{got['off']:.2f}, {got['on']:.2f}{ghost}")
        lines.append(f"| {style.name} | " + " | ".join(cells) + " |")
    for name, row in rows.items():
        per_style = [v for v in row.values() if isinstance(v, dict)]
        off, on = (float(np.mean([v[key] for v in per_style])) for key in ("off", "on"))
        result[f"flicker, {name}"] = {"off": round(off, 3), "on": round(on, 3), "ratio": round(on / off, 3)}
        lines.append(f"\nMean of {name}: {off:.3f} off, {on:.3f} on ({on / off:.2f} ×).")
    print("\n".join(lines))

    if args.sheet:
        pictures = [portrait] + [frames[len(frames) // 2] for frames in list(scenes.values())[1:]]
        contact_sheet(painter, pictures, styles, args.sheet)
    if args.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(
                f"\n## {date.today().isoformat()} · picture.py · {platform.machine()}\n\n"
                f"{args.size}, t_index_list {args.t_index_list}, {dtype}, consistency {args.amount}.\n\n"
                + "\n".join(lines)
                + "\n"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
