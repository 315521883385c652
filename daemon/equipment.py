"""Sources and sinks of the running daemon, chosen while it runs: what `integrations.web.equipment` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from daemon.config.choice import Choice, SinkChoice, SourceChoice
from daemon.config.errors import dotted
from daemon.config.explain import explain
from daemon.devices import device_facts
from pipeline import kinds
from pipeline.errors import PhospheneError
from pipeline.messages import Event
from pipeline.options import Options

if TYPE_CHECKING:
    from daemon.app import Host
    from daemon.picture.sink_thread import SinkThread

MOST_SINKS = 16


class _Source(Options):
    source: SourceChoice


class _Sink(Options):
    sink: SinkChoice


class LiveEquipment:
    """One caller at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._numbered: list[SinkThread] = []  # a sink's id is its place; places are not used twice

    def devices(self) -> dict[str, Any]:
        return device_facts()

    def set_source(self, given: str | Mapping[str, Any], origin: str) -> dict[str, Any]:
        choice = _chosen(_Source, "source", given)
        if (
            "noise" in (choice.kind, self._host.settings.source.kind)
            and choice.kind != self._host.settings.source.kind
        ):
            raise PhospheneError(
                "between a camera and text-to-image the engine has to start anew",
                f"phosphene restart --source {choice.kind}",
            )
        text = f"source {choice.kind} ({origin})"
        self._host.control.override(
            "source", choice.as_dict(), origin, Event("source", text, {"origin": origin})
        )
        return choice.as_dict()

    def sinks(self) -> list[dict[str, Any]]:
        self._numbered += [sink for sink in self._host.sinks if sink not in self._numbered]
        return [{"id": self._numbered.index(sink), **sink.status()} for sink in self._host.sinks]

    def add_sink(self, given: str | Mapping[str, Any], origin: str) -> dict[str, Any]:
        choice = _chosen(_Sink, "sink", given)
        if len(self._host.sinks) >= MOST_SINKS:
            raise PhospheneError(f"there are {MOST_SINKS} sinks already", "remove one first")
        if choice.kind == "preview" and any(sink.kind == "preview" for sink in self._host.sinks):
            raise PhospheneError("there is a preview already", "one serves every viewer")
        if (problem := kinds.load("pipeline.sinks", choice.kind).available()) is not None:
            what, _, mend = problem.partition("; ")
            raise PhospheneError(what, mend)
        sink = self._host.add_sink(choice)
        self._host.control.emit(Event("sink", f"sink {choice.kind} added ({origin})", {"sink": choice.kind}))
        return next(facts for facts in self.sinks() if self._numbered[facts["id"]] is sink)

    def remove_sink(self, sink: int, origin: str) -> bool:
        self.sinks()
        found = self._numbered[sink] if 0 <= sink < len(self._numbered) else None
        if found is None or found not in self._host.sinks:
            return False
        if found.kind == "preview":
            raise PhospheneError(
                "the page and the streams live from the preview", "it costs nothing while nobody looks"
            )
        self._host.remove_sink(found)
        self._host.control.emit(Event("sink", f"sink {found.kind} removed ({origin})", {"sink": found.kind}))
        return True


def _chosen(model: type[Options], key: str, given: str | Mapping[str, Any]) -> Choice:
    values = {key: given if isinstance(given, str) else dict(given)}
    try:
        choice: Choice = getattr(model.model_validate(values), key)
    except ValidationError as error:
        first = explain(error, model, values, {})[0]
        raise PhospheneError(f"{dotted(first.path)}: {first.message}", first.mend) from None
    return choice
