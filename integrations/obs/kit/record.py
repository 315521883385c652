"""What `phosphene obs install` made, in a file of the daemon's state folder: it outlives OBS and collections."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import PhospheneError


@dataclass(frozen=True, slots=True)
class Made:
    """A scene or input of ours. uuid: "" where OBS gives none. collection: the one it was made in.

    whole: everything that belongs to making it was done (an input is placed in its scene after it was made).
    """

    what: Literal["scene", "input"]
    name: str
    collection: str
    uuid: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """The Lua script as we wrote it. sha256: of its bytes, so that a file the user has changed is known."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Record:
    """Everything of ours in every scene collection."""

    made: tuple[Made, ...] = ()
    script: ScriptFile | None = None

    def names(self, what: str) -> frozenset[str]:
        return frozenset(thing.name for thing in self.made if thing.what == what)

    def uuids(self, what: str) -> frozenset[str]:
        return frozenset(thing.uuid for thing in self.made if thing.what == what and thing.uuid)

    def half_made(self, name: str, collection: str) -> bool:
        """Whether the making of that input was broken off."""
        return any(
            (m.what, m.name, m.collection, m.whole) == ("input", name, collection, False) for m in self.made
        )

    def with_made(self, made: Made) -> Record:
        """`made` in the place of an entry of that name, collection and sort, else added."""
        rest = tuple(thing for thing in self.made if not _same(thing, made))
        return dataclasses.replace(self, made=(*rest, made))

    def with_whole(self, name: str, collection: str) -> Record:
        """That input, now made to the end."""
        made = tuple(
            dataclasses.replace(m, whole=True)
            if (m.what, m.name, m.collection) == ("input", name, collection)
            else m
            for m in self.made
        )
        return dataclasses.replace(self, made=made)

    def without(self, made: Made) -> Record:
        return dataclasses.replace(self, made=tuple(thing for thing in self.made if not _same(thing, made)))

    def only_in(self, collections: tuple[str, ...]) -> Record:
        """Without what was made in collections that are no more."""
        return dataclasses.replace(self, made=tuple(t for t in self.made if t.collection in collections))


def _same(one: Made, other: Made) -> bool:
    return (one.what, one.name, one.collection) == (other.what, other.name, other.collection)


def read_record(path: Path) -> Record:
    """Empty where there is no file. Raises PhospheneError for one that cannot be read."""
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        script = ScriptFile(**data["script"]) if data.get("script") else None
        return Record(tuple(Made(**made) for made in data["made"]), script)
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PhospheneError(
            f"the record of what was installed in OBS, {path}, cannot be read ({type(error).__name__})",
            f"delete {path}, then remove what is called Phosphene in OBS by hand",
        ) from error


def write_record(path: Path, record: Record) -> None:
    """In one step, readable by its owner only; an empty record removes the file. Raises PhospheneError."""
    try:
        if not record.made and record.script is None:
            path.unlink(missing_ok=True)
            return
        text = json.dumps(dataclasses.asdict(record), indent=1, ensure_ascii=False) + "\n"
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise PhospheneError(
            f"{path} cannot be written: {error.strerror}", "make room or mend its folder"
        ) from error
