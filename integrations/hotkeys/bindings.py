"""Which key does what: the configuration's keys before those of the styles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.hotkeys.keys import Combination


@dataclass(frozen=True, slots=True)
class Bindings:
    """actions: what each combination does. conflicts: sentences about those that lost theirs to another."""

    actions: Mapping[Combination, str]
    conflicts: tuple[str, ...] = ()


def bindings(keys: Mapping[str, str], styles: Iterable[Mapping[str, Any]]) -> Bindings:
    """`keys`: of the configuration, valid. `styles`: with their `name` and `hotkey`, in order."""
    actions = {Combination.parse(text): action for text, action in keys.items()}
    conflicts: list[str] = []
    for style in styles:
        if not style.get("hotkey"):
            continue
        combination = Combination.parse(style["hotkey"])
        if (other := actions.get(combination)) is not None:
            conflicts.append(
                f"{combination} is bound to {other!r}, so the style {style['name']!r} does not get it"
            )
        else:
            actions[combination] = f"style {style['name']}"
    return Bindings(actions, tuple(conflicts))
