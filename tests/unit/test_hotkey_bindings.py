"""Keys as people write them, who gets one that two want, and what each back end calls it."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon.config.errors import ConfigError
from daemon.settings import load
from integrations.hotkeys._evdev import Held, key_name
from integrations.hotkeys._portal import trigger
from integrations.hotkeys._pynput import spelled
from integrations.hotkeys.bindings import bindings
from integrations.hotkeys.keys import ALONE, KEYS, MODIFIERS, Combination
from pipeline.errors import PhospheneError

COMBINATIONS = st.builds(
    lambda held, key: Combination(tuple(m for m in MODIFIERS if m in held), key),
    st.sets(st.sampled_from(MODIFIERS), min_size=1).filter(lambda held: held != {"shift"}),
    st.sampled_from(sorted(KEYS)),
) | st.builds(lambda key: Combination((), key), st.sampled_from(sorted(ALONE)))


@given(COMBINATIONS)
@hypothesis_settings(deadline=None)
def test_what_is_written_is_read_again(combination):
    assert Combination.parse(str(combination)) == combination
    assert Combination.parse(str(combination).upper()) == combination


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("<Ctrl><Alt>p", "ctrl+alt+p"),
        ("Control-Alt-1", "ctrl+alt+1"),
        ("alt + ctrl + F5", "ctrl+alt+f5"),
        ("Win+Page Up", "super+page_up"),
        ("cmd+esc", "super+escape"),
        ("F9", "f9"),
        ("ctrl+-", "ctrl+minus"),
    ],
)
def test_other_ways_of_writing(text, keys):
    assert str(Combination.parse(text)) == keys


@pytest.mark.parametrize(
    "text", ["", "q", "shift+q", "ctrl", "ctrl+alt", "hyper+q", "ctrl+qq", "++", "ctrl+ctrl"]
)
def test_what_is_no_key_is_refused_with_an_example(text):
    with pytest.raises(PhospheneError) as caught:
        Combination.parse(text)
    assert "ctrl+alt+1" in caught.value.mend


def test_the_configuration_s_key_goes_before_a_style_s():
    styles = [
        {"name": "a", "hotkey": "ctrl+1"},
        {"name": "b", "hotkey": "ctrl+2"},
        {"name": "c", "hotkey": "ctrl+2"},
    ]
    found = bindings({"ctrl+1": "panic"}, styles)
    assert {str(keys): action for keys, action in found.actions.items()} == {
        "ctrl+1": "panic",
        "ctrl+2": "style b",
    }
    assert len(found.conflicts) == 2
    assert "'panic'" in found.conflicts[0]
    assert "'c'" in found.conflicts[1]


def test_every_key_has_a_name_in_every_back_end():
    from Xlib import XK

    from integrations.hotkeys._x11 import KEYSYMS

    XK.load_keysym_group("xf86")
    evdev = pytest.importorskip("evdev", reason="needs a compiler to install")
    for key in KEYS:
        assert key_name(key) in evdev.ecodes.ecodes, key
        name = KEYSYMS.get(key, f"KP_{key[3:]}" if key.startswith("kp_") else key)
        upper = key[0] == "f" and key[1:].isdigit()
        assert XK.string_to_keysym(name.upper() if upper else name), key


def test_names_of_back_ends():
    combination = Combination.parse("ctrl+super+page_down")
    assert trigger(combination) == "CTRL+LOGO+Page_Down"
    assert spelled(combination) == "<ctrl>+<cmd>+<page_down>"
    assert trigger(Combination.parse("f9")) == "F9"
    assert spelled(Combination.parse("alt+minus")) == "<alt>+-"


def test_raw_keys_with_exactly_their_modifiers():
    panic, style = Combination.parse("ctrl+alt+p"), Combination.parse("f9")
    held = Held([panic, style])
    presses = [
        ("KEY_LEFTCTRL", 1),
        ("KEY_P", 1),
        ("KEY_P", 0),
        ("KEY_LEFTALT", 1),
        ("KEY_P", 1),
        ("KEY_P", 2),
    ]
    assert [held.hear(*press) for press in presses] == [None, None, None, None, panic, None]
    assert held.hear("KEY_F9", 1) is None, "two modifiers are down"
    held.hear("KEY_LEFTCTRL", 0)
    held.hear("KEY_LEFTALT", 0)
    assert held.hear("KEY_F9", 1) == style


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("hotkeys: {keys: {q: panic}}", "everything you type"),
        ("hotkeys: {keys: {ctrl+alt+q: 'set'}}", "key and value"),
        ("hotkeys: {keys: {ctrl+alt+q: panic, alt+ctrl+Q: next}}", "bound twice"),
        ("hotkeys: {backend: wayland}", "not one of"),
    ],
)
def test_faults_are_said_with_their_line(tmp_path, text, word):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=word):
        load({}, tmp_path / "c.yaml", environment={})
