"""Commands that only print stay light, and say on one line what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.main import main
from daemon.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "diffusers", "transformers", "cv2", "av", "pyvirtualcam", "starlette", "uvicorn", "rich")

PROGRAM = """
import json, sys
from daemon.cli.main import main
codes = []
for words in {commands!r}:
    sys.argv = ["phosphene", *words]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)
heavy = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps({{"codes": codes, "heavy": heavy}}), file=sys.stderr)
"""


@pytest.fixture
def phosphene(tmp_path, monkeypatch, capsys):
    """Runs a command in this process, as a user with empty folders: (exit code, stdout, stderr)."""
    for name, key in (
        ("config", "XDG_CONFIG_HOME"),
        ("state", "XDG_STATE_HOME"),
        ("runtime", "XDG_RUNTIME_DIR"),
    ):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(key, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHOSPHENE_DEBUG", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["phosphene", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return end.value.code, said.out, said.err

    return run


def test_commands_that_print_import_nothing_heavy(tmp_path):
    wanted = {
        ("status",): ExitCode.NOT_RUNNING,
        ("status", "--json"): ExitCode.NOT_RUNNING,
        ("validate",): ExitCode.OK,
        ("styles",): ExitCode.OK,
        ("stop",): ExitCode.NOT_RUNNING,
        ("style", "neon"): ExitCode.NOT_RUNNING,
        ("url",): ExitCode.NOT_RUNNING,
        ("--version",): ExitCode.OK,
        ("--help",): ExitCode.OK,
        ("install-service", "--dry-run"): ExitCode.OK,
    }
    keys = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(commands=list(wanted), heavy=HEAVY)],
        capture_output=True,
        text=True,
        env={**os.environ, **dict.fromkeys(keys, str(tmp_path)), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    facts = json.loads(done.stderr.splitlines()[-1])
    assert facts == {"codes": list(wanted.values()), "heavy": []}


def test_status_answers_in_json_when_nothing_runs(phosphene):
    code, out, err = phosphene("status", "--json")
    assert code == ExitCode.NOT_RUNNING
    assert json.loads(out)["running"] is False
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("nonsense",), "No such command"),
        (("run", "--nonsense"), "No such option"),
        (("run", "--seconds", "soon"), "seconds"),
        (("run", "--frames", "0"), "frames"),
        (("style",), "NAME"),
        (("set", "strength"), "VALUE"),
    ],
)
def test_usage_errors(phosphene, arguments, word):
    code, _, err = phosphene(*arguments)
    assert code == ExitCode.USAGE
    assert word in err


def test_validate_names_file_line_key_and_mend(phosphene, tmp_path):
    (tmp_path / "c.yaml").write_text("output:\n  size: 641x480\n")
    code, out, err = phosphene("validate", "c.yaml")
    assert code == ExitCode.CONFIG
    assert out == ""
    assert err.startswith("phosphene: c.yaml:2:3: output.size: 641x480 is odd")
    assert "→ use even numbers, as in 640x480" in err


def test_validate_in_json(phosphene, tmp_path, monkeypatch):
    (tmp_path / "c.yaml").write_text("output:\n  fps: 500\nwebb: {}\n")
    code, out, _ = phosphene("validate", "c.yaml", "--json")
    assert code == ExitCode.CONFIG
    facts = json.loads(out)
    assert facts["valid"] is False
    assert [(p["key"], p["line"], p["value"]) for p in facts["problems"]] == [
        ("output.fps", 2, 500),
        ("webb", 3, "{}"),
    ]
    (tmp_path / "c.yaml").write_text("output:\n  fps: 50\n")
    monkeypatch.setenv("PHOSPHENE_HOLD_S", "3")
    code, out, _ = phosphene("validate", "c.yaml", "--json")
    rows = {row["key"]: row for row in json.loads(out)["values"]}
    assert code == ExitCode.OK
    assert (rows["output.fps"]["layer"], rows["output.fps"]["line"]) == ("file", 2)
    assert (rows["hold_s"]["layer"], rows["hold_s"]["where"]) == ("environment", "$PHOSPHENE_HOLD_S")


@pytest.mark.parametrize("make", ["missing", "folder", "broken", "latin1", "bomb"])
def test_files_that_cannot_be_used(phosphene, tmp_path, make):
    path = tmp_path / "c.yaml"
    if make == "folder":
        path.mkdir()
    elif make == "broken":
        path.write_text("a: [1\n")
    elif make == "latin1":
        path.write_bytes(b"style: caf\xe9\n")
    elif make == "bomb":
        lines = [
            "b0: &b0 [x, x, x]",
            *(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 9)),
        ]
        path.write_text("\n".join(lines))
    for command in (("validate", "c.yaml"), ("run", "--config", "c.yaml"), ("styles", "--config", "c.yaml")):
        code, _, err = phosphene(*command)
        assert code == ExitCode.CONFIG
        assert err.count("phosphene: ") == 1
        assert "c.yaml" in err
        assert "→" in err


def test_bad_option_of_run_names_the_option(phosphene):
    code, _, err = phosphene("run", "--source", "webcm:0")
    assert code == ExitCode.CONFIG
    assert "--source: source: there is no source 'webcm'" in err
    assert "did you mean 'webcam'?" in err


def test_every_exit_code_is_documented():
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} | {code.name} |" in text
