"""`phosphene styles …`: list and change the style bank, of the running daemon where there is one, else on disk."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import quote

from daemon.client import Client, connect
from daemon.commands import show
from daemon.exit_codes import ExitCode, NotRunning, Refused
from integrations.bank import Edit
from pipeline.errors import PhospheneError


def daemon_or_none(config: Path | None) -> Client | None:
    """The running daemon's client; None where nobody answers or another configuration is meant."""
    if config is not None:
        return None
    try:
        client = connect()
        client.get("/status")
    except NotRunning:
        return None
    return client


def listed(config: Path | None) -> tuple[list[dict[str, Any]], str]:
    """Every style as plain values, and the name of the one in use (or at start)."""
    client = daemon_or_none(config)
    if client is not None:
        styles: list[dict[str, Any]] = client.get("/styles")["styles"]
        return styles, client.get("/status").get("style") or ""
    from daemon.settings import load
    from pipeline.messages import to_dict

    settings = load({}, config).settings
    tags = {name: {"colour": s.colour, "hotkey": s.hotkey} for name, s in settings.styles.items()}
    found = [{**to_dict(style), **tags[name]} for name, style in settings.bank().items()]
    return found, settings.style or next(iter(settings.styles), "")


def grid(config: Path | None, as_json: bool) -> int:
    """Name, colour, numbers, key and prompt of each."""
    found, current = listed(config)
    if as_json:
        show.as_object({"styles": found, "current": current})
        return ExitCode.OK
    if not found:
        print("the bank is empty")
        return ExitCode.OK
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    rows: list[tuple[str, ...]] = [("", "style", "strength", "guidance", "delta", "seed", "key", "prompt")]
    rows += [_row(style, style["name"] == current) for style in found]
    widths = [max(len(row[i]) for row in rows) for i in range(7)]
    room = max(24, show.terminal_width() - sum(widths) - 2 * len(widths) - 2)
    for n, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join([*cells, textwrap.shorten(row[7], room, placeholder="…")]).rstrip()
        dot = show.dot(found[n - 1]["colour"] if n else "", coloured)
        print(f"{dot} {show.bold(line) if coloured and (n == 0 or row[0]) else line}")
    return ExitCode.OK


def _row(style: dict[str, Any], current: bool) -> tuple[str, ...]:
    scale = style["guidance_scale"]
    guidance = "none" if style["guidance"] == "none" or scale <= 1 else f"{style['guidance']} {scale:g}"
    prompt = " ".join(style["prompt"].split())
    loras = style["loras"]
    names = [Path(name).name for name, _ in (loras.items() if isinstance(loras, dict) else loras)]
    more = f" (without: {' '.join(style['negative_prompt'].split())})" if style["negative_prompt"] else ""
    more += f" (LoRAs: {', '.join(names)})" if names else ""
    return (
        "*" if current else "", style["name"], f"{style['strength']:g}", guidance, f"{style['delta']:g}",
        str(style["seed"]), style["hotkey"], prompt + more,
    )  # fmt: skip


# ---------------------------------------------------------------- changes


def change(config: Path | None, edit: Edit, method: str, path: str, body: Any) -> None:
    """Through the daemon's API, or, where none runs, into the style file by the same code."""
    client = daemon_or_none(config)
    if client is not None:
        client.send(method, path, body)
        return
    from daemon.bank import edit as bank_edit
    from daemon.settings import load

    try:
        bank_edit.change(load({}, config), edit)
    except PhospheneError as error:
        raise Refused(error.message, error.mend) from None


def done(text: str, as_json: bool) -> int:
    if as_json:
        show.as_object({"done": text})
    else:
        print(text)
    return ExitCode.OK


def at(name: str, more: str = "") -> str:
    """A style's address below /api/v1."""
    return f"/styles/{quote(name, safe='')}{more}"


def move(config: Path | None, name: str, place: int | None, before: str | None) -> None:
    """To a place from 1, or in front of another style."""
    from integrations.bank import OrderStyles

    names = [style["name"] for style in listed(config)[0]]
    for wanted in (name, before):
        if wanted is not None and wanted not in names:
            from daemon.config.errors import did_you_mean

            raise Refused(f"there is no style {wanted!r}", did_you_mean(wanted, names))
    if (place is None) == (before is None):
        raise Refused("where to?", f"write: phosphene styles move {name} 1, or --before STYLE")
    rest = [known for known in names if known != name]
    index = rest.index(before) if before is not None else max(0, min(len(rest), (place or 1) - 1))
    rest.insert(index, name)
    change(config, OrderStyles(tuple(rest)), "PUT", "/style-order", {"names": rest})


def export(config: Path | None, file: Path | None, form: str) -> int:
    """To a file or standard output."""
    import json

    from daemon.bank import edit as bank_edit

    if form not in ("yaml", "json"):
        raise Refused(f"there is no format {form!r}", "use yaml or json")
    client = daemon_or_none(config)
    if client is not None:
        styles = client.get("/style-bank")["styles"]
    else:
        from daemon.settings import load

        styles = {
            name: bank_edit.values_of(style) for name, style in load({}, config).settings.styles.items()
        }
    text = (
        json.dumps({"styles": styles}, ensure_ascii=False, indent=2) + "\n"
        if form == "json"
        else bank_edit.as_text(styles)
    )
    if file is None:
        sys.stdout.write(text)
        return ExitCode.OK
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise PhospheneError(
            f"{file} cannot be written: {error.strerror}", "name a file in a folder of yours"
        ) from None
    print(f"{len(styles)} styles in {file}")
    return ExitCode.OK


def import_styles(config: Path | None, file: Path, replace: bool) -> int:
    """From YAML or JSON: a file that `export` made, or the `styles:` of any configuration."""
    from daemon.config import file as config_file
    from integrations.bank import ImportStyles

    styles = config_file.read(file).data.get("styles")  # JSON is YAML
    if not isinstance(styles, dict) or not all(isinstance(style, dict) for style in styles.values()):
        raise Refused(f"{file} holds no styles", "it needs `styles: {NAME: {prompt: …}, …}`")
    path = "/style-bank?replace=1" if replace else "/style-bank"
    change(config, ImportStyles(styles, replace), "POST", path, {"styles": styles})
    print(f"{len(styles)} styles imported")
    return ExitCode.OK
