"""Similarities of many collections -> one score with a meaning.

A raw similarity says nothing by itself: 0.3 is a find in one collection and noise in the next. What it is worth is told
by a bank of contents that have nothing to do with the question: how good is the best that each of *them* finds in the
same collection? These best similarities are about Gumbel distributed, as the largest of many numbers are, so

    E(s) = exp(-(s - location) / scale)

is how many things as similar as s an unrelated question may expect to find there. -ln E is called the surprise, and

    score = exp(-10 E)

is the chance that not one of ten unrelated questions finds anything as good in that collection. Near 0 it says that
nothing here matches; it means the same for every encoder, channel and kind of question, and for ten things as for ten
thousand. Of unrelated questions, a share of about 1 - t ** 0.1 finds something above t in a collection: a fifth above
0.1. Measured with `mini`, 10 to 6,000 photographs or captions: of questions like those of the bank, 25 % above 0.1 and
7 % above 0.5 (promised: 21 and 7); of questions about things that are surely not there, 6 to 16 % and 1 to 5 %.

A score from the tail of what does not match is meta-recognition (Scheirer, Rocha, Micheals and Boult, IEEE TPAMI 33(8),
2011). That its sample is a bank of questions is from Bogolin et al., CVPR 2022, who also divide by what each item
attracts; that was measured here and left out, see `Null`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seehear.types import Picture, Waveform

MIN_SCORE = 0.05
"""A collection in which nothing scores this much has no answer: its list is left out whole, and no other is cut.

Chosen with 120 questions about other things, reported on 120 more, with `mini` and 1,000 photographs that no training
saw: 78 % of them find nothing (85 % of those it was chosen with), and recall@10 of 5,000 captions falls from 66.1 to
62.2; to 54.2 if every hit had to score as much. With 0.02 it is 73 % and 64.1, with 0.1 it is 84 % and 59.3. Each
further collection that is asked may be wrong in its own right: of four, one or another answers 38 % of such questions.
"""
TRIALS = 10
"""Unrelated questions that a score speaks of."""
FEWEST = 4
"""Contents in a bank that a null can be fitted to."""
WORDS = 0.1
"""Least scale of a null of shares, such as that of a question's words in a passage: most of a bank may share none."""

_COSINES = 0.005  # least scale of a null of cosines: half of that of true CLIP, the narrowest seen
_MATCHING = 3.0  # spreads above the median from which on a bank's best is no chance: it does match something here
_FEW = 7.0  # a null of m contents is made wider, by 1 + 7 / m, for what few contents do not know
_FOREIGN = 3.0  # scales by which photographs find better than patterns do
_GROWTH = 0.5  # scales that the location rises when a collection grows e times as large
_EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class Null:
    """What unrelated questions of one kind find in a collection: the Gumbel distribution of their best similarities.

    Within a list it keeps the order that the encoder gives. Three ways to change that order, or the scores by question,
    were measured and left out: taking off what an item attracts lost 0.5 (half of its mean) to 5.7 points of recall@10
    in `mini` (its mean and deviation); the question's mean and deviation over the collection made questions with and
    without an answer alike; those over the bank did so in CLIP, whose words and pictures lie apart (Liang et al.,
    NeurIPS 2022).
    """

    location: float
    """In the unit of the similarities, like `scale`."""
    scale: float
    """More than 0."""
    count: int
    """Things in the collection when it was fitted, at least 1."""
    bank: int = 0
    """Contents that the bank was drawn from, where it was the library's own."""

    @classmethod
    def fit(cls, tops: ArrayLike, count: int, *, least: float = _COSINES, foreign: bool = False) -> Null:
        """Fit to the best similarity (m,) that each content of a bank has in a collection of `count` things.

        Some of a bank do match something, up to a third. What stands out is left out; the rest is fitted by mean and
        deviation. A bank of the collection's own contents must not count what each finds in itself. With fewer than
        four contents, only what is nearly the same scores. `least` is the least scale, `WORDS` for shares. `foreign`
        is for contents that nobody asks with, such as `patterns`. Raises ValueError for what is not a row of numbers.
        """
        best = np.asarray(tops, np.float64)
        if best.ndim != 1 or not np.isfinite(best).all():
            raise ValueError(f"A null is fitted to a row of finite numbers, not to {best!r}.")
        if len(best) < FEWEST:
            return cls(0.8, 0.05, max(1, count))
        low, middle, high = np.quantile(best, (0.1, 0.5, 0.6))
        chance = best[best <= middle + _MATCHING * max(middle - low, high - middle, least)]
        scale = float(chance.std()) * math.sqrt(6) / math.pi
        location = float(chance.mean()) - _EULER * scale
        scale = max(least, scale)
        location += _FOREIGN * scale if foreign else 0.0
        return cls(location, scale * (1 + _FEW / len(best)), max(1, count))

    def surprise(self, similarities: ArrayLike, count: int) -> NDArray[np.float64]:
        """-ln E of each similarity, in a collection that has `count` things by now; any shape.

        Surprises of different collections may be compared: the higher, the less likely by chance.
        """
        location = self.location + _GROWTH * self.scale * math.log(max(1, count) / self.count)
        return np.asarray((np.asarray(similarities, np.float64) - location) / self.scale, np.float64)

    def to_json(self) -> str:
        """As an object of numbers."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Null:
        """What `to_json` gave."""
        return cls(**json.loads(text))


def score(surprise: float) -> float:
    """The chance, 0 to 1, that not one of ten unrelated questions finds anything as good in the collection."""
    return math.exp(-TRIALS * math.exp(-max(surprise, -50.0)))


def joined(surprises: Sequence[float]) -> float:
    """The surprise of what several channels found: never less than the best.

    In scores: each further channel takes half of its own score off the doubt that is left, so that one that agrees
    fully halves it, and one that is silent changes nothing.
    """
    best, *others = sorted(surprises, reverse=True)
    doubt = -math.expm1(-TRIALS * math.exp(-max(best, -50.0)))  # 1 - score, exact where that is next to 0
    less = math.prod(1 - score(other) / 2 for other in others)
    if less == 1.0 or not 0.0 < doubt < 1.0:
        return best
    return max(best, -math.log(-math.log1p(-doubt * less) / TRIALS))


def patterns() -> list[Picture]:
    """A bank for libraries with no pictures of their own, for `foreign`: 24 pictures of nothing, always the same."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:224, 0:224]
    drawn = []
    for step in range(1, 7):
        gravel = random.integers(0, 256, (224, 224, 1))[y // step, x // step] * (0.9, 1.0, 0.8)
        blocks = random.integers(0, 256, (224, 224, 3))[y * step // 32, x * step // 32]
        row = 8 + 3 * step
        lines = np.where((y % row < 5) & (random.random((224, 224))[y // row, x // 9] < 0.8), 30, 245)
        slopes = np.stack([x * step % 256, y, 255 - x], axis=2)
        drawn += [gravel, blocks, np.repeat(lines[..., None], 3, axis=2), slopes]
    return [Picture(pixels.astype(np.uint8)) for pixels in drawn]


def noises() -> list[Waveform]:
    """The same in sound: 24 noises of five seconds at 16 kHz, of nothing that anybody would ask with."""
    random = np.random.default_rng(0)
    time = np.arange(5 * 16_000) / 16_000
    made = []
    for step in range(1, 7):
        spectrum = np.fft.rfft(random.normal(size=len(time)))
        hiss = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** (step / 5), len(time))
        hum = np.sin(2 * np.pi * 55 * step * time) + np.sin(2 * np.pi * 111 * step * time) / 2
        sweep = np.sin(2 * np.pi * (100 * step + 150 * step * time) * time)
        struck = np.where(random.random(len(time)) < 3 * step / 16_000, random.normal(size=len(time)), 0)
        ringing = np.exp(-np.arange(400) / 60) * random.normal(size=400)
        made += [hiss, hum, sweep, np.convolve(struck, ringing, "same")]
    return [Waveform((0.3 * sound / np.abs(sound).max()).astype(np.float32), 16_000) for sound in made]
