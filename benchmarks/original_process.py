"""The original package in a process of its own, asked for turns: `{"make": …}` and `{"run": …}` in, one line each out.

It waits for the whole card every frame and frees the memory of its graphs as it likes; in our process that would be
our recordings' trouble. While the one runs, the other is idle: turns are turns all the same.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from pipeline.channel import PipeChannel
from pipeline.measure.alone import Timing


class NotInstalledError(Exception):
    """The package, or what it needs, is not here."""


@dataclass(frozen=True)
class Remote:
    """One configuration of it, over there."""

    owner: Originals
    number: int

    def run(self, seconds: float) -> Timing:
        return Timing(tuple(self.owner.ask({"run": self.number, "seconds": seconds})["ms"]))


class Originals:
    """Its process, for one model. Raises NotInstalledError with the name of what is missing."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self._child = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        model = {"folder": str(folder), "device": str(device), "dtype": str(dtype).removeprefix("torch.")}
        if missing := self.ask(model).get("missing"):
            self.close()
            raise NotInstalledError(missing)

    def make(
        self,
        size: tuple[int, int],
        t_index_list: tuple[int, ...],
        form: str,
        *,
        batched: bool = True,
        compiled: bool = False,
    ) -> Remote:
        """Warm."""
        asked = {"size": size, "t_index_list": t_index_list, "form": form, "batched": batched}
        return Remote(self, self.ask({"make": {**asked, "compiled": compiled}})["made"])

    def forget(self) -> None:
        """Every configuration so far: its memory is for the next ones."""
        self.ask({"forget": True})

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(message) + "\n")
        self._child.stdin.flush()
        if not (line := self._child.stdout.readline()):
            raise RuntimeError(f"the original's process ended with {self._child.wait()}: see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._child.kill()
        with self._child:  # closes its pipes and waits
            pass


def main() -> None:
    import warnings

    channel = PipeChannel()  # what the package prints is no answer
    warnings.simplefilter("ignore")  # its world is older than ours
    asked = channel.receive(None)
    assert asked is not None
    try:
        from benchmarks import original

        pipe = original.load(
            Path(asked["folder"]), torch.device(asked["device"]), getattr(torch, asked["dtype"])
        )
        import streamdiffusion  # noqa: F401
    except ImportError as error:
        channel.send({"missing": error.name or str(error)})
        return
    channel.send({})
    made: list[original.Original] = []
    with contextlib.suppress(EOFError):
        while (message := channel.receive(None)) is not None:
            if "make" in message:
                made.append(original.Original(pipe, **message["make"]))
                made[-1].warm_up()
                channel.send({"made": len(made) - 1})
            elif "forget" in message:
                made.clear()
                channel.send({})
            else:
                channel.send({"ms": made[message["run"]].run(message["seconds"]).ms})


if __name__ == "__main__":
    main()
