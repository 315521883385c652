"""Writes the packaged `config.yaml` from the schema: every key with its default and its help as the comment.

python -m daemon.config.template           prints it, with the style bank of the file as it is
python -m daemon.config.template --write   puts it in place
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from daemon import places
from daemon.config.choice import Choice
from daemon.config.schema import Leaf, applies, plain
from daemon.settings import Settings
from pipeline.options import Options

MARKER: Final = "# --- style bank ---"
COLUMN: Final = 36

HEAD: Final = """\
# Every setting of Phosphene with its default. Your own file needs only what differs:
# `phosphene validate` prints where it is looked for and where each value came from.
# An environment variable (PHOSPHENE_OUTPUT__FPS=25) and the command line override both.
# (live): a change applies at once after `phosphene reload` or saving your file; the others need a restart,
# those of the source only that of the camera.
"""


def template(bank: str) -> str:
    """The whole file; `bank` is its text from the marker on."""
    lines = [HEAD]
    settings = Settings()
    for name, field in Settings.model_fields.items():
        if name != "styles":
            lines += [*_entry(name, getattr(settings, name), field, 0), ""]
    return "\n".join(lines) + "\n" + bank


def _entry(name: str, value: Any, field: Any, indent: int) -> Iterator[str]:
    pad = "  " * indent
    if isinstance(value, Options):
        yield _line(f"{pad}{name}:", field.description or "")
        yield from _options(value, indent + 1)
    elif isinstance(value, Choice):
        yield _line(f"{pad}{name}:", field.description or "")
        yield _line(
            f"{pad}  kind: {value.kind}",
            f"its file in pipeline/{name}s; what follows are that kind's options",
        )
        yield from _options(value.options, indent + 1)
    elif isinstance(value, tuple) and any(isinstance(item, Choice) for item in value):
        yield _line(f"{pad}{name}:", field.description or "")
        for item in value:
            yield _line(
                f"{pad}  - kind: {item.kind}", f"its file in pipeline/{name}; then that kind's options"
            )
            yield from _options(item.options, indent + 2)
    else:
        live = " (live)" if applies(field) == "live" else ""
        yield _line(f"{pad}{name}: {_yaml(plain(Leaf((name,), value, field)))}", f"{field.description}{live}")


def _options(options: Options, indent: int) -> Iterator[str]:
    for name, field in type(options).model_fields.items():
        yield from _entry(name, getattr(options, name), field, indent)


def _line(text: str, comment: str) -> str:
    return f"{text.ljust(COLUMN)}  # {comment}"


def _yaml(value: Any) -> str:
    import json

    if isinstance(value, str):
        from daemon.config.file import scalar

        bare = value and isinstance(scalar(value), str) and not set(value) & set(":#{}[],&*!|>'\"%@`")
        return value if bare else json.dumps(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}"
    return json.dumps(value)


def main() -> None:
    path = places.packaged_config()
    text = path.read_text("utf-8")
    bank = text[text.index(MARKER) :] if MARKER in text else f"{MARKER}\nstyles: {{}}\n"
    made = template(bank)
    if "--write" in sys.argv[1:]:
        path.write_text(made, "utf-8")
    else:
        sys.stdout.write(made)


if __name__ == "__main__":
    main()
