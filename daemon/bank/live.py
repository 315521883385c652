"""The running daemon's style bank: what `integrations.bank.Bank` asks for, over the hub and the style file."""

from __future__ import annotations

from typing import Any

from daemon.bank.edit import as_text, change, from_text, tag_of, values_of
from daemon.config.watch import Stamp, stamp
from daemon.control import ControlHub
from daemon.settings import Loaded
from integrations.bank import BindMidi, Edit, SetPlaylist
from pipeline.messages import Event


class StyleBank:
    """Thread-safe; see `integrations.bank.Bank`."""

    def __init__(self, hub: ControlHub) -> None:
        self._hub = hub
        self._written: Stamp = None

    def listed(self) -> dict[str, Any]:
        loaded = self._hub.loaded
        styles = [
            {**style, "origin": _origin(loaded, style["name"]), "where": _where(loaded, style["name"])}
            for style in self._hub.styles()
        ]
        return {"tag": tag_of(self._hub.settings), "styles": styles}

    def change(self, edit: Edit, origin: str, tag: str | None = None) -> None:
        def write(loaded: Loaded) -> tuple[Loaded, Event]:
            after, said = change(loaded, edit, tag)
            assert after.bank is not None
            self._written = stamp(after.bank)
            kind = {SetPlaylist: "playlist", BindMidi: "midi"}.get(type(edit), "styles")
            return after, Event(kind, f"{said} ({origin})", {"origin": origin, "tag": tag_of(after.settings)})

        self._hub.change_bank(write, origin)

    def exported(self) -> dict[str, dict[str, Any]]:
        return {name: values_of(style) for name, style in self._hub.settings.styles.items()}

    def exported_text(self) -> str:
        return as_text(self.exported())

    def read_text(self, text: str) -> dict[str, Any]:
        return from_text(text, "the body")

    def changed_by_hand(self) -> None:
        """For who watches the file: read it again, unless the daemon wrote it itself."""
        path = self._hub.loaded.bank
        if path is not None and stamp(path) != self._written:
            self._hub.try_reload()


def _origin(loaded: Loaded, name: str) -> str:
    """packaged, config (the user's config.yaml), bank (the style file), or the layer's own name."""
    found = loaded.origin(("styles", name, "prompt"))
    if found.layer == "file":
        return "bank" if loaded.bank is not None and found.name == str(loaded.bank) else "config"
    return "packaged" if found.layer == "default" else found.layer


def _where(loaded: Loaded, name: str) -> str:
    return str(loaded.origin(("styles", name, "prompt")))
