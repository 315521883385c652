"""Answers the host's request for a picture of a style, inside the engine process.

{"do": "picture", "id", "style": {…}, "t_index_list", "of": "demo" | "live"}
→ {"say": "picture", "id", "jpeg": base64, "size", "seconds"}, or {"say": "picture", "id", "reason": sentence}
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.errors import PhospheneError
from pipeline.frame import Image
from pipeline.messages import Style
from pipeline.pixels import part
from pipeline.style_picture import StylePainter, demo_picture, jpeg, tile_size

if TYPE_CHECKING:
    from pipeline.build import Build
    from pipeline.channel import Message

NO_FRAME = "there is no picture of the camera yet"
NOT_LIVE = "the camera's picture is not being painted now"
OTHER_LORAS = (
    "it has LoRAs that are not in force; it is painted once the style is in use, or while nothing is streamed"
)


class StylePictureJobs:
    """Of one build. `ask` on the listening thread; the painting on the denoiser's, between two frames."""

    def __init__(self, build: Build, answer: Callable[[Message], None]) -> None:
        self._build, self._answer = build, answer
        self._painter = StylePainter(build.model, add_noise=build.config.add_noise)
        self._size = tile_size(build.model)

    def ask(self, message: Message) -> None:
        """Paint what the message names, soon. Every request is answered once."""
        try:
            self._queue(message)
        except Exception as error:  # noqa: BLE001 a style that cannot be painted must not end the live picture
            self._refuse(message, error)

    def _queue(self, message: Message) -> None:
        from pydantic import TypeAdapter

        style = TypeAdapter(Style).validate_python(message["style"])
        steps = tuple(message["t_index_list"])
        picture = self._newest if message["of"] == "live" else lambda: demo_picture(self._size)
        runner, weights = self._build.runner, dict(style.loras)
        if message["of"] == "live" and not runner.working.is_set():
            raise PhospheneError(NOT_LIVE)  # what the camera saw before a panic or freeze is not shown again

        def prepared() -> Callable[[], Image]:
            return self._painter.prepare(style, steps, picture, self._size)

        if self._painter.in_force(weights):
            paint = prepared()
        elif runner.working.is_set():
            raise PhospheneError(OTHER_LORAS)
        else:
            # Under other weights the prompt is another one too: both happen in the job.
            paint = lambda: self._painter.with_loras(weights, lambda: prepared()())  # noqa: E731

        def job() -> None:
            began = time.perf_counter()
            try:
                image = paint()
                took = time.perf_counter() - began
                facts: dict[str, Any] = {"size": [image.shape[1], image.shape[0]], "seconds": round(took, 4)}
                data = base64.b64encode(jpeg(image)).decode("ascii")
                self._answer({"say": "picture", "id": message["id"], "jpeg": data, **facts})
            except Exception as error:  # noqa: BLE001 as above; and this thread is the denoiser's
                self._refuse(message, error)

        runner.between_frames(job)

    def _newest(self) -> Image:
        prepared = self._build.runner.newest
        if prepared is None:
            raise PhospheneError(NO_FRAME)
        pixels, content = prepared.pixels[-1].copy(), prepared.tags[-1].content
        return part(pixels, content) if content is not None else pixels

    def _refuse(self, message: Message, error: Exception) -> None:
        said = error.message if isinstance(error, PhospheneError) else f"{type(error).__name__}: {error}"
        self._answer({"say": "picture", "id": message["id"], "reason": said[:300]})
