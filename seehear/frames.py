"""The pictures of a video, decoded with FFmpeg's libraries (PyAV), each with the time at which it is shown.

Runs in the decoding processes. Times are presentation timestamps, never numbers of frames over a rate; what a header
says of rates and of the length is not believed. Reading is lazy, and memory does not grow with the length.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from seehear.container import only, opened
from seehear.errors import DamagedMedia, MediaTooLarge, UnsupportedMedia, note
from seehear.media import VIDEO_TYPES, Limits
from seehear.packets import Packets, check_frames, chosen, ends_early
from seehear.still import Converters, Still
from seehear.types import Needs, Picture, Source

LONGEST = 4.0
"""Seconds between two key frames that may stay unseen; of a longer gap every frame is decoded."""
SPACING = 1.0
"""Seconds between the pictures that come of such a gap."""
CLOSEST = 0.5
"""Seconds that pictures of key frames lie apart at least: some codecs have nothing but key frames."""
HELD = 64 << 20
"""Most bytes of packets that wait for it to show how long a gap is; then it counts as long."""
PACKET = 1_000
"""Bytes that a packet takes beside what is in it, about."""
EARLY = 0.0005
"""Seconds that a picture may be asked for too early: times are written in milliseconds."""


@contextmanager
def film(source: Source, limits: Limits) -> Iterator[Film]:
    """The pictures of a video, to be read once, in one of the ways that `Film` has.

    Raises UnsupportedMedia where there are none (the cover of a recording is none), MediaTooLarge for a picture of more
    than `limits.pixels`, whatever its header claims, before any is decoded; inside, DamagedMedia for what goes wrong.
    """
    short = ends_early(source.file, VIDEO_TYPES.get(source.type, ""))
    with opened(source, limits) as container:
        stream = chosen(container)
        if stream is None or stream.codec_context is None:
            raise UnsupportedMedia("it has no pictures" + (" that can be decoded" if stream else ""))
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > limits.pixels:
            raise MediaTooLarge(
                f"it claims pictures of {width} x {height} = {width * height / 1e6:,.0f} megapixels, more than the "
                f"limit of {limits.pixels / 1e6:,.0f}; scale it down, or raise Limits(pixels=...) or --limit pixels=N"
            )
        check_frames(stream.frames, limits)
        only(container, stream)
        yield Film(container, stream, limits, short=short)


def has_pictures(source: Source, limits: Limits) -> bool:
    """Whether there is a track of pictures in it, be they good or not. Raises DamagedMedia."""
    with opened(source, limits) as container:
        return chosen(container) is not None


def has_sound(source: Source, limits: Limits) -> bool:
    """Whether there is a track of sound in it, be it good or not. Raises DamagedMedia."""
    with opened(source, limits) as container:
        return bool(container.streams.audio)


def at(source: Source, times: Sequence[float], needs: Needs, limits: Limits) -> list[Picture]:
    """The picture that is on screen at each of `times`, seconds from the start of the file, in their order.

    Before the first picture it is the first one, after the last the last. Raises MediaError as `film` does.
    """
    wanted = sorted(set(times))
    with film(source, limits) as seen:
        found = _sought(seen, wanted, needs)
    left = [time for time in wanted if time not in found]
    if left:
        with film(source, limits) as seen:
            found |= _read(seen, left, needs)
    return [found[time] for time in times]


def _sought(seen: Film, times: list[float], needs: Needs) -> dict[float, Picture]:
    """Pictures at ascending times, by seeking; without those from where on the file's index is none, or lies."""
    found: dict[float, Picture] = {}
    frames: Iterator[Still] = iter(())
    before: Still | None = None
    after: Still | None = None
    for time in times:
        if after is None or time > after.time + LONGEST:
            for back in (0.0, LONGEST):  # an index may be of the times of decoding, which are earlier
                frames = seen.seek(time - back)
                before, after = next(frames, None), next(frames, None)
                if before and before.time <= time + EARLY:
                    break
        while after and after.time <= time + EARLY:
            before, after = after, next(frames, None)
        if before is None or before.time > time + EARLY:
            break
        found[time] = before.picture(needs)
    return found


def _read(seen: Film, times: list[float], needs: Needs) -> dict[float, Picture]:
    """Pictures at ascending times, without trust in seeking: all is decoded from the start on."""
    found: dict[float, Picture] = {}
    before: Still | None = None
    for still in seen.every():
        while len(found) < len(times) and still.time > times[len(found)] + EARLY:
            found[times[len(found)]] = (before or still).picture(needs)
        if len(found) == len(times):
            return found
        before = still
    return found | {time: before.picture(needs) for time in times[len(found) :] if before}


class Film:
    """One reading of the pictures of a video."""

    def __init__(self, container: InputContainer, stream: Any, limits: Limits, *, short: bool) -> None:
        self.tags: dict[str, str] = {**stream.metadata, **container.metadata}
        """What the file says about itself, in FFmpeg's names; untrusted."""
        self.whole = 0.0
        """Seconds that lie between key frames too far apart, and were decoded whole."""
        self._packets = Packets(container, stream, limits)
        self._aspect = Fraction(stream.sample_aspect_ratio or 1)
        self._converters: Converters = {}
        self._pixels = limits.pixels
        self._context = stream.codec_context
        self._context.thread_count = 1  # there are as many decoding processes as cores
        self._context.options = {"max_pixels": str(limits.pixels)}  # pictures may be larger than the header claims
        self._inside: list[int] = []
        """Timestamps of what is in the decoder, a heap: the k-th picture that comes out has the k-th of them."""
        self._short = short
        self._last: float | None = None
        self._count = 0
        self._broken = 0
        self._ordered = True

    @property
    def end(self) -> float:
        """Seconds from the start of the file at which the last picture ends, of what has been read."""
        return self._packets.end

    def every(self) -> Iterator[Still]:
        """Each frame, in order of time."""
        for packet in self._packets:
            yield from self._shown(self._decoded(packet))
        yield from self._shown(self._decoded(None))
        self._finish()

    def keyframes(self) -> Iterator[Still]:
        """Key frames, and of a gap of more than LONGEST between two a frame each SPACING; in order of time.

        Each key frame is decoded by itself, and what is between two is held. When the gap turns out too long, it is
        decoded from its key frame on, as is what follows until a packet that claims to be a key frame proves it.
        """
        held = _Held()
        begun: float | None = None
        """Where the gap began that is being decoded."""
        for packet in self._packets:
            time = self._packets.seconds(self._packets.stamp(packet))
            if begun is not None:
                if packet.is_keyframe or held.packets:
                    held.add(packet, time, afresh=packet.is_keyframe)
                if held.is_long:  # its first packet has proved nothing
                    held.packets = []
                for still in self._decoded(packet, SPACING):
                    yield from self._shown([still], CLOSEST if still.frame.key_frame else SPACING)
                    if held.packets and still.frame.key_frame and still.time >= held.start:
                        self.whole += max(0.0, held.start - begun)
                        begun = None
                        break
                continue
            if packet.is_keyframe and self._is_due(time, CLOSEST):
                alone = self._alone(packet)
                if alone:
                    held.add(packet, time, afresh=True)
                    yield from self._shown([alone], CLOSEST)
                    continue
            if self._context.codec.intra_only:
                continue
            held.add(packet, time)
            if held.is_long or not self._count:
                begun = held.start
                yield from self._gap(held)
        if begun is None and self._count < 2 and held.packets:  # of so short a video the first picture says too little
            yield from self._gap(held)
            yield from self._shown(self._decoded(None), SPACING)
        if begun is not None:
            yield from self._shown(self._decoded(None), SPACING)
            self.whole += max(0.0, self.end - begun)
        self._finish()

    def seek(self, time: float) -> Iterator[Still]:
        """Frames from the key frame on that is the last one before a time; from elsewhere where the index is bad."""
        self._last = None
        self._flush()
        if not self._packets.seek(time):
            return
        for packet in self._packets:
            yield from self._shown(self._decoded(packet))
        yield from self._shown(self._decoded(None))

    def _flush(self) -> None:
        self._context.flush_buffers()
        self._inside.clear()

    def _decoded(self, packet: Any, spacing: float = 0.0) -> list[Still]:
        """Frames that come out of the decoder for a packet, or at the end for None; those that are broken left out.

        So may be those that come too early for `spacing`, if no other is made from them.
        """
        stamp = None if packet is None else self._packets.stamp(packet)
        if stamp is not None:
            heapq.heappush(self._inside, stamp)
        counted = not spacing or self._packets.numbered or packet.pts is None
        late = counted or self._is_due(self._packets.seconds(stamp), spacing)
        self._context.skip_frame = "DEFAULT" if late else "NONREF"
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError:
            self._broken += 1
            return []
        stills = []
        for frame in frames:
            stamp = heapq.heappop(self._inside) if self._inside else None
            if frame.pts is not None and not self._packets.numbered:
                stamp = frame.pts
                while self._inside and self._inside[0] <= stamp:  # those that were left out
                    heapq.heappop(self._inside)
            time = self._packets.seconds(stamp)
            if frame.width * frame.height > self._pixels:
                raise MediaTooLarge(f"it has pictures of {frame.width} x {frame.height}, more than the limit")
            if time is not None and not frame.is_corrupt:
                stills.append(Still(max(time, 0.0), frame, self._aspect, self._converters))
        return stills

    def _alone(self, packet: Any) -> Still | None:
        """Decode a packet by itself; None if it is not the key frame that it claims to be."""
        broken = self._broken
        self._flush()
        stills = self._decoded(packet) + self._decoded(None)
        self._flush()
        self._broken = broken
        return next((still for still in stills if still.frame.key_frame), None)

    def _gap(self, held: _Held) -> Iterator[Still]:
        """Decode what was held, and hold nothing."""
        packets, held.packets = held.packets, []
        self._flush()
        for packet in packets:
            yield from self._shown(self._decoded(packet, SPACING), SPACING)

    def _shown(self, stills: list[Still], spacing: float = 0.0) -> Iterator[Still]:
        """Those of the stills that come late enough after the last one that was shown."""
        for still in stills:
            if self._last is not None and not spacing and still.time < self._last and self._ordered:
                self._ordered = False
                note(f"its clock goes back at {self._last:,.1f} s; pictures that come too late are passed over")
            if self._is_due(still.time, spacing) and still.time != self._last:
                self._last = still.time
                self._count += 1
                yield still

    def _is_due(self, time: float | None, spacing: float) -> bool:
        return time is None or self._last is None or time >= self._last + spacing - EARLY / 10

    def _finish(self) -> None:
        """Say at the end what is odd."""
        if not self._count:
            raise DamagedMedia("no picture can be decoded from it: it is damaged or cut short")
        if self._short or self._packets.cut or self._packets.missing > 0.5:
            note(f"its pictures are cut short after {self.end:,.1f} s")
        elif self._broken:
            note(f"{self._broken:,} pieces of its pictures are damaged, and passed over")


class _Held:
    """Packets since a key frame, which will be decoded if the next one comes too late."""

    def __init__(self) -> None:
        self.packets: list[Any] = []
        self.start = 0.0
        self._end = 0.0
        self._bytes = 0

    @property
    def is_long(self) -> bool:
        return self._end - self.start > LONGEST or self._bytes > HELD

    def add(self, packet: Any, time: float | None, *, afresh: bool = False) -> None:
        """Hold a packet too; `afresh`, or if there is none yet, it alone."""
        if afresh or not self.packets:
            self.packets, self._bytes = [], 0
            self.start = self._end = self._end if time is None else time
        self.packets.append(packet)
        self._bytes += packet.size + PACKET
        self._end = max(self._end, self.start if time is None else time)
