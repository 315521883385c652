"""The kit itself: which scenes and sources, with which settings, where and in which order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from integrations.obs.kit import names
from pipeline.errors import PhospheneError
from pipeline.frame import Size

MARK: Final = "phosphene_kit"
"""A key in the settings of every source of ours; its value is the source's role. OBS keeps keys it does not know."""

Platform = Literal["linux", "windows", "macos"]

_LEFT, _TOP, _BOTTOM = 1, 4, 8
_CENTRE: Final = 0
_DARK: Final = 0xFF1A1414  # OBS counts colours as 0xAABBGGRR
_WHITE: Final = 0xFFFFFFFF
_FACES: Final[Mapping[Platform, str]] = {"linux": "Sans Serif", "windows": "Arial", "macos": "Helvetica"}

STREAM_OPTIONS: Final = "framerate=60 fflags=nobuffer flags=low_delay probesize=32768 analyzeduration=0"
"""FFmpeg's, for bare JPEGs: no buffer anywhere, and no faster source than 60 a second. With the multipart
stream instead FFmpeg plays at 25 a second, and the picture lags more and more."""


@dataclass(frozen=True, slots=True)
class Camera:
    """The picture comes from a virtual camera. device: its path on Linux, else its name as OBS shows it."""

    device: str


@dataclass(frozen=True, slots=True)
class Stream:
    """The picture comes from the daemon's HTTP server, as bare JPEGs one after another. The URL holds a key."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """A source and its item. role: what it is to us, kept in its settings. shown: whether its item is visible.

    follows: keys of the settings that are brought up to date in a later installation; the rest is the user's.
    transform: of `SetSceneItemTransform`.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    shown: bool
    role: str
    follows: tuple[str, ...] = ()
    transform: Mapping[str, Any] = field(default_factory=dict)

    @property
    def marked(self) -> dict[str, Any]:
        """The settings with our mark."""
        return {**self.settings, MARK: self.role}


@dataclass(frozen=True, slots=True)
class Scene:
    """sources: from the bottom to the top."""

    name: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Taste:
    """What the daemon brings. styles: names of the bank, in order."""

    picture: Camera | Stream
    styles: Sequence[str]
    overlay: str
    overlay_text: str


def kit(taste: Taste, canvas: Size, kinds: Sequence[str], platform: Platform) -> tuple[Scene, ...]:
    """The scenes for an OBS with this canvas and these kinds of input. Raises PhospheneError when one lacks."""
    text = _Text(_kind(kinds, "text_gdiplus_v3", "text_gdiplus_v2", "text_ft2_source_v2"), canvas, platform)
    colour = _kind(kinds, "color_source_v3", "color_source")
    bottom = [
        Source(
            names.FALLBACK,
            colour,
            {"color": _DARK, "width": canvas.width, "height": canvas.height},
            True,
            "fallback",
        ),
        text.source(names.FALLBACK_TEXT, "Phosphene is not running", True, "fallback text", _centre(canvas)),
        _picture(taste.picture, canvas, kinds, platform),
    ]
    if taste.overlay:
        bottom.append(text.source(taste.overlay, taste.overlay_text, True, "overlay", _bottom_left(canvas)))
    fields = [(names.PROMPT, "prompt"), *((names.field_source(f), f) for f in names.PROMPT_FIELDS)]
    bottom += [text.source(name, "", False, f"prompt {role}") for name, role in fields]
    # A style that is called like another button would be that button twice.
    actions = dict.fromkeys((*taste.styles[: names.STYLE_BUTTONS], *names.BUTTONS))
    buttons = [
        Source(names.button(a), colour, {"color": 0, "width": 8, "height": 8}, False, f"button {a}")
        for a in reversed(actions)
    ]
    return Scene(names.SCENE, tuple(bottom)), Scene(names.BUTTONS_SCENE, tuple(buttons))


def _picture(picture: Camera | Stream, canvas: Size, kinds: Sequence[str], platform: Platform) -> Source:
    if isinstance(picture, Stream):
        kind, follows = _kind(kinds, "ffmpeg_source"), ("input",)
        settings: dict[str, Any] = {
            "is_local_file": False,
            "input": picture.url,
            "input_format": "mjpeg",
            "ffmpeg_options": STREAM_OPTIONS,
            "reconnect_delay_sec": 1,
            "restart_on_activate": False,
            "close_when_inactive": False,
            "clear_on_media_end": True,  # so that the fallback shows
            "hw_decode": False,
        }
    elif platform == "windows":
        kind, follows = _kind(kinds, "dshow_input"), ("video_device_id",)
        settings = {"video_device_id": f"{picture.device}:", "last_video_device_id": f"{picture.device}:"}
    elif platform == "macos":
        kind, follows = (
            _kind(kinds, "macos-avcapture", "av_capture_input_v2", "av_capture_input"),
            ("device",),
        )
        settings = {"device": picture.device, "device_name": "OBS Virtual Camera", "use_preset": False}
    else:
        kind, follows = _kind(kinds, "v4l2_input"), ("device_id",)
        settings = {"device_id": picture.device, "buffering": False, "auto_reset": True}
    return Source(names.PICTURE, kind, settings, True, "picture", follows, _whole(canvas))


@dataclass(frozen=True, slots=True)
class _Text:
    kind: str
    canvas: Size
    platform: Platform

    def source(
        self, name: str, text: str, shown: bool, role: str, transform: Mapping[str, Any] | None = None
    ) -> Source:
        size = max(12, self.canvas.height // 22)
        font = {"face": _FACES[self.platform], "style": "Regular", "size": size, "flags": 0}
        settings: dict[str, Any] = {"text": text, "font": font, "outline": True}
        if self.kind.startswith("text_gdiplus"):
            settings |= {"color": 0xFFFFFF, "outline_size": 2, "outline_color": 0}
        else:
            settings |= {"color1": _WHITE, "color2": _WHITE}
        return Source(name, self.kind, settings, shown, role, (), transform or {})


def _kind(kinds: Sequence[str], *wanted: str) -> str:
    for kind in wanted:
        if kind in kinds:
            return kind
    raise PhospheneError(
        f"this OBS has no source of the kind {wanted[0]}",
        "install the rest of OBS (on Debian and Ubuntu: sudo apt install obs-plugins)",
    )


def _whole(canvas: Size) -> dict[str, Any]:
    return {
        "boundsType": "OBS_BOUNDS_SCALE_INNER",
        "boundsAlignment": _CENTRE,
        "boundsWidth": float(canvas.width),
        "boundsHeight": float(canvas.height),
        "positionX": 0.0,
        "positionY": 0.0,
        "alignment": _LEFT | _TOP,
    }


def _centre(canvas: Size) -> dict[str, Any]:
    return {"positionX": canvas.width / 2, "positionY": canvas.height / 2, "alignment": _CENTRE}


def _bottom_left(canvas: Size) -> dict[str, Any]:
    margin = canvas.height * 0.04
    return {"positionX": margin, "positionY": canvas.height - margin, "alignment": _LEFT | _BOTTOM}
