"""Extension by adding one file: a source or sink is a module whose file name is its `kind`.

A kind's module gives
    Options             pydantic settings of that kind (see `pipeline.options`)
    available()         None, or one sentence why it cannot be used here, with the command that mends it
    create(options, …)  the opened thing
and imports nothing heavy at module level (no torch, cv2 capture, pyvirtualcam, av): settings are assembled from
every kind's `Options` by commands that must answer at once.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from pipeline.errors import PhospheneError

Package = str
"""Dotted name of a folder of kinds, e.g. "pipeline.sources"."""


def names(package: Package) -> tuple[str, ...]:
    """Every kind in `package`, sorted: its module names that do not start with an underscore."""
    folder = importlib.import_module(package)
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_")))


def load(package: Package, kind: str) -> ModuleType:
    """The module of one kind. Raises PhospheneError naming the known kinds when there is none."""
    if kind not in (known := names(package)):
        raise PhospheneError(
            f"{package.rsplit('.', 1)[-1]}: there is no kind {kind!r}", f"use one of {', '.join(known)}"
        )
    return importlib.import_module(f"{package}.{kind}")
