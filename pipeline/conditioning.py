"""Prompts as the UNet sees them: encoded once, cached, blended and morphed without touching the text
encoder."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.cross_attention import KV

if TYPE_CHECKING:
    from pipeline.models.model import Model

PARALLEL_COSINE = 0.9995
"""Above this cosine two embeddings count as parallel: slerp's sines lose their digits and lerp is the same
curve."""


@dataclass(frozen=True, eq=False, slots=True)
class TextContext:
    """What the cross-attention layers read, for R rows of one UNet call.

    embeds: [R, L, D], L tokens of width D. kv: precomputed keys and values, one pair per cross-attention
    layer, each [R, heads, L, head width]; None makes every layer project `embeds` again. R = 1 serves any
    number of rows.
    """

    embeds: Tensor
    kv: KV | None = None

    @property
    def rows(self) -> int:
        return self.embeds.shape[0]

    @staticmethod
    def stack(contexts: Sequence[TextContext]) -> TextContext:
        """The rows of `contexts` one after another, as one context for one UNet call.

        The same single-row context for every row is returned as it is: R = 1 broadcasts, nothing is copied.
        """
        first = contexts[0]
        if first.rows == 1 and all(c is first for c in contexts):
            return first
        embeds = torch.cat([c.embeds for c in contexts])
        pairs = [c.kv for c in contexts if c.kv is not None]
        if len(pairs) != len(contexts):
            return TextContext(embeds)
        kv = tuple(
            (torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer]))
            for layer in zip(*pairs, strict=True)
        )
        return TextContext(embeds, kv)

    def expand(self, rows: int) -> TextContext:
        """This context with `rows` rows, without a copy. Raises ValueError unless it has 1 row or `rows`
        rows."""
        if self.rows == rows:
            return self
        if self.rows != 1:
            raise ValueError(f"a text context of {self.rows} rows cannot serve {rows} rows")
        kv = self.kv and tuple((k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in self.kv)
        return TextContext(self.embeds.expand(rows, -1, -1), kv)


def clean_prompt(text: str) -> str:
    """`text` on one line: control and format characters become spaces, runs of white space one space."""
    return " ".join("".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in text).split())


_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class TextConditioner:
    """Encodes prompts for one model. One thread at a time; every method returns tensors on the model's
    device."""

    def __init__(
        self, model: Model, *, cache_size: int = 64, on_truncated: Callable[[str, str], None] | None = None
    ) -> None:
        """`on_truncated(prompt, dropped)` hears, once a prompt, the text that did not fit the model's
        tokens."""
        self.model = model
        self._cache: OrderedDict[tuple[object, str], TextContext] = OrderedDict()
        self._cache_size = cache_size
        self._on_truncated = on_truncated

    def dropped(self, prompt: str) -> str:
        """The end of `prompt` that does not fit the model's tokens; "" when all of it is used."""
        return self.model.tokenizer.encode(clean_prompt(prompt)).dropped

    def encode(self, prompt: str) -> TextContext:
        """The context of one prompt, R = 1. "" means the model's own neutral prompt ("photo" for the
        built-in).

        From the cache where this prompt was encoded before under the same LoRA weights.
        """
        text = clean_prompt(prompt) or self.model.empty_prompt
        key = (self.model.loras.weights_key, text)
        if (known := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return known
        tokens = self.model.tokenizer.encode(text)
        if tokens.dropped and self._on_truncated is not None:
            self._on_truncated(text, tokens.dropped)
        with torch.inference_mode():
            ids = torch.tensor([tokens.ids], device=self.model.device)
            context = self._context(self.model.text_encoder(ids).to(self.model.dtype))
        self._cache[key] = context
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return context

    def blend(self, weighted: Sequence[tuple[TextContext, float]]) -> TextContext:
        """Σ w_i e_i of single contexts, weights normalised to a sum of 1; the cached K/V with the same
        weights.

        Raises ValueError when nothing has a positive weight, or a weight is negative.
        """
        total = sum(w for _, w in weighted)
        if not total > 0 or any(w < 0 for _, w in weighted):
            raise ValueError(f"weights of a blend must be ≥ 0 and not all 0, not {[w for _, w in weighted]}")
        return self._combine([(c, torch.tensor(w / total)) for c, w in weighted if w > 0])

    def slerp(self, a: TextContext, b: TextContext, w: float) -> TextContext:
        """From a (w = 0) to b (w = 1) along the arc, token by token; the cached K/V with the same
        coefficients."""
        if w <= 0 or a is b:
            return a
        if w >= 1:
            return b
        of_a, of_b = slerp_coefficients(a.embeds, b.embeds, w)
        return self._combine([(a, of_a), (b, of_b)])

    def _context(self, embeds: Tensor) -> TextContext:
        return TextContext(embeds, self.model.unet.project_text(embeds))

    def _combine(self, weighted: Sequence[tuple[TextContext, Tensor]]) -> TextContext:
        """Σ c_i e_i, with c_i a scalar or one coefficient a token [R, L, 1]; float32 sums."""
        with torch.inference_mode():
            dtype = weighted[0][0].embeds.dtype
            embeds = (
                torch.stack([c.embeds.float() * w.to(c.embeds.device) for c, w in weighted]).sum(0).to(dtype)
            )
            pairs = [(c.kv, w) for c, w in weighted if c.kv is not None]
            if len(pairs) != len(weighted):
                return self._context(embeds)
            kv = tuple(
                (_sum([(kv[i][0], w) for kv, w in pairs]), _sum([(kv[i][1], w) for kv, w in pairs]))
                for i in range(len(pairs[0][0]))
            )
            return TextContext(embeds, kv)


def _sum(terms: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Σ c_i x_i for x_i of [R, heads, L, d] and c_i scalar or [R, L, 1]; in float32, returned in x's
    dtype."""
    out: Tensor | None = None
    for x, w in terms:
        w = w.to(x.device)
        term = x.float() * (w if w.ndim == 0 else w.unsqueeze(1))
        out = term if out is None else out.add_(term)
    assert out is not None
    return out.to(terms[0][0].dtype)


def slerp_coefficients(a: Tensor, b: Tensor, w: float) -> tuple[Tensor, Tensor]:
    """Coefficients (c_a, c_b), each [R, L, 1] float32, with slerp(a, b; w) = c_a a + c_b b for every token.

    c_a = sin((1 − w)θ)/sin θ, c_b = sin(wθ)/sin θ, θ the angle between the tokens' embeddings [R, L, D];
    tokens that are parallel (the start token of every prompt), or opposite, are interpolated linearly.
    """
    cosine = torch.nn.functional.cosine_similarity(a.float(), b.float(), dim=-1).unsqueeze(-1)
    linear = cosine.abs() > PARALLEL_COSINE
    theta = torch.acos(cosine.clamp(-PARALLEL_COSINE, PARALLEL_COSINE))
    sine = torch.sin(theta)
    of_a = torch.where(linear, 1.0 - w, torch.sin((1.0 - w) * theta) / sine)
    of_b = torch.where(linear, w, torch.sin(w * theta) / sine)
    return of_a, of_b


@dataclass(frozen=True, eq=False, slots=True)
class Morph:
    """A prompt on its way: `at(t)` is the context `t` seconds after the start.

    To turn round in the middle, start a new one from `at(t)`.
    """

    conditioner: TextConditioner
    start: TextContext
    target: TextContext
    duration_s: float

    def weight(self, t: float) -> float:
        """How far along, 0 to 1, eased in and out (3w² − 2w³) so that neither end shows a jerk."""
        w = 1.0 if self.duration_s <= 0 else min(max(t / self.duration_s, 0.0), 1.0)
        return w * w * (3.0 - 2.0 * w)

    def done(self, t: float) -> bool:
        return t >= self.duration_s

    def at(self, t: float) -> TextContext:
        """The very `start` at t ≤ 0 and the very `target` from `duration_s` on; between them, the arc."""
        return self.conditioner.slerp(self.start, self.target, self.weight(t))
