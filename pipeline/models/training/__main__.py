"""Command line of the training program; `--help` lists the options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.errors import PhospheneError
from pipeline.models.training.train import TrainingOptions, train


def main() -> int:
    defaults = TrainingOptions(Path(), Path())
    parser = argparse.ArgumentParser(prog="python -m pipeline.models.training", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs, searched through")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model (diffusers layout)")
    parser.add_argument("--minutes", type=float, default=defaults.minutes, help="of training [%(default)s]")
    parser.add_argument(
        "--crops", type=int, default=defaults.crops, help="squares to learn from [%(default)s]"
    )
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size, help="[%(default)s]")
    parser.add_argument("--side", type=int, default=defaults.side, help="pixels of a crop [%(default)s]")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="[%(default)s]")
    parser.add_argument("--device", default=defaults.device, help="auto, cuda or cpu [%(default)s]")
    parser.add_argument("--processes", type=int, default=0, help="for the teachers; 0: one a core [0]")
    given = parser.parse_args()
    try:
        train(TrainingOptions(**vars(given)))
    except PhospheneError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
