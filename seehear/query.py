"""Building and checking a question. A plain string is words: never syntax, never a path."""

from __future__ import annotations

import numbers
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np

from seehear.asked import Asked
from seehear.clock import span
from seehear.errors import InputError, MediaError, QueryError
from seehear.metadata import INT_MAX
from seehear.speech import Speech
from seehear.types import Channel, Content, Modality, Picture, Query, Text, Waveform
from seehear.where import Condition, condition, joined
from seehear.wording import repeated

T = TypeVar("T")

TEXT_MAX = 10_000
"""Characters of a question: beyond this somebody pasted a book."""
RATES = (1_000, 768_000)
"""Hz that a sound may have, as in `seehear.track`, which brings FFmpeg: questions in words must not wait for that."""
MOST, MANY = 1_000_000, 100
"""Hits that can be asked for, and parts of `plus` or of `minus`."""
SAMPLES = 100_000_000
"""Of a Waveform to ask with: half an hour at 48 kHz. What is longer is a file to ask with, or to add."""
LOUDEST = 1e6
"""What samples are cut off at: they should be -1 to 1, and the squares of such must not overflow float32."""
WEIGHTS = (1e-6, 1e6)
"""What a part may weigh: beyond that float32 takes one part for all, or for nothing."""
QUIET, PART = 10 ** (-60 / 20), 0.1
"""RMS of the loudest stretch of a sound below which it is silence, and seconds of a stretch, as where files are cut; a
sound that is shorter than one says nothing, and a resampler may make nothing of it."""


def build(query: str | Query, given: dict[str, Any]) -> Query:
    """Make a checked question of a string (words) or a Query, and of fields given beside it. Raises QueryError."""
    names = {field.name for field in fields(Query)}
    if unknown := sorted(set(given) - names):
        raise QueryError(f"A question has no field {', '.join(map(str, unknown))}. It has: {', '.join(sorted(names))}.")
    if isinstance(query, str):
        query = Query(text=query)
    elif not isinstance(query, Query):
        raise QueryError(f"A question is a string or a Query, not {type(query).__name__}.")
    query = replace(query, **{name: value for name, value in given.items() if value is not None})
    if query.text is not None and not isinstance(query.text, str):
        raise QueryError(f"The words of a question are a string, not {type(query.text).__name__}.")
    least = 0.0 if query.min_score is None else query.min_score
    if not isinstance(least, (int, float)) or not 0 <= least <= 1:
        raise QueryError(f"min_score is a number from 0 to 1, not {repeated(query.min_score)}.")
    if query.per_source is not None:
        count(query.per_source, "per_source")
    return replace(
        query,
        channels=_subset(query.channels, "channels", get_args(Channel)),
        modalities=_subset(query.modalities, "modalities", get_args(Modality)),
    )


def filters(query: Query) -> Condition | None:
    """What a question asks of the files' metadata, for the ledger. Raises QueryError."""
    nothing = query.where is None or (isinstance(query.where, Mapping) and not query.where)
    asked = [] if nothing else [condition(query.where)]
    if (during := span(query.after, query.before)) is not None:
        asked.append(during)
    return joined("AND", asked) if asked else None


def count(k: int, name: str = "k") -> int:
    """Check how many hits are wanted. Raises QueryError."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MOST:
        raise QueryError(f"{name} is how many hits you want, 1 to {MOST:,}, not {repeated(k)}.")
    return int(k)


def listing(containing: Any, first: Any, most: Any) -> str:
    """Check which files are to be listed. Returns what their keys contain, as keys are written. Raises QueryError."""
    if not isinstance(containing, str):
        raise QueryError(f"What names of files contain is a string, not {repeated(containing)}.")
    for name, number in (("first", first), ("most", most)):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= INT_MAX:
            raise QueryError(f"{name} is a number of files, 0 or more, not {repeated(number)}.")
    return containing.encode("utf-8", "backslashreplace").decode()  # half a character is in no key


def heard(query: Query, asked: Asked, speech: Speech | None) -> tuple[Query, str | None]:
    """Write down a spoken question: the question in words, and what was heard. Raises QueryError."""
    if query.voice is None:
        return query, None
    if speech is None:
        raise QueryError("The models of this library write down no speech; ask in words.")
    spoken = (
        [_waveform(query.voice)] if isinstance(query.voice, Waveform) else _opened(query.voice, asked, asked.speech)
    )
    try:
        said = speech.words(spoken)
    except InputError as error:  # a transcriber knows of no questions
        raise QueryError(str(error)) from error
    if not said:
        raise QueryError(f"No words are heard in {_named(query.voice)}.")
    return replace(query, text=" ".join(filter(None, (query.text, said))), voice=None), said


def parts(query: Query, asked: Asked) -> list[tuple[Content, float]]:
    """What a question is made of, each with its weight; negative for what it moves away from. Raises QueryError."""
    found: list[tuple[Content, float]] = []
    if query.text is not None and query.text.strip():
        found.append((_words(query.text), 1.0))
    if query.image is not None:
        found.append((_picture(query.image, asked), 1.0))
    if query.audio is not None:
        sounds = (
            [_sound(query.audio)] if isinstance(query.audio, Waveform) else _opened(query.audio, asked, asked.sound)
        )
        found += [(sound, 1.0 / len(sounds)) for sound in sounds]
    for sign, more in ((1.0, query.plus), (-1.0, query.minus)):
        for part, weight in _weighted(more):
            contents = _contents(part, asked)
            found += [(content, sign * weight / len(contents)) for content in contents]
    if not any(weight > 0 for _, weight in found):
        raise QueryError("The question is empty. Ask in words, or with a picture or a sound.")
    return found


def _contents(part: Any, asked: Asked) -> Sequence[Content]:
    """What one of `plus` or `minus` is, several windows of sound at most; what is in a file the file tells."""
    if isinstance(part, str):
        return [_words(part)]
    if isinstance(part, (bytes, os.PathLike)):
        return _opened(part, asked, asked.part)
    return [_sound(part) if isinstance(part, Waveform) else _picture(part, asked)]


def _sound(given: Waveform) -> Waveform:
    """A sound that can be heard: silence is like every other silence, and finds nothing but noise."""
    sound = _waveform(given)
    edges = np.arange(0, len(sound.samples), int(PART * sound.rate))
    lengths = np.diff(edges, append=len(sound.samples))
    if np.sqrt((np.add.reduceat(np.square(sound.samples.clip(-1, 1)), edges) / lengths).max()) < QUIET:
        raise QueryError("The sound cannot be the question: nothing is heard in it.")
    return sound


def _waveform(given: Waveform) -> Waveform:
    samples = given.samples
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32 or samples.ndim != 1 or not samples.size:
        raise QueryError("The samples of a Waveform are float32, (samples,), mono, at least one.")
    if len(samples) > SAMPLES:
        raise QueryError(f"A Waveform to ask with has at most {SAMPLES:,} samples, not {len(samples):,}; cut it.")
    if not np.isfinite((low := samples.min(), high := samples.max())).all():
        raise QueryError("A Waveform has finite samples.")
    if low < -LOUDEST or high > LOUDEST:
        samples = samples.clip(-LOUDEST, LOUDEST)
    if not isinstance(given.rate, numbers.Integral) or not RATES[0] <= given.rate <= RATES[1]:
        raise QueryError(
            f"The rate of a Waveform is {RATES[0]:,} to {RATES[1]:,} samples per second, not {repeated(given.rate)}."
        )
    sound = Waveform(samples, int(given.rate))
    if sound.seconds < PART:
        raise QueryError(f"A sound to ask with has {PART} s at least.")
    return sound


def _opened(given: Any, asked: Asked, open_: Callable[[Path, Sequence[str] | None], T]) -> T:
    """What is in a file that is (a part of) the question."""
    if isinstance(given, bytes):
        with tempfile.NamedTemporaryFile(prefix="seehear-") as file:  # where whoever decodes it finds it
            file.write(given)
            file.flush()
            try:
                return open_(Path(file.name), None)
            except MediaError as error:
                raise QueryError(f"{_named(given)} cannot be the question: {error}.") from error
    if not isinstance(given, (str, os.PathLike)):
        raise QueryError(f"A sound is a path, the bytes of a file, or a Waveform, not {type(given).__name__}.")
    try:
        name = os.fsdecode(given)
        os.fsencode(name)
    except UnicodeError as error:
        raise QueryError(f"{_named(given)} cannot be the name of a file.") from error
    if not name:
        raise QueryError("The file to ask with has no name.")
    if "://" in name:
        raise QueryError(f"{given} is a URL. Nothing is fetched; save it and give its path.")
    try:
        return open_(Path(name).absolute(), asked.limits.roots)  # who decodes it may be elsewhere
    except MediaError as error:
        raise QueryError(f"{given} cannot be the question: {error}.") from error


def _named(given: Any) -> str:
    return "What was given" if isinstance(given, (bytes, Waveform)) else os.fsdecode(given)


def _weighted(more: Any) -> Iterator[tuple[Any, float]]:
    if isinstance(more, (str, bytes)) or not isinstance(more, Iterable) or getattr(more, "ndim", 1) == 0:
        raise QueryError("plus and minus are lists of words, pictures, sounds or pairs (part, weight).")
    for number, part in enumerate(more):
        if number == MANY:
            raise QueryError(f"plus and minus have at most {MANY} parts each.")
        one, weight = part if isinstance(part, tuple) and len(part) == 2 else (part, 1.0)
        if not isinstance(weight, (int, float, np.integer, np.floating)) or not WEIGHTS[0] <= weight <= WEIGHTS[1]:
            raise QueryError(
                f"A weight is a number above 0, from {WEIGHTS[0]:f} to {WEIGHTS[1]:,.0f}, not {repeated(weight)}; "
                "what to move away from goes into minus."
            )
        yield one, float(weight)


def _words(text: str) -> Text:
    if not text.strip():
        raise QueryError("A part of the question has no words.")
    if len(text) > TEXT_MAX:
        raise QueryError(f"The question has {len(text):,} characters; at most {TEXT_MAX:,} make sense.")
    # A lone surrogate is no character; encoders cannot read it.
    return Text(text.encode("utf-8", "replace").decode())


def _picture(given: Any, asked: Asked) -> Picture:
    from PIL import Image

    from seehear.picture import on_white, upright

    if isinstance(given, (str, bytes, os.PathLike)):
        return _opened(given, asked, asked.picture)
    if isinstance(given, Image.Image):
        _check_size(given.width, given.height, asked)
        try:
            return Picture(np.asarray(on_white(upright(given))))
        except Exception as error:  # it may not be decoded yet, and Pillow raises whatever a broken file makes it
            raise QueryError(f"The picture cannot be the question: {error or type(error).__name__}.") from error
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.ndim == 3 and given.shape[2] == 3:
        _check_size(given.shape[1], given.shape[0], asked)
        return Picture(given)
    raise QueryError(
        "A picture is a path, the bytes of a file, a PIL image, or an array (height, width, 3) of uint8, not "
        f"{type(given).__name__}."
    )


def _check_size(width: int, height: int, asked: Asked) -> None:
    if not 0 < width * height <= asked.limits.pixels:
        raise QueryError(
            f"A picture to ask with has 1 to {asked.limits.pixels:,} pixels, not {width} x {height}; "
            "scale it, or raise Limits(pixels=...)."
        )


def _subset(given: Any, field: str, allowed: tuple[str, ...]) -> Any:
    if given is None:
        return None
    try:
        one = isinstance(given, str) or not isinstance(given, Iterable)
        wanted = frozenset([given] if one else islice(given, MANY))
    except TypeError:  # lists, say, are in no set
        wanted = frozenset()
    if not wanted or not wanted <= set(allowed):
        raise QueryError(f"{field} are some of {', '.join(allowed)}, not {repeated(given)}.")
    return wanted
