"""Commands that only print stay light, and say on one line what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "diffusers", "transformers", "cv2", "av", "pyvirtualcam", "starlette", "uvicorn", "rich")

PROGRAM = """
import json, sys
from daemon.cli import main
sys.argv[0] = "phosphene"
try:
    main()
except SystemExit as end:
    heavy = [name for name in {heavy!r} if name in sys.modules]
    print(json.dumps({{"code": end.code, "heavy": heavy}}), file=sys.stderr)
"""


@pytest.fixture
def phosphene(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PHOSPHENE_")}
    for name, key in (
        ("config", "XDG_CONFIG_HOME"),
        ("state", "XDG_STATE_HOME"),
        ("runtime", "XDG_RUNTIME_DIR"),
    ):
        (tmp_path / name).mkdir()
        environment[key] = str(tmp_path / name)
    environment["PYTHONPATH"] = str(ROOT)

    def run(*arguments, **more):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *arguments],
            capture_output=True,
            text=True,
            env={**environment, **more},
            cwd=tmp_path,
            timeout=60,
        )
        said, _, last = done.stderr.rstrip().rpartition("\n")
        facts = json.loads(last)
        assert "Traceback" not in said
        return facts["code"], done.stdout, said, facts["heavy"]

    return run


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), ExitCode.NOT_RUNNING),
        (("validate",), ExitCode.OK),
        (("validate", "--json"), ExitCode.OK),
        (("styles",), ExitCode.OK),
        (("stop",), ExitCode.NOT_RUNNING),
        (("style", "neon"), ExitCode.NOT_RUNNING),
        (("url",), ExitCode.NOT_RUNNING),
        (("--version",), ExitCode.OK),
        (("--help",), ExitCode.OK),
        (("install-service", "--dry-run"), ExitCode.OK),
    ],
)
def test_light_commands_import_nothing_heavy(phosphene, arguments, code):
    got, out, err, heavy = phosphene(*arguments)
    assert got == code, err
    assert heavy == []
    assert out or err


def test_status_answers_in_json_when_nothing_runs(phosphene):
    code, out, err, _ = phosphene("status", "--json")
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
    code, _, err, _ = phosphene(*arguments)
    assert code == ExitCode.USAGE
    assert word in err


def test_validate_names_file_line_key_and_mend(phosphene, tmp_path):
    (tmp_path / "c.yaml").write_text("output:\n  size: 641x480\n")
    code, out, err, _ = phosphene("validate", "c.yaml")
    assert code == ExitCode.CONFIG
    assert out == ""
    assert err.startswith("phosphene: c.yaml:2:3: output.size: 641x480 is odd")
    assert "→ use even numbers, as in 640x480" in err


def test_validate_in_json(phosphene, tmp_path):
    (tmp_path / "c.yaml").write_text("output:\n  fps: 500\nwebb: {}\n")
    code, out, _, _ = phosphene("validate", "c.yaml", "--json")
    assert code == ExitCode.CONFIG
    facts = json.loads(out)
    assert facts["valid"] is False
    assert [(p["key"], p["line"], p["value"]) for p in facts["problems"]] == [
        ("output.fps", 2, 500),
        ("webb", 3, "{}"),
    ]
    (tmp_path / "c.yaml").write_text("output:\n  fps: 50\n")
    code, out, _, _ = phosphene("validate", "c.yaml", "--json", PHOSPHENE_HOLD_S="3")
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
        lines = ["a: &a [x, x, x, x, x, x, x, x]"] + [
            f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, " * 1 for n in ()
        ]
        lines += [f"b{n}: &b{n} [" + ", ".join([f"*b{n - 1}" if n else "*a"] * 9) + "]" for n in range(9)]
        path.write_text("\n".join(lines))
    for command in (("validate", "c.yaml"), ("run", "--config", "c.yaml"), ("styles", "--config", "c.yaml")):
        code, _, err, _ = phosphene(*command)
        assert code == ExitCode.CONFIG
        assert err.count("phosphene: ") == 1
        assert "c.yaml" in err
        assert "→" in err


def test_bad_option_of_run_names_the_option(phosphene):
    code, _, err, _ = phosphene("run", "--source", "webcm:0")
    assert code == ExitCode.CONFIG
    assert "--source: source: there is no source 'webcm'" in err
    assert "did you mean 'webcam'?" in err


def test_start_hands_on_the_fault_of_the_daemon(phosphene):
    code, _, err, _ = phosphene("start", "--style", "nosuchstyle")
    assert code == ExitCode.CONFIG
    assert "there is no style 'nosuchstyle'" in err


def test_debug_shows_the_traceback():
    # not through `phosphene`: that one asserts that there is none
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "--debug", "validate", "/nonexistent.yaml"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == ExitCode.CONFIG
    assert "Traceback" in done.stderr


def test_every_exit_code_is_documented():
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} | {code.name} |" in text


def test_run_by_path_ignores_packages_of_the_current_folder(tmp_path):
    (tmp_path / "daemon").mkdir()
    (tmp_path / "daemon" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    done = subprocess.run(
        [sys.executable, str(ROOT / "daemon" / "__main__.py"), "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.startswith("phosphene ")
