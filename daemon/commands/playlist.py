"""`phosphene playlist …`."""

from __future__ import annotations

from typing import Any

from daemon.client import connect
from daemon.commands import bank, show
from daemon.commands.live import seconds
from daemon.exit_codes import ExitCode, Refused
from integrations.bank import SetPlaylist


def show_playlist(as_json: bool) -> int:
    """Of the running daemon, else as configured."""
    client = bank.daemon_or_none(None)
    if client is not None:
        facts: dict[str, Any] = client.get("/playlist")
    else:
        from daemon.settings import load

        facts = {
            "revision": 0,
            "status": "stopped",
            "at": -1,
            "left_s": 0.0,
            **load({}, None).settings.playlist.model_dump(mode="json"),
        }
    return _print(facts, as_json)


def tell(verb: str, as_json: bool) -> int:
    """The command `playlist` to the running daemon."""
    client = connect()
    client.command(command="playlist", do=verb)
    return _print(client.get("/playlist"), as_json)


def set_playlist(
    lines: list[str] | None,
    every: str | None,
    over: str | None,
    loop: bool | None,
    shuffle: bool | None,
    autostart: bool | None,
    as_json: bool,
) -> int:
    """What is named; the rest stays."""
    given = {
        "items": lines,
        "every_s": None if every is None else seconds(every),
        "over_s": None if over is None else seconds(over),
        "loop": loop,
        "shuffle": shuffle,
        "autostart": autostart,
    }
    values = {key: value for key, value in given.items() if value is not None}
    if not values:
        raise Refused(
            "nothing to change was named",
            'for example: phosphene playlist set "neon for 30s" "anime for 20s"',
        )
    bank.change(None, SetPlaylist(values), "PUT", "/playlist", values)
    return show_playlist(as_json)


def _print(facts: dict[str, Any], as_json: bool) -> int:
    if as_json:
        show.as_object(facts)
        return ExitCode.OK
    order = "shuffled" if facts["shuffle"] else "in order"
    again = "again and again" if facts["loop"] else "once"
    waits = " (waits: the picture is not styled)" if facts.get("waits") else ""
    left = f", {facts['left_s']:.1f} s left" if facts["at"] >= 0 else ""
    print(
        f"{facts['status']}{waits}{left}; {order}, {again}; {facts['every_s']:g} s a line, {facts['over_s']:g} s over"
    )
    for n, line in enumerate(facts["items"]):
        print(f"{'*' if n == facts['at'] else ' '} {n + 1:>2}  {line}")
    if not facts["items"]:
        print('no lines; add some: phosphene playlist set "neon for 30s" "anime over 2s for 20s"')
    return ExitCode.OK
