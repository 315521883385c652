"""Edits of the style bank as changes of the style file, one at a time among all programs of the user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from daemon import config_file, places
from daemon.bank_file import edited, write_bank
from daemon.config_errors import ConfigError, did_you_mean, dotted
from daemon.config_file import scalar
from daemon.explain import explain
from daemon.playlist_settings import PlaylistSettings
from daemon.settings import Loaded, Settings
from daemon.style_settings import StyleSettings, style_name
from integrations.bank import (
    AddStyle,
    BankChangedError,
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

    yaml, out, own = YAML(), io.StringIO(), _flow(block=True)
    yaml.width = 1 << 20
    for name, values in styles.items():
        own[_quoted(name)] = _flow()
        _update(own[_quoted(name)], values)
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
            if tag is not None and tag != tag_of(before.settings):
                raise BankChangedError(
                    "the styles were changed by somebody else in the meantime", "read them again, then change"
                )
            writer = _Writer(before.settings, _names_below(before))
            text = edited(loaded.bank, lambda tree: writer.apply(tree, edit))
            after = _valid(loaded, text)
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


class _Writer:
    """Applies one edit to the file's tree. said: what it did, after `apply`."""

    def __init__(self, settings: Settings, below: frozenset[str]) -> None:
        """below: styles that the layers under the style file have."""
        self._styles = settings.styles
        self._playlist = settings.playlist
        self._below = below
        self.said = ""

    def apply(self, tree: Any, edit: Edit) -> None:
        own = _mapping(tree, "styles")
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
                    _order(tree, names)
            case EditStyle(name=name, values=values, new_name=new):
                self._edit(tree, own, self._known(name), values, new)
            case PutStyle(name=name, values=values):
                self.said = f"style {name} {'changed' if name in self._styles else 'added'}"
                self._put(own, name, {}, values)
            case RemoveStyle(name=name):
                self._remove(own, self._known(name))
                self.said = f"style {name} removed"
            case ResetStyle(name=name):
                key = _key(own, name)
                if key is None:
                    raise NoSuchStyleError(
                        f"the style file says nothing of {name!r}", "it is as in config.yaml"
                    )
                del own[key]
                self.said = f"style {name} as in the configuration again"
            case OrderStyles(names=names):
                wanted = [self._known(name) for name in names]
                _order(tree, [*wanted, *(name for name in self._styles if name not in wanted)])
                self.said = "styles put in order"
            case ImportStyles(styles=styles, replace=replace):
                for name in self._styles:
                    if replace and name not in styles:
                        self._remove(own, name)
                for name, values in styles.items():
                    self._put(own, name, {}, values)
                if replace:
                    _order(tree, list(styles))
                self.said = f"{len(styles)} styles imported"
            case SetPlaylist(values=values):
                node = _mapping(tree, "playlist")
                whole = {**self._playlist.model_dump(mode="json"), **values}
                playlist = _checked(PlaylistSettings, whole)
                _update(
                    node,
                    {
                        key: value
                        for key, value in playlist.model_dump(mode="json").items()
                        if key in node or key in values
                    },
                )
                self.said = "playlist changed"

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
        _order(tree, [new if known == name else known for known in self._styles])
        self.said = f"style {name} is now {new}"

    def _put(self, own: Any, name: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        style = _checked(StyleSettings, {**before, **values})
        key = _key(own, name)
        if key is None:
            key = _quoted(_name(name))
        if own.get(key) is None:
            own[key] = _flow()
        _update(own[key], values_of(style))

    def _remove(self, own: Any, name: str) -> None:
        key = _key(own, name)
        if name in self._below:
            own[_quoted(name) if key is None else key] = None
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
        if isinstance(value, bool) and not isinstance(getattr(checked, key), bool):
            raise PhospheneError(f"{key}: needs a number, not {str(value).lower()}", "write a number")
    return checked


# ---------------------------------------------------------------- ruamel.yaml's trees


def _mapping(tree: Any, section: str) -> Any:
    if not isinstance(tree.get(section), dict):
        from ruamel.yaml.comments import CommentedMap

        tree[section] = CommentedMap()
    return tree[section]


def _flow(*, block: bool = False) -> Any:
    """`{prompt: …}` on one line, as the packaged bank is written."""
    from ruamel.yaml.comments import CommentedMap

    made = CommentedMap()
    if not block:
        made.fa.set_flow_style()
    return made


def _order(tree: Any, names: list[str]) -> None:
    from ruamel.yaml.comments import CommentedSeq

    made = CommentedSeq([_quoted(name) for name in names])
    made.fa.set_flow_style()
    tree["style_order"] = made


def _update(node: Any, values: Mapping[str, Any]) -> None:
    """Only what differs is touched: comments beside the rest stay."""
    for key in [key for key in node if str(key) not in values]:
        del node[key]
    for key, value in values.items():
        if key not in node or node[key] != value:
            node[key] = _quoted(value)


def _key(mapping: Any, name: str) -> Any:
    """The key that our own reader would call `name`; None where there is none."""
    return next((key for key in mapping if str(key) == name), None)


def _quoted(value: Any) -> Any:
    """Text that would be read as a number, truth or null stands in quotes."""
    if isinstance(value, str) and not isinstance(scalar(value), str):
        from ruamel.yaml.scalarstring import DoubleQuotedScalarString

        return DoubleQuotedScalarString(value)
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return value
