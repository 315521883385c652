"""The first real camera, else the demo. Never a virtual camera: it could show our own picture."""

from __future__ import annotations

import dataclasses
from typing import Final

from pipeline.cameras import Camera, list_cameras
from pipeline.errors import SourceError
from pipeline.options import setting
from pipeline.source import Picture, Source, SourceInfo
from pipeline.sources import demo, webcam
from pipeline.sources._options import PictureOptions

ARGUMENT: Final = None


class Options(PictureOptions):
    width: int = setting(1280, "wanted width of a camera, pixels", applies="prepare", ge=16, le=7680)
    height: int = setting(720, "wanted height of a camera, pixels", applies="prepare", ge=16, le=4320)
    fps: float = setting(30.0, "wanted rate of a camera, pictures a second", applies="prepare", gt=0, le=240)
    stay: str = setting(
        "", "camera (identity) to wait for, once one was found; empty: choose anew", applies="prepare"
    )


def available() -> str | None:
    return None


def again(options: Options, info: SourceInfo) -> Options:
    """After a camera was found, only that one: a call must not show the demo because a plug came loose."""
    return options.model_copy(update={"stay": info.identity}) if info.kind == "webcam" else options


def devices(options: Options) -> int:
    """That `create` may try to open."""
    return 1 if options.stay else len(_listed([]))


def create(options: Options) -> AutoSource:
    """Raises SourceError when `stay` names a camera that is away."""
    picture = {"crop": options.crop, "rotate": options.rotate, "mirror": options.mirror}
    wish = {**picture, "width": options.width, "height": options.height, "fps": options.fps}
    if options.stay:
        opened = webcam.create(webcam.Options.model_validate({**wish, "device": options.stay}))
        return AutoSource(opened, "the camera found before")
    reasons: list[str] = []
    for camera in _listed(reasons):
        if camera.is_virtual:
            reasons.append(f"{camera.name} ({camera.path}) is a virtual camera")
            continue
        try:
            opened = webcam.create(webcam.Options.model_validate({**wish, "device": camera.path}))
        except SourceError as error:
            reasons.append(f"{error.message.removeprefix('webcam: ')} ({error.mend})")
            continue
        return AutoSource(opened, "; ".join(["the first real camera", *reasons]))
    shown = demo.create(demo.Options.model_validate({**picture, "fps": min(options.fps, 60.0)}))
    return AutoSource(shown, "; ".join(["no camera to use", *(reasons or ["there is none"])]))


def _listed(reasons: list[str]) -> tuple[Camera, ...]:
    try:
        return list_cameras()
    except SourceError as error:
        reasons.append(f"{error.message.removeprefix('webcam: ')} ({error.mend})")
        return ()


class AutoSource:
    """Another source, and why it was chosen (in `info.detail`)."""

    def __init__(self, chosen: Source, why: str) -> None:
        self._chosen = chosen
        self._why = why

    @property
    def info(self) -> SourceInfo:
        info = self._chosen.info
        return dataclasses.replace(info, detail=f"{info.detail} [auto: {self._why}]")

    def read(self) -> Picture | None:
        return self._chosen.read()

    def close(self) -> None:
        self._chosen.close()
