"""Sources that need no camera, and what the camera sources decide before they open one."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline import cameras
from pipeline.cameras import Camera
from pipeline.errors import SourceError
from pipeline.frame import Size, now_ns
from pipeline.geometry import Look
from pipeline.pixel_clock import UNIT_NS, read_time, write_time
from pipeline.source import SourceInfo
from pipeline.sources import auto, demo, image, noise, test_pattern, video_file, webcam
from pipeline.sources._camera_mode import closest
from pipeline.sources._pace import Pace
from pipeline.v4l2 import Mode
from tests.clips import write_video

DAY_NS = 86_400_000_000_000


def take(source, count):
    """Copies: `Picture.image` is valid until the next read."""
    return [(p.image.copy(), p.t_capture) for p in (source.read() for _ in range(count))]


@pytest.mark.parametrize("kind", [demo, test_pattern])
def test_made_pictures_move_and_have_the_size_asked_for(kind):
    source = kind.create(kind.Options(width=320, height=240, fps=60))
    pictures = take(source, 8)
    assert source.info.size == Size(320, 240)
    assert source.info.fps == 60
    for picture, _ in pictures:
        assert picture.shape == (240, 320, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous
    times = [t for _, t in pictures]
    assert np.all(np.diff(times) > 0)
    steps = np.diff(times) * 60 / 1e9
    assert np.abs(steps - np.round(steps)).max() < 1e-6  # on a grid, whatever the reader's jitter
    assert np.abs(pictures[0][0].astype(int) - pictures[-1][0]).mean() > 0.2
    source.close()
    source.close()


def test_the_demo_shows_a_face_and_never_an_edge_of_its_portrait():
    portrait = image.load_image(demo.PORTRAIT)
    for seconds in np.random.default_rng().uniform(0, 3600, 300):
        for size in (Size(640, 360), Size(640, 480)):
            corners = np.array(
                [[0, 0, 1], [size.width, 0, 1], [0, size.height, 1], [size.width, size.height, 1]]
            )
            x, y = (demo.view_at(seconds, size) @ corners.T).tolist()
            # at most a sliver beyond, which is mirrored
            assert min(x) > -30
            assert max(x) < portrait.shape[1] + 30
            assert min(y) > -20
            face = np.linalg.inv(np.vstack([demo.view_at(seconds, size), [0, 0, 1]])) @ (224, 110, 1)
            assert 0.2 < face[0] / size.width < 0.8
            assert 0.1 < face[1] / size.height < 0.8


def test_the_time_in_the_pixels_is_the_time_of_capture():
    source = test_pattern.create(test_pattern.Options(width=640, height=480, fps=60, clock=True))
    for picture, t_capture in take(source, 3):
        assert read_time(picture) == t_capture // UNIT_NS * UNIT_NS
        small = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
        assert read_time(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) == t_capture // UNIT_NS * UNIT_NS
    plain = test_pattern.create(test_pattern.Options(fps=60))
    assert read_time(take(plain, 1)[0][0]) is None


def test_any_time_survives_the_pixels():
    rng = np.random.default_rng()
    picture = rng.integers(0, 256, (120, 640, 3), dtype=np.uint8)
    for time_ns in rng.integers(0, 1000 * DAY_NS, 50).tolist():
        write_time(picture, time_ns)
        assert read_time(picture) == time_ns // UNIT_NS * UNIT_NS
    with pytest.raises(ValueError, match="too small"):
        write_time(picture[:, :40], 0)


def test_noise_is_only_a_clock():
    source = noise.create(noise.Options(fps=120))
    assert not source.info.pictures
    times = [t for _, t in take(source, 5)]
    assert np.all(np.diff(times) > 0)


def test_pace_keeps_its_grid_and_gives_no_burst_after_a_pause():
    pace = Pace(100)
    first = pace.wait()
    time.sleep(0.055)
    after = [pace.wait() for _ in range(3)]
    assert pace.tick >= 7
    assert all((t - first) % 10_000_000 == 0 for t in after)
    assert now_ns() >= after[-1]


def test_image_as_its_exif_says_with_the_right_colours(tmp_path):
    path = tmp_path / "ä picture.png"
    _, data = cv2.imencode(".png", np.full((30, 40, 3), (10, 20, 200), np.uint8))  # BGR: red
    data.tofile(path)
    source = image.create(image.Options(path=str(path), fps=60))
    (first, t0), (_, t1) = take(source, 2)
    assert first.shape == (30, 40, 3)
    assert first[0, 0].tolist() == [200, 20, 10]
    assert t1 > t0
    wide = tmp_path / "wide.png"
    cv2.imwrite(str(wide), np.zeros((1000, 4000, 3), np.uint8))
    assert image.create(image.Options(path=str(wide))).info.size == Size(1920, 480)


def test_a_picture_of_gigapixels_and_a_device_are_refused_unread(tmp_path):
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    (path := tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(SourceError, match="more than 89 megapixels"):
        image.create(image.Options(path=str(path)))
    with pytest.raises(SourceError, match="is not a file"):
        image.create(image.Options(path="/dev/zero"))


@pytest.mark.parametrize("kind", [image, video_file])
def test_files_that_are_missing_or_wrong_are_named(kind, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a picture")
    for path, words in (
        (tmp_path / "none.mp4", "there is no file"),
        (text, "text.mp4"),
        (tmp_path, str(tmp_path)),
    ):
        with pytest.raises(SourceError, match=words) as error:
            kind.create(kind.Options(path=str(path)))
        assert error.value.mend
    with pytest.raises(ValidationError):
        kind.Options()


def grey_level(picture):
    """The picture's number in `write_video`'s file."""
    return round(picture.mean() / 10)


def test_video_file_keeps_the_files_own_times(tmp_path):
    times_ms = [0, 40, 80, 200, 240]
    path = write_video(tmp_path / "clip.mkv", times_ms)
    source = video_file.create(video_file.Options(path=str(path), loop=False))
    shown = []
    while picture := source.read():
        shown.append((grey_level(picture.image), picture.t_capture / 1e6))
    # a machine that stands still loses pictures, as with a camera; those that come have their own times
    assert len(shown) >= 2
    assert shown[0][0] == 0
    for number, ms in shown:
        assert ms - shown[0][1] == pytest.approx(times_ms[number], abs=1.5)
    assert source.read() is None
    source.close()
    source.close()


def test_video_file_loops_without_going_back_in_time(tmp_path):
    path = write_video(tmp_path / "clip.mp4", [0, 40, 80])
    source = video_file.create(video_file.Options(path=str(path)))
    assert source.info.size == Size(64, 48)
    pictures = take(source, 8)
    start = pictures[0][1]
    for picture, t_capture in pictures:
        assert (t_capture - start) / 1e6 % 120 == pytest.approx(40 * grey_level(picture), abs=1.5)
    times = [t for _, t in pictures]
    assert np.all(np.diff(times) > 0)
    assert times[-1] - start >= 7 * 39e6
    source.close()


def test_video_file_drops_pictures_for_a_slow_reader_as_a_camera_does(tmp_path):
    path = write_video(tmp_path / "clip.mp4", list(range(0, 1000, 40)))
    source = video_file.create(video_file.Options(path=str(path), loop=False))
    take(source, 1)
    time.sleep(0.6)
    late, t_capture = take(source, 1)[0]
    assert grey_level(late) >= 5
    assert (now_ns() - t_capture) / 1e6 < 400
    source.close()


def test_unpaced_video_is_read_as_fast_as_it_goes(tmp_path):
    path = write_video(tmp_path / "clip.mp4", list(range(0, 100_000, 10_000)))
    source = video_file.create(video_file.Options(path=str(path), loop=False, pace=False))
    assert len(take(source, 10)) == 10  # 100 s of video; the test's own time limit is the proof
    source.close()


# ---------------------------------------------------------------- cameras


def test_options_for_the_picture():
    options = webcam.Options(crop=(0.1, 0, 0.8, 1), rotate=90, mirror=True)
    assert options.look == Look((0.1, 0, 0.8, 1), 90, True)
    assert webcam.Options().look == Look()
    for bad in ((0.5, 0, 0.6, 1), (0, 0, 0.01, 1), (0, 0, 1), (-0.1, 0, 1, 1)):
        with pytest.raises(ValidationError):
            webcam.Options(crop=bad)
    with pytest.raises(ValidationError):
        webcam.Options(rotate=45)


WANTED = Mode("", Size(1280, 720), 30.0)
LAPTOP = [
    Mode("YUYV", Size(640, 480), 30),
    Mode("YUYV", Size(1280, 720), 10),
    Mode("MJPG", Size(640, 480), 30),
    Mode("MJPG", Size(1280, 720), 30),
    Mode("MJPG", Size(1920, 1080), 30),
]


@pytest.mark.parametrize(
    ("modes", "prefer", "best"),
    [
        (LAPTOP, "rate", LAPTOP[3]),
        (LAPTOP[:2], "rate", LAPTOP[0]),
        (LAPTOP[:2], "size", LAPTOP[1]),
        (LAPTOP[:3], "rate", LAPTOP[2]),  # MJPG before YUYV where they are equal
        (LAPTOP[::4], "rate", LAPTOP[4]),  # too large is better than too small
        (
            [Mode("YUYV", Size(640, 480), 25), Mode("YUYV", Size(640, 360), 40)],
            "rate",
            Mode("YUYV", Size(640, 360), 30),
        ),
        ([Mode("YUYV", Size(640, 480), 0)], "rate", Mode("YUYV", Size(640, 480), 30)),
        ([], "rate", None),
    ],
)
def test_the_closest_mode(modes, prefer, best):
    assert closest(modes, WANTED, prefer) == best


CAMERAS = (
    Camera("OBS Virtual Camera", "/dev/video10", "platform:v4l2loopback-000/OBS", "v4l2 loopback", True),
    Camera("Logitech C920", "/dev/video2", "/dev/v4l/by-id/usb-C920-video-index0", "uvcvideo", False),
    Camera("C920", "/dev/video4", "/dev/v4l/by-id/usb-other", "uvcvideo", False),
)


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/dev/video2", "/dev/video2"),
        ("/dev/v4l/by-id/usb-other", "/dev/video4"),
        ("c920", "/dev/video4"),  # the whole name comes before a part of a name
        ("logitech", "/dev/video2"),
        ("Virtual", "/dev/video10"),
    ],
)
def test_a_camera_is_found_by_path_identity_or_name(monkeypatch, wanted, path):
    monkeypatch.setattr(cameras, "list_cameras", lambda: CAMERAS)
    assert cameras.find_camera(wanted).path == path


def test_a_missing_camera_names_the_others(monkeypatch):
    monkeypatch.setattr(cameras, "list_cameras", lambda: CAMERAS)
    with pytest.raises(SourceError, match=r"no camera Brio; there is .*Logitech C920 \(/dev/video2\)"):
        cameras.find_camera("Brio")


@pytest.mark.parametrize(
    "name", ["OBS Virtual Camera", "v4l2loopback", "Dummy video device (0x0000)", "Phosphene"]
)
def test_virtual_names(name):
    assert cameras.VIRTUAL.search(name)
    assert not cameras.VIRTUAL.search("Integrated Camera: Jobs HD")


def test_auto_falls_to_the_demo_and_says_why(monkeypatch):
    monkeypatch.setattr(auto, "list_cameras", lambda: CAMERAS[:1])
    source = auto.create(auto.Options(mirror=True))
    assert source.info.kind == "demo"
    assert "OBS Virtual Camera (/dev/video10) is a virtual camera" in source.info.detail
    assert source.read().image.shape == (360, 640, 3)
    source.close()


def test_auto_that_found_a_camera_once_never_falls_to_the_demo(monkeypatch):
    found = SourceInfo("webcam", "C920", "/dev/v4l/by-id/gone", Size(640, 480), 30.0)
    options = auto.again(auto.Options(), found)
    monkeypatch.setattr(cameras, "list_cameras", lambda: ())
    with pytest.raises(SourceError, match="no camera /dev/v4l/by-id/gone"):
        auto.create(options)
    shown = SourceInfo("demo", "demo", "demo", Size(640, 480), 30.0)
    assert auto.again(auto.Options(), shown) == auto.Options()


def camera_named(name, number):
    return Camera(name, f"/dev/video{number}", f"usb-{name}", "uvcvideo", False)


@pytest.fixture
def openable(monkeypatch):
    """Cameras that are there, by name, and those of them that open; `Webcam` is replaced by its name."""
    there, works = {}, set()

    def find(device):
        found = [c for c in there.values() if device in (c.name, c.identity)]
        if not found:
            raise SourceError(f"webcam: there is no camera {device}", "plug it in")
        return found[0]

    def opened(options, camera):
        if camera.name not in works:
            raise SourceError(f"webcam: {camera.name} is in use", "close it there")
        return camera.name

    monkeypatch.setattr(webcam, "_find", find)
    monkeypatch.setattr(webcam, "Webcam", opened)

    def plug(name, *, free=True):
        there[name] = camera_named(name, len(there))
        if free:
            works.add(name)

    return plug


def test_the_first_camera_of_the_list_that_opens_is_taken_and_all_are_named_when_none_does(openable):
    options = webcam.Options(device="good", fallback=("spare", "last"))
    openable("last")
    assert webcam.create(options) == "last"
    openable("spare")
    assert webcam.create(options) == "spare"
    openable("good", free=False)
    assert webcam.create(options) == "spare"
    with pytest.raises(SourceError, match="good is in use; there is no camera away"):
        webcam.create(webcam.Options(device="good", fallback=("away",)))


def test_after_a_fault_only_cameras_of_the_list_are_tried_and_the_opened_one_by_what_identifies_it(openable):
    openable("spare")
    options = webcam.Options(device="good", fallback=("spare",))
    info = SourceInfo("webcam", "spare", "usb-spare", Size(640, 480), 30.0)
    later = webcam.again(options, info)
    assert (later.device, later.fallback) == ("good", ("usb-spare",))
    alone = webcam.again(webcam.Options(device="0"), info)
    assert (alone.device, alone.fallback) == ("usb-spare", ())
