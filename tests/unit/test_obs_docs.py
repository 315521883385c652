"""What docs/obs.md tells people to write is what the program takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from daemon.exit_codes import ExitCode
from integrations.actions import parse_action
from integrations.obs.custom_events import command_of
from integrations.obs.kit import names, wanted
from integrations.obs.names import FIELDS
from integrations.obs.options import Options
from integrations.web.openapi import PREFIX

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "obs.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)


def payloads() -> list[object]:
    """Every value of "phosphene" in the JSON examples, wherever a tool wants it."""
    found = []
    for line in (line for block in blocks("json") for line in block.splitlines()):
        message = json.loads(line)
        data = message.get("d", message)
        data = data.get("requestData", data)
        if "phosphene_event" not in data:
            found.append(data["eventData"]["phosphene"])
    return found


def test_there_are_examples():
    assert len(payloads()) >= 8
    assert len(blocks("yaml")) >= 2


@pytest.mark.parametrize("payload", payloads())
def test_every_custom_event_is_a_command(payload):
    command_of(payload)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_configuration_is_valid(text):
    Options.model_validate(yaml.safe_load(text)["obs"])


def test_every_action_can_be_read():
    line = re.search(r"An ACTION is (.*?)\n\n", TEXT, re.DOTALL)
    assert line is not None
    actions = re.findall(r"`([^`]+)`", line[1])
    assert set(names.BUTTONS) <= set(actions)
    for action in actions:
        parse_action(action)


def test_the_media_source_is_set_as_the_installation_does():
    assert f"`{wanted.STREAM_OPTIONS}`" in TEXT
    assert "| Input Format | `mjpeg` |" in TEXT


def test_names_paths_and_codes_are_the_programs():
    assert f"ends with {ExitCode.OBS.value} when OBS" in TEXT
    assert f"`{PREFIX}/openapi.json`" in TEXT
    for field in re.findall(r"`(?:phosphene)?:(\w+)`", TEXT):
        assert field in FIELDS
