"""What must be the same after a fault as before it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Held:
    """Of the host process: descriptors, threads, children; and named shared memory of the machine."""

    fds: int
    threads: int
    children: int
    shared: int

    @classmethod
    def by(cls, pid: int) -> Held:
        host = psutil.Process(pid)
        named = len(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else 0
        return cls(host.num_fds(), host.num_threads(), len(host.children(recursive=True)), named)

    def more_than(self, before: Held) -> str:
        """What is held more than before, in words; "" when nothing is. A connection that is being closed is two
        descriptors; the two pools of threads (the web server's and asyncio's) may each have grown by one."""
        grown = {
            "descriptors": self.fds - before.fds - 2,
            "threads": self.threads - before.threads - 2,
            "processes": self.children - before.children,
            "shared memory": self.shared - before.shared,
        }
        return ", ".join(f"{count} {what}" for what, count in grown.items() if count > 0)
