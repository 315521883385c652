"""Secrets never reach the log."""

import contextlib
import logging
import secrets
import sys
from pathlib import Path

import pytest

from daemon import logs


@pytest.fixture
def log(tmp_path):
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    redact = logs.Redact("the-token-itself")
    path = tmp_path / "x.log"
    logs.set_up("info", redact, path, to_stderr=False)
    yield logging.getLogger("daemon.test"), path, redact
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


def test_known_secrets_and_places_of_secrets_are_hidden(log):
    logger, path, redact = log
    made = secrets.token_urlsafe(32)
    redact.add("another-secret-one")
    logger.info("a %s b", "the-token-itself")
    logger.warning("GET /stream.mjpeg?key=%s&x=1", made)
    logger.error("Authorization: Bearer %s", made)
    logger.info('{"password": "%s", "token": "%s"}', made, made)
    logger.info("http://h/#token=%s", made)
    logger.info("x another-secret-one")
    try:
        raise ValueError("the-token-itself and key=" + made)
    except ValueError:
        logger.exception("failed")
    text = path.read_text()
    assert made not in text
    assert "the-token-itself" not in text
    assert "another-secret-one" not in text
    assert "&x=1" in text
    assert "ValueError" in text


def test_file_is_private_and_level_changes(log):
    logger, path, _ = log
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o077 == 0
    logger.debug("one")
    logs.set_level("debug")
    logger.debug("two")
    assert path.read_text().splitlines()[-1].endswith("two")
    assert "one" not in path.read_text()


def test_plain_words_are_left(log):
    logger, path, _ = log
    logger.info("the key strength is out of range; use keyboard; tokenizer: 32 tokens")
    assert "the key strength is out of range; use keyboard; tokenizer: 32 tokens" in path.read_text()


def test_no_text_of_a_user_forges_a_line_or_colours_a_terminal(log):
    logger, path, _ = log
    logger.info(
        "set prompt = %s (web)", "a\n2026-01-01 ERROR forged: \x1b[31mred\x1b]0;title\x07\u2028end\tö"
    )
    (line,) = path.read_text("utf-8").splitlines()
    assert r"a\n2026-01-01 ERROR forged: \x1b[31mred\x1b]0;title\x07\u2028end" in line
    assert line.endswith("end\tö (web)")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_loses_lines_and_nothing_else(capsys, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.set_up("info", logs.Redact(), Path("/dev/full"), to_stderr=False)
    try:
        for number in range(3):
            logging.getLogger("phosphene").warning("line %d", number)
        said = capsys.readouterr().err
        assert said.count("cannot be written") == 1
        assert "No space left" in said
    finally:
        for handler in root.handlers:
            with contextlib.suppress(OSError):  # what it still holds has nowhere to go
                handler.stream.close()
        logging.captureWarnings(False)
