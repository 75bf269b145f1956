"""A few fixed contents of each kind: what an encoder makes of them tells whether it still is the one it was.

The picture is computed from whole numbers, so that it is the same everywhere, and lopsided: another crop, scale or
order of colours shows in its vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seehear.types import Content, Kind, Picture, Text, Waveform

WORDS = ("a dog", "Two red bicycles lean against a WALL, at night.", "what the chart says about sales in 2024")
CLOSE = 0.998
"""Least cosine between the vectors of one content: half precision and other processors stay above it."""


def contents(kind: Kind) -> list[Content]:
    """The fixed contents of a kind."""
    if kind == "text":
        return [Text(words) for words in WORDS]
    return [picture()] if kind == "image" else [sound()]


def picture() -> Picture:
    """A picture of 420 x 300 pixels: slopes, a disc, stripes and a dark border on one side."""
    y, x = np.mgrid[0:300, 0:420]
    red = x * 255 // 419
    green = y * 255 // 299
    blue = np.where((x // 14 + y // 22) % 3 == 0, 230, 40)
    pixels = np.stack([red, green, blue], axis=2)
    pixels[(x - 290) ** 2 + (y - 110) ** 2 < 70**2] = (250, 220, 20)
    pixels[:, :60] //= 5
    return Picture(pixels.astype(np.uint8))


def sound() -> Waveform:
    """Three seconds at 16 kHz: a rising tone that beats, then clicks, then a hiss; made of whole numbers as far as
    can be."""
    time = np.arange(48_000, dtype=np.float64) / 16_000
    tone = np.sin(2 * np.pi * (300 + 400 * time) * time) * (0.6 + 0.4 * np.sin(14 * np.pi * time)) * (time < 1.5)
    clicks = (np.arange(48_000) % 4_000 < 40) * (time >= 1.5) * (time < 2.2)
    hiss = ((np.arange(48_000, dtype=np.int64) * 7_919 % 10_007) / 5_003.5 - 1) * (time >= 2.2)
    return Waveform((0.4 * tone + 0.7 * clicks + 0.2 * hiss).astype(np.float32), 16_000)


def likeness(rows: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Least cosine between the rows of two arrays (n, dim) of unit rows; 0 if their shapes differ."""
    return float((rows * others).sum(axis=1).min()) if rows.shape == others.shape else 0.0
