"""The invisible mark: how surely it is found after what may happen to a picture, and how much it changes one.

    python -m benchmarks.mark [--pictures 100]

Pictures are cut at random from the README's painted ones. Ends in one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.frame import Image, Size
from pipeline.mark import FOUND, Mark, score
from pipeline.sinks._i420 import I420

SIZE = Size(1280, 720)


def jpeg(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def scaled(image: Image, width: int, height: int) -> Image:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def i420(image: Image) -> Image:
    return cv2.cvtColor(I420(SIZE)(image), cv2.COLOR_YUV2RGB_I420)


def h264(image: Image, bits: int) -> Image:
    """The last of a second of it at 640x360, at so many bits a second."""
    small = scaled(i420(image), 640, 360)
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
            stream.width, stream.height, stream.bit_rate = 640, 360, bits
            for number in range(30):
                moved = np.roll(small, number, axis=1) if number < 29 else small
                container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
            container.mux(stream.encode())
        with av.open(file.name) as container:
            return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][-1]


WAYS: dict[str, Callable[[Image], Image]] = {
    "as it is": lambda image: image,
    "virtual camera (I420)": i420,
    "page (960x540, JPEG 80)": lambda image: jpeg(cv2.resize(image, (960, 540)), 80),
    "640x360, JPEG 60": lambda image: jpeg(scaled(image, 640, 360), 60),
    "JPEG 30": lambda image: jpeg(image, 30),
    "320x180": lambda image: scaled(image, 320, 180),
    "H.264 640x360, 1 Mbit/s": lambda image: h264(image, 1_000_000),
    "H.264 640x360, 300 kbit/s": lambda image: h264(image, 300_000),
    "cropped by 1 %": lambda image: cv2.resize(image[7:, 13:], SIZE),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100)
    count = parser.parse_args().pictures
    sheet = Path(__file__).resolve().parents[1] / "docs" / "images" / "styles.jpg"
    painted = cv2.cvtColor(cv2.imread(str(sheet)), cv2.COLOR_BGR2RGB)
    random, mark = np.random.default_rng(), Mark(SIZE)
    scores: dict[str, list[float]] = {way: [] for way in ("not marked", *WAYS)}
    noise, weave_ms = [], []
    for _ in range(count):
        y, x = random.integers(0, painted.shape[0] - 180), random.integers(0, painted.shape[1] - 320)
        picture = cv2.resize(painted[y : y + 180, x : x + 320], SIZE, interpolation=cv2.INTER_CUBIC)
        scores["not marked"].append(score(picture))
        marked = picture.copy()
        began = time.perf_counter()
        mark.weave(marked)
        weave_ms.append((time.perf_counter() - began) * 1e3)
        noise.append(10 * np.log10(255**2 / np.mean((marked.astype(float) - picture) ** 2)))
        for way, change in WAYS.items():
            scores[way].append(score(change(marked)))
    print(f"{'':28} {'lowest':>7} {'median':>7} {'highest':>8} {'found':>6}")
    for way, got in scores.items():
        found = np.mean(np.array(got) > FOUND)
        print(f"{way:28} {min(got):7.1f} {np.median(got):7.1f} {max(got):8.1f} {found:6.0%}")
    facts = {
        "pictures": count,
        "weave_ms_median": round(float(np.median(weave_ms)), 2),
        "psnr_db_median": round(float(np.median(noise)), 1),
        "lowest": {way: round(min(got), 1) for way, got in scores.items()},
        "found": {way: float(np.mean(np.array(got) > FOUND)) for way, got in scores.items()},
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
