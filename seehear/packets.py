"""The packets of a track of pictures, undecoded, on a line of time that does not go back; and where that line ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition

from seehear.container import zero
from seehear.errors import DamagedMedia, MediaTooLarge, note
from seehear.media import Limits

JUMP = 10.0
"""Seconds that a clock may go back; one that goes back further was set, and what follows is appended."""
HEAD = 4096
SEGMENT = b"\x18\x53\x80\x67"
"""What Matroska's one element begins with that holds all others."""
GAP = 24 * 3600.0
"""Seconds that a clock may go forward from one picture to the next."""


class Packets:
    """One reading of a track; packets that are cut off are left out."""

    def __init__(self, container: InputContainer, stream: Any, limits: Limits) -> None:
        self.end = 0.0
        """Seconds from the start of the file at which the last picture ends, of what has been read."""
        self.cut = False
        """Whether what was read last was broken, as it is where a file ends too early."""
        # AVI numbers its packets as they are decoded, which is not when their pictures are shown.
        self.numbered = container.format.name == "avi"
        self._container = container
        self._limits = limits
        self._count = 0
        self._stream = stream
        self._ticks, self._per = stream.time_base.as_integer_ratio()  # fractions are slow, and packets are many
        self._zero = zero(container)
        self._shift = 0
        self._order: float | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:
                    continue
                self._count += 1
                check_frames(self._count, self._limits)
                self.cut = packet.is_corrupt
                if self.cut:
                    continue
                if not self._follows(packet):
                    return
                yield packet
        except av.FFmpegError:  # the container itself ends badly; what came before is good
            self.cut = True

    @property
    def missing(self) -> float:
        """Seconds that the file's index promises beyond the end; 0 of containers where FFmpeg only guesses."""
        if "mov" not in self._container.format.name or not self._stream.duration:
            return 0.0
        promised = self.seconds((self._stream.start_time or 0) + self._stream.duration) or 0.0
        return max(0.0, promised - self.end)

    def seek(self, time: float) -> bool:
        """Go to the last key frame before a time, or to wherever the file's index leads; False where it has none."""
        self._order = None
        ticks = (max(time, 0.0) + self._zero) / self._stream.time_base
        try:
            self._container.seek(int(ticks), stream=self._stream)
        except (av.FFmpegError, OverflowError):
            return False
        return True

    def stamp(self, packet: Any) -> int | None:
        """When the picture of a packet is shown, as far as the container knows; in ticks of the track."""
        first, second = (packet.dts, packet.pts) if self.numbered else (packet.pts, packet.dts)
        stamp: int | None = second if first is None else first
        return stamp

    def seconds(self, stamp: int | None) -> float | None:
        """Seconds from the start of the file."""
        return None if stamp is None else stamp * self._ticks / self._per - self._zero

    def _follows(self, packet: Any) -> bool:
        """Put a packet on the line of time; whether its own time can be believed."""
        order = self.seconds(packet.pts if packet.dts is None else packet.dts)
        if order is None:
            return True
        order += self._shift * self._ticks / self._per
        before, self._order = order if self._order is None else self._order, order
        if order < before - JUMP:
            note(f"its clock jumps back at {self.end:,.1f} s; what follows is seen as if it did not")
            self._shift += round((self.end - order) / self._stream.time_base)
            self._order = self.end
        elif order > before + GAP:
            note(f"its clock jumps at {self.end:,.1f} s; what follows is left out")
            return False
        if self._shift:
            packet.pts, packet.dts = (None if t is None else t + self._shift for t in (packet.pts, packet.dts))
        shown = self.seconds(self.stamp(packet))
        lasts = (packet.duration or 0) * self._ticks / self._per or max(0.0, order - before)
        if shown is not None:
            self.end = max(self.end, shown + min(lasts, GAP))
        return True


def check_frames(count: int, limits: Limits) -> None:
    """Raise MediaTooLarge for more pictures than a video may have."""
    if count > limits.frames:
        raise MediaTooLarge(
            f"it claims {count:,} pictures, or has them, more than the limit of {limits.frames:,}; cut it, or raise "
            "Limits(frames=...) or --limit frames=N"
        )


def chosen(container: InputContainer) -> Any:
    """The track of pictures that is seen, or None; covers and thumbnails are none."""
    if not container.streams:
        raise DamagedMedia("there is no track in it: it is damaged or cut short")
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & covers]
    return next((s for s in streams if s.disposition & Disposition.default), streams[0] if streams else None)


def ends_early(file: BinaryIO, kind: str) -> bool:
    """Whether a file is shorter than its own first bytes say; of Matroska and AVI, whose demuxers do not tell."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(HEAD)
    if kind == "avi":
        return head[:4] == b"RIFF" and 8 + int.from_bytes(head[4:8], "little") > size
    place = head.find(SEGMENT)
    if kind != "matroska" or not 0 <= place < len(head) - 12:
        return False
    first = head[place + 4]
    length = 9 - first.bit_length()  # of a number whose leading zeros tell how many bytes it has
    if not 1 <= length <= 8:
        return False
    told = int.from_bytes(head[place + 4 : place + 4 + length], "big") & ((1 << 7 * length) - 1)
    unknown = (1 << 7 * length) - 1
    return told != unknown and place + 4 + length + told > size
