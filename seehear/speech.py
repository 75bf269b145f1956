"""Stretches of speech -> passages with their words, on the write path; a spoken question -> words, on the read path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from seehear.contracts import Transcriber
from seehear.errors import InputError
from seehear.kept import Transcripts, stretch_name
from seehear.types import Segment, Text, Waveform, segment_id

RATE = 16_000
"""Hz that a transcriber is given."""
LONGEST, PART = 28.0, 0.2
"""Seconds of a spoken question that a transcriber is given at once, for none need take more than 30; and seconds of the
quiet in the middle of which a longer one is cut."""


class Speech:
    """A transcriber at work for one library."""

    def __init__(self, transcriber: Transcriber, language: str | None, transcripts: Transcripts) -> None:
        """`language` is ISO 639-1, in letters of any size; None to find out.

        Raises InputError for what is no code, or one of a language that the transcriber lacks.
        """
        self._transcriber, self._language = transcriber, None if language is None else _code(transcriber, language)
        self._transcripts = transcripts

    def passages(self, stretch: Segment, waveform: Waveform, same: tuple[str, str], first: int) -> list[Segment]:
        """What is said in a stretch, as segments of its file, each with its language as metadata, if that is known.

        `same` is the content and the settings of the file, `first` the ordinal of the first passage. What was written
        down before is not heard again. Raises EncoderError, MissingExtra, or whatever a transcriber makes of a sound
        that it cannot take.
        """
        begin, end = stretch.start or 0.0, stretch.end or (stretch.start or 0.0) + waveform.seconds
        content, settings = same
        found = []
        name = stretch_name(self._transcriber, self._language, waveform)
        said = self._transcripts.get(content, name)
        if said is None:
            said = self._transcriber.transcribe(waveform, self._language)
            self._transcripts.put(content, name, said)
        for ordinal, passage in enumerate(said, first):
            found.append(
                replace(
                    stretch,
                    id=segment_id(stretch.source, content, "speech", ordinal, settings),
                    start=min(begin + passage.start, end),
                    end=min(begin + passage.end, end),
                    text=passage.text,
                    words=tuple(replace(w, start=begin + w.start, end=begin + w.end) for w in passage.words),
                    metadata={"language": passage.language} if passage.language else {},
                )
            )
        return found

    def words(self, stretches: Iterable[Waveform | Text]) -> str:
        """What is said in a spoken question, as one string; empty if nothing is."""
        said: list[str] = []
        for stretch in stretches:
            if isinstance(stretch, Text):
                said.append(stretch.text)
            else:
                for piece in _pieces(stretch):
                    said += [passage.text for passage in self._transcriber.transcribe(piece, self._language)]
        return " ".join(" ".join(said).split())


def _code(transcriber: Transcriber, language: str) -> str:
    """The code of a language as transcribers know it."""
    known, code = transcriber.languages, str(language).lower()
    if known is not None and code in known:
        return code
    if not re.fullmatch("[a-z]{2,3}", code):  # the few languages that have no code of two letters have one of three
        raise InputError(f"{language!r} is no code: languages are given as ISO 639-1 codes, such as en.")
    if known is not None:
        raise InputError(
            f"{transcriber.name} understands {', '.join(sorted(known))}, not {language!r}. Name another transcriber, "
            "such as faster-whisper:base."
        )
    return code


def _pieces(sound: Waveform) -> Iterator[Waveform]:
    """A sound in pieces that a transcriber takes; a long one is cut where the second half of each is quietest."""
    from seehear.track import resampled  # whoever never speaks need not wait for FFmpeg

    samples, rate = sound.samples, sound.rate
    longest, part = int(LONGEST * rate), int(PART * rate)
    count = longest // 2 // part
    while len(samples) > longest:
        begin = longest - count * part
        energy = np.square(samples[begin:longest].reshape(count, part)).sum(axis=1)
        cut = begin + int(energy.argmin()) * part + part // 2
        yield resampled(Waveform(samples[:cut], rate), RATE)
        samples = samples[cut:]
    yield resampled(Waveform(samples, rate), RATE)
