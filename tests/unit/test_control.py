"""The reducer and the hub: one state, whole, from any number of threads."""

import logging
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon.config.live_keys import LIVE_KEYS
from daemon.control import ControlHub, reduce
from daemon.settings import Loaded, Settings
from pipeline.errors import PhospheneError
from pipeline.messages import (
    BlendSeeds,
    BlendStyles,
    Event,
    LiveState,
    Mode,
    PlayList,
    RandomStyle,
    Redo,
    SetLook,
    SetMode,
    SetPrompt,
    SetStyle,
    SetValue,
    StepStyle,
    Undo,
    parse_command,
    parse_state,
    to_dict,
)

STYLES = {
    "neon": {"prompt": "neon city", "strength": 0.4},
    "oil paint": {"prompt": "thick oil", "strength": 0.8, "guidance_scale": 1.4, "guidance": "full"},
    "ink": {"prompt": "ink drawing", "negative_prompt": "colour", "seed": 7},
}


def settings_of(**more):
    return Settings.model_validate({"source": "noise", "sinks": ["preview"], "styles": STYLES, **more})


@pytest.fixture
def hub():
    made = ControlHub(Loaded(settings_of()))
    yield made
    made.close()


def bank():
    return settings_of().bank()


def state():
    return settings_of().first_state()


# ---------------------------------------------------------------- reduce


def test_first_state_is_the_first_style_and_the_settings():
    first = settings_of(denoiser={"t_index_list": [20, 30]}, similarity={"enabled": False}).first_state()
    assert first.style.name == "neon"
    assert first.t_index_list == (20, 30)
    assert first.similarity is False
    assert first.revision == 1


def test_style_is_taken_whole():
    after = reduce(state(), SetStyle("oil paint", 2.0), bank())
    assert after.style == bank()["oil paint"]
    assert after.morph_s == 2.0
    assert after.revision == 2


@pytest.mark.parametrize("name", ["Oil Paint", "oil_paint", "OIL-PAINT"])
def test_style_names_are_found_in_any_spelling(name):
    assert reduce(state(), SetStyle(name), bank()).style.name == "oil paint"


def test_unknown_style_suggests_one():
    with pytest.raises(PhospheneError, match="did you mean 'neon'"):
        reduce(state(), SetStyle("nean"), bank())


def test_steps_go_round():
    now, seen = state(), []
    for _ in range(4):
        now = reduce(now, StepStyle(), bank())
        seen.append(now.style.name)
    assert seen == ["oil paint", "ink", "neon", "oil paint"]
    assert reduce(state(), StepStyle(-1), bank()).style.name == "ink"


def test_blend_weights_are_normalised_and_numbers_are_means():
    after = reduce(state(), BlendStyles({"neon": 1, "oil paint": 3, "ink": 0}), bank())
    assert [(style.name, weight) for style, weight in after.blend] == [("neon", 0.25), ("oil paint", 0.75)]
    assert after.style.strength == pytest.approx(0.25 * 0.4 + 0.75 * 0.8)
    assert after.style.guidance == "full"
    assert reduce(after, SetStyle("ink"), bank()).blend == ()
    assert reduce(after, SetValue("strength", 0.1), bank()).blend == after.blend


@pytest.mark.parametrize(
    "weights", [{}, {"neon": 0}, {"neon": -1, "ink": 2}, {"neon": float("nan")}, {"gone": 1}]
)
def test_bad_blends_are_refused(weights):
    with pytest.raises(PhospheneError):
        reduce(state(), BlendStyles(weights), bank())


def test_prompt_keeps_the_negative_one_unless_given():
    ink = reduce(state(), SetStyle("ink"), bank())
    assert reduce(ink, SetPrompt("a cat"), bank()).style.negative_prompt == "colour"
    assert reduce(ink, SetPrompt("a cat", ""), bank()).style.negative_prompt == ""


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("strength", 0.25, 0.25),
        ("strength", "0.25", 0.25),
        ("guidance", "onetime", "onetime"),
        ("seed", 4294967295, 4294967295),
        ("t_index_list", [10, 20], (10, 20)),
        ("t_index_list", "10,20", (10, 20)),
        ("denoiser.t_index_list", 5, (5,)),
        ("similarity", "off", False),
        ("similarity.threshold", 0.5, 0.5),
        ("max-skip-frames", 3, 3),
    ],
)
def test_values(key, value, expected):
    after = reduce(state(), SetValue(key, value), bank())
    found = [getattr(after, n, getattr(after.style, n, None)) for n in _fields(key)]
    assert expected in found


def _fields(key):
    name = key.replace("-", "_")
    return [k.field for k in LIVE_KEYS.values() if name in (k.name, k.setting)]


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("strength", 1.01, "0 to 1"),
        ("strength", True, "0 to 1"),
        ("strength", "much", "number"),
        ("strength", float("nan"), "0 to 1"),
        ("strenght", 1, "'strength'"),
        ("guidance", "slef", "'self'"),
        ("seed", 1.5, "whole"),
        ("seed", -1, "0 to"),
        ("t_index_list", [20, 10], "rising"),
        ("t_index_list", [], "rising"),
        ("t_index_list", [50], "49"),
        ("prompt", "a\x07b", "remove"),
        ("prompt", "x" * 5000, "shorten"),
        ("output.fps", 20, "use one of"),
    ],
)
def test_refused_values_say_what_is_allowed(key, value, word):
    with pytest.raises(PhospheneError) as caught:
        reduce(state(), SetValue(key, value), bank())
    assert word in str(caught.value)


def test_only_a_mode_command_leaves_panic():
    panic = reduce(state(), SetMode(Mode.PANIC), bank())
    for command in (
        SetStyle("ink"),
        StepStyle(),
        SetPrompt("x"),
        SetValue("seed", 1),
        BlendStyles({"ink": 1}),
    ):
        assert reduce(panic, command, bank()).mode is Mode.PANIC
    assert reduce(panic, Undo(), bank(), previous=state()).mode is Mode.PANIC
    assert reduce(panic, SetMode(Mode.STYLED), bank()).mode is Mode.STYLED


names = st.sampled_from([*STYLES, "nope", ""])
number = st.floats() | st.integers(-5, 100) | st.booleans()
commands = st.one_of(
    st.builds(SetStyle, names, number),
    st.builds(StepStyle, st.integers(-9, 9), number),
    st.builds(BlendStyles, st.dictionaries(names, number, max_size=3), number),
    st.builds(SetPrompt, st.text(max_size=9), st.none() | st.text(max_size=9), number),
    st.builds(
        SetValue,
        st.sampled_from([*LIVE_KEYS, "x"]),
        number | st.text(max_size=5) | st.lists(st.integers(0, 60)),
    ),
    st.builds(SetMode, st.sampled_from(Mode)),
    st.just(Undo()),
)


@given(st.lists(commands, max_size=12))
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_commands_leave_a_sound_state(given_commands):
    hub = ControlHub(Loaded(settings_of()))
    for command in given_commands:
        before = hub.state
        try:
            after = hub.submit(command, "test")
        except PhospheneError:
            assert hub.state is before
            continue
        assert after.revision == before.revision + 1
        assert 0 <= after.style.strength <= 1
        assert after.t_index_list
        assert after.morph_s >= 0
        assert parse_state(to_dict(after)) == after
        if before.mode is Mode.PANIC and not isinstance(command, SetMode):
            assert after.mode is Mode.PANIC


def test_commands_from_plain_dicts(hub):
    hub.submit(parse_command({"command": "style", "name": "ink"}), "web")
    assert hub.state.style.name == "ink"


# ---------------------------------------------------------------- hub


def test_events_tell_every_change_in_order(hub):
    heard = []
    hub.subscribe(heard.append)
    for command in (SetStyle("ink"), SetValue("seed", 3), SetMode(Mode.FREEZE)):
        hub.submit(command, "cli")
    assert hub.settle()
    assert [event.data["revision"] for event in heard] == [2, 3, 4]
    assert heard[0].data["origin"] == "cli"
    assert heard[1].data["state"]["style"]["seed"] == 3


def test_prompts_stay_out_of_event_messages(hub):
    heard = []
    hub.subscribe(heard.append)
    hub.submit(SetPrompt("something private"), "cli")
    assert hub.settle()
    assert "private" not in heard[0].message


def test_a_raising_listener_is_dropped_and_the_others_hear_on(hub, caplog):
    heard, calls = [], []

    def broken(event):
        calls.append(event)
        raise ValueError("broken")

    hub.subscribe(broken)
    hub.subscribe(heard.append)
    with caplog.at_level(logging.ERROR):
        hub.submit(SetStyle("ink"), "a")
        hub.submit(SetStyle("neon"), "a")
        assert hub.settle()
    assert len(calls) == 1
    assert len(heard) == 2
    assert "dropped a listener" in caplog.text


def test_a_blocked_listener_blocks_nobody_who_submits(hub):
    release = threading.Event()
    hub.subscribe(lambda event: release.wait(10))
    done = threading.Event()

    def submit():
        for seed in range(2000):  # more than the queue keeps
            hub.submit(SetValue("seed", seed), "a")
        done.set()

    threading.Thread(target=submit, daemon=True).start()
    assert done.wait(30)
    assert hub.state.style.seed == 1999
    release.set()


def test_a_listener_may_submit_and_unsubscribe(hub):
    heard = []

    def listener(event):
        heard.append(event.data["revision"])
        if len(heard) == 1:
            hub.submit(SetStyle("ink"), "listener")
        else:
            leave()

    leave = hub.subscribe(listener)
    hub.submit(SetStyle("neon"), "a")
    deadline = time.monotonic() + 5
    while len(heard) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    hub.submit(SetStyle("neon"), "a")
    assert hub.settle()
    assert heard == [2, 3]


def test_threads_never_lose_or_repeat_a_revision(hub):
    states = []
    hub.on_state(lambda state: states.append(state.revision))
    threads = [
        threading.Thread(target=lambda: [hub.submit(StepStyle(), "t") for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == list(range(2, 802))


def test_a_raising_taker_of_states_is_dropped(hub, caplog):
    def broken(state):
        raise RuntimeError("gone")

    hub.on_state(broken)
    with caplog.at_level(logging.ERROR):
        assert hub.submit(SetStyle("ink"), "a").style.name == "ink"
    assert hub.submit(SetStyle("neon"), "a").style.name == "neon"
    assert caplog.text.count("dropped a taker") == 1


def test_undo_goes_back_step_by_step_and_keeps_the_mode(hub):
    first = hub.state
    hub.submit(SetStyle("ink"), "a")
    hub.submit(SetMode(Mode.PANIC), "a")
    hub.submit(SetPrompt("x"), "a")
    assert hub.submit(Undo(), "a").style.name == "ink"
    back = hub.submit(Undo(), "a")
    assert replace(back, revision=1, mode=Mode.STYLED) == first
    assert back.mode is Mode.PANIC
    with pytest.raises(PhospheneError, match="nothing to undo"):
        hub.submit(Undo(), "a")


def test_a_dragged_slider_is_one_step_of_undo():
    now = [0.0]
    hub = ControlHub(Loaded(settings_of()), clock=lambda: now[0])
    for n in range(10):
        now[0] += 0.05
        hub.submit(SetValue("strength", n / 10), "web")
    now[0] += 5
    hub.submit(SetValue("strength", 1.0), "web")
    assert hub.submit(Undo(), "web").style.strength == 0.9
    assert hub.submit(Undo(), "web").style.strength == 0.4


def test_undo_history_is_bounded(hub):
    for _ in range(500):
        hub.submit(StepStyle(), "a")
    for _ in range(64):
        hub.submit(Undo(), "a")
    with pytest.raises(PhospheneError, match="nothing to undo"):
        hub.submit(Undo(), "a")


def test_status_and_styles_are_plain(hub):
    assert [style["name"] for style in hub.styles()] == list(STYLES)
    assert hub.status()["state"]["revision"] == 1
    assert ControlHub(Loaded(settings_of()), status=lambda: {"fps": 3}).status()["fps"] == 3


# ---------------------------------------------------------------- reload


def reloaded(hub, **changes):
    return hub.apply_settings(Loaded(settings_of(**changes)))


def test_reload_applies_what_is_live_and_names_the_rest(hub):
    heard = []
    hub.subscribe(heard.append)
    done = reloaded(
        hub,
        output={"size": "640x480"},
        similarity={"threshold": 0.5},
        on_fault="blur",
        denoiser={"t_index_list": [3]},
    )
    assert set(done.live) == {"similarity.threshold", "on_fault", "denoiser.t_index_list"}
    assert done.waiting == ("output.size",)
    assert hub.state.similarity_threshold == 0.5
    assert hub.state.t_index_list == (3,)
    assert hub.settings.on_fault == "blur"
    assert str(hub.settings.output.size) == "1280x720"
    assert hub.status()["needs_restart"] == ["output.size"]
    assert hub.settle()
    assert "needs restart: output.size" in heard[-1].message
    assert heard[-1].level == "warning"


def test_reload_without_a_change_changes_nothing(hub):
    before = hub.state
    assert reloaded(hub) == type(reloaded(hub))((), ())
    assert hub.state is before


def test_reload_keeps_what_was_set_live(hub):
    hub.submit(SetValue("strength", 0.9), "web")
    changed = {**STYLES, "neon": {"prompt": "neon forest", "strength": 0.4}}
    done = reloaded(hub, styles=changed)
    assert done.live == ("styles.neon",)
    assert hub.state.style.prompt == "neon forest"
    assert hub.state.style.strength == 0.9


def test_reload_of_another_style_leaves_the_picture(hub):
    before = hub.state
    reloaded(hub, styles={**STYLES, "ink": {"prompt": "other"}, "new": {"prompt": "n"}})
    assert hub.state is before
    assert hub.submit(SetStyle("new"), "a").style.prompt == "n"


def test_reload_can_change_the_style_in_use_and_the_source(hub):
    seen = []
    hub.on_settings(lambda settings, keys: seen.append((settings.source.kind, keys)))
    assert reloaded(hub, style="ink").live == ("style",)
    assert hub.state.style.name == "ink"
    # noise is another way to run the engine, so it waits
    assert reloaded(hub, style="ink", source="demo").waiting
    other = ControlHub(Loaded(settings_of(source="demo")))
    other.on_settings(lambda settings, keys: seen.append((settings.source.kind, keys)))
    assert not other.apply_settings(Loaded(settings_of(source="test_pattern"))).waiting
    assert seen[-1] == ("test_pattern", frozenset({"source"}))


def test_bad_reload_keeps_everything_and_says_so(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("source: noise\nsinks: [preview]\nstyles: {aa: {prompt: x}}\nstyle: aa\n")
    from daemon.settings import load

    hub = ControlHub(load({}, path, environment={}))
    heard = []
    hub.subscribe(heard.append)
    before, settings = hub.state, hub.settings
    path.write_text("output: {fps: -1}\n")
    with pytest.raises(PhospheneError, match="out of range"):
        hub.reload()
    assert hub.try_reload() is None
    assert (hub.state, hub.settings) == (before, settings)
    assert hub.settle()
    assert heard[0].level == "error"
    assert "the old one stays" in heard[0].message
    path.unlink()
    assert hub.try_reload() is None
    path.write_text("source: noise\nsinks: [preview]\nstyles: {aa: {prompt: y}}\nstyle: aa\n")
    assert hub.reload().live == ("styles.aa",)
    assert hub.state.style.prompt == "y"


def test_events_are_kept_for_late_comers(hub):
    hub.emit(Event("log", "hello"))
    assert hub.recent_events()[-1].message == "hello"


def test_state_type_is_frozen():
    with pytest.raises(AttributeError):
        LiveState().revision = 3  # type: ignore[misc]


# ---------------------------------------------------------------- looks, chance and toggles


def test_a_look_changes_several_values_in_one_step():
    before = state()
    after = reduce(before, SetLook("ink", {"prompt": "ink on silk", "strength": "0.7"}, 1.5), bank())
    assert (after.style.name, after.style.prompt, after.style.strength) == ("ink", "ink on silk", 0.7)
    assert (after.style.seed, after.morph_s, after.revision) == (7, 1.5, before.revision + 1)
    present = reduce(after, SetLook(None, {"seed": 3}), bank())
    assert (present.style.prompt, present.style.seed) == ("ink on silk", 3)
    with pytest.raises(PhospheneError, match="not a value of a style"):
        reduce(before, SetLook(None, {"similarity": True}), bank())


def test_a_random_style_is_another_one():
    now = state()
    for _ in range(20):
        after = reduce(now, RandomStyle(), bank())
        assert after.style.name in bank()
        assert after.style.name != now.style.name
        now = after


def test_toggles_come_and_go_and_panic_stays():
    bypassed = reduce(state(), SetMode(Mode.BYPASS, toggle=True), bank())
    assert bypassed.mode is Mode.BYPASS
    assert reduce(bypassed, SetMode(Mode.BYPASS, toggle=True), bank()).mode is Mode.STYLED
    assert reduce(bypassed, SetMode(Mode.FREEZE, toggle=True), bank()).mode is Mode.FREEZE
    panicking = reduce(bypassed, SetMode(Mode.PANIC, toggle=True), bank())
    assert reduce(panicking, SetMode(Mode.PANIC, toggle=True), bank()).mode is Mode.PANIC
    with pytest.raises(PhospheneError, match="panic"):
        reduce(panicking, SetMode(Mode.BYPASS, toggle=True), bank())
    assert reduce(panicking, SetMode(Mode.STYLED), bank()).mode is Mode.STYLED


def test_redo_goes_forward_again_until_another_change_is_made(hub):
    for name in ("oil paint", "ink"):
        hub.submit(SetStyle(name), "test")
    hub.submit(Undo(), "test")
    hub.submit(Undo(), "test")
    assert hub.state.style.name == "neon"
    assert hub.submit(Redo(), "test").style.name == "oil paint"
    assert hub.submit(Redo(), "test").style.name == "ink"
    with pytest.raises(PhospheneError, match="do again"):
        hub.submit(Redo(), "test")
    assert hub.submit(Undo(), "test").style.name == "oil paint"
    hub.submit(SetMode(Mode.FREEZE), "test")
    assert hub.submit(Redo(), "test").mode is Mode.FREEZE, "the mode is never undone or done again"
    hub.submit(Undo(), "test")
    hub.submit(SetValue("strength", 0.9), "test")
    with pytest.raises(PhospheneError):
        hub.submit(Redo(), "test")


def test_seeds_are_mixed_until_the_style_or_its_seed_changes():
    mixed = reduce(state(), BlendSeeds({"7": 3, "12": 1, "13": 0}), bank())
    assert mixed.seeds == ((7, 0.75), (12, 0.25))
    assert reduce(mixed, SetValue("strength", 0.2), bank()).seeds == mixed.seeds
    assert reduce(mixed, SetStyle("ink"), bank()).seeds == ()
    assert reduce(mixed, SetValue("seed", 5), bank()).seeds == ()
    assert reduce(mixed, BlendSeeds({}), bank()).seeds == ()
    assert reduce(state(), Undo(), bank(), mixed).seeds == mixed.seeds


@pytest.mark.parametrize("weights", [{"7": -1}, {"7": 0}, {"x": 1}, {"-3": 1}, {str(n): 1 for n in range(9)}])
def test_seeds_that_cannot_be_mixed(weights):
    with pytest.raises(PhospheneError) as caught:
        reduce(state(), BlendSeeds(weights), bank())
    assert caught.value.mend


def test_the_playlist_s_commands_change_no_state_and_say_where_it_runs(hub):
    revision = hub.state.revision
    with pytest.raises(PhospheneError, match="no playlist"):
        hub.submit(PlayList("start"), "test")
    told = []
    hub.on_playlist = lambda command, origin: told.append((command.do, origin))
    assert hub.submit(PlayList("skip"), "osc").revision == revision
    assert told == [("skip", "osc")]


def test_styles_come_with_their_tags(hub):
    tagged = {**STYLES, "neon": {**STYLES["neon"], "colour": "Teal", "hotkey": "Alt+Ctrl+N"}}
    hub.apply_settings(Loaded(settings_of(styles=tagged)))
    neon = next(style for style in hub.styles() if style["name"] == "neon")
    assert (neon["colour"], neon["hotkey"]) == ("#12a594", "ctrl+alt+n")
    assert not hasattr(hub.state.style, "hotkey"), "the engine is told nothing of it"
