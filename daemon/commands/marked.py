"""`phosphene marked FILE…`: whether a picture or a recording carries the invisible mark (see `pipeline.mark`)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from daemon.commands import show
from daemon.exit_codes import ExitCode
from pipeline.errors import PhospheneError

PICTURES: Final = 60  # of a recording that are looked at, spread over it


def marked(file: Path, as_json: bool) -> int:
    """Print the finding; the exit code says it too. Raises PhospheneError for what is no picture."""
    from pipeline.mark import FOUND, score

    scores = [score(image) for image in pictures(file)]
    whole = sum(scores) / math.sqrt(len(scores))
    found = whole > FOUND
    if as_json:
        show.as_object(
            {"file": str(file), "marked": found, "score": round(whole, 2), "pictures": len(scores)}
        )
    else:
        says = "painted by Phosphene" if found else "no mark found (which proves nothing)"
        print(f"{file}: {says}; score {whole:.1f}, a mark is above {FOUND:g}")
    return ExitCode.OK if found else ExitCode.NO_MARK


def pictures(file: Path) -> list[Any]:
    """HWC RGB uint8: the picture, or up to `PICTURES` of a recording."""
    import cv2

    if (still := cv2.imread(str(file), cv2.IMREAD_COLOR)) is not None:
        return [cv2.cvtColor(still, cv2.COLOR_BGR2RGB)]
    import av

    try:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            step = max(1, (stream.frames or PICTURES) // PICTURES)
            found = []
            for number, frame in enumerate(container.decode(stream)):
                if number % step == 0:
                    found.append(frame.to_ndarray(format="rgb24"))
                if len(found) >= PICTURES:
                    break
    except (OSError, IndexError, av.FFmpegError) as error:
        raise PhospheneError(
            f"{file} is neither a picture nor a recording that can be read ({error})",
            "give a png, jpg or mp4 file",
        ) from error
    if not found:
        raise PhospheneError(f"{file} has no picture in it", "give a png, jpg or mp4 file")
    return found
