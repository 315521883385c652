"""Puts the layers of the configuration together and says of each fault where it stands.

Weakest first: the packaged `config.yaml`, the user's file or `--config`, its style file (`daemon.bank.file`),
PHOSPHENE_* variables, the command line. Mappings merge key by key, lists are replaced whole. Where the key
differs that says what is meant (`kind` of the source, `name` of the model, `prompt` of a style), the mapping
is replaced whole: options of one camera make no sense for another; a style in the style file always replaces
whole. Relative paths in a file are relative to that file's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon import places
from daemon.bank.file import bank_path, read_bank
from daemon.config import file as config_file
from daemon.config.choice import Choice, long_form
from daemon.config.errors import ConfigError, KeyPath, Origin, Problem, did_you_mean
from daemon.config.explain import explain
from daemon.config.file import Document
from daemon.config.plain_tree import ABSENT, value_at
from daemon.config.schema import leaves
from daemon.settings import Loaded, Settings
from pipeline import kinds

PREFIX = "PHOSPHENE_"

Origins = dict[KeyPath, Origin]


def load_layers(
    cli_overrides: Mapping[str, Any],
    config: Path | None,
    environment: Mapping[str, str] | None = None,
    bank_text: str | None = None,
) -> Loaded:
    """See `daemon.settings.load`."""
    environment = os.environ if environment is None else environment
    path = user_file(config, environment)
    layers = [config_file.read(places.packaged_config(), "default")]
    if path is not None:
        layers.append(_at_home(config_file.read(path), path.resolve().parent))
    bank = bank_path(path)
    own_styles = read_bank(bank, bank_text)
    if own_styles is not None:
        layers.append(own_styles)
    layers += [_environment(environment), _command_line(cli_overrides)]
    data: dict[str, Any] = {}
    origins: Origins = {}
    for layer in layers:
        if layer is own_styles:
            _make_way(data, layer)
        _merge(data, _normal(layer), origins, layer.origins, ())
    settings = validated(data, origins)
    found = {leaf.path: _origin(leaf.path, data, origins) for leaf in leaves(settings)}
    return Loaded(settings, found, path, cli_overrides, config, bank)


def user_file(config: Path | None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The user's file: `config`, else $PHOSPHENE_CONFIG, else the config folder's where there is one."""
    if config is not None:
        return config
    if named := (os.environ if environment is None else environment).get(PREFIX + "CONFIG"):
        return Path(named)
    own = places.user_config()
    return own if own.exists() or own.is_symlink() else None


def _origin(path: KeyPath, data: Any, origins: Origins) -> Origin:
    """Of one leaf. Where no layer names the key, the default of the schema counts."""
    if value_at(data, path) is ABSENT:
        return Origin("default")
    return next(
        (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), Origin("default")
    )


def validated(data: dict[str, Any], origins: Origins) -> Settings:
    """The settings in merged plain values. Raises ConfigError."""
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigError(*explain(error, Settings, data, origins)) from None
    _no_bool_as_number(data, settings, origins)
    return settings


def _no_bool_as_number(data: dict[str, Any], settings: Settings, origins: Origins) -> None:
    """`fps: true` must not mean 1: pydantic would take it."""
    wrong = []
    for leaf in leaves(settings):
        if isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool):
            given = value_at(data, leaf.path)
            if isinstance(given, bool):
                origin = origins.get(leaf.path, Origin("default"))
                wrong.append(
                    Problem(
                        f"needs a number, not {str(given).lower()}",
                        "write a number",
                        leaf.path,
                        given,
                        origin,
                    )
                )
    if wrong:
        raise ConfigError(*wrong)


# ---------------------------------------------------------------- layers


def _environment(environment: Mapping[str, str]) -> Document:
    layer = Document({}, {})
    for name in sorted(environment):
        words = name[len(PREFIX) :].lower().split("__") if name.startswith(PREFIX) else []
        if not words or not words[0]:
            continue
        if words[0] not in Settings.model_fields:
            nearest = did_you_mean(words[0], Settings.model_fields)
            if len(words) > 1 or nearest.startswith("did you mean"):
                mend = nearest.replace(repr(words[0]), name) if len(words) == 1 else nearest
                problem = Problem(
                    f"there is no setting {words[0]!r}",
                    mend,
                    value=environment[name],
                    origin=Origin("environment", name),
                )
                if words[0] not in _NOT_SETTINGS:
                    raise ConfigError(problem)
            continue
        path = tuple(words)
        given = environment[name]
        value = (
            given
            if path[-1].endswith(("prompt", "password"))
            else config_file.value(given, name, "environment")
        )
        _put(layer, path, value, Origin("environment", name))
    return layer


_NOT_SETTINGS = frozenset({"config", "debug", "e2e"})
"""PHOSPHENE_ variables with a meaning of their own."""


def _command_line(overrides: Mapping[str, Any]) -> Document:
    layer = Document({}, {})
    for key, value in overrides.items():
        option = {"source": "--source", "sinks": "--sink", "model": "--model", "style": "--style"}.get(
            key, "--" + key.rsplit(".", 1)[-1].replace("_", "-")
        )
        _put(layer, tuple(key.split(".")), value, Origin("command line", option))
    return layer


def _put(layer: Document, path: KeyPath, value: Any, origin: Origin) -> None:
    at: Any = layer.data
    for step in path[:-1]:
        inner = at.get(step)
        if not isinstance(inner, dict):
            # A short form given beside its own options: $PHOSPHENE_SOURCE and $PHOSPHENE_SOURCE__FPS.
            inner = at[step] = _normal_one(step, inner) if inner is not None else {}
            if not isinstance(inner, dict):
                message = f"is given beside a whole {step!r} that has no keys"
                raise ConfigError(Problem(message, "give one of the two", path, value, origin))
        at = inner
    at[path[-1]] = value
    layer.origins[path] = origin


def _at_home(layer: Document, folder: Path) -> Document:
    """Relative paths made absolute: of options whose type is a path, and of a model or VAE that exists."""
    model = layer.data.get("model")
    if isinstance(model, str) and (folder / model).exists() and model != "builtin":
        layer.data["model"] = str(folder / model)
    elif isinstance(model, dict):
        for key in ("name", "vae"):
            given = model.get(key)
            if isinstance(given, str) and given != "builtin" and (folder / given).exists():
                model[key] = str(folder / given)
    for package, values in (
        ("pipeline.sources", [layer.data.get("source")]),
        ("pipeline.sinks", _list(layer.data)),
    ):
        for index, given in enumerate(values):
            fixed = _with_paths(package, given, folder)
            if fixed is not given:
                if package == "pipeline.sources":
                    layer.data["source"] = fixed
                else:
                    values[index] = fixed
                    layer.data["sinks"] = values
    return layer


def _list(data: dict[str, Any]) -> list[Any]:
    sinks = data.get("sinks")
    return list(sinks) if isinstance(sinks, list) else [] if sinks is None else [sinks]


def _with_paths(package: str, given: Any, folder: Path) -> Any:
    if not isinstance(given, str | dict):
        return given
    try:
        long = dict(long_form(package, given))
    except ValueError:
        return given  # validation says what is wrong
    if long.get("kind") not in kinds.names(package):
        return given
    fields = kinds.load(package, str(long["kind"])).Options.model_fields
    changed = False
    for name, field in fields.items():
        value = long.get(name)
        if (
            (name == "path" or "Path" in str(field.annotation))
            and isinstance(value, str)
            and not Path(value).expanduser().is_absolute()
        ):
            long[name] = str(folder / value)
            changed = True
    return long if changed else given


# ---------------------------------------------------------------- merging


def _normal(layer: Document) -> dict[str, Any]:
    """`model`, `source`, `sinks` in their long form, so that they merge. Faults are left for validation."""
    data = {}
    for key, value in layer.data.items():
        data[key] = _normal_one(key, value)
        if isinstance(data[key], dict) and isinstance(value, str) and (key,) in layer.origins:
            layer.origins.update({(key, inner): layer.origins[(key,)] for inner in data[key]})
    return data


def _normal_one(key: str | int, value: Any) -> Any:
    try:
        if key == "model" and isinstance(value, str):
            return {"name": value}
        if key == "source" and isinstance(value, str | Choice):
            return dict(long_form("pipeline.sources", value))
        if key == "sinks" and isinstance(value, str | dict):
            value = [value]
        if key == "sinks" and isinstance(value, list):
            return [_sink(item) for item in value]
    except ValueError:
        return value
    return value


def _sink(item: Any) -> Any:
    try:
        return long_form("pipeline.sinks", item) if isinstance(item, str | Choice) else item
    except ValueError:
        return item


def _identity(path: KeyPath) -> str | None:
    """The key that says which thing the mapping at `path` describes."""
    if len(path) == 2 and path[0] == "styles":
        return "prompt"
    return "kind" if path == ("source",) else "name" if path == ("model",) else None


def _merge(base: dict[str, Any], over: dict[str, Any], to: Origins, given: Origins, path: KeyPath) -> None:
    for key, value in over.items():
        at = (*path, key)
        if (
            isinstance(value, dict)
            and isinstance(old := base.get(key), dict)
            and not _replaces(at, old, value)
        ):
            _merge(old, value, to, given, at)
            if at in given:
                to[at] = given[at]
            continue
        for stale in [p for p in to if p[: len(at)] == at]:
            del to[stale]
        base[key] = value
        to.update({p: origin for p, origin in given.items() if p[: len(at)] == at})


def _make_way(data: dict[str, Any], styles: Document) -> None:
    """Empty what the style file replaces, so that its place in the order stays and nothing else does."""
    known, own = data.get("styles"), styles.data.get("styles")
    if isinstance(known, dict) and isinstance(own, dict):
        known.update({name: {} for name, style in own.items() if name in known and isinstance(style, dict)})


def _replaces(path: KeyPath, old: dict[str, Any], new: dict[str, Any]) -> bool:
    key = _identity(path)
    return key is not None and key in new and new[key] != old.get(key)
