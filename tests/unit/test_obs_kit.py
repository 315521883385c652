"""What `phosphene obs install` would do to which OBS, without one: the plan, the record, who owns what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from integrations.actions import parse_action
from integrations.obs.kit import lua_script, names
from integrations.obs.kit.plan import install_plan, missing, uninstall_plan
from integrations.obs.kit.record import Made, Record, ScriptFile, read_record, write_record
from integrations.obs.kit.steps import (
    MakeInput,
    MakeScene,
    Place,
    Plan,
    PutIn,
    RemoveInput,
    RemoveScene,
    SwitchTo,
    Update,
)
from integrations.obs.kit.studio import InputThere, Item, SceneThere, Studio
from integrations.obs.kit.wanted import MARK, Camera, Stream, Taste, kit
from integrations.obs.own_config import folders
from pipeline.errors import PhospheneError
from pipeline.frame import Size

LINUX = ("color_source_v3", "v4l2_input", "ffmpeg_source", "text_ft2_source_v2")
WINDOWS = ("color_source_v3", "dshow_input", "ffmpeg_source", "text_gdiplus_v2", "text_ft2_source_v2")
MACOS = ("color_source_v3", "macos-avcapture", "ffmpeg_source", "text_ft2_source_v2")
STREAM = Stream("http://127.0.0.1:8520/stream.jpegs?key=SECRET")
TASTE = Taste(STREAM, ("neon", "ukiyo-e", "next"), "Phosphene overlay", "neon")
EMPTY = Studio(
    "Show", Size(1280, 720), "linux", scenes=(SceneThere("Gaming", "g"),), collections=("Show",), kinds=LINUX
)


def wanted(taste: Taste = TASTE):
    return kit(taste, EMPTY.canvas, LINUX, "linux")


def carried_out(studio: Studio, record: Record, plan: Plan, *, uuids: bool) -> tuple[Studio, Record]:
    """What an OBS would have after these steps, and what would be recorded."""
    scenes, inputs = {s.name: s for s in studio.scenes}, {i.name: i for i in studio.inputs}

    def made(what, name):
        uuid = f"{what}-{name}" if uuids else ""
        return uuid, record.with_made(Made(what, name, studio.collection, uuid))

    def put(scene, name, index):
        items = list(scenes[scene].items)
        items.insert(len(items) if index is None else index, Item(name, len(items) + 1))
        scenes[scene] = dataclasses.replace(scenes[scene], items=tuple(items))

    for step in plan.steps:
        if isinstance(step, MakeScene):
            assert step.name not in {*scenes, *inputs}
            uuid, record = made("scene", step.name)
            scenes[step.name] = SceneThere(step.name, uuid)
        elif isinstance(step, MakeInput):
            assert step.source.name not in {*scenes, *inputs}
            uuid, record = made("input", step.source.name)
            settings = step.source.marked
            inputs[step.source.name] = InputThere(
                step.source.name, step.source.kind, uuid, settings[MARK], settings
            )
            put(step.scene, step.source.name, step.index)
        elif isinstance(step, PutIn):
            put(step.scene, step.name, step.index)
        elif isinstance(step, Update):
            old = inputs[step.name]
            inputs[step.name] = dataclasses.replace(old, settings={**old.settings, **step.settings})
        elif isinstance(step, RemoveInput):
            del inputs[step.name]
            record = record.without(Made("input", step.name, studio.collection))
            for name, scene in scenes.items():
                kept = tuple(item for item in scene.items if item.source != step.name)
                scenes[name] = dataclasses.replace(scene, items=kept)
        elif isinstance(step, RemoveScene):
            del scenes[step.name]
            record = record.without(Made("scene", step.name, studio.collection))
    after = dataclasses.replace(studio, scenes=tuple(scenes.values()), inputs=tuple(inputs.values()))
    return after, record


@pytest.fixture(params=[False, True], ids=["names", "uuids"])
def uuids(request):
    """Older OBS know things by name only."""
    return request.param


@pytest.fixture
def installed(uuids):
    return carried_out(EMPTY, Record(), install_plan(EMPTY, wanted(), Record()), uuids=uuids)


def items_of(studio: Studio, scene: str) -> list[str]:
    return next([item.source for item in s.items] for s in studio.scenes if s.name == scene)


# ---------------------------------------------------------------- the kit


def test_the_picture_lies_over_its_fallback_and_under_the_overlay():
    scene = wanted()[0]
    order = [source.name for source in scene.sources]
    assert order[:4] == [names.FALLBACK, names.FALLBACK_TEXT, names.PICTURE, "Phosphene overlay"]
    shown = {source.name for source in scene.sources if source.shown}
    assert shown == set(order[:4])
    assert {"phosphene", "phosphene:negative", "phosphene:strength"} <= set(order) - shown


def test_every_push_button_stands_for_an_action_that_can_be_read():
    buttons = [source.name for source in wanted()[1].sources]
    actions = [names.action_of(name) for name in buttons]
    assert len(set(buttons)) == len(buttons)
    assert {"neon", "ukiyo-e", "next", "previous", "bypass", "freeze", "panic", "resume"} <= set(actions)
    for action in actions:
        parse_action(action)
    assert not any(source.shown for source in wanted()[1].sources)


@pytest.mark.parametrize(
    ("source", "action"),
    [
        ("Phosphene > neon over 1s", "neon over 1s"),
        ("phosphene>next ", "next"),
        ("Phosphene overlay", None),
        ("phosphene:negative", None),
        ("phosphene", None),
        ("My Phosphene > next", None),
        ("Phosphene > ", None),
    ],
)
def test_names_of_push_buttons(source, action):
    assert names.action_of(source) == action


def test_a_stream_is_read_as_bare_jpegs_without_a_buffer():
    picture = next(s for s in wanted()[0].sources if s.role == "picture")
    assert picture.kind == "ffmpeg_source"
    assert picture.settings["input"] == STREAM.url
    assert picture.settings["input_format"] == "mjpeg"
    assert "framerate=60" in picture.settings["ffmpeg_options"]
    assert picture.settings["clear_on_media_end"] is True


@pytest.mark.parametrize(
    ("platform", "kinds", "kind", "key", "value"),
    [
        ("linux", LINUX, "v4l2_input", "device_id", "/dev/video10"),
        ("windows", WINDOWS, "dshow_input", "video_device_id", "/dev/video10:"),
        ("macos", MACOS, "macos-avcapture", "device", "/dev/video10"),
    ],
)
def test_a_virtual_camera_is_opened_as_each_system_does(platform, kinds, kind, key, value):
    scene = kit(dataclasses.replace(TASTE, picture=Camera("/dev/video10")), EMPTY.canvas, kinds, platform)[0]
    picture = next(s for s in scene.sources if s.role == "picture")
    assert picture.kind == kind
    assert picture.settings[key] == value
    text = next(s for s in scene.sources if s.role == "overlay")
    assert text.kind == ("text_gdiplus_v2" if platform == "windows" else "text_ft2_source_v2")


def test_an_obs_without_its_plugins_is_told_so():
    with pytest.raises(PhospheneError, match="no source of the kind ffmpeg_source"):
        kit(TASTE, EMPTY.canvas, ("color_source_v3", "text_ft2_source_v2"), "linux")


def test_the_streams_key_is_not_printed():
    lines = [str(step) for step in install_plan(EMPTY, wanted(), Record()).steps]
    assert any("stream.jpegs?key=…" in line for line in lines)
    assert not any("SECRET" in line for line in lines)
    assert "SECRET" not in repr(STREAM)


# ---------------------------------------------------------------- installing


def test_installing_twice_changes_nothing(installed):
    studio, record = installed
    assert install_plan(studio, wanted(), record) == Plan()
    assert missing(studio, wanted(), record) == ()
    assert items_of(studio, names.SCENE) == [source.name for source in wanted()[0].sources]


@pytest.mark.parametrize("done", range(0, 30, 3))
def test_a_half_done_installation_is_completed(uuids, done):
    whole = install_plan(EMPTY, wanted(), Record())
    half, record = carried_out(EMPTY, Record(), Plan(whole.steps[:done]), uuids=uuids)
    rest = install_plan(half, wanted(), record)
    assert len(rest.steps) == max(0, len(whole.steps) - done)
    assert rest.notes == ()
    studio, record = carried_out(half, record, rest, uuids=uuids)
    assert install_plan(studio, wanted(), record) == Plan()


def test_what_was_deleted_comes_back_in_its_place(installed, uuids):
    studio, record = installed
    gone, record = carried_out(studio, record, Plan((RemoveInput(names.PICTURE),)), uuids=uuids)
    plan = install_plan(gone, wanted(), record)
    assert [str(step).partition(" (")[0] for step in plan.steps] == [f"make {names.PICTURE!r}"]
    again, _ = carried_out(gone, record, plan, uuids=uuids)
    assert items_of(again, names.SCENE) == [source.name for source in wanted()[0].sources]


def test_an_item_taken_out_of_the_scene_is_put_back(installed, uuids):
    studio, record = installed
    scenes = tuple(
        dataclasses.replace(s, items=tuple(i for i in s.items if i.source != names.PICTURE))
        for s in studio.scenes
    )
    plan = install_plan(dataclasses.replace(studio, scenes=scenes), wanted(), record)
    assert [type(step) for step in plan.steps] == [PutIn]
    assert plan.steps[0].index == 2


def test_a_new_address_is_brought_up_to_date_and_nothing_else(installed):
    studio, record = installed
    moved = dataclasses.replace(TASTE, picture=Stream("http://127.0.0.1:9/x"), overlay_text="anime")
    plan = install_plan(studio, wanted(moved), record)
    assert plan == Plan((Update(names.PICTURE, {"input": "http://127.0.0.1:9/x"}),))


def test_a_picture_of_another_kind_is_not_given_settings_of_ours(installed):
    studio, record = installed
    camera = dataclasses.replace(TASTE, picture=Camera("/dev/video10"))
    plan = install_plan(studio, wanted(camera), record)
    assert plan.steps == ()
    assert "'Phosphene picture' is a ffmpeg_source and stays one" in plan.notes[0]
    assert "v4l2_input" in plan.notes[0]


def test_what_the_user_has_of_the_same_name_is_left_alone():
    theirs = dataclasses.replace(
        EMPTY,
        scenes=(SceneThere("Phosphene", "u", (Item("phosphene"),)), SceneThere("Gaming")),
        inputs=(InputThere("phosphene", "text_ft2_source_v2"),),
    )
    plan = install_plan(theirs, wanted(), Record())
    assert not any(getattr(step, "scene", None) == "Phosphene" for step in plan.steps)
    assert "'Phosphene' is there and not of Phosphene's making" in plan.notes[0]
    for name in ("Phosphene", "phosphene"):
        assert not any(
            isinstance(s, RemoveInput | RemoveScene | Update) and s.name == name for s in plan.steps
        )


def test_a_users_source_of_our_name_is_neither_taken_nor_moved(uuids):
    theirs = dataclasses.replace(EMPTY, inputs=(InputThere("phosphene", "text_ft2_source_v2", "u"),))
    plan = install_plan(theirs, wanted(), Record())
    assert plan.notes == ("a source 'phosphene' is there and yours: it is left alone, and used as it is",)
    studio, record = carried_out(theirs, Record(), plan, uuids=uuids)
    back, _ = carried_out(studio, record, uninstall_plan(studio, wanted(), record), uuids=uuids)
    assert back == theirs


# ---------------------------------------------------------------- uninstalling


def test_uninstalling_leaves_what_was_there_before(installed, uuids):
    studio, record = installed
    back, left = carried_out(studio, record, uninstall_plan(studio, wanted(), record), uuids=uuids)
    assert back == EMPTY
    assert left == Record()
    assert uninstall_plan(back, wanted(), left) == Plan()


def test_a_scene_of_ours_that_holds_something_of_the_users_stays(installed, uuids):
    studio, record = installed
    scenes = tuple(
        dataclasses.replace(s, items=(*s.items, Item("My logo"))) if s.name == names.SCENE else s
        for s in studio.scenes
    )
    studio = dataclasses.replace(
        studio, scenes=scenes, inputs=(*studio.inputs, InputThere("My logo", "image_source"))
    )
    plan = uninstall_plan(studio, wanted(), record)
    assert RemoveScene(names.SCENE) not in plan.steps
    assert "'My logo'" in plan.notes[0]
    back, _ = carried_out(studio, record, plan, uuids=uuids)
    assert items_of(back, names.SCENE) == ["My logo"]


def test_copies_that_the_user_made_are_the_users(installed):
    studio, record = installed
    original = next(i for i in studio.inputs if i.name == names.PICTURE)
    copy = dataclasses.replace(original, name="Phosphene picture 2", uuid=original.uuid and "another")
    studio = dataclasses.replace(studio, inputs=(copy, *studio.inputs))
    removed = [step.name for step in uninstall_plan(studio, wanted(), record).steps]
    assert names.PICTURE in removed
    assert "Phosphene picture 2" not in removed
    assert install_plan(studio, wanted(), record) == Plan()


def test_what_the_user_renamed_is_known_again(installed):
    studio, record = installed
    inputs = tuple(
        dataclasses.replace(i, name="Me, painted") if i.name == names.PICTURE else i for i in studio.inputs
    )
    scenes = tuple(
        dataclasses.replace(
            s,
            items=tuple(
                dataclasses.replace(i, source="Me, painted") if i.source == names.PICTURE else i
                for i in s.items
            ),
        )
        for s in studio.scenes
    )
    studio = dataclasses.replace(studio, inputs=inputs, scenes=scenes)
    assert install_plan(studio, wanted(), record) == Plan()
    assert "Me, painted" in [step.name for step in uninstall_plan(studio, wanted(), record).steps]


def test_a_scene_that_the_user_renamed_is_known_by_its_uuid():
    studio, record = carried_out(EMPTY, Record(), install_plan(EMPTY, wanted(), Record()), uuids=True)
    scenes = tuple(
        dataclasses.replace(s, name="Paint") if s.name == names.SCENE else s for s in studio.scenes
    )
    studio = dataclasses.replace(studio, scenes=scenes)
    assert install_plan(studio, wanted(), record) == Plan()
    assert RemoveScene("Paint") in uninstall_plan(studio, wanted(), record).steps


def test_a_scene_that_the_user_made_after_ours_was_deleted_is_the_users():
    _, record = carried_out(EMPTY, Record(), install_plan(EMPTY, wanted(), Record()), uuids=False)
    theirs = dataclasses.replace(
        EMPTY,
        scenes=(SceneThere("Phosphene", "", (Item("My camera"),)), SceneThere("Gaming")),
        inputs=(InputThere("My camera", "v4l2_input"),),
    )
    assert uninstall_plan(theirs, wanted(), record) == Plan()


def test_sources_in_the_users_own_scenes_are_named_before_they_go(installed):
    studio, record = installed
    scenes = tuple(
        dataclasses.replace(s, items=(Item(names.PICTURE, 7),)) if s.name == "Gaming" else s
        for s in studio.scenes
    )
    plan = uninstall_plan(dataclasses.replace(studio, scenes=scenes), wanted(), record)
    step = next(step for step in plan.steps if step.name == names.PICTURE)
    assert step.items == (("Gaming", 7), (names.SCENE, 3))
    assert "also in 'Gaming'" in str(step)


def test_a_scene_on_air_or_prepared_is_left_before_it_is_removed(installed):
    studio, record = installed
    plan = uninstall_plan(dataclasses.replace(studio, on_air=names.SCENE), wanted(), record)
    at = plan.steps.index(SwitchTo("Gaming"))
    assert at < plan.steps.index(RemoveScene(names.SCENE))
    both = dataclasses.replace(studio, on_air=names.BUTTONS_SCENE, preview=names.SCENE)
    switches = [step for step in uninstall_plan(both, wanted(), record).steps if isinstance(step, SwitchTo)]
    assert switches == [SwitchTo("Gaming", True), SwitchTo("Gaming")]
    elsewhere = dataclasses.replace(studio, on_air="Gaming")
    assert not [s for s in uninstall_plan(elsewhere, wanted(), record).steps if isinstance(s, SwitchTo)]


def test_the_only_scenes_of_an_obs_are_not_removed(installed, uuids):
    studio, record = installed
    alone = dataclasses.replace(studio, scenes=tuple(s for s in studio.scenes if s.name != "Gaming"))
    plan = uninstall_plan(alone, wanted(), record)
    back, _ = carried_out(alone, record, plan, uuids=uuids)
    assert len(back.scenes) == 1
    assert "OBS needs one" in plan.notes[0]


# ---------------------------------------------------------------- the script


def test_the_script_is_written_once_and_again_when_the_bank_changes(tmp_path: Path):
    path = tmp_path / "scripts" / "phosphene.lua"
    first = lua_script.install_step(path, ("neon",), None)
    assert (first.do, path.exists()) == ("write", False)
    recorded = lua_script.do(first)
    assert 'local STYLES = { "neon" }' in path.read_text()
    assert lua_script.install_step(path, ("neon",), recorded).do == "nothing"
    changed = lua_script.install_step(path, ("anime", "neon"), recorded)
    assert changed.do == "write"
    recorded = lua_script.do(changed)
    removal = lua_script.uninstall_step(recorded)
    assert removal is not None
    lua_script.do(removal)
    assert not path.exists()
    assert lua_script.uninstall_step(None) is None


def test_a_script_that_the_user_changed_is_left_alone(tmp_path: Path):
    path = tmp_path / "phosphene.lua"
    recorded = lua_script.do(lua_script.install_step(path, ("neon",), None))
    path.write_text("-- mine")
    for step in (
        lua_script.install_step(path, ("neon",), recorded),
        lua_script.uninstall_step(recorded),
        lua_script.install_step(path, ("neon",), None),
    ):
        assert step is not None
        assert step.do == "keep"
        assert "changed by you" in step.why
        assert lua_script.do(step) is None
    assert path.read_text() == "-- mine"


def test_the_script_lies_where_a_sandboxed_obs_can_read_it(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert lua_script.script_path(tmp_path / "own") == tmp_path / "own" / "phosphene.lua"
    own = next(iter(folders()))
    own.mkdir(parents=True)
    assert lua_script.script_path(tmp_path / "own") == own / "scripts" / "phosphene.lua"


@pytest.mark.parametrize(
    ("text", "literal"),
    [("neon", '"neon"'), ('a "b" \\', '"a \\034b\\034 \\092"'), ("é\n", '"\\195\\169\\010"')],
)
def test_names_in_the_script_are_lua_literals(text, literal):
    assert lua_script.lua_string(text) == literal


# ---------------------------------------------------------------- the record


def test_the_record_outlives_the_program(tmp_path: Path):
    path = tmp_path / "obs_kit.json"
    assert read_record(path) == Record()
    record = Record(
        (Made("scene", "Phosphene", "Show", "1-2"), Made("input", "é ☃", "Other")), ScriptFile("/x", "ab")
    )
    write_record(path, record)
    assert read_record(path) == record
    assert path.stat().st_mode & 0o077 == 0
    write_record(path, Record())
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"made": 3}', '{"made": [{"x": 1}]}', "\udcff"])
def test_a_damaged_record_is_said_and_not_overwritten(tmp_path: Path, text):
    path = tmp_path / "obs_kit.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PhospheneError, match=r"obs_kit\.json") as caught:
        read_record(path)
    assert "delete" in caught.value.mend
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_an_input_whose_making_was_broken_off_is_placed(installed, uuids):
    studio, record = installed
    made = next(m for m in record.made if m.name == names.PICTURE)
    record = record.with_made(dataclasses.replace(made, whole=False))
    plan = install_plan(studio, wanted(), record)
    assert [(type(step), step.name, step.item) for step in plan.steps] == [(Place, names.PICTURE, 3)]
    assert record.with_whole(names.PICTURE, "Show").made[-1] == made


def test_the_record_keeps_one_entry_a_thing_and_forgets_dead_collections():
    record = Record().with_made(Made("scene", "P", "A")).with_made(Made("scene", "P", "A", "u"))
    assert record.made == (Made("scene", "P", "A", "u"),)
    record = record.with_made(Made("scene", "P", "B"))
    assert record.only_in(("B",)).made == (Made("scene", "P", "B"),)
