"""Small video files for the tests."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np


def write_video(path, times_ms, size=(64, 48)):
    """A file whose picture k, shown at times_ms[k], is grey level 10*k."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), 10 * index, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
