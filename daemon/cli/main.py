"""The command line: names, options and help. What a command does is in `daemon/commands/`, imported late."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from daemon.cli import playlist as cli_playlist
from daemon.cli import styles as cli_styles
from daemon.cli.obs import app as obs_app
from daemon.cli.options import (
    Config,
    Fps,
    Host,
    Json,
    Model,
    Over,
    Port,
    Sinks,
    Size,
    Source,
    StyleName,
    arguments,
    overrides,
)
from daemon.exit_codes import ExitCode, exit_code
from pipeline.errors import PhospheneError

app = typer.Typer(
    name="phosphene",
    help="Turns a webcam into a live painted one. `phosphene run` shows it; COMMAND --help explains.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(obs_app)

# ruff: noqa: UP045 (typer reads these annotations at run time, on 3.10 too)


# ---------------------------------------------------------------- life


@app.command()
def run(
    config: Config = None,
    source: Source = None,
    sink: Sinks = None,
    model: Model = None,
    style: StyleName = None,
    size: Size = None,
    fps: Fps = None,
    host: Host = None,
    port: Port = None,
    seconds: Annotated[Optional[float], typer.Option(help="End after so many seconds.", min=0)] = None,
    frames: Annotated[Optional[int], typer.Option(help="End after so many painted frames.", min=1)] = None,
) -> int:
    """Run in the foreground until Ctrl-C."""
    from daemon.commands.run import run_here

    return run_here(overrides(source, sink, model, style, size, fps, host, port), config, seconds, frames)


@app.command()
def start(
    config: Config = None,
    source: Source = None,
    sink: Sinks = None,
    model: Model = None,
    style: StyleName = None,
    size: Size = None,
    fps: Fps = None,
    host: Host = None,
    port: Port = None,
    as_json: Json = False,
) -> int:
    """Run in the background; returns when it answers."""
    from daemon.commands import background

    return background.start(arguments(config, source, sink, model, style, size, fps, host, port), as_json)


@app.command()
def stop(as_json: Json = False) -> int:
    """Stop the running daemon."""
    from daemon.commands import background

    return background.stop(as_json)


@app.command()
def restart(
    config: Config = None,
    source: Source = None,
    sink: Sinks = None,
    model: Model = None,
    style: StyleName = None,
    size: Size = None,
    fps: Fps = None,
    host: Host = None,
    port: Port = None,
    as_json: Json = False,
) -> int:
    """Stop and start again; without options, with those of the last start."""
    from daemon.commands import background

    return background.restart(arguments(config, source, sink, model, style, size, fps, host, port), as_json)


@app.command()
def status(as_json: Json = False) -> int:
    """What runs, from where to where, how fast, and what is wrong."""
    from daemon.commands.status import status

    return status(as_json)


@app.command()
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.", min=0)] = 50,
) -> int:
    """Show the daemon's log."""
    from daemon.commands.logs import show_log

    return show_log(follow, lines)


@app.command()
def reload(as_json: Json = False) -> int:
    """Read the configuration again; what is live applies at once, the rest is named."""
    from daemon.commands import live

    return live.reload(as_json)


# ---------------------------------------------------------------- live control


@app.command()
def style(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME[:WEIGHT]…", help="One style, or several to blend.")
    ],
    over: Over = "0",
    as_json: Json = False,
) -> int:
    """Change the style: `style neon`, or a blend: `style neon:0.7 anime:0.3`."""
    from daemon.commands import live

    return live.style(names, over, as_json)


@app.command(name="next")
def next_style(over: Over = "0", as_json: Json = False) -> int:
    """The next style of the bank."""
    from daemon.commands import live

    return live.send(as_json, command="step", by=1, over_s=live.seconds(over))


@app.command(name="previous")
def previous_style(over: Over = "0", as_json: Json = False) -> int:
    """The previous style of the bank."""
    from daemon.commands import live

    return live.send(as_json, command="step", by=-1, over_s=live.seconds(over))


@app.command()
def prompt(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    negative: Annotated[Optional[str], typer.Option(metavar="TEXT", help="Keep away from this.")] = None,
    over: Over = "0",
    as_json: Json = False,
) -> int:
    """Paint what TEXT says."""
    from daemon.commands import live

    return live.send(
        as_json, command="prompt", prompt=text, negative_prompt=negative, over_s=live.seconds(over)
    )


@app.command(name="set", context_settings={"ignore_unknown_options": True})
def set_value(
    key: Annotated[str, typer.Argument(metavar="KEY")],
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    as_json: Json = False,
) -> int:
    """Change one live value: strength, guidance_scale, delta, seed, t_index_list, similarity, …"""
    from daemon.commands import live

    return live.set_value(key, value, as_json)


@app.command()
def mode(
    mode: Annotated[str, typer.Argument(metavar="MODE", help="styled, bypass, freeze or panic.")],
    as_json: Json = False,
) -> int:
    """Change what viewers see. panic: a card at once, camera off; bypass: your real picture; freeze: hold."""
    from daemon.commands import live

    return live.set_mode(mode, as_json)


@app.command()
def panic(as_json: Json = False) -> int:
    """Show a card at once and close the camera; `phosphene resume` ends it."""
    from daemon.commands import live

    return live.set_mode("panic", as_json)


@app.command()
def freeze(as_json: Json = False) -> int:
    """Hold the picture that is shown."""
    from daemon.commands import live

    return live.set_mode("freeze", as_json)


@app.command()
def bypass(as_json: Json = False) -> int:
    """Show the camera's real picture."""
    from daemon.commands import live

    return live.set_mode("bypass", as_json)


@app.command()
def resume(as_json: Json = False) -> int:
    """Back to the painted picture."""
    from daemon.commands import live

    return live.set_mode("styled", as_json)


@app.command()
def undo(as_json: Json = False) -> int:
    """Take back the last change of style or value; the mode stays."""
    from daemon.commands import live

    return live.send(as_json, command="undo")


@app.command()
def redo(as_json: Json = False) -> int:
    """Make again what `undo` took back."""
    from daemon.commands import live

    return live.send(as_json, command="redo")


@app.command(name="random")
def random_style(over: Over = "0", as_json: Json = False) -> int:
    """Any other style of the bank."""
    from daemon.commands import live

    return live.send(as_json, command="random", over_s=live.seconds(over))


@app.command()
def seeds(
    seeds: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="SEED[:WEIGHT]…", help="Without any: the style's own again."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Mix the noise of several seeds: `seeds 7:0.6 12:0.4`."""
    from daemon.commands import live

    return live.seeds(seeds or [], as_json)


@app.command(name="do")
def do_action(
    action: Annotated[
        list[str], typer.Argument(metavar="ACTION", help="neon over 2s; next; playlist skip; …")
    ],
    as_json: Json = False,
) -> int:
    """Do what a hotkey, a MIDI pad or an OSC message can be bound to."""
    from daemon.commands import live

    return live.action(" ".join(action), as_json)


app.add_typer(cli_styles.app, name="styles")
app.add_typer(cli_playlist.app, name="playlist")


# ---------------------------------------------------------------- facts


@app.command()
def devices(as_json: Json = False) -> int:
    """Sources and sinks that can be used here, and what is wrong with the others."""
    from daemon.commands.facts import devices

    return devices(as_json)


@app.command()
def marked(
    file: Annotated[Path, typer.Argument(help="A picture or a recording.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> int:
    """Whether a picture or a recording carries the invisible mark (`badge.invisible`)."""
    from daemon.commands.marked import marked

    return marked(file, as_json)


@app.command()
def validate(
    file: Annotated[Optional[Path], typer.Argument(help="Configuration to check; without it, yours.")] = None,
    config: Config = None,
    everything: Annotated[bool, typer.Option("--all", help="Also the packaged styles.")] = False,
    as_json: Json = False,
) -> int:
    """Check the configuration, and show each value and the file and line it came from."""
    from daemon.commands.facts import validate

    return validate(file or config, everything, as_json)


@app.command()
def doctor(config: Config = None, as_json: Json = False) -> int:
    """Check this computer, and name for each problem the command that mends it."""
    from daemon.commands.doctor import doctor

    return doctor(config, as_json)


@app.command()
def bench(
    config: Config = None,
    model: Model = None,
    style: StyleName = None,
    size: Size = None,
    seconds: Annotated[float, typer.Option(help="Seconds of each measured stretch.", min=1)] = 8.0,
    chart: Annotated[
        Optional[Path], typer.Option(metavar="FILE.png", help="Draw the rates as bars into this file.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Measure how fast this computer paints, in about three minutes; the last line is one JSON object."""
    from daemon.bench.command import run_bench

    chosen = overrides(None, None, model, style, size, None, None, None)
    return run_bench(chosen, config, seconds=seconds, as_json=as_json, chart=chart)


# ---------------------------------------------------------------- around it


@app.command(name="install-service")
def install_service(
    now: Annotated[bool, typer.Option("--now", help="Start it at once, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be written.")] = False,
) -> int:
    """Start with every login: systemd (Linux), launchd (macOS), Startup folder (Windows)."""
    from daemon.commands.service import install

    return install(now, dry_run)


@app.command(name="uninstall-service")
def uninstall_service() -> int:
    """Undo `install-service`."""
    from daemon.commands.service import uninstall

    return uninstall()


@app.command(name="open")
def open_page(
    qr: Annotated[bool, typer.Option("--qr", help="Print the address as a QR code, for a phone.")] = False,
) -> int:
    """Open the page in the browser."""
    from daemon.commands import page

    return page.show_qr() if qr else page.open_page()


@app.command()
def url(
    obs: Annotated[
        bool, typer.Option("--obs", help="The picture's address for OBS, with the read-only key.")
    ] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new key first; old addresses stop working.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Print the page's address with its token (keep it to yourself)."""
    from daemon.commands.page import print_url

    return print_url(obs or rotate, rotate, as_json)


def _version(wanted: bool) -> None:
    if wanted:
        from daemon.version import version

        typer.echo(f"phosphene {version()}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if debug:
        os.environ["PHOSPHENE_DEBUG"] = "1"


# ---------------------------------------------------------------- end


def main() -> NoReturn:
    """The entry point: runs a command, says on stderr what went wrong, ends with the exit code."""
    usage_error = typer.BadParameter.__mro__[2]  # ClickException, wherever this version of typer keeps it
    code: int
    try:
        code = app(prog_name="phosphene", standalone_mode=False) or ExitCode.OK
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    except PhospheneError as error:
        code = _explain(error)
    except BrokenPipeError:  # `phosphene logs | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (nothing more can be written at exit)
        code = ExitCode.OK
    except Exception as error:  # noqa: BLE001 (the outermost frame: a user sees a sentence, not a traceback)
        if isinstance(error, usage_error):
            error.show()  # type: ignore[attr-defined]
            code = error.exit_code  # type: ignore[attr-defined]
        else:
            code = _unexpected(error)
    sys.exit(int(code))


def _explain(error: PhospheneError) -> ExitCode:
    if _debugging():
        traceback.print_exception(error)
    print(f"phosphene: {error}", file=sys.stderr)
    return exit_code(error)


def _unexpected(error: Exception) -> ExitCode:
    """A fault of the program: say so in one sentence, and how to see more."""
    if _debugging():
        traceback.print_exception(error)
    words = " ".join(sys.argv[1:])
    print(
        f"phosphene: this is a fault of the program: {type(error).__name__}: {error}\n"
        f"  → see where with: phosphene --debug {words}",
        file=sys.stderr,
    )
    return ExitCode.FAILED


def _debugging() -> bool:
    return os.environ.get("PHOSPHENE_DEBUG", "") not in ("", "0")


if __name__ == "__main__":
    main()
