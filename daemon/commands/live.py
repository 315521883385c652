"""Commands to the running daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from daemon.client import connect
from daemon.commands import show
from daemon.exit_codes import ExitCode, Refused
from integrations import actions
from pipeline.errors import PhospheneError

T = TypeVar("T")
R = TypeVar("R")


def send(as_json: bool, **command: Any) -> int:
    """Submit one Command and say what it made."""
    answer = connect().command(**command)
    if as_json:
        show.as_object(answer)
        return ExitCode.OK
    state = answer["state"]
    style = state["style"]
    print(
        f"{state['mode']}, {style['name'] or 'no style'}: {style['prompt']} (revision {answer['revision']})"
    )
    return ExitCode.OK


def style(names: list[str], over: str, as_json: bool) -> int:
    """One style, or a blend of several with weights."""
    over_s = seconds(over)
    if len(names) == 1 and ":" not in names[0]:
        return send(as_json, command="style", name=names[0], over_s=over_s)
    weights = _refusing(actions.weights, names)
    return send(as_json, command="blend", weights=weights, over_s=over_s)


def seeds(given: list[str], as_json: bool) -> int:
    """Noise of several seeds; none given: the style's own."""
    return send(as_json, command="seeds", weights=_refusing(actions.weights, given))


def action(text: str, as_json: bool) -> int:
    """One line of the grammar of `integrations.actions`."""
    from pipeline.messages import to_dict

    return send(as_json, **to_dict(_refusing(actions.parse_action, text)))


def set_value(key: str, value: str, as_json: bool) -> int:
    """The value is text for prompts, else what YAML would make of it."""
    from daemon.config.file import value as parsed

    given = value if key.rsplit(".", 1)[-1].endswith("prompt") else parsed(value, "VALUE", "command line")
    if isinstance(given, list | dict) and key != "t_index_list" and key != "denoiser.t_index_list":
        given = value
    return send(as_json, command="set", key=key, value=value if given is None else given)


def set_mode(mode: str, as_json: bool) -> int:
    """styled, bypass, freeze or panic."""
    from daemon.config.errors import did_you_mean
    from pipeline.messages import Mode

    known = [m.value for m in Mode]
    if mode not in known:
        raise Refused(f"there is no mode {mode!r}", did_you_mean(mode, known))
    return send(as_json, command="mode", mode=mode)


def reload(as_json: bool) -> int:
    """Read the configuration again."""
    answer = connect().post("/reload", {})
    if as_json:
        show.as_object(answer)
        return ExitCode.OK
    facts = answer.get("reload") or {}
    live, waiting = facts.get("live") or [], facts.get("needs_restart") or []
    print(f"applied: {', '.join(live)}" if live else "no live value changed")
    if waiting:
        print(f"needs a restart: {', '.join(waiting)}\n  → phosphene restart")
    return ExitCode.OK


def seconds(text: str) -> float:
    """`2s`, `500ms`, `1.5`, `1min` in seconds. Raises Refused."""
    return _refusing(actions.seconds, text)


def _refusing(parse: Callable[[T], R], given: T) -> R:
    try:
        return parse(given)
    except PhospheneError as error:
        raise Refused(error.message, error.mend) from None
