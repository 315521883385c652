"""Faults from inside, for tests: Python runs this file at the start of every process whose PYTHONPATH has this folder.

Nothing of the program knows about it. `FAULTS_FOLDER` names a folder; a file in it asks for a fault:

denoiser    first word: raise | raise-always | allocate (2 GiB) | fill (0.5 GiB) | hang SECONDS |
            hold SECONDS (with the interpreter's lock) | nan SECONDS | crash;
            taken (deleted) by the next call of the stream batch, or the next frames on a lane
kinds/      of tests/faults: sinks that only tests have (`tap`, `hanging`)
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import time
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("FAULTS_FOLDER", "/nonexistent"))


class _AfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Runs a function on a module once it has been imported."""

    def __init__(self, changes):
        self._changes = changes
        self._loaders = {}

    def find_spec(self, name, path, target=None):
        if name not in self._changes or name in self._loaders:
            return None
        self._loaders[name] = None  # the search below comes here again
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        self._loaders[name] = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec):
        return self._loaders[spec.name].create_module(spec)

    def exec_module(self, module):
        name = module.__spec__.name
        self._loaders[name].exec_module(module)
        self._changes[name](module)


def _more_kinds(package):
    package.__path__.append(str(HERE.parent / "kinds" / package.__name__.rsplit(".", 1)[-1]))


def _faulty_stream_batch(module):
    real = module.StreamBatch.load

    def load(self, *arguments, **named):
        _denoiser_fault(self)
        return real(self, *arguments, **named)

    module.StreamBatch.load = load


def _faulty_lanes(module):
    real = module.Passage._through

    def through(self, predict):
        caller = types.SimpleNamespace(
            predict=lambda *arguments, **named: _poisoned(predict(*arguments, **named))
        )
        _denoiser_fault(caller)
        return real(self, caller.predict)

    module.Passage._through = through


NAN_UNTIL = [0.0]


def _poisoned(out):
    return out * float("nan") if time.monotonic() < NAN_UNTIL[0] else out


def _denoiser_fault(batch):
    asked = FOLDER / "denoiser"
    try:
        what, *rest = asked.read_text().split()
    except (OSError, ValueError):
        return
    if what != "raise-always":
        asked.unlink()
    seconds = float(rest[0]) if rest else 0.0
    if what.startswith("raise"):
        raise RuntimeError("injected: the card has fallen off the bus")
    if what == "fill":
        import torch

        torch.ones(
            1 << 29, dtype=torch.uint8
        )  # half a GiB, touched: the kernel ends it where the test set a limit
    elif what == "allocate":
        import torch

        torch.empty(1 << 31, dtype=torch.uint8)  # raises by itself where the test has set a limit
    elif what == "hang":
        time.sleep(seconds)
    elif what == "hold":
        import ctypes

        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # PyDLL keeps the interpreter's lock
    elif what == "crash":
        os.abort()
    elif what == "nan":
        NAN_UNTIL[0], predict = time.monotonic() + seconds, batch.predict
        batch.predict = lambda *arguments, **named: _poisoned(predict(*arguments, **named))


sys.meta_path.insert(
    0,
    _AfterImport(
        {
            "pipeline.sinks": _more_kinds,
            "pipeline.sources": _more_kinds,
            "pipeline.stream_batch": _faulty_stream_batch,
            "pipeline.lanes": _faulty_lanes,
        }
    ),
)
