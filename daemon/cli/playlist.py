"""The commands `phosphene playlist …`."""

# ruff: noqa: UP045 (typer reads these annotations at run time, on 3.10 too)
from __future__ import annotations

from typing import Annotated, Optional

import typer

from daemon.cli.options import Json

app = typer.Typer(
    help="Styles one after the other, by time.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def playlist(context: typer.Context, as_json: Json = False) -> int:
    """How the playlist stands, and its lines."""
    if context.invoked_subcommand is not None:
        return 0
    from daemon.commands.playlist import show_playlist

    return show_playlist(as_json)


def _verb(name: str, text: str) -> None:
    def command(as_json: Json = False) -> int:
        from daemon.commands.playlist import tell

        return tell(name, as_json)

    command.__doc__ = text
    app.command(name=name)(command)


for _name, _text in (
    ("start", "Play from the beginning."),
    ("stop", "Stop playing; the present style stays."),
    ("pause", "Let the time of the present line stand still."),
    ("resume", "Let it run on."),
    ("skip", "Go on to the next line."),
    ("back", "Go back to the line before."),
):
    _verb(_name, _text)


@app.command(name="set")
def set_lines(
    lines: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="LINE…", help='"neon over 2s for 30s" "anime for 1min" …; none keeps them.'),
    ] = None,
    every: Annotated[Optional[str], typer.Option(metavar="TIME", help="For lines without `for`.")] = None,
    over: Annotated[Optional[str], typer.Option(metavar="TIME", help="For lines without `over`.")] = None,
    loop: Annotated[
        Optional[bool], typer.Option("--loop/--once", help="Begin again after the last line.")
    ] = None,
    shuffle: Annotated[
        Optional[bool], typer.Option("--shuffle/--in-order", help="Another order each time.")
    ] = None,
    autostart: Annotated[
        Optional[bool], typer.Option("--autostart/--no-autostart", help="Play when the daemon starts.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Change its lines and options; they are kept in styles.yaml."""
    from daemon.commands.playlist import set_playlist

    return set_playlist(lines or None, every, over, loop, shuffle, autostart, as_json)
