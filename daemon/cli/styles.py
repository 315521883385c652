"""The commands `phosphene styles …`: names, options and help; what they do is in `daemon/commands/bank.py`."""

# ruff: noqa: UP045 (typer reads these annotations at run time, on 3.10 too)
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from daemon.cli.options import Config, Json

app = typer.Typer(
    help="The style bank: list it, change it, render a contact sheet.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Negative = Annotated[Optional[str], typer.Option(metavar="TEXT", help="Keep away from this.")]
Strength = Annotated[
    Optional[float], typer.Option(help="0: the camera's picture, 0.5: as configured, 1: all noise.")
]
Guidance = Annotated[Optional[str], typer.Option(help="none, full, self or onetime.")]
Scale = Annotated[Optional[float], typer.Option(help="Pull of the prompt; 1 and below: none.")]
Delta = Annotated[Optional[float], typer.Option(help="Share of the virtual residual noise.")]
Seed = Annotated[Optional[int], typer.Option(help="Of the noise.")]
LoraList = Annotated[
    Optional[list[str]],
    typer.Option("--lora", metavar="FILE[:WEIGHT]", help="A LoRA; repeatable; '' for none."),
]
Colour = Annotated[Optional[str], typer.Option(metavar="COLOUR", help="Tag: #rrggbb or a name such as teal.")]
Hotkey = Annotated[Optional[str], typer.Option(metavar="KEYS", help="Global key, as in ctrl+alt+1.")]
Before = Annotated[Optional[str], typer.Option(metavar="STYLE", help="Put it in front of this one.")]


@app.callback()
def styles(context: typer.Context, config: Config = None, as_json: Json = False) -> int:
    """The style bank: the running daemon's, else the configuration's."""
    context.obj = config
    if context.invoked_subcommand is not None:
        return 0
    from daemon.commands.bank import grid

    return grid(config, as_json)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT")],
    negative: Negative = None,
    strength: Strength = None,
    guidance: Guidance = None,
    scale: Scale = None,
    delta: Delta = None,
    seed: Seed = None,
    lora: LoraList = None,
    colour: Colour = None,
    hotkey: Hotkey = None,
    before: Before = None,
    as_json: Json = False,
) -> int:
    """Add a style."""
    from daemon.commands import bank
    from integrations.bank import AddStyle

    values = _values(prompt, negative, strength, guidance, scale, delta, seed, lora, colour, hotkey)
    body = {**values, "name": name, **({"before": before} if before is not None else {})}
    bank.change(context.obj, AddStyle(name, values, before), "POST", "/styles", body)
    return bank.done(f"style {name} added", as_json)


@app.command()
def edit(
    context: typer.Context,
    name: Name,
    prompt: Annotated[Optional[str], typer.Option(metavar="TEXT", help="What to paint.")] = None,
    negative: Negative = None,
    strength: Strength = None,
    guidance: Guidance = None,
    scale: Scale = None,
    delta: Delta = None,
    seed: Seed = None,
    lora: LoraList = None,
    colour: Colour = None,
    hotkey: Hotkey = None,
    rename: Annotated[Optional[str], typer.Option(metavar="NAME", help="Its new name.")] = None,
    as_json: Json = False,
) -> int:
    """Change what is named; the rest of the style stays."""
    from daemon.commands import bank
    from daemon.exit_codes import Refused
    from integrations.bank import EditStyle

    values = _values(prompt, negative, strength, guidance, scale, delta, seed, lora, colour, hotkey)
    if not values and rename is None:
        raise Refused("nothing to change was named", "for example: --strength 0.4 (see --help)")
    body = {**values, **({"name": rename} if rename is not None else {})}
    bank.change(context.obj, EditStyle(name, values, rename), "PATCH", bank.at(name), body)
    return bank.done(f"style {rename or name} changed", as_json)


@app.command()
def remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME…")],
    as_json: Json = False,
) -> int:
    """Remove styles; a packaged one is hidden (`styles reset NAME` brings it back)."""
    from daemon.commands import bank
    from integrations.bank import RemoveStyle

    for name in names:
        bank.change(context.obj, RemoveStyle(name), "DELETE", bank.at(name), None)
    return bank.done(f"removed: {', '.join(names)}", as_json)


@app.command()
def reset(context: typer.Context, name: Name, as_json: Json = False) -> int:
    """Forget your changes of a style: as in config.yaml again."""
    from daemon.commands import bank
    from integrations.bank import ResetStyle

    bank.change(context.obj, ResetStyle(name), "POST", bank.at(name, "/reset"), None)
    return bank.done(f"style {name} as in the configuration again", as_json)


@app.command()
def move(
    context: typer.Context,
    name: Name,
    place: Annotated[Optional[int], typer.Argument(metavar="PLACE", help="From 1.", min=1)] = None,
    before: Before = None,
    as_json: Json = False,
) -> int:
    """Put a style elsewhere in the order."""
    from daemon.commands import bank

    bank.move(context.obj, name, place, before)
    return bank.done(f"style {name} moved", as_json)


@app.command()
def export(
    context: typer.Context,
    file: Annotated[
        Optional[Path], typer.Argument(metavar="FILE", help="Without it: standard output.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="yaml or json.")] = "yaml",
) -> int:
    """Write every style to a file, for another computer."""
    from daemon.commands import bank

    return bank.export(context.obj, file, form)


@app.command(name="import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    replace: Annotated[bool, typer.Option("--replace", help="And no other styles.")] = False,
) -> int:
    """Read styles that `export` wrote, or the `styles:` of any configuration."""
    from daemon.commands import bank

    return bank.import_styles(context.obj, file, replace)


@app.command()
def sheet(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT.png")],
    names: Annotated[Optional[list[str]], typer.Argument(metavar="[STYLE…]", help="Only these.")] = None,
    picture: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Paint this picture.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Paint what the running daemon's camera sees.")
    ] = False,
    original: Annotated[bool, typer.Option("--original", help="Show the picture itself first.")] = False,
    columns: Annotated[int, typer.Option(help="Pictures side by side; 0: as fits.", min=0, max=100)] = 0,
) -> int:
    """Render every style on one picture: the packaged portrait, FILE, or the live camera. Needs no daemon."""
    from daemon.commands.sheet import make_sheet

    def say(text: str) -> None:
        typer.echo(text, err=True)

    return make_sheet(
        out,
        names or [],
        config=context.obj,
        picture=picture,
        live=live,
        original=original,
        columns=columns,
        say=say,
    )


def _values(
    prompt: str | None,
    negative: str | None,
    strength: float | None,
    guidance: str | None,
    scale: float | None,
    delta: float | None,
    seed: int | None,
    loras: list[str] | None,
    colour: str | None,
    hotkey: str | None,
) -> dict[str, Any]:
    given = {
        "prompt": prompt,
        "negative_prompt": negative,
        "strength": strength,
        "guidance": guidance,
        "guidance_scale": scale,
        "delta": delta,
        "seed": seed,
        "loras": None if loras is None else dict(_lora(text) for text in loras if text),
        "colour": colour,
        "hotkey": hotkey,
    }
    return {key: value for key, value in given.items() if value is not None}


def _lora(text: str) -> tuple[str, float]:
    name, colon, weight = text.rpartition(":")
    try:
        return (name, float(weight)) if colon else (text, 1.0)
    except ValueError:
        return text, 1.0  # C:\styles\a.safetensors
