"""Similarity filter: which frames need no denoising (StreamDiffusion, arXiv 2312.12491, section 3.5).

A frame is skipped with probability max(0, 1 − (1 − s)/(1 − η)), s being its similarity to the last frame
that was processed and η the threshold. The paper's s is the cosine of whole frames (`metric: global`), which
neither a dimmed lamp nor a moving mouth changes. `metric: tiles`, the default: `pipeline.tile_similarity`.

Call it from the pre-processing thread, where the picture still is: it never sleeps, and a picture on a GPU is
shrunk there, so that only a thumbnail crosses and only the calling thread waits for it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.messages import LiveState, Similarity
from pipeline.tile_similarity import TileSimilarity

if TYPE_CHECKING:
    import torch

    Picture = npt.NDArray[np.uint8] | torch.Tensor

Reason = Literal["off", "first", "state", "morph", "changed", "drain", "refresh", "similar"]
"""Why a frame was processed (`similar`: why it was skipped). first: nothing to compare with. drain: an
earlier changed frame is still in the pipeline. refresh: `max_skip_frames` were skipped in a row."""


@dataclass(frozen=True, slots=True)
class SimilarityOptions:
    """threshold: η in [0, 1); at 1 only an equal picture is skipped. max_skip_frames: M, 0 skips nothing."""

    enabled: bool = True
    metric: Similarity = "tiles"
    threshold: float = 0.98
    max_skip_frames: int = 10

    @classmethod
    def of(cls, state: LiveState) -> SimilarityOptions:
        """The filter's part of a live state."""
        return cls(
            state.similarity, state.similarity_metric, state.similarity_threshold, state.max_skip_frames
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """similarity: s against the last processed frame, in [0, 1]; 0 where nothing was compared."""

    process: bool
    similarity: float
    reason: Reason


class Metric(Protocol):
    """Compares pictures with `reference`, the last one processed."""

    reference: Any

    def prepare(self, image: Picture) -> Any:
        """What `similarity` compares and `reference_of` keeps."""

    def similarity(self, candidate: Any) -> float | None:
        """s in [0, 1]; None where there is no reference of that size."""

    def reference_of(self, candidate: Any) -> Any: ...


class _Progress(NamedTuple):
    """What a processed frame changes, kept so that `withdraw` can put it back."""

    tiles: Any
    cosine: Any
    skipped_in_a_row: int
    calls_to_drain: int


class SimilarityFilter:
    """Decides frame by frame; seeded, so that the same frames give the same decisions.

    `options` may be replaced between two frames. One random number is drawn a frame, whatever is decided.
    """

    def __init__(self, options: SimilarityOptions | None = None, *, seed: int = 0) -> None:
        self.options = options if options is not None else SimilarityOptions()
        self._random = random.Random(seed)
        self._tiles = TileSimilarity()
        self._cosine = CosineSimilarity()
        self._skipped_in_a_row = 0
        self._calls_to_drain = 0
        self._before: tuple[_Progress, Reason] | None = None
        self._owed: Reason | None = None

    def reset(self) -> None:
        """Forget the last processed frame: the pipeline was rebuilt. The noise stays known."""
        self._restore(_Progress(None, None, 0, 0))
        self._before = self._owed = None

    def withdraw(self) -> None:
        """The last frame let through never reached the denoiser: a newer one takes its place.

        The filter goes back to the frame processed before, and the next one is processed for the same reason.
        Without a frame to take back, nothing happens.
        """
        if self._before is None:
            return
        progress, self._owed = self._before
        self._before = None
        self._restore(progress)

    def decide(
        self,
        image: Picture,
        *,
        state_changed: bool,
        morphing: bool,
        in_flight_calls: int,
    ) -> Decision:
        """Whether the pipeline takes this picture, or shows its last one again.

        image: uint8 RGB on the engine's canvas, HWC, or FHWC for a frame buffer (skipped or processed whole,
            by its least similar picture); on the CPU or on a GPU. Never written to.
        state_changed: the live state differs from that of the last frame decided on.
        morphing: a prompt morph is under way.
        in_flight_calls: the calls of the denoiser with which a frame leaves it (T; 1 on a lane). After a changed frame
            so many less one further frames are processed, so that it is seen before the picture stands still.
        """
        options = self.options
        drawn = self._random.random()
        if not options.enabled or options.max_skip_frames <= 0:
            self.reset()
            return Decision(True, 0.0, "off")
        metric: Metric = self._tiles if options.metric == "tiles" else self._cosine
        candidate = metric.prepare(image)
        similarity = metric.similarity(candidate)
        reason: Reason
        if similarity is None:
            reason = "first"
        elif state_changed:
            reason = "state"
        elif morphing:
            reason = "morph"
        elif drawn >= skip_probability(similarity, options.threshold):
            reason = "changed"
        elif self._owed is not None:
            reason = self._owed
        elif self._calls_to_drain > 0:
            reason = "drain"
        elif self._skipped_in_a_row >= options.max_skip_frames:
            reason = "refresh"
        else:
            self._skipped_in_a_row += 1
            self._before = None
            return Decision(False, similarity, "similar")
        self._owed = None
        self._before = (self._progress(), reason)
        drained = reason == "drain"
        # Any other metric's reference is no longer the last frame processed, so only this one has any.
        self._restore(_Progress(None, None, 0, self._calls_to_drain - 1 if drained else in_flight_calls - 1))
        metric.reference = metric.reference_of(candidate)
        return Decision(True, similarity or 0.0, reason)

    def _progress(self) -> _Progress:
        return _Progress(
            self._tiles.reference, self._cosine.reference, self._skipped_in_a_row, self._calls_to_drain
        )

    def _restore(self, progress: _Progress) -> None:
        self._tiles.reference, self._cosine.reference = progress.tiles, progress.cosine
        self._skipped_in_a_row, self._calls_to_drain = progress.skipped_in_a_row, progress.calls_to_drain


def skip_probability(similarity: float, threshold: float) -> float:
    """max(0, 1 − (1 − s)/(1 − η)), section 3.5 of the paper; at η ≥ 1 only s = 1 is skipped."""
    if threshold >= 1:
        return float(similarity >= 1)
    return max(0.0, 1 - (1 - similarity) / (1 - threshold))


class CosineSimilarity:
    """The paper's metric: the cosine of whole frames, in [0, 1] as pixels are not negative.

    Finite on black: two black frames are equal (1), a black one and any other share nothing (0).
    """

    def __init__(self) -> None:
        self.reference: tuple[npt.NDArray[np.float32], float] | None = None

    def prepare(self, image: Picture) -> tuple[npt.NDArray[np.float32], float]:
        """The picture, or the F of a buffer, as one vector, and its length."""
        array = image if isinstance(image, np.ndarray) else image.cpu().numpy()
        vector = array.ravel().astype(np.float32)
        return vector, float(np.sqrt(np.dot(vector, vector)))

    def similarity(self, candidate: tuple[npt.NDArray[np.float32], float]) -> float | None:
        """None: no reference of that size."""
        if self.reference is None or self.reference[0].shape != candidate[0].shape:
            return None
        (vector, length), (kept, kept_length) = candidate, self.reference
        if length == 0 or kept_length == 0:
            return float(length == kept_length)
        return min(1.0, float(np.dot(vector, kept)) / (length * kept_length))

    def reference_of(
        self, candidate: tuple[npt.NDArray[np.float32], float]
    ) -> tuple[npt.NDArray[np.float32], float]:
        """The whole candidate."""
        return candidate
