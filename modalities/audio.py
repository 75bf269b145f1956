"""Recordings: windows of sound, and stretches of speech or what a transcript says, from one pass over the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seehear.errors import MediaNote, UnsupportedMedia
from seehear.media import AUDIO_TYPES, Limits
from seehear.track import blocks, subtitles
from seehear.types import Channel, Content, Modality, Needs, Passage, Segment, Source, Text, Waveform, segment_id

from .subtitles import cues, passages
from .voice import RATE, SETTINGS, Voice

QUIET = 10 ** (-60 / 20)
"""Level of the loudest tenth of a second, RMS, below which a window is silence: -60 dB of full scale."""
PART = 0.1
"""Seconds of which the level is taken."""
PULSE = 10.0
"""Seconds that are read at most without a sign of life."""


SOUND = f"windows by half {QUIET:.3g} {PART}, {SETTINGS}"
"""Everything that changes how sound is cut."""


class AudioModality:
    """Cuts a recording into segments of the channels sound and speech."""

    name = "audio"
    types = frozenset(AUDIO_TYPES)
    settings = SOUND

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def segments(self, source: Source, needs: Needs) -> Iterator[tuple[Segment, Content] | None]:
        """Yield what is heard and said, about in order of time; None while nothing is.

        Sound is cut into windows of `needs.window` seconds that overlap by half, silent ones left out. Speech is
        what a transcript beside the file or in it says, else stretches that are still to be transcribed. Raises
        MediaError; warns MediaNote.
        """
        cutter = Cutter(source, "audio", self.settings)
        yield from heard(source, needs, cutter, self.limits)
        if not cutter.counts and (needs.rate or needs.speech):
            warnings.warn("nothing is heard in it", MediaNote, stacklevel=2)


Piece = tuple[Segment, Content]


class Cutter:
    """Makes segments of one file, numbered by channel."""

    def __init__(self, source: Source, modality: Modality, settings: str) -> None:
        self.source = source
        self.modality = modality
        self.settings = settings
        self.counts: dict[Channel, int] = {}
        self.transcript = False
        """Whether what is said in it was written down already."""

    def cut(self, channel: Channel, start: float, end: float, content: Content, said: Passage | None = None) -> Piece:
        source, ordinal = self.source, self.counts.get(channel, 0)
        self.counts[channel] = ordinal + 1
        name = segment_id(source.key, source.content, channel, ordinal, self.settings)
        text, words = (said.text, said.words) if said else ("", ())
        return Segment(name, source.key, self.modality, channel, start, end, text, words=words), content

    def stretch(self, channel: Channel, start: float, sound: Waveform) -> Piece:
        return self.cut(channel, start, start + sound.seconds, sound)


def heard(source: Source, needs: Needs, cutter: Cutter, limits: Limits) -> Iterator[Piece | None]:
    """What is heard and said in a recording or a video, as `AudioModality.segments` has it."""
    said = _transcript(source, limits) if needs.speech else []
    cutter.transcript = bool(said)
    for passage in said:
        yield cutter.cut("speech", passage.start, passage.end, Text(passage.text), passage)
    try:
        if needs.rate or (needs.speech and not said):
            yield from _listened(source, needs, cutter, limits, voices=needs.speech and not said)
    except UnsupportedMedia as error:
        if not said:
            raise
        warnings.warn(f"{error}; its transcript is taken", MediaNote, stacklevel=2)


def _transcript(source: Source, limits: Limits) -> list[Passage]:
    """What is said, where a file beside it, or else the recording itself, tells."""
    said = cues(source.subtitles[1], source.subtitles[0]) if source.subtitles else []
    return said or passages(subtitles(source, limits))


def _listened(source: Source, needs: Needs, cutter: Cutter, limits: Limits, *, voices: bool) -> Iterator[Piece | None]:
    rates = {rate for rate in (needs.rate, RATE if voices else None) if rate}
    windows: Windows | None = None
    voice: Voice | None = None
    alive = 0.0
    for block in blocks(source, rates, limits):
        pieces: list[Piece] = []
        if block.rate == needs.rate:
            windows = windows or Windows(block.start, block.rate, needs.window)
            pieces += [cutter.stretch("sound", *found) for found in windows.feed(block.samples)]
        if voices and block.rate == RATE:
            voice = voice or Voice(block.start)
            pieces += [cutter.stretch("speech", s.start, Waveform(s.samples, RATE)) for s in voice.feed(block.samples)]
        if pieces:
            alive = block.start
            yield from pieces
        elif block.start - alive >= PULSE:
            alive = block.start
            yield None
    if windows:
        yield from (cutter.stretch("sound", *found) for found in windows.finish())
    if voice:
        yield from (cutter.stretch("speech", s.start, Waveform(s.samples, RATE)) for s in voice.finish())


class Windows:
    """Cuts a stream into windows that overlap by half; the last one ends where the stream ends. Skips silent ones."""

    def __init__(self, start: float, rate: int, seconds: float) -> None:
        self._start = start
        self._rate = rate
        self._size = int(seconds * rate)
        self._hop = self._size // 2
        self._next = 0
        """Sample at which the next window begins."""
        self._place = 0
        """Sample at which what is held begins: a window that ends with the stream may begin before the next one."""
        self._held = np.empty(0, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> Iterator[tuple[float, Waveform]]:
        """Take the next samples; yield the windows that end in them, each with its start in seconds."""
        self._held = np.concatenate([self._held, samples])
        while self._place + len(self._held) >= self._next + self._size:
            yield from self._window(self._next)
            self._held = self._held[self._next - self._place :]
            self._place = self._next
            self._next += self._hop

    def finish(self) -> Iterator[tuple[float, Waveform]]:
        """End the stream; yield the window that ends with it, unless one did already."""
        end = self._place + len(self._held)
        if self._next == 0 or end > self._next - self._hop + self._size:
            yield from self._window(max(0, end - self._size))

    def _window(self, start: int) -> Iterator[tuple[float, Waveform]]:
        samples = self._held[start - self._place :][: self._size]
        if loudness(samples, self._rate) >= QUIET:
            yield self._start + start / self._rate, Waveform(samples.copy(), self._rate)


def loudness(samples: NDArray[np.float32], rate: int) -> float:
    """Level of the loudest tenth of a second: RMS, 0 to 1."""
    edges = np.arange(0, len(samples), max(1, int(PART * rate)))
    energy = np.add.reduceat(np.square(samples), edges) / np.diff(edges, append=len(samples))
    return float(np.sqrt(energy.max()))
