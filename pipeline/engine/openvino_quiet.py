"""OpenVINO without its telemetry.

Imported as it comes, OpenVINO starts a thread that forks this process and reports to its maker over the network.
Without the module that does so it works the same and stays silent. A fork of a process with threads, a camera's
memory and a model would be reason enough.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def openvino() -> Any:
    """The package. The only way in which this program imports it."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    if modules.get("openvino") is None:
        modules["openvino_telemetry"] = None  # its import fails from now on, and OpenVINO's own stub is taken
    import openvino as package

    return package
