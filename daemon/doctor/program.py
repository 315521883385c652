"""Python, packages, system libraries, configuration."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemon.config.errors import ConfigError
from daemon.doctor.finding import Finding, ok, problem, warning
from daemon.settings import Loaded, load
from daemon.version import version

REQUIRED: Final = (
    "torch",
    "diffusers",
    "tokenizers",
    "safetensors",
    "av",
    "starlette",
    "uvicorn",
    "websockets",
)
"""Import names; cv2 is really imported, because it is the one that fails for want of system libraries."""


def check_program() -> Iterator[Finding]:
    yield ok("program", f"phosphene {version()} on Python {platform.python_version()}, {platform.platform()}")
    if sys.version_info < (3, 10):  # noqa: UP036 (doctor must say it, not fail at it)
        yield problem(
            "program", "Python is older than 3.10", "install Python 3.10 or newer and phosphene in it"
        )
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        yield problem(
            "program",
            f"packages are missing: {', '.join(missing)}",
            "pip install --force-reinstall phosphene",
        )
    else:
        yield ok("program", f"torch {_version('torch')}, diffusers {_version('diffusers')}")
    yield _opencv()
    if sys.platform == "linux" and importlib.util.find_spec("pyvirtualcam") is None:
        yield ok(
            "program",
            "pyvirtualcam has no package for this processor; virtual cameras are written without it",
        )


def _opencv() -> Finding:
    try:
        import cv2
    except ImportError as error:
        return problem("program", f"OpenCV cannot be loaded: {error}", library_mend(str(error)))
    return ok("program", f"OpenCV {cv2.__version__}")


def library_mend(said: str) -> str:
    """The command that installs the shared library an import error names."""
    packages = {
        "libGL": "libgl1",
        "libgthread": "libglib2.0-0",
        "libglib": "libglib2.0-0",
        "libxcb": "libxcb1",
    }
    named = [package for library, package in packages.items() if library in said]
    if shutil.which("apt-get"):
        return f"sudo apt install {' '.join(dict.fromkeys(named)) or 'libgl1 libglib2.0-0 libxcb1'}"
    if shutil.which("dnf"):
        return "sudo dnf install mesa-libGL glib2 libxcb"
    if shutil.which("pacman"):
        return "sudo pacman -S libglvnd glib2 libxcb"
    return "pip install --force-reinstall opencv-python"


def check_configuration(config: Path | None) -> tuple[list[Finding], Loaded | None]:
    """The findings, and the settings where they can be used."""
    try:
        loaded = load({}, config)
    except ConfigError as error:
        return [
            problem("configuration", str(fault).partition("\n")[0], fault.mend) for fault in error.problems
        ], None
    where = str(loaded.path) if loaded.path else "the packaged default"
    findings = [ok("configuration", f"{where} is valid, {len(loaded.settings.styles)} styles")]
    if loaded.settings.on_fault == "raw":
        findings.append(
            warning(
                "configuration", "on_fault: raw shows your real face after a fault", "set on_fault: slate"
            )
        )
    if loaded.settings.web.host not in ("127.0.0.1", "::1", "localhost"):
        findings.append(
            warning(
                "configuration",
                f"web.host {loaded.settings.web.host} lets other computers reach the page (with the token)",
                "set web.host: 127.0.0.1 unless you mean it",
            )
        )
    return findings, loaded


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "?"
