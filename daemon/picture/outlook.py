"""From how things are to what a viewer is told: the ladder's input, and the words on the slate."""

from __future__ import annotations

from typing import Final

from daemon.children.facts import EngineFacts, SourceFacts
from daemon.picture.badge import Badge
from daemon.picture.ladder import raw_allowed
from daemon.picture.view import Outlook
from daemon.settings import Settings
from pipeline.messages import LiveState, Mode

_SLOW_ENGINE: Final = 3.0  # a picture may be this many of the engine's own intervals old, however slow it is


def outlook(
    settings: Settings, state: LiveState, source: SourceFacts, engine: EngineFacts, engine_interval_s: float
) -> Outlook:
    """What every sink's ladder gets. On a machine that needs seconds a frame, pictures are held for longer."""
    title, reason = _words(state, source, engine)
    steps = len(state.t_index_list)
    return Outlook(
        mode=state.mode,
        on_fault=settings.on_fault,
        hold_s=max(settings.hold_s, _SLOW_ENGINE * steps * engine_interval_s),
        raw=raw_allowed(state.mode, settings.on_fault),
        title=title,
        reason=reason,
        badge=badge_of(settings),
    )


def badge_of(settings: Settings) -> Badge:
    """What is put on painted pictures."""
    badge = settings.badge
    return Badge(badge.text if badge.visible else "", badge.corner, badge.invisible)


def _words(state: LiveState, source: SourceFacts, engine: EngineFacts) -> tuple[str, str]:
    if state.mode is Mode.PANIC:
        return "Camera off", "Panic is on. The camera is closed until another mode is chosen."
    if source.status in ("failed", "stalled", "given up"):
        return "No picture from the camera", source.error or ""
    if source.status == "asleep":
        return "Asleep", "Nobody is watching, and the camera is closed."
    if source.status == "starting" and engine.status == "ready":
        return "One moment", "The camera is being opened."
    if source.status == "ended":
        return "The end", f"{source.name} is over."
    if engine.status in ("failed", "given up"):
        return "The painter cannot run", engine.error or ""
    if engine.status == "restarting":
        return "One moment", "The painter is being started again."
    if engine.status in ("starting", "loading"):
        return "One moment", engine.message[:1].upper() + engine.message[1:]
    return "One moment", "Waiting for the first picture."
