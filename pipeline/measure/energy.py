"""Joules, where the machine tells: NVIDIA's management library for a card, RAPL for an Intel or AMD processor."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final, Protocol

POWERCAP: Final = Path("/sys/class/powercap")


class Meter(Protocol):
    """name: what is measured. joules: counted since some moment in the past; only differences mean anything."""

    name: str

    def joules(self) -> float: ...


def meter(device: str, powercap: Path = POWERCAP) -> Meter | str:
    """For "cuda…" the card, else the processor; or one sentence why nothing can be measured, with what mends it."""
    return _card(device) if device.startswith("cuda") else _processor(powercap)


def _card(device: str) -> Meter | str:
    try:
        import pynvml
    except ImportError:
        return "NVIDIA's management library is not there: pip install 'phosphene[nvml]'"
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        card = Card(pynvml, handle)
        card.joules()
    except pynvml.NVMLError as error:
        return f"the card does not tell its energy: {error}"
    return card


class Card:
    """The card's own counter (Volta and newer), mJ."""

    name = "GPU (NVML)"

    def __init__(self, nvml: object, handle: object) -> None:
        self._nvml, self._handle = nvml, handle

    def joules(self) -> float:
        read = self._nvml.nvmlDeviceGetTotalEnergyConsumption  # type: ignore[attr-defined]
        return float(read(self._handle)) / 1e3


def _processor(powercap: Path) -> Meter | str:
    # "intel-rapl:0" is a package; "intel-rapl:0:1" a part of it, counted there already. AMD has the same names.
    zones = [z for z in sorted(powercap.glob("*-rapl:*")) if z.name.count(":") == 1]
    if not zones:
        return "this machine has no RAPL counters (virtual machines seldom do)"
    rapl = Rapl(zones)
    try:
        rapl.joules()
    except PermissionError:
        return f"the RAPL counters may only be read by root: sudo chmod a+r {zones[0]}/energy_uj"
    except (OSError, ValueError) as error:
        return f"the RAPL counters cannot be read: {error}"
    return rapl


class Rapl:
    """All packages together. The counters wrap (minutes under load): read more often than that."""

    name = "processor packages (RAPL)"

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones
        self._last: dict[Path, int] = {}
        self._sum_uj = 0

    def joules(self) -> float:
        for zone in self._zones:
            now = int((zone / "energy_uj").read_text())
            step = now - self._last.get(zone, now)
            if step < 0:
                with contextlib.suppress(OSError, ValueError):
                    step += int((zone / "max_energy_range_uj").read_text())
            self._sum_uj += max(0, step)
            self._last[zone] = now
        return self._sum_uj / 1e6
