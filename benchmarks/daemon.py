"""The whole daemon beside its own engine: frames from memory → null sink in the virtual camera's format.

    python benchmarks/daemon.py [--seconds 10] [--canvas 256x256] [--output 1280x720] [--log]

For 1, 2 and 4 steps: the daemon's rate as a share of the engine's and of the eager engine's, alone in the same run,
and p99 ÷ p50 of the time from one painted frame to the next. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import report
from daemon.bench.command import bench
from daemon.exit_codes import ExitCode
from pipeline.configs import EngineConfig


def measure_model(config: EngineConfig, seconds: float) -> dict[str, Any]:
    """For a model and canvas of benchmarks/engine.py; on a card the output has the canvas' size, as there.

    On a CPU it is that of a call: 1280x720.
    """
    canvas = str(config.canvas)
    on_cpu = config.device == "cpu" or not _has_card()
    overrides = {
        "model.name": config.model,
        "model.size": canvas,
        "output.size": "1280x720" if on_cpu else canvas,
        "engine.kind": config.kind,
        "engine.device": config.device,
        "engine.dtype": config.dtype,
        "source.width": 1280 if on_cpu else config.canvas.width,
        "source.height": 720 if on_cpu else config.canvas.height,
    }
    return measure(overrides, seconds)


def _has_card() -> bool:
    import torch

    return torch.cuda.is_available()


def measure(overrides: dict[str, Any], seconds: float) -> dict[str, Any]:
    """In folders of its own: the user's daemon may run beside it, and their configuration is not read."""
    with tempfile.TemporaryDirectory() as home:
        for name in ("CONFIG", "STATE", "RUNTIME"):
            folder = Path(home, name.lower())
            folder.mkdir(mode=0o700)
            os.environ[f"XDG_{name}_DIR" if name == "RUNTIME" else f"XDG_{name}_HOME"] = str(folder)
        return bench(overrides, None, seconds, lambda text: print(text, file=sys.stderr, flush=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--canvas", default="256x256")
    parser.add_argument("--output", default="1280x720")
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--log", action="store_true", help="add the result to benchmarks/LOG.md")
    options = parser.parse_args()
    overrides = {
        "model.name": options.model,
        "model.size": options.canvas,
        "output.size": options.output,
        "engine.kind": options.kind,
    }
    result = {**measure(overrides, options.seconds), "benchmark": "daemon"}
    text = (
        f"{result['model']} at {result['size']}, {result['dtype']}, {result['device']}, output {options.output}, "
        f"camera 1280x720 at {result['camera_fps']:.0f} from memory, {options.seconds:g} s a row.\n\n"
        f"{report.daemon_table(result)}\n"
    )
    print(text)
    if options.log:
        report.append(text, f"daemon.py · {result['device']}")
    print(json.dumps(result))
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
