"""From scenes, names and transitions of OBS to commands: the rules, without an OBS."""

from dataclasses import replace

import pytest

from integrations.obs.errors import RefusedRequestError
from integrations.obs.look import Look, commands_of, edit_of, fits, look_of, prompts_of
from integrations.obs.names import field_of
from integrations.obs.scene import Scene, SceneId, Text, read_scene
from integrations.obs.transition import Pace, morph_seconds, pace_interval, transition_of
from pipeline.messages import BlendStyles, SetLook, Style

# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("phosphene", "prompt"),
        (" Phosphene 2", "prompt"),
        ("phosphene (Sketch)", "prompt"),
        ("phosphene:strength", "strength"),
        ("PHOSPHENE: Negative (BRB)", "negative_prompt"),
        ("phosphene:guidance_scale 3", "guidance_scale"),
        ("phosphene:style", "style"),
        ("phosphene:colour", None),
        ("Phosphene overlay", None),
        ("Phosphene style", None),
        ("my phosphene", None),
        ("phosphenes", None),
        ("", None),
    ],
)
def test_names_of_text_sources(name, field):
    assert field_of(name) == field


# ---------------------------------------------------------------- scenes


class FakeScenes:
    """Answers as OBS does. lists: scene → items, the lowest first; texts: source → text."""

    def __init__(self, lists, texts):
        self.lists, self.texts = lists, texts
        self.asked = []

    def __call__(self, name, data):
        self.asked.append(name)
        if name == "GetInputSettings":
            return {
                "inputSettings": {"text": self.texts[data["inputName"]]}
                if data["inputName"] in self.texts
                else {}
            }
        if data["sceneName"] not in self.lists:
            raise RefusedRequestError(name, 600, "")
        return {"sceneItems": [self.item(kind) for kind in self.lists[data["sceneName"]]]}

    @staticmethod
    def item(name):
        if name.startswith(("scene ", "group ")):
            kind, _, name = name.partition(" ")
            return {"sourceName": name, "sourceType": "OBS_SOURCE_TYPE_SCENE", "isGroup": kind == "group"}
        kind = "color_source_v3" if "colour" in name else "text_gdiplus_v3"
        return {"sourceName": name, "sourceType": "OBS_SOURCE_TYPE_INPUT", "inputKind": kind, "isGroup": None}


def test_groups_and_nested_scenes_are_looked_into_and_rings_end():
    lists = {
        "A": ["phosphene", "phosphene 2", "scene B", "group G", "scene gone"],
        "B": ["phosphene:strength", "phosphene 9", "scene A"],
        "G": ["phosphene: seed (deep)", "phosphene:negative colour"],
    }
    texts = {
        "phosphene 2": " a \n b ",
        "phosphene 9": "x",
        "phosphene:strength": "0.3",
        "phosphene: seed (deep)": "7",
    }
    scene = read_scene(FakeScenes(lists, texts), SceneId("A"))
    found = {what: (text.source, text.text) for what, text in scene.texts.items()}
    assert found == {
        "prompt": ("phosphene 2", "a b"),
        "strength": ("phosphene:strength", "0.3"),
        "seed": ("phosphene: seed (deep)", "7"),
    }
    with pytest.raises(RefusedRequestError):
        read_scene(FakeScenes({}, {}), SceneId("A"))


def test_scenes_are_known_by_uuid_else_by_name():
    assert SceneId("a", "1").same(SceneId("b", "1"))
    assert not SceneId("a", "1").same(SceneId("a", "2"))
    assert SceneId("a").same(SceneId("a", "2"))
    assert not SceneId("a").same(None)


def scene(name="Game", **texts):
    return Scene(SceneId(name), {what: Text(f"phosphene:{what}", text) for what, text in texts.items()})


GLOBS = {"Game*": "neon over 2s", "*": "oil:1 anime:3"}


def test_texts_come_before_globs():
    assert look_of(scene(prompt="a fox", strength="0.4"), GLOBS) == Look(
        values={"prompt": "a fox", "strength": "0.4"}
    )
    assert look_of(scene(style="jade", seed="3"), GLOBS) == Look("jade", values={"seed": "3"})
    assert look_of(scene(strength="0.4"), GLOBS) == Look("neon", values={"strength": "0.4"}, over_s=2.0)
    assert look_of(scene("Chat"), GLOBS) == Look(blend=(("oil", 1.0), ("anime", 3.0)))
    assert look_of(scene("Chat"), {"Ch?t": "prompt a hill"}) == Look(values={"prompt": "a hill"})
    assert look_of(scene("Chat"), {}).empty
    assert "'phosphene:prompt'" in look_of(scene(prompt="a fox"), GLOBS).why


@pytest.mark.parametrize(
    ("glob", "name", "does"),
    [
        ("Game*", "game: two", True),
        ("Game", "Gamer", False),
        ("[Live] ?", "[live] 1", True),
        ("*", "", True),
        ("a  b", "A b", True),
    ],
)
def test_globs(glob, name, does):
    assert fits(glob, name) is does


# ---------------------------------------------------------------- commands


def test_a_style_comes_whole_and_forgets_what_was_held():
    commands, held = commands_of(Look("neon", values={"seed": "3"}), 0.5, Style(), {"strength": 0.2})
    assert commands == [SetLook("neon", {"seed": "3"}, 0.5)]
    assert held == {}


def test_the_user_s_own_time_is_kept():
    commands, _ = commands_of(Look("neon", over_s=2.0), 0.5, Style(), {})
    assert commands == [SetLook("neon", {}, 2.0)]


def test_a_scene_s_value_is_given_back_by_the_next_look():
    present = Style("oil", "oil painting", strength=0.45)
    first = Look(values={"prompt": "a fox", "strength": "0.9"})
    commands, held = commands_of(first, 1.0, present, {})
    assert commands == [SetLook(None, {"prompt": "a fox", "strength": "0.9"}, 1.0)]
    assert held == {"strength": 0.45}
    present = replace(present, prompt="a fox", strength=0.9)
    assert commands_of(Look(), 0.0, present, held) == ([], held)
    commands, after = commands_of(Look(values={"prompt": "a hen"}), 0.0, present, held)
    assert commands == [SetLook(None, {"strength": 0.45, "prompt": "a hen"}, 0.0)]
    assert after == {}


def test_an_edit_changes_only_what_was_edited():
    old, new = (
        Look(values={"prompt": "a", "strength": "0.4"}),
        Look(values={"prompt": "b", "strength": "0.4"}),
    )
    present = Style(strength=0.8)  # moved by hand meanwhile
    commands, held = edit_of(old, new, present, {"strength": 0.5})
    assert commands == [SetLook(None, {"prompt": "b"})]
    assert held == {"strength": 0.5}
    commands, held = edit_of(new, Look(values={"prompt": "b"}), present, held)
    assert commands == [SetLook(None, {"strength": 0.5, "prompt": "b"}, 0.0)]
    assert edit_of(old, old, present, {})[0] == []


def test_a_blend_with_a_value_takes_two_commands():
    commands, _ = commands_of(Look(blend=(("a", 1.0), ("b", 2.0)), values={"seed": "1"}), 0.3, Style(), {})
    assert commands == [BlendStyles({"a": 1.0, "b": 2.0}, 0.3), SetLook(None, {"seed": "1"}, 0.3)]


def test_prompts_ahead():
    bank = [
        {"name": "neon", "prompt": "n", "negative_prompt": "day"},
        {"name": "oil", "prompt": "o", "negative_prompt": ""},
    ]
    assert prompts_of(Look("neon", values={"prompt": "p"}), bank) == ["n", "day", "p"]
    assert prompts_of(Look(blend=(("oil", 1.0), ("neon", 1.0))), bank) == ["n", "day", "o", ""]


# ---------------------------------------------------------------- transitions

KNOWN = {
    "transitions": [
        {"transitionName": "Cut", "transitionKind": "cut_transition", "transitionFixed": True},
        {"transitionName": "Fade", "transitionKind": "fade_transition", "transitionFixed": False},
        {"transitionName": "Film", "transitionKind": "obs_stinger_transition", "transitionFixed": True},
    ]
}
FADE = {"transitionName": "Fade", "transitionDuration": 800}
CUT = {"transitionName": "Cut", "transitionDuration": None}
FILM = {"transitionName": "Film", "transitionDuration": None}


@pytest.mark.parametrize(
    ("running", "current", "override", "follow", "seconds"),
    [
        ("Cut", CUT, {}, "at once", 0.0),
        ("Fade", FADE, {}, "along", 0.8),
        ("Fade", CUT, {"transitionName": "Fade", "transitionDuration": 1234}, "along", 1.234),
        ("Fade", CUT, {"transitionName": "Fade", "transitionDuration": None}, "along", 0.3),
        ("Fade", FADE, {"transitionName": "Fade", "transitionDuration": 200}, "along", 0.2),
        ("Cut", FADE, {"transitionName": "Cut", "transitionDuration": 300}, "at once", 0.0),
        ("Film", FILM, {}, "at the end", 0.0),
        ("Film", FADE, {"transitionName": "Film", "transitionDuration": 300}, "at the end", 0.0),
        ("Fade", CUT, {}, "at the end", 0.0),  # a quick transition: OBS does not tell its duration
    ],
)
def test_how_a_transition_is_followed(running, current, override, follow, seconds):
    found = transition_of(running, current, override, KNOWN)
    assert (found.follow, found.seconds) == (follow, seconds)
    assert found.current is (running == current["transitionName"])


def test_the_morph_ends_with_the_picture():
    assert morph_seconds(0.8, 0.05, 0, 20.0) == pytest.approx(0.75)
    assert morph_seconds(0.8, 0.05, 3, 20.0) == pytest.approx(0.60)
    assert morph_seconds(0.1, 0.05, 3, 20.0) == 0.0
    assert morph_seconds(0.8, 0.0, 3, 0.0) == pytest.approx(0.8)  # nothing painted yet


def paced(seconds, frame_s, looks):
    pace = Pace(0.0, 0.0)
    for at, cursor in looks:
        pace = pace.next(at, cursor, seconds, frame_s)
    return pace.by_itself


def test_a_transition_that_runs_by_itself_is_told_from_a_hand_on_the_t_bar():
    for frame_s in (1 / 60, 1 / 30, 1 / 10):
        step = pace_interval(frame_s)
        late = 1.5 * frame_s
        by_itself = [(k * step, max(0.0, (k * step - late) // frame_s * frame_s) / 1.2) for k in range(1, 5)]
        assert paced(1.2, frame_s, by_itself)
    assert not paced(
        0.6, 1 / 30, [(0.1, 0.02), (0.2, 0.04), (0.3, 0.05), (0.4, 0.05), (0.5, 0.3), (0.6, 0.3)]
    )
    assert not paced(0.6, 1 / 30, [(0.02, 0.03), (0.04, 0.06), (0.06, 0.1)])  # too soon to say
