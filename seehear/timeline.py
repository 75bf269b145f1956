"""Sound on a line of time, at several rates at once: stretches of frames go in, blocks that leave no gap come out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from seehear.errors import note

TOLERANCE = 0.05
"""Seconds that timestamps may be off the count of samples: containers round them."""
OVERLAP = 10.0
"""Seconds of an overlap that are cut; a clock that jumps back further was set, and what follows is appended."""
GAPS = 24 * 3600.0
"""Seconds of silence that gaps may add up to."""
BLOCK = 1.0
"""Seconds that are resampled at a time, and the most of silence in one block."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A stretch of sound at one rate; the next block of that rate begins where it ends."""

    start: float
    """Seconds from the start of the file, exact to a sample."""
    rate: int
    """Samples per second, Hz."""
    samples: NDArray[np.float32]
    """Mono, (samples,), -1 to 1."""


class Line:
    """The line of time at every rate: where each stretch of frames that follow one another begins on it."""

    def __init__(self, rates: Collection[int], zero: float) -> None:
        self.end: float | None = None
        """Seconds at which the sound ends that was put on the line; None while there is none."""
        self.full = False
        """Whether gaps have added up to more than is bearable."""
        self._shift = -zero
        self._origin = 0.0
        self._placed = dict.fromkeys(sorted(set(rates)), 0)
        self._skip = dict.fromkeys(self._placed, 0)
        self._resamplers: dict[int, av.AudioResampler] = {}
        self._rate = 0
        self._begun = 0.0
        self._count = 0
        self._waiting: list[NDArray[np.float32]] = []
        self._gaps = 0.0

    def follows(self, rate: int, start: float | None) -> bool:
        """Whether frames of this rate and time continue the stretch."""
        if rate != self._rate:
            return False
        return start is None or abs(start + self._shift - self._begun - self._count / rate) <= TOLERANCE

    def begin(self, rate: int, start: float | None) -> Iterator[Block]:
        """Begin a stretch; what is missing before it is silence, what is there already is cut."""
        begun = (self.end or 0.0) if start is None else start + self._shift
        if self.end is None:
            self._origin = max(begun, 0.0)
        elif begun < self.end - OVERLAP:
            note(f"its clock jumps back at {self.end:,.1f} s; what follows is heard as if it did not")
            self._shift += self.end - begun
            begun = self.end
        else:
            self._gaps += max(begun - self.end, 0.0)
            if self._gaps > GAPS:
                note(f"its clock jumps at {self.end:,.1f} s; what follows is left out")
                self.full = True
                return
        self._rate, self._begun, self._count = rate, begun, 0
        wanted = {each: round((begun - self._origin) * each) for each in self._placed}
        while any(self._placed[each] < place for each, place in wanted.items()):
            for each, place in wanted.items():
                silence = max(0, min(place - self._placed[each], int(BLOCK * each)))
                yield from self._put(each, np.zeros(silence, np.float32))
        self._skip = {each: self._placed[each] - place for each, place in wanted.items()}
        self._resamplers = {each: av.AudioResampler("fltp", "mono", each) for each in self._placed}

    def append(self, samples: NDArray[np.float32]) -> Iterator[Block]:
        """Continue the stretch."""
        self._waiting.append(samples)
        self._count += len(samples)
        if sum(map(len, self._waiting)) >= BLOCK * self._rate:
            yield from self._resample()

    def finish(self) -> Iterator[Block]:
        """End the stretch."""
        if self._count:
            yield from self._resample(last=True)
            self.end = max(self.end or 0.0, self._begun + self._count / self._rate)
        self._count = 0

    def _resample(self, *, last: bool = False) -> Iterator[Block]:
        frames: list[av.AudioFrame | None] = []
        if self._waiting:
            frames.append(framed(np.concatenate(self._waiting), self._rate))
            self._waiting = []
        for rate, resampler in self._resamplers.items():
            for frame in [*frames, None] if last else frames:
                for samples in resample(resampler, frame):
                    skip = min(self._skip[rate], len(samples))
                    self._skip[rate] -= skip
                    yield from self._put(rate, samples[skip:])

    def _put(self, rate: int, samples: NDArray[np.float32]) -> Iterator[Block]:
        if len(samples):
            yield Block(self._origin + self._placed[rate] / rate, rate, samples)
            self._placed[rate] += len(samples)


def resample(resampler: av.AudioResampler, frame: av.AudioFrame | None) -> Iterator[NDArray[np.float32]]:
    """Mono float32 that comes out of a resampler for a frame, or for None, which is the end."""
    for out in resampler.resample(frame):
        if out is not None:  # a resampler with nothing to do hands back even the None
            yield np.asarray(out.to_ndarray()[0], np.float32).clip(-1, 1)  # its filter overshoots


def framed(samples: NDArray[np.float32], rate: int) -> av.AudioFrame:
    """Samples, float32 mono, as FFmpeg takes them."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32)[None], "fltp", "mono")
    frame.sample_rate = rate
    return frame
