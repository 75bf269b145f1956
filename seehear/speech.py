"""Stretches of speech -> passages with their words, on the write path; a spoken question -> words, on the read path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seehear.contracts import Transcriber
from seehear.errors import InputError
from seehear.types import Segment, Text, Waveform, segment_id


class Speech:
    """A transcriber at work for one library."""

    def __init__(self, transcriber: Transcriber, language: str | None = None) -> None:
        """`language` is ISO 639-1; None to find out. Raises InputError for one that the transcriber lacks."""
        known = transcriber.languages
        if language is not None and known is not None and language not in known:
            raise InputError(
                f"{transcriber.name} understands {', '.join(sorted(known))}, not {language!r}. Make a library with "
                "another transcriber, such as faster-whisper:base."
            )
        self._transcriber, self._language = transcriber, language

    def passages(self, stretch: Segment, waveform: Waveform, same: tuple[str, str], first: int) -> list[Segment]:
        """What is said in a stretch, as segments of its file, each with its language as metadata, if that is known.

        `same` is the content and the settings of the file, `first` the ordinal of the first passage. Raises
        EncoderError, MissingExtra, or whatever a transcriber makes of a sound that it cannot take.
        """
        begin, end = stretch.start or 0.0, stretch.end or (stretch.start or 0.0) + waveform.seconds
        content, settings = same
        found = []
        for ordinal, passage in enumerate(self._transcriber.transcribe(waveform, self._language), first):
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
                said += [passage.text for passage in self._transcriber.transcribe(stretch, self._language)]
        return " ".join(" ".join(said).split())
