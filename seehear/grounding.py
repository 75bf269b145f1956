"""How well questions find their moments: recall at k and IoU, mean IoU and hits within five seconds, with intervals.

Recall at k and IoU m is the share of questions of whose first k hits one overlaps a right moment by at least m (Gao et
al. 2017, TALL, arXiv 1705.02101); mean IoU is that of the first hit. A hit is near when it begins at most five seconds
before or after a right moment begins: a jump-in point, from which somebody would start to watch, is judged by its
distance to the best one (generalised average precision: Liu and Oard 2006, SIGIR; MediaEval's search tasks since 2011).
So a hit that is a whole film is near to nothing, whatever it overlaps.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from seehear.errors import InputError
from seehear.hits import Hit
from seehear.types import Channel

CUTS = (1, 5)
OVERLAPS = (0.3, 0.5, 0.7)
NEAR = 5.0
"""Seconds between the beginnings of a hit and of a right moment, at most, for it to be near."""
RESAMPLES = 1000
COLUMNS = ("question", "source", "start", "end")
TIME = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a file: seconds from its start."""

    source: Path
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Question:
    """Words, and the moments that answer them: each is right."""

    text: str
    moments: tuple[Moment, ...]
    channel: Channel | None = None
    """What the question is about, where the file of questions says so."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over questions, 0 to 1."""

    value: float
    interval: tuple[float, float]
    """95 %: bootstrap over questions."""


@dataclass(frozen=True, slots=True)
class Grounding:
    """Questions about moments, measured; `dataclasses.asdict` makes of it what JSON can hold."""

    questions: int
    recall: dict[int, dict[float, Mean]]
    """For each k, for each IoU: the share of questions with such a hit among the first k."""
    near: dict[int, Mean]
    """For each k: the share of questions with a hit among the first k that begins within five seconds."""
    mean_iou: Mean
    """IoU of the first hit, with the right moment that it overlaps most; 0 for another file, or without a hit."""


def asks_for_moments(path: Path) -> bool:
    """Whether the first line of a CSV names a column `question`; not so of a file that cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return "question" in next(csv.reader(file), ())
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def read_questions(path: Path) -> list[Question]:
    """Read a CSV with the columns question, source, start, end and, if you like, channel; others are not looked at.

    A source is relative to the CSV's folder. Times are seconds, or m:ss or h:mm:ss, with or without a fraction. Rows
    of the same question are several right moments. Raises InputError.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path} needs the columns {', '.join(COLUMNS)}; {', '.join(missing)} is not there.")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV file: {error}.") from error
    if not rows:
        raise InputError(f"{path} has no rows.")
    found: dict[str, Question] = {}
    for line, row in rows:
        try:
            one = _question(row, path.parent)
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}.") from error
        known = found.get(one.text)
        if known and known.channel != one.channel:
            raise InputError(f"{path}, line {line}: the question was about another channel before.")
        found[one.text] = Question(one.text, (known.moments if known else ()) + one.moments, one.channel)
    return list(found.values())


def iou(one: tuple[float, float], other: tuple[float, float]) -> float:
    """What two stretches (start, end) share over what they cover together, 0 to 1; 0 if both last no time."""
    shared = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    covered = (one[1] - one[0]) + (other[1] - other[0]) - shared
    return shared / covered if covered > 0 else 0.0


def grounding(retrieve: Callable[[str], Sequence[Hit]], questions: Sequence[Question]) -> Grounding:
    """Ask every question once, and judge the first five hits: `retrieve` returns at least so many, if there are.

    A hit without a time overlaps nothing. Raises InputError without questions, and whatever `retrieve` raises.
    """
    if not questions:
        raise InputError("There are no questions to ask.")
    overlaps = np.zeros((len(questions), max(CUTS)))
    distances = np.full((len(questions), max(CUTS)), np.inf)
    for row, question in enumerate(questions):
        right = [(os.path.realpath(moment.source), moment.start, moment.end) for moment in question.moments]
        for column, hit in enumerate(retrieve(question.text)[: max(CUTS)]):
            if hit.start is None or hit.end is None:
                continue
            source = os.path.realpath(hit.source)
            there = [(start, end) for name, start, end in right if name == source]
            overlaps[row, column] = max((iou((hit.start, hit.end), one) for one in there), default=0.0)
            distances[row, column] = min((abs(hit.start - start) for start, _ in there), default=np.inf)
    best = {k: overlaps[:, :k].max(axis=1) for k in CUTS}
    return Grounding(
        questions=len(questions),
        recall={k: {least: _mean(best[k] >= least) for least in OVERLAPS} for k in CUTS},
        near={k: _mean(distances[:, :k].min(axis=1) <= NEAR) for k in CUTS},
        mean_iou=_mean(overlaps[:, 0]),
    )


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> Mean:
    rng = np.random.default_rng(0)
    count = len(values)
    # How often each question is drawn: a resample of n questions with replacement.
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    low, high = np.quantile(drawn @ values / count, (0.025, 0.975))
    return Mean(float(values.mean()), (float(low), float(high)))


def _question(row: Mapping[str, str | None], folder: Path) -> Question:
    """A question with one moment. Raises ValueError, which says what is wrong with the row."""
    text, source, channel = ((row.get(name) or "").strip() for name in ("question", "source", "channel"))
    if not text or not source:
        raise ValueError("question and source must both be there")
    known = next((one for one in get_args(Channel) if one == channel), None)
    if channel and known is None:
        raise ValueError(f"{channel!r} is no channel; there are {', '.join(get_args(Channel))}")
    start, end = _seconds(row.get("start") or "", "start"), _seconds(row.get("end") or "", "end")
    if end <= start:
        raise ValueError("the moment ends before it has begun")
    if not (folder / source).is_file():
        raise ValueError(f"there is no file {folder / source}")
    return Question(text, (Moment(folder / source, start, end),), known)


def _seconds(written: str, name: str) -> float:
    """A time in a file, from `754`, `12:34.5` or `1:02:03`."""
    found = TIME.fullmatch(written.strip())
    if not found or (found[2] and float(found[3]) >= 60):
        raise ValueError(f"{name} is {written!r}; write seconds, or h:mm:ss")
    seconds = 3600.0 * int(found[1] or 0) + 60.0 * int(found[2] or 0) + float(found[3])
    if not math.isfinite(seconds):
        raise ValueError(f"{name} is {written!r}; no file is so long")
    return seconds
