"""The settings in force with the origin of each, as plain values: for `validate` and the HTTP API."""

from __future__ import annotations

from typing import Any

from daemon import places
from daemon.config.schema import leaves, plain
from daemon.settings import Loaded


def effective(loaded: Loaded) -> list[dict[str, Any]]:
    """[{key, value, layer, where, file, line, column, applies, help}], in the schema's order."""
    return [
        {
            "key": leaf.key,
            "value": plain(leaf),
            "layer": (origin := loaded.origin(leaf.path)).layer,
            "where": str(origin),
            "file": origin.name if origin.line else "",
            "line": origin.line,
            "column": origin.column,
            "applies": leaf.applies,
            "help": leaf.help,
        }
        for leaf in leaves(loaded.settings)
    ]


def effective_facts(loaded: Loaded) -> dict[str, Any]:
    """The answer of `GET /api/v1/config`. file: the user's, None where there is none; place: where it is or goes."""
    return {
        "file": str(loaded.path) if loaded.path else None,
        "place": str(loaded.path or loaded.config or places.user_config()),
        "values": effective(loaded),
    }
