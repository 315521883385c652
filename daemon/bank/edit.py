"""Edits of the style bank as changes of the style file, one at a time among all programs of the user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from daemon import places
from daemon.bank.file import edited, write_bank
from daemon.config import file as config_file
from daemon.config.errors import ConfigError, did_you_mean, dotted
from daemon.config.explain import explain
from daemon.config.playlist_settings import PlaylistSettings
from daemon.config.style_settings import StyleSettings, style_name
from daemon.config.yaml_tree import key_of, new_mapping, quoted, section_of, update, write_order
from daemon.settings import Loaded, Settings
from integrations.bank import (
    AddStyle,
    BankChangedError,
    BindMidi,
    Edit,
    EditStyle,
    ImportStyles,
    NoSuchStyleError,
    OrderStyles,
    PutStyle,
    RemoveStyle,
    ResetStyle,
    SetPlaylist,
    StyleExistsError,
)
from integrations.knobs import parse_target
from integrations.midi.controls import control_name
from pipeline.errors import PhospheneError
from pipeline.options import Options

LOCK_S = 5.0


def tag_of(settings: Settings) -> str:
    """Names the bank and playlist as they are: another one after any change."""
    plain = settings.model_dump(mode="json", include={"styles", "playlist"})
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:20]


def values_of(style: StyleSettings) -> dict[str, Any]:
    """The plain values that differ from the defaults, the prompt first."""
    bare = StyleSettings(prompt="")
    plain = style.model_dump(mode="json")
    return {key: plain[key] for key in plain if key == "prompt" or getattr(style, key) != getattr(bare, key)}


def as_text(styles: Mapping[str, Mapping[str, Any]]) -> str:
    """YAML in the form of the style file, one style a line."""
    import io

    from ruamel.yaml import YAML

    yaml, out, own = YAML(), io.StringIO(), new_mapping(block=True)
    yaml.width = 1 << 20
    for name, values in styles.items():
        own[quoted(name)] = new_mapping()
        update(own[quoted(name)], values)
    yaml.dump({"styles": own}, out)
    return out.getvalue()


def from_text(text: str, name: str) -> dict[str, Any]:
    """The document; `name` is what messages call it. Raises ConfigError with the line."""
    return config_file.parse(text, name).data


def change(loaded: Loaded, edit: Edit, tag: str | None = None) -> tuple[Loaded, str]:
    """Write one edit into the style file: the configuration as it is then, and what was done in words.

    The layers are read anew first, so that nothing done by hand is lost. Raises PhospheneError, with the file as it
    was: NoSuchStyleError, StyleExistsError, BankChangedError, ConfigError and others.
    """
    from filelock import FileLock, Timeout

    assert loaded.bank is not None
    try:
        with FileLock(places.state_folder() / "styles.lock", timeout=LOCK_S):
            before = loaded.again()
            writer = _Writer(before.settings, _names_below(before))
            text = edited(loaded.bank, lambda tree: writer.apply(tree, edit))
            after = _valid(loaded, text)
            _nothing_else(before.settings, after.settings, edit)
            if tag is not None and tag != tag_of(before.settings):
                raise BankChangedError(
                    "the styles were changed by somebody else in the meantime", "read them again, then change"
                )
            write_bank(loaded.bank, text)
            return after, writer.said
    except Timeout:
        raise PhospheneError("another program is changing the styles", "try again") from None


def _valid(loaded: Loaded, text: str) -> Loaded:
    """Read with the new text. A fault in it is told by its key: no line of the file that it is not in yet."""
    try:
        return loaded.again(text)
    except ConfigError as error:
        first = error.problems[0]
        if first.origin.name != str(loaded.bank):
            raise
        raise PhospheneError(f"{dotted(first.path)}: {first.message}", first.mend) from None


def _nothing_else(before: Settings, after: Settings, edit: Edit) -> None:
    """A file with YAML aliases could change one style with another. Raises PhospheneError."""
    if not isinstance(edit, AddStyle | EditStyle | PutStyle | RemoveStyle | ResetStyle):
        return
    meant = {edit.name, getattr(edit, "new_name", None)}
    strays = [n for n, style in before.styles.items() if n not in meant and after.styles.get(n) != style]
    if strays:
        raise PhospheneError(
            f"the style file ties {strays[0]!r} to {edit.name!r} by an alias, so both would change",
            "write the two out in styles.yaml, then try again",
        )


class _Writer:
    """Applies one edit to the file's tree. said: what it did, after `apply`."""

    def __init__(self, settings: Settings, below: frozenset[str]) -> None:
        """below: styles that the layers under the style file have."""
        self._styles = settings.styles
        self._playlist = settings.playlist
        self._below = below
        self.said = ""

    def apply(self, tree: Any, edit: Edit) -> None:
        own = section_of(tree, "styles")
        match edit:
            case AddStyle(name=name, values=values, before=before):
                if name in self._styles:
                    raise StyleExistsError(
                        f"there is a style {name!r} already", "choose another name, or edit it"
                    )
                self._put(own, name, {}, values)
                self.said = f"style {name} added"
                if before is not None:
                    names = list(self._styles)
                    names.insert(names.index(self._known(before)), name)
                    write_order(tree, names)
            case EditStyle(name=name, values=values, new_name=new):
                self._edit(tree, own, self._known(name), values, new)
            case PutStyle(name=name, values=values):
                self.said = f"style {name} {'changed' if name in self._styles else 'added'}"
                self._put(own, name, {}, values)
            case RemoveStyle(name=name):
                self._remove(own, self._known(name))
                self.said = f"style {name} removed"
            case ResetStyle(name=name):
                key = key_of(own, name)
                if key is None:
                    raise NoSuchStyleError(
                        f"the style file says nothing of {name!r}", "it is as in config.yaml"
                    )
                del own[key]
                self.said = f"style {name} as in the configuration again"
            case OrderStyles(names=names):
                wanted = [self._known(name) for name in names]
                write_order(tree, [*wanted, *(name for name in self._styles if name not in wanted)])
                self.said = "styles put in order"
            case ImportStyles(styles=styles, replace=replace):
                for name in self._styles:
                    if replace and name not in styles:
                        self._remove(own, name)
                for name, values in styles.items():
                    self._put(own, name, {}, values)
                if replace:
                    write_order(tree, list(styles))
                self.said = f"{len(styles)} styles imported"
            case SetPlaylist(values=values):
                node = section_of(tree, "playlist")
                whole = {**self._playlist.model_dump(mode="json"), **values}
                playlist = _checked(PlaylistSettings, whole)
                update(
                    node,
                    {
                        key: value
                        for key, value in playlist.model_dump(mode="json").items()
                        if key in node or key in values
                    },
                )
                self.said = "playlist changed"
            case BindMidi(control=control, target=target):
                self._bind(tree, control, target)

    def _bind(self, tree: Any, control: str, target: str | None) -> None:
        """The whole `bind:` of the style file replaces what lies under it key by key, so null unbinds a lower one."""
        name = control_name(control)
        if target is not None:
            parse_target(target)
        node = section_of(section_of(tree, "midi"), "bind")
        key = key_of(node, name)
        node[quoted(name) if key is None else key] = None if target is None else quoted(target)
        self.said = f"MIDI {name} {'unbound' if target is None else f'bound to {target}'}"

    def _edit(self, tree: Any, own: Any, name: str, values: Mapping[str, Any], new: str | None) -> None:
        before = values_of(self._styles[name])
        if new is None or new == name:
            self._put(own, name, before, values)
            self.said = f"style {name} changed"
            return
        if new in self._styles:
            raise StyleExistsError(f"there is a style {new!r} already", "choose another name")
        self._put(own, new, before, values)
        self._remove(own, name)
        write_order(tree, [new if known == name else known for known in self._styles])
        self.said = f"style {name} is now {new}"

    def _put(self, own: Any, name: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        style = _checked(StyleSettings, {**before, **values})
        key = key_of(own, name)
        if key is None:
            key = quoted(_name(name))
        if own.get(key) is None:
            own[key] = new_mapping()
        update(own[key], values_of(style))

    def _remove(self, own: Any, name: str) -> None:
        key = key_of(own, name)
        if name in self._below:
            own[quoted(name) if key is None else key] = None
        elif key is not None:
            del own[key]

    def _known(self, name: str) -> str:
        if name in self._styles:
            return name
        raise NoSuchStyleError(f"there is no style {name!r}", did_you_mean(name, self._styles))


def _names_below(loaded: Loaded) -> frozenset[str]:
    """Of config.yaml, the packaged one and the user's."""
    layers = [config_file.read(places.packaged_config(), "default")]
    if loaded.path is not None:
        layers.append(config_file.read(loaded.path))
    banks = [layer.data.get("styles") for layer in layers]
    return frozenset(name for bank in banks if isinstance(bank, dict) for name in bank)


def _name(given: str) -> str:
    try:
        return style_name(given)
    except PydanticCustomError as error:
        said = error.context or {}
        raise PhospheneError(said["message"], said["mend"]) from None


def _checked(model: Any, values: Mapping[str, Any]) -> Any:
    """A section's settings from plain values. Raises PhospheneError with the first key at fault."""
    given = dict(values)
    try:
        checked: Options = model.model_validate(given)
    except ValidationError as error:
        first = explain(error, model, given, {})[0]
        where = f"{dotted(first.path)}: " if first.path else ""
        raise PhospheneError(f"{where}{first.message}", first.mend) from None
    for key, value in given.items():
        need = _kind(getattr(checked, key))
        if need and _kind(value) != need:  # "0.4" for 0.4, or 0 for false: whoever sends that is mistaken
            raise PhospheneError(f"{key}: needs {need}, not {value!r}"[:200], f"write {need}")
    return checked


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "text" if isinstance(value, str) else ""
