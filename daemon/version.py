"""The program's version."""

from __future__ import annotations


def version() -> str:
    """Of the installed distribution; "0+checkout" when it is run from a folder that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("phosphene")
    except PackageNotFoundError:
        return "0+checkout"
