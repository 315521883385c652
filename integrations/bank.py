"""What can be done to the style bank, and what does it: the page, the HTTP API and `phosphene styles` send the same
edits. The daemon's side is `daemon.bank.live`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.errors import PhospheneError

Values = Mapping[str, Any]
"""Keys of a style with plain values, as in config.yaml. What is wrong in it is said by the one schema."""


@dataclass(frozen=True, slots=True)
class AddStyle:
    """A new one, at the end. before: the style it is put in front of."""

    name: str
    values: Values
    before: str | None = None


@dataclass(frozen=True, slots=True)
class EditStyle:
    """Some of its values; what is not named stays. new_name: renames it."""

    name: str
    values: Values = field(default_factory=dict)
    new_name: str | None = None


@dataclass(frozen=True, slots=True)
class PutStyle:
    """All of its values at once, whether it is there or not."""

    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class RemoveStyle:
    """One of config.yaml is hidden, for good; one of the style file is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class ResetStyle:
    """Forget what the style file says of it: as in config.yaml again."""

    name: str


@dataclass(frozen=True, slots=True)
class OrderStyles:
    """These first, in this order; the others behind them as they are."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportStyles:
    """Many at once. replace: and no others."""

    styles: Mapping[str, Values]
    replace: bool = False


@dataclass(frozen=True, slots=True)
class SetPlaylist:
    """Some of the settings `playlist:`."""

    values: Values


@dataclass(frozen=True, slots=True)
class BindMidi:
    """A control of a MIDI controller ("cc 7") to a value or an action. target None: to nothing."""

    control: str
    target: str | None


Edit = (
    AddStyle
    | EditStyle
    | PutStyle
    | RemoveStyle
    | ResetStyle
    | OrderStyles
    | ImportStyles
    | SetPlaylist
    | BindMidi
)


class NoSuchStyleError(PhospheneError):
    """The style to change is not in the bank."""


class StyleExistsError(PhospheneError):
    """The name is taken."""


class BankChangedError(PhospheneError):
    """Somebody else changed the bank since the tag was read."""


class Bank(Protocol):
    """The bank of a running daemon. `change` reads and writes files: not for an event loop's thread."""

    def listed(self) -> dict[str, Any]:
        """{"tag", "styles": [{name, prompt, …, colour, hotkey, origin, where}]}, in order; at once."""
        ...

    def change(self, edit: Edit, origin: str, tag: str | None = None) -> None:
        """Apply one edit, on disk and live. tag: refuse unless the bank is still what it names.

        Raises PhospheneError; nothing has changed then.
        """
        ...

    def exported(self) -> dict[str, dict[str, Any]]:
        """Every style by name with the values that differ from the defaults."""
        ...

    def exported_text(self) -> str:
        """The same as YAML, in the form of the style file."""
        ...

    def read_text(self, text: str) -> dict[str, Any]:
        """What `exported_text` gave, or was written by hand. Raises PhospheneError with the line."""
        ...
