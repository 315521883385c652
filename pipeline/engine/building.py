"""The process that builds an engine: `python -m pipeline.engine.building`. One JSON line in (the job and its folder),
JSON lines out ({"say": "progress" | "done" | "failed", …}).

A process of its own, at low priority: tracing holds Python's lock for seconds, a compiler may crash or be killed for
memory, and neither may touch the picture.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.child import die_with_parent
from pipeline.engine.job import Job

if TYPE_CHECKING:
    import torch

    from pipeline.models.model import Model

NICE = 10  # a busy painter gets about nine parts of ten of a core that both want


def model_for(job: Job, dtype: torch.dtype) -> Model:
    """The job's model with its LoRAs fused. Never from the network: the painter has loaded it before."""
    from pipeline.models.load import load_lora, load_model

    model = load_model(
        job.model, vae=job.vae, device=job.device, dtype=dtype, offline=True, allow_pickle=job.allow_pickle
    )
    for name, _ in job.weights:
        load_lora(model, name, offline=True)
    model.set_lora_weights(dict(job.weights))
    return model


def main() -> int:
    die_with_parent()
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICE)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what compilers print is no message

    def say(kind: str, **facts: Any) -> None:
        out.write(json.dumps({"say": kind, **facts}) + "\n")
        out.flush()

    import torch

    from pipeline.engine.kinds._contract import kind_of

    torch.set_num_threads(1)
    job = Job.from_json(asked["job"])
    kind: Any = kind_of(job.kind)
    try:
        kind.build(job, Path(asked["folder"]), lambda text: say("progress", message=text))
    except Exception as error:  # noqa: BLE001 a compiler may raise anything; the sentence goes to the painter
        import traceback

        traceback.print_exc()
        say("failed", message=f"{type(error).__name__}: {_first_line(error)}")
        return 1
    say("done")
    return 0


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else "no reason given"


def _end_with_parent() -> None:
    sys.stdin.read()  # ends when the parent does
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
