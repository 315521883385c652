"""Options that several commands share, and what they mean as settings."""

# ruff: noqa: UP045 (typer reads these annotations at run time, on 3.10 too)
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

Json = Annotated[bool, typer.Option("--json", help="Print facts as one JSON object.")]
Config = Annotated[
    Optional[Path], typer.Option("--config", "-c", help="Configuration file to use instead of yours.")
]
Source = Annotated[
    Optional[str], typer.Option(metavar="KIND[:ARG]", help="webcam:0, video_file:clip.mp4, demo, …")
]
Sinks = Annotated[
    Optional[list[str]],
    typer.Option("--sink", metavar="KIND[:ARG]", help="virtual_camera, preview, …; repeatable."),
]
Model = Annotated[
    Optional[str], typer.Option(metavar="NAME", help="builtin, a folder, a hub id, a .safetensors file.")
]
StyleName = Annotated[Optional[str], typer.Option(metavar="NAME", help="Style at start.")]
Size = Annotated[Optional[str], typer.Option(metavar="WIDTHxHEIGHT", help="Size that every sink gets.")]
Fps = Annotated[Optional[float], typer.Option(help="Frames a second that every sink gets.")]
Host = Annotated[Optional[str], typer.Option(help="Address of the page and HTTP API.")]
Port = Annotated[Optional[int], typer.Option(help="Port of the page and HTTP API; 0: any free one.")]
Over = Annotated[str, typer.Option(metavar="TIME", help="Morph for that long: 2s, 500ms.")]


def overrides(
    source: str | None,
    sinks: list[str] | None,
    model: str | None,
    style: str | None,
    size: str | None,
    fps: float | None,
    host: str | None,
    port: int | None,
) -> dict[str, Any]:
    """By dotted key, for `daemon.settings.load`."""
    given = {
        "source": source,
        "sinks": sinks or None,
        "model": model,
        "style": style,
        "output.size": size,
        "output.fps": fps,
        "web.host": host,
        "web.port": port,
    }
    return {key: value for key, value in given.items() if value is not None}


def arguments(
    config: Path | None,
    source: str | None,
    sinks: list[str] | None,
    model: str | None,
    style: str | None,
    size: str | None,
    fps: float | None,
    host: str | None,
    port: int | None,
) -> list[str]:
    """The same options, as arguments of `phosphene run`."""
    words = [] if config is None else ["--config", str(config)]
    for key, value in overrides(source, sinks, model, style, size, fps, host, port).items():
        option = "--sink" if key == "sinks" else f"--{key.rsplit('.', 1)[-1]}"
        for item in value if isinstance(value, list) else [value]:
            words += [option, str(item)]
    return words
