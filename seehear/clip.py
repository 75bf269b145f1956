"""A moment, cut out of its file: an MP4 of just that stretch, H.264 and AAC, which every browser plays.

A seek is not to be relied on: a file is read from a little before the start, and if that proves to be too late, from
its beginning. What is written, and how, is `seehear.encoded`'s.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedRandom
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Discard, Disposition

from seehear.container import opened, zero
from seehear.encoded import GRACE, Pictures, Sound
from seehear.errors import DamagedMedia, MediaTooLarge, SeehearError, UnsupportedMedia
from seehear.media import Limits
from seehear.packets import chosen
from seehear.still import ASPECTS
from seehear.track import CHANNELS
from seehear.types import Source

SHORTEST = 0.001
"""Seconds that a clip has at least."""
BEFORE = (1.0, 30.0)
"""Seconds before the start from which a file is read, where a seek gets there; decoders of sound need a run-up."""
APART = 10.0
"""Seconds that a file is read on behind the end: so far apart may lie its pictures and its sound."""
GRAIN = 720_000
"""Parts of a second that lengths are written in: a multiple of what pictures and sound have, so none is rounded."""
Frame = av.VideoFrame | av.AudioFrame
Frames = Generator[tuple[Frame, float, float], None, None]
"""Frames, when each begins in seconds from the start of the file, and how many seconds it lasts (0: nobody knows)."""


def cut(
    source: Source, start: float, end: float, out: BufferedRandom, limits: Limits, alive: Callable[[], object] = bool
) -> None:
    """Write what is seen and heard from `start` until `end`, in seconds from the start of the file, to a new file.

    The picture that is on screen at `start` is shown from 0 on; where the file ends before `end`, the clip does too.
    `alive` is called with every frame. Raises MediaError, and SeehearError, with the reason, where writing fails.
    """
    reading = _Reading(source, start, end, limits, alive)
    facts = reading.facts()
    place, first = reading.begin()
    with _writing(), closing(reading.frames(place)) as frames, _muxer(out) as muxer:
        pictures = sound = None
        if isinstance(first, av.VideoFrame):
            pictures = Pictures(muxer, start, end, first, facts.aspect, facts.rate)
        if facts.channels:
            sound = Sound(muxer, start, end, facts.channels)
        for frame, time, seconds in frames:
            if isinstance(frame, av.AudioFrame):
                if sound:
                    sound.add(frame, time)
            elif pictures:
                pictures.add(frame, time, seconds)
        tracks = [track for track in (pictures, sound) if track]
        reached = max(track.reached for track in tracks)
        if reached - start < SHORTEST:
            raise DamagedMedia(f"nothing is seen or heard in it from {start:,.1f} s on: it ends at {reached:,.1f} s")
        for track in tracks:
            track.finish(min(end, reached) - start)


@contextmanager
def _writing() -> Iterator[None]:
    """What goes wrong in writing is a SeehearError; what goes wrong in reading is a MediaError by now."""
    try:
        yield
    except (OSError, ValueError, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, av.error.ExternalError):
            reason += "; if that is for want of memory, raise Limits(memory=...) or --limit memory=N"
        raise SeehearError(reason) from error


@contextmanager
def _muxer(out: BufferedRandom) -> Iterator[OutputContainer]:
    options = {"movflags": "faststart", "movie_timescale": str(GRAIN)}
    muxer = av.open(out, "w", "mp4", options, io_open=lambda *_: _Again(out))
    try:
        yield muxer
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            muxer.close()
        raise
    muxer.close()
    out.flush()


class _Again:
    """The file that is being written, to be read at another place meanwhile: its index is moved to its beginning."""

    def __init__(self, file: BufferedRandom) -> None:
        self._file = file
        self._place = 0

    def read(self, size: int) -> bytes:
        before = self._file.tell()
        self._file.seek(self._place)
        found = self._file.read(size)
        self._file.seek(before)
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = os.fstat(self._file.fileno()).st_size
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the streams of a file say about themselves."""

    aspect: Fraction
    """Width of a pixel by its height."""
    rate: Fraction
    """Pictures per second, more or less."""
    channels: int
    """Of the sound; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a stretch of a file is read."""

    source: Source
    start: float
    end: float
    limits: Limits
    alive: Callable[[], object]

    def facts(self) -> _Facts:
        aspect, rate, channels = Fraction(1), Fraction(25), 0
        with opened(self.source, self.limits) as container:
            for stream in self._streams(container):
                if stream.type == "video":
                    claimed = stream.sample_aspect_ratio or aspect
                    aspect = claimed if ASPECTS[0] <= claimed <= ASPECTS[1] else aspect
                    claimed = stream.average_rate or rate
                    rate = claimed if 1 <= claimed <= 240 else rate
                else:
                    channels = stream.codec_context.channels or 2
        return _Facts(aspect, rate, channels)

    def begin(self) -> tuple[float | None, Frame]:
        """The second from which the file is to be read, None for all of it, and the first picture there, or sound.

        What comes out of the decoder first must not be later than the start: else something may have been missed.
        """
        places = [self.start - before for before in BEFORE if before < self.start]
        for kind in ("video", "audio"):
            for place in [*places, None]:
                with closing(self.frames(place, kind)) as frames:
                    for frame, time, _ in frames:
                        if time < (self.end if place is None else self.start + GRACE):
                            return place, frame
                        break
        between = f"between {self.start:,.1f} s and {self.end:,.1f} s"
        raise DamagedMedia(f"no picture and no sound can be decoded from it {between}: it is damaged or cut short")

    def frames(self, place: float | None, kind: str | None = None) -> Frames:
        """What there is, or what is of one kind, from a second on, or from the beginning, until the end is passed."""
        with opened(self.source, self.limits) as container:
            streams = [stream for stream in self._streams(container) if kind in (None, stream.type)]
            origin = zero(container)
            if place is not None and streams:
                with suppress(av.FFmpegError):  # then it is read from the beginning
                    container.seek(int((place + origin) / streams[0].time_base), stream=streams[0])
            clocks = dict.fromkeys(streams, 0.0 if place is None else None)
            going = set(streams)
            for stream, frame in self._decoded(container, streams, origin) if streams else ():
                self.alive()
                stamp: int | None = frame.dts if frame.pts is None else frame.pts
                time = clocks[stream] if stamp is None else float(stamp * stream.time_base) - origin
                if time is None:
                    continue
                if isinstance(frame, av.AudioFrame):
                    seconds = frame.samples / max(frame.sample_rate, 1)
                else:
                    seconds = float((frame.duration or 0) * Fraction(stream.time_base))
                clocks[stream] = time + seconds
                yield frame, time, seconds
                if time >= self.end:
                    going.discard(stream)
                    if not going:
                        return

    def _streams(self, container: InputContainer) -> list[Any]:
        """The pictures that are seen and the sound that is heard, as far as there are any; all else is not read."""
        seen = chosen(container)
        sounds = [s for s in container.streams.audio if s.codec_context and s.codec_context.channels <= CHANNELS]
        heard = next((s for s in sounds if s.disposition & Disposition.default), sounds[0] if sounds else None)
        wanted = [stream for stream in (seen, heard) if stream is not None and stream.codec_context]
        if not wanted:
            raise UnsupportedMedia("it has no pictures and no sound that can be decoded")
        for stream in container.streams:
            stream.discard = Discard.default if stream in wanted else Discard.all
        if seen in wanted:
            context = seen.codec_context
            if context.width * context.height > self.limits.pixels:
                claimed = f"pictures of {context.width:,} x {context.height:,} pixels"
                raise MediaTooLarge(f"it claims {claimed}, more than the limit of {self.limits.pixels:,}")
            context.options = {"max_pixels": str(self.limits.pixels)}  # a picture may be larger than the header claims
            # Threads that take a frame each delay what comes out, and AVI's pictures have their times by that delay.
            context.thread_type = "SLICE" if container.format.name == "avi" else "AUTO"
        return wanted

    def _decoded(self, container: InputContainer, streams: list[Any], origin: float) -> Iterator[tuple[Any, Any]]:
        """Frames as the file has them. What cannot be decoded is passed over."""
        # Of AVI's packets in the decoder: AVI numbers them as they lie, not as they are shown.
        stamps: deque[int] = deque()
        with suppress(av.FFmpegError):  # the container itself ends badly; what came before is good
            for packet in container.demux(streams):
                stream: Any = packet.stream
                stamp = packet.pts if packet.dts is None else packet.dts
                time = self.start if stamp is None else float(stamp * stream.time_base) - origin
                if time > self.end + APART:
                    break
                if stream.type == "audio" and time < self.start - 2 * BEFORE[0]:
                    continue
                if stream.type == "video" and packet.dts is not None and container.format.name == "avi":
                    stamps.append(packet.dts)
                with suppress(av.FFmpegError):
                    for frame in packet.decode():
                        yield stream, _stamped(frame, stamps, stream)
        for stream in streams:
            with suppress(av.FFmpegError):  # one that was told of the file's end has nothing left
                for frame in stream.decode(None):
                    yield stream, _stamped(frame, stamps, stream)


def _stamped(frame: Any, stamps: deque[int], stream: Any) -> Any:
    """A frame with the earliest timestamp that is left of those packets that can still be in the decoder."""
    if stamps and stream.type == "video":
        while len(stamps) > stream.codec_context.reorder_depth + 1:
            stamps.popleft()
        frame.pts = stamps.popleft()
    return frame
