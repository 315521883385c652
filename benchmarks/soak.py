"""Thirty minutes at full rate under random commands and faults: memory, descriptors, gaps and latency must not grow.

    python -m benchmarks.soak [--minutes 30] [--seed N] [--fault-every 240]

The seed in the closing JSON line gives the same run again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults import scenes
from tests.faults.soak import PAINTED, soak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--fault-every", type=float, default=240.0, help="seconds")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory() as folder,
        scenes.painted_bars(Path(folder) / "home", **PAINTED) as scene,
    ):
        report = soak(scene, arguments.minutes * 60, arguments.seed, fault_every_s=arguments.fault_every)
    print(json.dumps(asdict(report)))
    return int(bool(report.wrong))


if __name__ == "__main__":
    sys.exit(main())
