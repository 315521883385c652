"""CLIP's byte-pair tokenizer, read straight by the `tokenizers` library (transformers' own import takes
seconds)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

CLIP_SPLIT = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""OpenAI CLIP's pattern of one word piece."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """ids: exactly `max_tokens` of them, start and end included, padded. dropped: the text that did not
    fit."""

    ids: list[int]
    dropped: str


class Tokenizer:
    """Text to token ids. Stateless after construction; may be shared by threads."""

    def __init__(self, bpe: Any, *, max_tokens: int, start: str, end: str, pad: str) -> None:
        self.max_tokens = max_tokens
        self._bpe = bpe
        self._start, self._end, self._pad = (_id_of(bpe, t) for t in (start, end, pad))

    def encode(self, text: str) -> Tokens:
        """The first `max_tokens − 2` tokens of `text` between start and end, padded to `max_tokens`."""
        found = self._bpe.encode(text, add_special_tokens=False)
        room = self.max_tokens - 2
        ids = [self._start, *found.ids[:room], self._end]
        ids += [self._pad] * (self.max_tokens - len(ids))
        return Tokens(ids, text[found.offsets[room][0] :] if len(found.ids) > room else "")


def load_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """The tokenizer of a diffusers model's `tokenizer/` folder: tokenizer.json, or vocab.json and merges.txt.

    Raises ModelError naming the file that is missing or broken.
    """
    from tokenizers import Tokenizer as Bpe

    config = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    special = folder / "special_tokens_map.json"
    if special.is_file():
        config = {**_json(special), **config}
    end = _token(config.get("eos_token"), "<|endoftext|>")
    pad = _token(config.get("pad_token"), end)
    start = _token(config.get("bos_token"), "<|startoftext|>")
    if (whole := folder / "tokenizer.json").is_file():
        try:
            bpe = Bpe.from_file(str(whole))
        except Exception as e:
            raise ModelError(f"{whole} is not a tokenizer: {e}", "download the model again") from e
        bpe.no_padding()
        bpe.no_truncation()
    else:
        vocab = _json(folder / "vocab.json")
        merges = _merges(folder / "merges.txt")
        bpe = clip_bpe(vocab, merges, unknown=_token(config.get("unk_token"), end), special=(start, end, pad))
    return Tokenizer(bpe, max_tokens=max_tokens, start=start, end=end, pad=pad)


def clip_bpe(
    vocab: dict[str, int], merges: list[tuple[str, str]], *, unknown: str, special: tuple[str, ...]
) -> Any:
    """OpenAI CLIP's byte-pair encoding (lower case, `</w>` at a word's end) as a `tokenizers.Tokenizer`."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

    bpe = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=unknown,
        )
    )
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    return bpe


def _id_of(bpe: Any, token: str) -> int:
    found: int | None = bpe.token_to_id(token)
    if found is None:
        raise ModelError(f"the tokenizer has no token {token!r}", "download the model again")
    return found


def _token(entry: Any, default: str) -> str:
    """A special token as written in a tokenizer's config: a string, or a dict with `content`."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else default


def _json(path: Path) -> dict[str, Any]:
    from pipeline.models.files import read_json

    return read_json(path)


def _merges(path: Path) -> list[tuple[str, str]]:
    from pipeline.models.files import read_text

    pairs = [
        tuple(line.split())
        for line in read_text(path).splitlines()
        if line and not line.startswith("#version")
    ]
    if bad := [p for p in pairs if len(p) != 2]:
        raise ModelError(f"{path}: {' '.join(bad[0])!r} is not a pair of pieces", "download the model again")
    return [(p[0], p[1]) for p in pairs]
