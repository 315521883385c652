"""Records to mp4 with the times at which pictures were shown."""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pipeline.errors import SinkError
from pipeline.frame import Frame, Image, now_ns
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.sink import OutputFormat

ARGUMENT: Final = "path"
_NS: Final = 1_000_000_000
_CLOCK: Final = 60_000  # ticks a second of the timestamps; MPEG-4 part 2 allows at most 65535
_BT709: Final = 1  # FFmpeg's number for colour space, primaries and transfer
_LIMITED: Final = 1  # FFmpeg's AVCOL_RANGE_MPEG


class Options(BaseOptions):
    path: str = setting(
        "~/Videos/phosphene-%Y-%m-%d-%H%M%S.mp4",
        "file; %Y-%m-%d-%H%M%S and the like become the time; a taken name gets -1, -2, …",
        applies="prepare",
        min_length=1,
    )
    crf: int = setting(
        20, "quality for libx264: 0 lossless, 23 usual, 51 worst", applies="prepare", ge=0, le=51
    )
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = setting(
        "veryfast", "libx264's trade of processor time for file size", applies="prepare"
    )
    encoder: Literal["auto", "libx264", "mpeg4"] = setting(
        "auto", "auto: libx264 where this PyAV has it, else mpeg4", applies="prepare"
    )
    threads: int = setting(
        1, "encoder threads; more takes cores from the painting", applies="prepare", ge=1, le=64
    )
    queue: int = setting(
        16,
        "pictures that may wait for the encoder; further ones are dropped and counted",
        applies="prepare",
        ge=1,
        le=600,
    )


def available() -> str | None:
    try:
        import av  # noqa: F401
    except ImportError as error:
        return f"PyAV cannot be imported ({error}): pip install av"
    return None


def create(options: Options, output: OutputFormat) -> Recorder:
    return Recorder(options, output)


def free_path(template: str, when: datetime) -> Path:
    """`template` with its % codes filled in and ~ expanded; -1, -2, … before the suffix while the name is
    taken.

    The empty file is made at once, so that two recorders cannot get the same name. Raises SinkError.
    """
    path = Path(when.strftime(template)).expanduser()
    if path.is_dir():
        raise SinkError(
            f"recorder: {path} is a folder", "give the name of a file, e.g. " + str(path / "out.mp4")
        )
    if path.suffix.lower() not in {".mp4", ".m4v", ".mov"}:
        raise SinkError(f"recorder: {path} does not end in .mp4", "use a name like out.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = 0
        while True:
            free = path.with_stem(f"{path.stem}-{number}") if number else path
            try:
                free.open("xb").close()
            except FileExistsError:
                number += 1
            else:
                return free
    except OSError as error:
        raise SinkError(
            f"recorder: {path} cannot be made: {error.strerror}", "choose a folder you may write in"
        ) from error


class _Shown(NamedTuple):
    image: Image
    time_ns: int


class _WholeWrites:
    """A file for PyAV, which by itself keeps the descriptor of one whose first write has failed, and takes a write that
    the disk cut short for a whole one. Every write reaches the system at once, or raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.seek, self.tell = self._file.seek, self._file.tell

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._file.flush()
        return len(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk has not taken
            self._file.close()


class Recorder:
    """Variable frame rate: repeats of a picture are not encoded again, but at least one picture a second is.

    A picture's time in the file is the time it was handed on (`Frame.t_published`), or now for one handed
    on long ago. `send` copies the picture into a bounded queue; a thread encodes. The file is written in
    fragments, so that it plays up to its last second even after the process was killed, and made an
    ordinary mp4 at `close` where FFmpeg can do that (7.1 and later).

    written, dropped: pictures encoded, and lost because the encoder was slower.
    """

    wanted = True

    def __init__(self, options: Options, output: OutputFormat) -> None:
        import av

        self.path = free_path(options.path, datetime.now())
        self.written = 0
        self.dropped = 0
        self._size = output.size
        self._queue: queue.Queue[_Shown | None] = queue.Queue(options.queue)
        self._error: SinkError | None = None
        self._picture: tuple[int, int, int] | None = None
        self._last_ns = 0
        self._start_ns = 0
        self._stored = False  # whether anything of it has reached the file
        self._closed = False
        self._container: Any = None
        self._file = _WholeWrites(self.path)
        try:
            name = _encoder(options.encoder)
            hybrid = av.library_versions["libavformat"] >= (61, 7, 0)
            # hybrid_fragmented keeps a place at the front and writes the index there at the end
            flags = "+hybrid_fragmented" if hybrid else "frag_keyframe+empty_moov+default_base_moof"
            self._container = av.open(
                self._file, "w", format="mp4", options={"movflags": flags, "flush_packets": "1"}
            )
            self._stream = _stream(self._container, name, options, output)
            self._stream.codec_context.open()
        except (av.FFmpegError, OSError) as error:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise SinkError(
                f"recorder: {self.path} cannot be recorded to: {error}", "try another encoder"
            ) from error
        self.detail = f"{self.path}, {name} {output.size}"
        self._thread = threading.Thread(target=self._encode_all, name="recorder", daemon=True)
        self._thread.start()

    def send(self, frame: Frame) -> None:
        if self._error is not None:
            raise self._error
        now = now_ns()
        picture = (frame.seq, frame.t_published, frame.revision)
        if picture == self._picture and now - self._last_ns < _NS:
            return
        time = frame.t_published if picture != self._picture and now - frame.t_published < _NS // 4 else now
        time = min(now, max(time, self._last_ns + 1))
        if not self._start_ns:
            self._start_ns = time
        try:
            self._queue.put_nowait(_Shown(frame.image.copy(), time))
        except queue.Full:
            self.dropped += 1
            return
        self._picture, self._last_ns = picture, time

    def close(self) -> None:
        """Encode what waits, finish the file. A recording without one picture leaves no file."""
        if self._closed:
            return
        self._closed = True
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.1)
                break
            except queue.Full:
                continue
        self._thread.join()
        with contextlib.suppress(OSError):
            if not self._stored:  # also on a full disk, where every try would leave an empty file
                self.path.unlink()

    def _encode_all(self) -> None:
        import av

        last: _Shown | None = None
        try:
            while (shown := self._queue.get()) is not None:
                self._encode(shown)
                last = shown
            if last is not None and now_ns() - last.time_ns > _NS // 10:
                self._encode(_Shown(last.image, now_ns()))  # the last picture lasts until the recording ends
            if last is not None:
                self._container.mux(self._stream.encode())
                self._stored = True
        except (av.FFmpegError, OSError) as error:
            self._error = self._why(error)
        finally:
            try:
                self._container.close()
            except (av.FFmpegError, OSError) as error:
                self._error = self._error or self._why(error)
            self._file.close()

    def _encode(self, shown: _Shown) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(shown.image, format="rgb24")
        # unmarked HD files are taken for BT.709 by players, and FFmpeg's own default is BT.601
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts = (shown.time_ns - self._start_ns) * _CLOCK // _NS
        frame.time_base = self._stream.codec_context.time_base
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
            self._stored = True
        self.written += 1

    def _why(self, error: Exception) -> SinkError:
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError:
            free = -1
        if 0 <= free < 1 << 20:
            return SinkError(
                f"recorder: the disk of {self.path} is full; the file plays up to there",
                "free some space, or record somewhere else",
            )
        return SinkError(f"recorder: {self.path} cannot be written: {error}; the file plays up to there")


def _encoder(wanted: str) -> str:
    import av

    have = [name for name in ("libx264", "mpeg4") if name in av.codecs_available]
    if wanted == "auto" and have:
        return have[0]
    if wanted not in have:
        raise SinkError(
            f"recorder: this PyAV cannot encode {wanted}", f"use one of {', '.join(have) or 'none'}"
        )
    return wanted


def _stream(container: Any, name: str, options: Options, output: OutputFormat) -> Any:
    from fractions import Fraction

    stream = container.add_stream(name, rate=Fraction(output.fps).limit_denominator(1001))
    stream.width, stream.height = output.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _CLOCK)
    context.gop_size = max(1, round(output.fps))  # a fragment, and so the loss of a kill, is about one second
    context.thread_count = options.threads
    context.max_b_frames = 0
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    if name == "libx264":
        # no look-ahead: a killed process has lost nothing that was sent to the encoder
        stream.options = {"crf": str(options.crf), "preset": options.preset, "tune": "zerolatency"}
    else:
        context.bit_rate = int(output.size.width * output.size.height * output.fps * 0.15)
    return stream
