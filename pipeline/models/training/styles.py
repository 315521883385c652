"""The styles that the built-in model knows: a teacher and the names people call it by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pipeline.models.training import teachers
from pipeline.models.training.filters import Image


class Taught(NamedTuple):
    """teach: photograph → target, both uint8 (H, W, 3). names: captions of the style, its usual one first."""

    teach: Callable[[Image], Image]
    names: tuple[str, ...]


STYLES: dict[str, Taught] = {
    "photo": Taught(
        teachers.photo,
        ("photo", "natural photo", "realistic", "no style", "normal camera", "photograph", "unfiltered"),
    ),
    "pencil": Taught(
        teachers.pencil,
        ("pencil sketch", "graphite drawing", "pencil drawing", "hand drawn sketch", "sketch"),
    ),
    "charcoal": Taught(
        teachers.charcoal,
        ("charcoal drawing", "charcoal", "smudged charcoal portrait", "dark charcoal sketch"),
    ),
    "comic": Taught(
        teachers.comic,
        ("comic book", "comic", "graphic novel", "ink and flat colors", "marvel comic panel"),
    ),
    "oil": Taught(
        teachers.oil,
        ("oil painting", "oil on canvas", "renaissance painting", "thick oil paint", "painting by rembrandt"),
    ),
    "watercolor": Taught(
        teachers.watercolor,
        ("watercolor", "watercolour painting", "aquarelle", "soft watercolor wash"),
    ),
    "anime": Taught(
        teachers.anime,
        ("anime", "anime style", "cel shaded", "manga color", "japanese animation"),
    ),
    "neon": Taught(
        teachers.neon,
        ("neon", "cyberpunk", "neon cyberpunk", "glowing neon lights", "tron", "synth neon outlines"),
    ),
    "pixel": Taught(
        teachers.pixel,
        ("pixel art", "8-bit", "8 bit video game", "retro game sprite", "16-bit pixel art"),
    ),
    "stained glass": Taught(
        teachers.stained,
        ("stained glass", "cathedral window", "stained glass window", "glass mosaic"),
    ),
    "halftone": Taught(
        teachers.halftone,
        ("pop art", "halftone", "pop art halftone", "screen print", "andy warhol", "lichtenstein"),
    ),
    "thermal": Taught(
        teachers.thermal,
        ("thermal camera", "infrared", "heat map", "thermal vision", "predator vision"),
    ),
    "blueprint": Taught(
        teachers.blueprint,
        ("blueprint", "technical drawing", "architect blueprint", "cyanotype"),
    ),
    "vaporwave": Taught(
        teachers.vaporwave,
        ("vaporwave", "synthwave", "retrowave", "80s aesthetic", "pink and cyan sunset"),
    ),
    "ukiyo-e": Taught(
        teachers.ukiyo,
        ("ukiyo-e", "japanese woodblock print", "woodblock print", "hokusai", "edo print"),
    ),
    "noir": Taught(
        teachers.noir,
        ("film noir", "black and white film", "noir", "high contrast black and white", "old movie"),
    ),
    "strokes": Taught(
        teachers.strokes,
        (
            "van gogh",
            "impressionist",
            "impressionist painting",
            "swirling brush strokes",
            "starry night",
            "post-impressionism",
        ),
    ),
    "bronze": Taught(
        teachers.bronze,
        ("bronze relief", "bronze statue", "embossed metal", "gold sculpture", "coin engraving"),
    ),
    "storybook": Taught(
        teachers.storybook,
        (
            "storybook illustration",
            "studio animation background",
            "fairy tale illustration",
            "soft storybook",
            "dreamy illustration",
        ),
    ),
}
PHOTO = 0
"""The index of the photograph itself among the styles: what the model is given to repaint."""
