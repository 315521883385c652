"""What a style's picture shows, and that nothing about it can hurt the engine it is painted in."""

import base64
import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from pipeline.frame import Size
from pipeline.messages import Style, to_dict
from pipeline.models.load import load_model
from pipeline.style_picture import StylePainter, demo_picture, fitted, tile_size
from pipeline.style_picture_job import NOT_LIVE, StylePictureJobs


@pytest.fixture(scope="module")
def model():
    return load_model(
        "builtin", vae=None, loras=(), device=torch.device("cpu"), dtype=torch.float32, offline=True,
        allow_pickle=False, progress=lambda *_: None,
    )  # fmt: skip


class Runner:
    """Between two frames is now."""

    def __init__(self):
        self.working = threading.Event()
        self.working.set()
        self.newest = None

    def between_frames(self, change):
        change()


@pytest.fixture
def desk(model):
    answers = []
    build = SimpleNamespace(model=model, runner=Runner(), config=SimpleNamespace(add_noise=True))
    jobs = StylePictureJobs(build, answers.append)
    return SimpleNamespace(jobs=jobs, answers=answers, runner=build.runner)


def ask(desk, of="demo", **style):
    message = {"id": 7, "style": to_dict(Style(**style)), "t_index_list": [45], "of": of}
    desk.jobs.ask(message)
    return desk.answers[-1]


def picture(answer):
    return cv2.imdecode(np.frombuffer(base64.b64decode(answer["jpeg"]), np.uint8), cv2.IMREAD_COLOR)[
        ..., ::-1
    ]


def test_styles_look_different_and_strength_0_is_the_picture_itself(desk, model):
    size = tile_size(model)
    heat = picture(ask(desk, prompt="thermal camera"))
    pencil = picture(ask(desk, prompt="pencil sketch"))
    plain = picture(ask(desk, prompt="pencil sketch", strength=0.0))
    assert heat.shape == (size.height, size.width, 3)

    def colourful(image):
        return float((image.max(2).astype(int) - image.min(2)).mean())

    assert colourful(heat) > colourful(pencil) + 25
    assert np.abs(plain.astype(int) - demo_picture(size)).mean() < 12


def test_the_same_style_gives_the_same_picture(desk):
    first, second = ask(desk, prompt="oil painting", seed=5), ask(desk, prompt="oil painting", seed=5)
    assert first["jpeg"] == second["jpeg"]
    assert ask(desk, prompt="oil painting", seed=6)["jpeg"] != first["jpeg"]


@pytest.mark.parametrize("form", ["none", "full", "self", "onetime"])
def test_every_form_of_guidance_and_several_steps(model, form):
    painter, size = StylePainter(model, add_noise=True), Size(64, 64)
    style = Style(prompt="comic book", negative_prompt="photo", guidance=form, guidance_scale=1.3)
    painted = painter.prepare(style, (25, 45), lambda: demo_picture(size), size)()
    assert painted.shape == (64, 64, 3)
    assert painted.std() > 10


def test_the_camera_s_newest_picture_is_used_only_while_it_is_painted(desk):
    few = np.random.default_rng().integers(0, 256, (4, 6, 3), np.uint8)
    pixels = cv2.resize(few, (320, 192), interpolation=cv2.INTER_CUBIC)[None]
    assert "no picture of the camera" in ask(desk, of="live", prompt="photo")["reason"]
    desk.runner.newest = SimpleNamespace(pixels=pixels, tags=(SimpleNamespace(content=None),))
    shown = picture(ask(desk, of="live", prompt="photo", strength=0.0))
    assert np.abs(shown.astype(int) - fitted(pixels[0], Size(256, 160))).mean() < 20
    desk.runner.working.clear()  # panic, freeze or bypass
    assert ask(desk, of="live", prompt="photo")["reason"] == NOT_LIVE


def test_what_goes_wrong_is_an_answer_and_never_an_exception(desk):
    assert "reason" in ask(desk, prompt="photo", loras=(("/nowhere.safetensors", 1.0),))
    desk.runner.working.clear()
    assert "nowhere" in ask(desk, prompt="photo", loras=(("/nowhere.safetensors", 1.0),))["reason"]
    desk.jobs.ask({"id": 8, "style": {"strength": "much"}, "t_index_list": [45], "of": "demo"})
    assert desk.answers[-1]["id"] == 8
    assert "reason" in desk.answers[-1]
