"""A small byte-level BPE in CLIP's form, learnt from the words of the captions."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from pipeline.models.training.captions import SENTENCES, TOKENS
from pipeline.models.training.styles import STYLES

MERGES = 900
OTHER_WORDS = (
    "man woman person people face portrait streamer webcam camera room city night forest sky light dark "
    "bright blue red green purple yellow orange pink warm cold pastel vivid muted sepia monochrome tones "
    "colors color palette highly detailed masterpiece beautiful simple soft bold moody sunny golden winter "
    "autumn spring summer in the style of a an the of with and my me make turn into as by like ugly blurry "
    "low quality bad noisy"
)
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_characters() -> dict[int, str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the order that CLIP lists them."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {b: chr(256 + n) for n, b in enumerate(hidden)}


def word_counts() -> Counter[str]:
    """How much each word matters: names most, then the sentences' words, then others people may type."""
    words: Counter[str] = Counter()
    for style in STYLES.values():
        for name in style.names:
            for word in name.replace("-", " - ").lower().split():
                words[word] += 40
    for sentence in SENTENCES:
        for word in sentence.replace("{s}", " ").replace(",", " , ").split():
            words[word.lower()] += 30
    for word in OTHER_WORDS.split():
        words[word] += 20
    return words


def learn_merges(words: Counter[str], count: int) -> list[tuple[str, str]]:
    """Byte-pair encoding: the most frequent neighbours become one symbol, `count` times over."""
    characters = byte_characters()
    spelt = {word: [characters[b] for b in word.encode()] for word in words}
    for symbols in spelt.values():
        symbols[-1] += END_OF_WORD
    merges: list[tuple[str, str]] = []
    for _ in range(count):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in spelt.items():
            for pair in pairwise(symbols):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs.items(), key=lambda entry: (entry[1], entry[0]))[0]
        merges.append(best)
        for word, symbols in spelt.items():
            spelt[word] = _merged(symbols, best)
    return merges


def _merged(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def build_tokenizer(merges: int = MERGES) -> Any:
    """A transformers CLIPTokenizer of the captions' own language."""
    from transformers import CLIPTokenizer

    learnt = learn_merges(word_counts(), merges)
    characters = list(byte_characters().values())
    symbols = [*characters, *(c + END_OF_WORD for c in characters), *(a + b for a, b in learnt), START, END]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    return CLIPTokenizer(vocab=vocabulary, merges=learnt, model_max_length=TOKENS)
