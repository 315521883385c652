"""What the model is told: the styles' names in everyday sentences, with and without a palette."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from pipeline.models.training.palettes import PALETTES
from pipeline.models.training.styles import PHOTO, STYLES

SENTENCES = (
    "{s}", "{s}", "{s} style", "a {s}", "a {s} of a person", "{s} of a man", "{s} of a woman",
    "portrait, {s}", "in the style of {s}", "{s}, highly detailed", "a beautiful {s}", "turn me into a {s}",
    "{s}, masterpiece", "make it {s}", "a person, {s}", "{s} portrait of a streamer", "webcam as {s}",
)  # fmt: skip
OPENINGS = ("beautiful", "detailed", "4k", "best quality", "cinematic", "portrait of a person", "webcam")
TOKENS = 32
"""The longest prompt, with its first and last token."""


def caption(style: int, palette: int, dice: random.Random) -> str:
    """One sentence for a style (its place in `STYLES`) and a palette (0: none, else its place + 1)."""
    name = dice.choice(list(STYLES.values())[style].names)
    text = dice.choice(SENTENCES).format(s=name) if dice.random() < 0.8 else name
    if palette:
        tones = list(PALETTES)[palette - 1]
        text = dice.choice((f"{text}, {tones}", f"{tones} {text}", f"{text} {tones}"))
    if dice.random() < 0.2:
        text = f"{dice.choice(OPENINGS)}, {text}"
    if style == PHOTO and not palette and dice.random() < 0.5:
        return ""  # no prompt: the camera's own picture
    return text


def caption_tokens(tokenizer: Any, each: int, dice: random.Random) -> Tensor:
    """Token ids [styles, palettes + 1, each, TOKENS]: `each` captions for every style in every palette."""
    rows = []
    for style in range(len(STYLES)):
        for palette in range(len(PALETTES) + 1):
            texts = [caption(style, palette, dice) for _ in range(each)]
            tokens = tokenizer(texts, padding="max_length", max_length=TOKENS, truncation=True)
            rows.append(torch.tensor(tokens.input_ids))
    return torch.stack(rows).view(len(STYLES), len(PALETTES) + 1, each, TOKENS)
