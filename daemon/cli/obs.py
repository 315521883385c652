"""`phosphene obs …`: names, options and help."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from daemon.cli.options import Config, Json

app = typer.Typer(
    name="obs",
    help="OBS Studio: what it needs for Phosphene, put in and taken out. docs/obs.md explains.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Picture(str, Enum):
    """What may follow --picture."""

    AUTO = "auto"
    CAMERA = "camera"
    STREAM = "stream"


DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]


@app.command()
def install(
    picture: Annotated[
        Picture,
        typer.Option(help="Where OBS takes the picture from; auto: a virtual camera where there is one."),
    ] = Picture.AUTO,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Make a scene with the picture, prompt sources, an overlay and hotkeys in the OBS that runs."""
    from daemon.commands.obs.install import install

    return install(config, picture.value, dry_run, as_json)


@app.command()
def uninstall(config: Config = None, dry_run: DryRun = False, as_json: Json = False) -> int:
    """Remove from OBS what `install` made, and nothing else."""
    from daemon.commands.obs.install import uninstall

    return uninstall(config, dry_run, as_json)


@app.command()
def status(config: Config = None, as_json: Json = False) -> int:
    """How OBS stands, and what of Phosphene is in it."""
    from daemon.commands.obs.status import status

    return status(config, as_json)
