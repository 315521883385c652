"""The Lua script with named hotkeys, in the user's folder. OBS cannot be asked to load one: that takes two clicks.

A file that the user has changed since is theirs: it is neither replaced nor removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from integrations.obs.kit.record import ScriptFile
from integrations.obs.own_config import folders
from pipeline.errors import PhospheneError

NAME: Final = "phosphene.lua"
HOTKEY: Final = "phosphene.next"
"""OBS has a hotkey of this name while the script is loaded."""

MOST_STYLES: Final = 9
_EMPTY: Final = "local STYLES = {}"


def script_text(styles: Sequence[str]) -> str:
    """The script, with the first nine names of the bank for `style 1` to `style 9`."""
    text = Path(__file__).with_name(NAME).read_text("utf-8")
    names = ", ".join(map(lua_string, styles[:MOST_STYLES]))
    return text.replace(_EMPTY, f"local STYLES = {{ {names} }}", 1)


def lua_string(text: str) -> str:
    """As a Lua 5.1 literal: what is not plain ASCII as decimal bytes."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03d}"
        for byte in text.encode()
    )
    return f'"{plain}"'


def script_path(own: Path) -> Path:
    """Beside OBS's own settings, which a sandboxed OBS can read too; in the folder `own` where there are none."""
    for folder in folders():
        if folder.is_dir():
            return folder / "scripts" / NAME
    return own / NAME


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """What is to be done about the file. keep: nothing, and why it is left alone is in `why`."""

    do: Literal["write", "remove", "keep", "nothing"]
    path: Path
    text: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.do} the script {self.path}"


def install_step(path: Path, styles: Sequence[str], recorded: ScriptFile | None) -> ScriptStep:
    """What brings the script to `path`."""
    text = script_text(styles)
    there = _digest(path)
    if there is None:
        return ScriptStep("write", path, text)
    if there == _sha256(text.encode()):
        return ScriptStep("nothing" if _known(path, there, recorded) else "write", path, text)
    if _known(path, there, recorded):
        return ScriptStep("write", path, text)
    return ScriptStep("keep", path, why=f"{path} has been changed by you: it is left alone")


def uninstall_step(recorded: ScriptFile | None) -> ScriptStep | None:
    """What takes it away again; None: none was written."""
    if recorded is None:
        return None
    path = Path(recorded.path)
    there = _digest(path)
    if there is None:
        return ScriptStep("nothing", path)
    if _known(path, there, recorded):
        return ScriptStep("remove", path)
    return ScriptStep("keep", path, why=f"{path} has been changed by you: it is left alone")


def do(step: ScriptStep) -> ScriptFile | None:
    """Write or remove the file; what is to be recorded of it. Raises PhospheneError."""
    try:
        if step.do == "write":
            step.path.parent.mkdir(parents=True, exist_ok=True)
            step.path.write_bytes(step.text.encode())
            return ScriptFile(str(step.path), _sha256(step.text.encode()))
        if step.do == "remove":
            step.path.unlink(missing_ok=True)
    except OSError as error:
        raise PhospheneError(f"{step.path} cannot be written: {error.strerror}", "mend its folder") from error
    return None


def _known(path: Path, digest: str, recorded: ScriptFile | None) -> bool:
    return recorded is not None and recorded == ScriptFile(str(path), digest)


def _digest(path: Path) -> str | None:
    try:
        return _sha256(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PhospheneError(f"{path} cannot be read: {error.strerror}", "mend its folder") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
