"""The live line under `phosphene run` on a terminal; events scroll by above it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from pipeline.messages import Event

REFRESH = 4  # times a second
MARKS = {"info": "·", "warning": "!", "error": "✗"}


class StatusLine:
    """Silent where `on_terminal` is False. A context manager."""

    def __init__(self, on_terminal: bool) -> None:
        self._status: Callable[[], dict[str, Any]] | None = None
        self._live: Any = None
        if on_terminal:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self._render,
                console=Console(stderr=True),
                refresh_per_second=REFRESH,
                transient=True,
            )

    def __enter__(self) -> StatusLine:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def follow(self, status: Callable[[], dict[str, Any]]) -> None:
        """Show these figures from now on."""
        self._status = status

    def say(self, text: str) -> None:
        """One line above the live one."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        """What people want to read as it happens; not each movement of a slider."""
        if event.kind not in ("progress", "state") or event.level != "info":
            self.say(f"{MARKS[event.level]} {event.message}")
            if mend := event.data.get("mend"):
                self.say(f"  → {mend}")

    def _render(self) -> Any:
        from rich.text import Text

        return Text(
            line(self._status()) if self._status else "starting",
            no_wrap=True,
            overflow="ellipsis",
            style="dim",
        )


def line(status: dict[str, Any]) -> str:
    """One line of figures from the status (see `daemon.status.status_of`), about 80 characters."""
    engine, metrics = status.get("engine") or {}, status.get("metrics") or {}
    source = status.get("source") or {}
    mode = status.get("mode")
    parts = [
        str(status.get("style") or "no style"),
        *([mode.upper()] if mode not in ("styled", None) else []),
    ]
    if engine.get("status") != "ready":
        progress = engine.get("progress")
        share = f" {progress:.0%}" if isinstance(progress, int | float) else ""
        doing = engine.get("message") or engine.get("status") or "starting"
        parts.append(f"engine: {doing}{share}")
    if source.get("status") not in ("open", None):
        parts.append(f"camera {source['status']}")
    latency = metrics.get("latency_ms") or {}
    rates = [_figure(metrics.get(key)) for key in ("fps_in", "fps_engine", "fps_out")]
    parts += [
        "{} in, {} painted, {} out fps".format(*rates),
        f"p50 {_figure(latency.get('p50'))} p99 {_figure(latency.get('p99'))} ms",
        f"{metrics.get('skipped', 0)} skipped",
        f"{metrics.get('dropped', 0)} dropped",
    ]
    return " | ".join(parts)


def _figure(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else "–"
