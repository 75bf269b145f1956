"""Where somebody speaks: stretches that a transcriber can take, cut where nobody does.

The network is Silero VAD. Thresholds were tuned on the street music, noises and spoken captions of UrbanSound8K (folds
1, 2, 3, 10), ESC-10 (folds 1 to 4) and Flickr8k's spoken captions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .silero import CHUNK, CONTEXT, SHA256, Silero

RATE = 16_000
"""Hz that the network takes."""
LEVEL = 10 ** (-60 / 20)
"""Peak below which a chunk is silence, which needs no network: -60 dB of full scale."""
SPEECH = 0.5
"""Probability from which on somebody speaks."""
PAUSE = 0.35
"""Probability below which, after that, nobody does any more."""
SURE = 0.8
"""Probability that a stretch must reach for `SHORTEST`: dogs and guitars get past `SPEECH`, not past this."""


def _chunks(seconds: float) -> int:
    return round(seconds * RATE / CHUNK)


SHORTEST = _chunks(0.2)
"""Chunks of sure speech that make a stretch."""
JOIN = _chunks(2.0)
"""Chunks of pause that end a stretch: Whisper hears better, and costs less, over short pauses than in pieces."""
PAD = _chunks(0.2)
"""Chunks that are kept before and after what is said."""
LONGEST = _chunks(28.0)
"""Chunks of a stretch at most; Whisper hears 30 seconds."""
SETTINGS = f"silero {SHA256[:8]} {LEVEL:.3g} {SPEECH} {PAUSE} {SURE} {SHORTEST} {JOIN} {PAD} {LONGEST}"
"""Everything that decides where is cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Sound in which somebody speaks, with a little around it: float32 mono, (samples,), at `RATE`."""

    start: float
    """Seconds from the start of the file."""
    samples: NDArray[np.float32]

    @property
    def end(self) -> float:
        """Seconds from the start of the file."""
        return self.start + len(self.samples) / RATE


class Voice:
    """Finds stretches of speech in a stream; holds no more of it than the stretch that is open."""

    def __init__(self, start: float = 0.0) -> None:
        self._network = Silero()
        self._before = np.zeros(CONTEXT, np.float32)
        """The end of what was fed."""
        self._origin = start
        self._place = 0
        """Chunks before the first one that is held."""
        self._held: list[NDArray[np.float32]] = []
        self._scores: list[float] = []
        self._open = False
        self._pause = 0
        """Chunks of pause at the end of what is held."""
        self._rest = np.empty(0, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> Iterator[Stretch]:
        """Take the next samples, at `RATE`; yield the stretches that end in them."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // CHUNK
        chunks, self._rest = samples[: whole * CHUNK].reshape(whole, CHUNK), samples[whole * CHUNK :]
        scores = self._scored(chunks)
        if not self._open and not any(scores):
            self._hold(list(chunks), scores)
            self._forget(PAD)
            return
        for chunk, score in zip(chunks, scores, strict=True):
            yield from self._step(chunk, score)

    def finish(self) -> Iterator[Stretch]:
        """End the stream; yield the last stretch, if one is open."""
        tail = len(self._rest)
        if tail:
            chunk = np.pad(self._rest, (0, CHUNK - tail))
            (score,) = self._scored(chunk[None])
            yield from self._step(chunk, score)
            if self._held:
                self._held[-1] = self._held[-1][:tail]
        if self._open:
            yield from self._close()

    def _scored(self, chunks: NDArray[np.float32]) -> list[float]:
        """How likely somebody speaks in each chunk; 0 where there is silence, which needs no network."""
        if not len(chunks):
            return []
        before = np.concatenate([self._before[None], chunks[:-1, -CONTEXT:]])
        self._before = chunks[-1, -CONTEXT:]
        scores = np.zeros(len(chunks))
        loud = np.abs(chunks).max(axis=1) >= LEVEL
        if loud.any():
            scores[loud] = self._probabilities(chunks[loud], before[loud])
        found: list[float] = scores.tolist()
        return found

    def _probabilities(self, chunks: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._network.probabilities(chunks, before)

    def _step(self, chunk: NDArray[np.float32], score: float) -> Iterator[Stretch]:
        self._hold([chunk], [score])
        self._open = self._open or score >= SPEECH
        if not self._open:
            self._forget(PAD)
            return
        self._pause = self._pause + 1 if score < PAUSE else 0
        if self._pause == JOIN:
            yield from self._close()
        elif len(self._held) == LONGEST:
            yield from self._cut()

    def _hold(self, chunks: list[NDArray[np.float32]], scores: list[float]) -> None:
        self._held += chunks
        self._scores += scores

    def _forget(self, keep: int) -> None:
        """Let go of all that is held but the last `keep` chunks."""
        gone = max(0, len(self._held) - keep)
        self._place += gone
        del self._held[:gone], self._scores[:gone]

    def _close(self) -> Iterator[Stretch]:
        yield from self._stretch(len(self._held) - max(0, self._pause - PAD))
        self._open, self._pause = False, 0
        self._forget(PAD)

    def _cut(self) -> Iterator[Stretch]:
        """Cut a stretch that became too long in its longest pause, or where speech is least likely."""
        quiet = np.array(self._scores) < PAUSE
        edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False)).reshape(-1, 2)
        first, last = max(
            ((int(a), int(b)) for a, b in edges if a >= LONGEST // 4),
            key=lambda pause: (pause[1] - pause[0], pause),
            default=(0, 0),
        )
        if first == last:
            first = last = LONGEST // 2 + int(np.argmin(self._scores[LONGEST // 2 :]))
        before = first + min(PAD, (last - first) // 2)
        yield from self._stretch(before)
        self._forget(len(self._held) - max(before, last - PAD))
        self._open = any(score >= SPEECH for score in self._scores)
        if not self._open:
            self._pause = 0
            self._forget(PAD)

    def _stretch(self, chunks: int) -> Iterator[Stretch]:
        """What is said in the first chunks that are held, if anything is."""
        if sum(score >= SURE for score in self._scores[:chunks]) >= SHORTEST:
            start = self._origin + self._place * CHUNK / RATE
            yield Stretch(start, np.concatenate(self._held[:chunks]))
