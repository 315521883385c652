"""The engine with nothing around it, in a process of its own (`pipeline.measure`): this one knows no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from daemon.app import canvas_of
from daemon.children.roles import engine_config, run_module
from daemon.settings import Settings
from pipeline.configs import to_json
from pipeline.errors import EngineError
from pipeline.messages import LiveState, to_dict

Say = Callable[[str], None]


def engine_alone(
    settings: Settings, rows: Mapping[str, LiveState], seconds: float, rounds: int, say: Say
) -> dict[str, Any]:
    """Every row, the configured engine and the eager one in turns; see `pipeline.measure.__main__`."""
    asked = {
        "config": to_json(engine_config(settings, canvas_of(settings))),
        "rows": {name: to_dict(state) for name, state in rows.items()},
        "seconds": seconds,
        "rounds": rounds,
    }
    with subprocess.Popen(
        [sys.executable, *run_module("pipeline.measure")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdin.write(json.dumps(asked) + "\n")
            child.stdin.close()
            for line in child.stdout:
                message = json.loads(line) if line.startswith("{") else {}
                if "progress" in message:
                    say(message["progress"])
                elif "result" in message:
                    result: dict[str, Any] = message["result"]
                    return result
            said = child.stderr.read().strip().splitlines()
        finally:
            child.kill()
    raise EngineError("the engine alone could not be measured", said[-1] if said else "")
