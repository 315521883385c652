"""Whether the kernel has killed for memory: a process that it killed cannot say so itself."""

from __future__ import annotations

from pathlib import Path

_COUNTS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))
"""Of the machine, and of the container this process runs in."""


def kernel_kills() -> int:
    """How often processes were killed because memory had run out; 0 where the system does not tell."""
    total = 0
    for path in _COUNTS:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return total
