"""Looking into nested dicts and lists by key path."""

from __future__ import annotations

from typing import Any, Final

from daemon.config.errors import KeyPath

ABSENT: Final = object()
"""What stands where nothing does (null is a value)."""


def child(tree: Any, key: str | int) -> Any:
    """The value under `key`, or ABSENT."""
    if isinstance(tree, dict):
        return tree.get(key, ABSENT)
    if isinstance(tree, list | tuple) and isinstance(key, int) and 0 <= key < len(tree):
        return tree[key]
    return ABSENT


def value_at(tree: Any, path: KeyPath) -> Any:
    """The value at `path`, or ABSENT."""
    for key in path:
        tree = child(tree, key)
    return tree


def known_part(tree: Any, path: KeyPath) -> KeyPath:
    """The longest beginning of `path` at which there is a value."""
    for end, key in enumerate(path):
        tree = child(tree, key)
        if tree is ABSENT:
            return path[:end]
    return path
