"""Where pictures go. A circle drawn on the camera's picture is a circle on the output, whatever the
aspects."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.frame import Rect, Size
from pipeline.geometry import Look, canvas_for, cut_to_aspect, fit, inscribe
from pipeline.pixels import part, place_on_canvas, place_on_output, resize, size_of, take_from_canvas
from pipeline.sources.demo import PORTRAIT
from pipeline.sources.image import load_image

FITS = ("cover", "contain", "blur-fill")
sides = st.integers(60, 400).map(lambda n: 2 * n)
sizes = st.builds(Size, sides, sides).filter(lambda s: 0.45 < s.width / s.height < 2.2)
cases = settings(max_examples=40, deadline=None)


def picture_with_circle(size: Size, radius: float) -> np.ndarray:
    """A white disc with a soft edge of one pixel in the middle of a dark picture."""
    image = np.full((size.height, size.width, 3), 30, np.uint8)
    y, x = np.mgrid[: size.height, : size.width]
    distance = np.hypot(x - (size.width - 1) / 2, y - (size.height - 1) / 2)
    disc = np.clip(radius - distance + 0.5, 0, 1)[..., None]
    return (image * (1 - disc) + 230 * disc).round().astype(np.uint8)


def ellipse(image: np.ndarray) -> tuple[float, float, float]:
    """Semi-axes along x and y, and the area, of the bright disc, by moments."""
    weight = np.clip((image[..., 1].astype(float) - 130) / 50, 0, 1)
    m = cv2.moments(weight)
    return 2 * math.sqrt(m["mu20"] / m["m00"]), 2 * math.sqrt(m["mu02"] / m["m00"]), m["m00"]


def assert_round(image: np.ndarray) -> None:
    across, down, area = ellipse(image)
    assert across / down == pytest.approx(1.0, abs=0.02)  # whole pixels, of cameras as small as 120
    assert area == pytest.approx(math.pi * across * down, rel=0.03)


@cases
@given(camera=sizes, output=sizes, how=st.sampled_from(FITS), upscale=st.sampled_from(["bicubic", "sharp"]))
def test_a_circle_stays_a_circle(camera, output, how, upscale):
    shown_part = fit(camera, output, how).crop
    image = picture_with_circle(camera, 0.3 * min(shown_part.width, shown_part.height))
    canvas = canvas_for(output)
    on_canvas, content = place_on_canvas(image, canvas.size, output, how)
    assert_round(part(on_canvas, content))
    shown = take_from_canvas(on_canvas, content, output, how, upscale)
    assert shown.shape == (output.height, output.width, 3)
    assert shown.flags.c_contiguous
    if how != "blur-fill":  # its bars hold a second, blurred disc
        assert_round(shown)
        assert_round(place_on_output(image, output, how))


@cases
@given(picture=sizes, box=sizes, how=st.sampled_from(FITS))
def test_fit_stays_inside_and_keeps_even_sizes(picture, box, how):
    crop, dest = fit(picture, box, how)
    assert crop.x >= 0
    assert crop.y >= 0
    assert crop.x + crop.width <= picture.width
    assert crop.y + crop.height <= picture.height
    assert all(value % 2 == 0 for value in dest)
    assert dest.x + dest.width <= box.width
    assert dest.y + dest.height <= box.height
    assert (dest.width == box.width) or (dest.height == box.height)
    if how == "cover":
        assert dest == Rect(0, 0, *box)
        assert crop.width == picture.width or crop.height == picture.height
    else:  # the whole picture, but for what rounding to even costs
        assert crop.width >= picture.width * 0.97
        assert crop.height >= picture.height * 0.97


@cases
@given(
    output=sizes,
    budget=st.sampled_from([256 * 256, 512 * 512, 512 * 288]),
    multiple=st.sampled_from([8, 32, 64]),
)
def test_canvas_keeps_to_the_budget_and_wastes_little(output, budget, multiple):
    size, content = canvas_for(output, budget, multiple)
    assert size.width % multiple == 0
    assert size.height % multiple == 0
    assert size.width * size.height <= budget
    assert content == inscribe(output, size)
    assert size.width - content.width < multiple
    assert size.height - content.height < multiple
    assert content.width / content.height == pytest.approx(output.width / output.height, rel=0.03)
    for other in (Size(w, budget // w // multiple * multiple) for w in range(multiple, 1024, multiple)):
        if other.height:
            rival = inscribe(output, other)
            # 2 %: rounding to even sizes
            assert rival.width * rival.height <= 1.02 * content.width * content.height


def test_known_canvases():
    assert canvas_for(Size(1280, 720)) == (Size(320, 192), Rect(0, 6, 320, 180))
    assert canvas_for(Size(640, 480)) == (Size(288, 224), Rect(0, 4, 288, 216))
    assert canvas_for(Size(512, 512)) == (Size(256, 256), Rect(0, 0, 256, 256))
    assert canvas_for(Size(720, 1280)).size == Size(192, 320)
    assert canvas_for(Size(1280, 720), 512 * 512).size == Size(672, 384)
    with pytest.raises(ValueError, match="does not fit"):
        canvas_for(Size(640, 480), 100)


def test_padding_mirrors_the_content():
    rng = np.random.default_rng()
    image = rng.integers(0, 256, (360, 640, 3), dtype=np.uint8)
    canvas, content = place_on_canvas(image, Size(320, 192), Size(1280, 720), "cover")
    assert content == Rect(0, 6, 320, 180)
    for row in range(6):
        np.testing.assert_array_equal(canvas[5 - row], canvas[7 + row])
        np.testing.assert_array_equal(canvas[186 + row], canvas[184 - row])


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_crop_rotate_mirror_do_what_they_say_in_that_order(how, rotate, mirror):
    """Against the same steps done one by one on the whole picture."""
    rng = np.random.default_rng()
    image = cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8), (0, 0), 9)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    look = Look((0.25, 0.2, 0.5, 0.6), rotate, mirror)
    expected = np.rot90(image[60:240, 100:300], -rotate // 90)
    expected = np.ascontiguousarray(expected[:, ::-1] if mirror else expected)
    output = Size(320, 180)
    got, content = place_on_canvas(image, Size(320, 192), output, how, look)
    want, want_content = place_on_canvas(expected, Size(320, 192), output, how)
    assert content == want_content
    assert np.abs(got.astype(int) - want).mean() < 1
    raw = place_on_output(image, output, how, look)
    assert np.abs(raw.astype(int) - place_on_output(expected, output, how)).mean() < 1


@pytest.mark.parametrize("how", FITS)
def test_results_go_into_the_given_memory(how):
    rng = np.random.default_rng()
    image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    canvas_out = np.zeros((192, 320, 3), np.uint8)
    canvas, content = place_on_canvas(image, Size(320, 192), Size(1280, 720), how, out=canvas_out)
    assert canvas is canvas_out
    for upscale in ("bilinear", "bicubic", "sharp", "lanczos"):
        out = np.zeros((720, 1280, 3), np.uint8)
        shown = take_from_canvas(canvas, content, Size(1280, 720), how, upscale, out)
        assert shown is out
        np.testing.assert_array_equal(out, take_from_canvas(canvas, content, Size(1280, 720), how, upscale))
    raw = np.zeros((720, 1280, 3), np.uint8)
    assert place_on_output(image, Size(1280, 720), how, out=raw) is raw


def test_bars_are_black_or_painted_and_never_the_camera():
    """blur-fill's bars come from the painted picture: a red painting of a green camera picture has no
    green."""
    green = np.zeros((480, 640, 3), np.uint8)
    green[..., 1] = 255
    canvas, content = place_on_canvas(green, Size(320, 192), Size(1280, 720), "blur-fill")
    painted = canvas.copy()
    part(painted, content)[:] = (200, 0, 0)
    shown = take_from_canvas(painted, content, Size(1280, 720), "blur-fill")
    assert shown[..., 1].max() == 0
    assert shown[..., 0].min() > 60
    barred = take_from_canvas(painted, content, Size(1280, 720), "contain")
    assert barred[:, :100].max() == 0
    assert barred[:, 640].min(axis=0)[0] == 200


def test_cut_to_aspect_of_an_equal_aspect_is_everything():
    assert cut_to_aspect(Size(640, 360), Size(1280, 720)) == Rect(0, 0, 640, 360)
    assert cut_to_aspect(Size(640, 480), Size(16, 9)) == Rect(0, 60, 640, 360)
    assert size_of(np.zeros((2, 3, 3), np.uint8)) == Size(3, 2)


def test_sharp_is_nearer_to_the_original_than_bicubic_alone():
    """The demo's portrait, made four times smaller and enlarged again."""
    portrait = load_image(PORTRAIT)[:288]
    small = resize(portrait, Size(128, 72))
    error = {
        how: cv2.PSNR(resize(small, Size(512, 288), how), portrait)
        for how in ("bilinear", "bicubic", "sharp")
    }
    assert error["sharp"] > error["bicubic"] + 0.2 > error["bilinear"]
