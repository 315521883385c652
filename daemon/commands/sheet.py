"""`phosphene styles sheet`: every style on one picture, offline; or on the running daemon's camera."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from daemon.bank.sheet import Cell, save, sheet
from daemon.client import Client, connect
from daemon.commands.bank import at, listed
from daemon.exit_codes import ExitCode, Refused
from pipeline.errors import EngineError, PhospheneError, SourceError


def make_sheet(
    out: Path,
    names: Sequence[str],
    *,
    config: Path | None,
    picture: Path | None,
    live: bool,
    original: bool,
    columns: int,
    say: Callable[[str], None],
) -> int:
    """Paint, put together, save. names: of some styles; none: all."""
    if live and picture is not None:
        raise Refused("--live and --picture are two pictures", "give one of them")
    if live and original:
        raise Refused(
            "--original would put your real face on the sheet", "leave it out, or use --picture FILE"
        )
    if picture is not None and not picture.is_file():
        raise SourceError(f"there is no picture {picture}", "name a JPEG, PNG or WebP file")
    styles = _chosen(listed(config)[0], names)
    painted = dict(_live(styles, say) if live else _offline(styles, config, picture, say))
    cells = [_cell(style, painted.get(style["name"], (None, "it was not painted"))) for style in styles]
    if original and (shown := painted.get("")) is not None:
        cells.insert(
            0, Cell("the picture", str(picture.name) if picture else "the packaged portrait", "", shown[0])
        )
    if not any(cell.picture for cell in cells):
        raise EngineError(f"no style could be painted: {cells[0].reason}", "phosphene status says more")
    page = sheet(cells, columns)
    save(page, out)
    failed = [f"{cell.name}: {cell.reason}" for cell in cells if not cell.picture]
    for line in failed:
        say(line)
    print(f"{len(cells) - len(failed)} pictures in {out} ({page.width}x{page.height})")
    return ExitCode.OK


def _chosen(styles: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    from daemon.config.errors import did_you_mean

    known = {style["name"]: style for style in styles}
    for name in names:
        if name not in known:
            raise Refused(f"there is no style {name!r}", did_you_mean(name, known))
    chosen = [known[name] for name in names] or styles
    if not chosen:
        raise Refused("the bank is empty", "add a style: phosphene styles add NAME PROMPT")
    return chosen


def _cell(style: dict[str, Any], painted: tuple[bytes | None, str]) -> Cell:
    return Cell(style["name"], style["prompt"], style["colour"], *painted)


Painted = Iterator[tuple[str, tuple[bytes | None, str]]]
"""Style → (encoded picture, why there is none). "": the picture as it was given."""


def _live(styles: list[dict[str, Any]], say: Callable[[str], None]) -> Painted:
    client: Client = connect()
    for style in styles:
        say(f"painting {style['name']}")
        try:
            painted = client.picture(at(style["name"], "/picture?of=live"))

        except Refused as error:
            yield style["name"], (None, error.message)
        else:
            yield style["name"], (painted, "")


def _offline(
    styles: list[dict[str, Any]], config: Path | None, picture: Path | None, say: Callable[[str], None]
) -> Painted:
    """In a process of its own: this one never knows torch."""
    from daemon.app import canvas_of
    from daemon.children.roles import engine_config, run_module
    from daemon.settings import load
    from pipeline.configs import to_json

    settings = load({}, config).settings
    engine = (
        "name",
        "prompt",
        "negative_prompt",
        "guidance",
        "guidance_scale",
        "delta",
        "strength",
        "seed",
        "loras",
    )
    asked = {
        "config": to_json(engine_config(settings, canvas_of(settings))),
        "t_index_list": settings.denoiser.t_index_list,
        "styles": [{key: style[key] for key in engine} for style in styles],
        "picture": str(picture.resolve()) if picture is not None else None,
    }
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, *run_module("pipeline.paint_styles")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(asked) + "\n")
            child.stdin.close()
            for line in child.stdout:
                yield from _said(json.loads(line), say)
            if child.wait():
                errors.seek(0)
                last = (errors.read().strip().splitlines() or ["it ended without a word"])[-1]
                raise EngineError("the styles could not be painted", last)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


def _said(fact: dict[str, Any], say: Callable[[str], None]) -> Painted:
    """One line of `pipeline.paint_styles`."""
    if "error" in fact:
        raise PhospheneError(fact["error"], fact["mend"])
    if "original" in fact:
        yield "", (base64.b64decode(fact["original"]), "")
    elif "png" in fact:
        say(f"painted {fact['name']}")
        yield fact["name"], (base64.b64decode(fact["png"]), "")
    elif "name" in fact:
        yield fact["name"], (None, fact["reason"])
    else:
        say(fact["progress"])
