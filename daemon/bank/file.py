"""The style file: what the page, the API and `phosphene styles` write, so that nobody's `config.yaml` is touched.

`styles.yaml` stands beside the user's `config.yaml` (`mine.styles.yaml` beside a `--config mine.yaml`) and is a layer
above it. It holds `styles:` (a style replaces one of the same name whole; null hides a packaged one), `style_order:`,
`playlist:` and what a MIDI controller has been taught, may be edited by hand, and keeps its comments when the program
writes.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from daemon import places
from daemon.config import file as config_file
from daemon.config.errors import ConfigError, Origin, Problem
from daemon.config.file import Document
from pipeline.errors import PhospheneError

SECTIONS: Final = ("styles", "style_order", "playlist", "midi")

HEAD: Final = """\
# Styles of your own, kept by Phosphene (the page, the HTTP API and `phosphene styles` write here) and by you: comments
# stay. A style here replaces the one of the same name in config.yaml; null hides it. styles.yaml.bak is the file as
# it was before the last change.
"""


def bank_path(config: Path | None) -> Path:
    """The style file that belongs to a user's file (None: there is none yet)."""
    own = places.user_config()
    if config is None or config == own:
        return own.with_name("styles.yaml")
    return config.with_name(f"{config.stem}.styles.yaml")


def read_bank(path: Path, text: str | None = None) -> Document | None:
    """The file's layer, or that of `text` in its place; None where there is none. Raises ConfigError."""
    if text is None:
        if not (path.exists() or path.is_symlink()):
            return None
        layer = config_file.read(path)
    else:
        layer = config_file.parse(text, str(path))
    wrong = [key for key in layer.data if key not in SECTIONS]
    if wrong:
        origin = layer.origins.get((wrong[0],), Origin("file", str(path)))
        message = f"{wrong[0]!r} does not belong into the style file"
        raise ConfigError(
            Problem(message, f"put it into config.yaml; here: {', '.join(SECTIONS)}", origin=origin)
        )
    return layer


def edited(path: Path, change: Callable[[Any], None]) -> str:
    """The file's text after `change(tree)`, comments kept; nothing is written.

    tree: a mapping as ruamel.yaml reads it for a round trip. Raises ConfigError where the file cannot be read.
    """
    from ruamel.yaml import YAML

    text = HEAD
    if read_bank(path) is not None:  # refuses what the daemon would refuse, with the line
        text = path.read_text("utf-8-sig")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    if tree is None:
        from ruamel.yaml.comments import CommentedMap

        head, tree = text.rstrip("\n"), CommentedMap()
        lines = [
            line.removeprefix("#").removeprefix(" ") for line in head.splitlines() if line.startswith("#")
        ]
        tree.yaml_set_start_comment("\n".join(lines) if lines else "")
    change(tree)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def write_bank(path: Path, text: str) -> None:
    """Replace the file in one step; the old one becomes `….bak`. A link stays one. Raises PhospheneError."""
    target = path.resolve() if path.is_symlink() else path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            _put(target.with_name(target.name + ".bak"), target.read_bytes())
        _put(target, text.encode("utf-8"))
    except OSError as error:
        raise PhospheneError(
            f"the style file {target} cannot be written: {error.strerror or error}",
            f"make its folder writable: {target.parent}",
        ) from None


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all, also when the power fails."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(name, path.stat().st_mode & 0o777)
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
