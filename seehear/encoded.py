"""The tracks of a clip as they are written: pictures as H.264, upright, and sound as AAC, both from 0 on.

Pictures keep the times that they have in the file, whatever rate it claims, and gaps in the sound are silence.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.filter import Graph
from numpy.typing import NDArray

from seehear.timeline import TOLERANCE
from seehear.track import RATES

TICK = Fraction(1, 90_000)
"""Grain of the pictures' times, seconds: fine enough for rates that vary."""
RATE = 48_000
"""Samples per second of the sound, Hz."""
SIDE = 4096
"""Longest side of the pictures, pixels; many devices play no more."""
MATRICES = frozenset({1, 4, 5, 6, 7, 9})
"""FFmpeg's numbers of the ways to make YUV of RGB that its scaler knows; all others would stop it."""
UNTOLD = 2
"""Its number of none of them."""
RANGES = frozenset({0, 1, 2})
"""Its numbers of what black and white are in YUV: nobody knows, 16 and 235, 0 and 255."""
GRACE = 0.005
"""Seconds that a picture may begin after the start, or before the end, and count as at it: files round their times,
and nobody wants the last picture of another shot to flash up."""


class Upright:
    """Makes of pictures what goes into a clip: upright, whole, of square pixels, 8 bits and even sides."""

    def __init__(self, aspect: Fraction, size: tuple[int, int] | None = None) -> None:
        self._aspect = aspect
        self._size = size
        self._kind: tuple[Any, ...] = ()
        self._graph: Graph | None = None
        self._interlaced = False

    def turn(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """The pictures that are ready, in order; None is the end."""
        if frame is not None:
            self._interlaced |= frame.interlaced_frame
            if frame.colorspace not in MATRICES:
                frame.colorspace = UNTOLD
            if frame.color_range not in RANGES:
                frame.color_range = 0
            look = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
            kind = (look, _turns(frame), self._interlaced)
            if kind != self._kind:
                yield from self._ready(None)
                self._kind, self._graph = kind, self._made(frame)
        yield from self._ready(frame)

    def _ready(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        if self._graph is None:
            return
        self._graph.push(frame)
        with suppress(av.BlockingIOError, av.EOFError):
            while True:
                made = self._graph.vpull()
                made.pts = round((made.pts or 0) * (made.time_base or TICK) / TICK)  # a filter may refine the grain
                made.time_base = TICK
                yield made

    def _made(self, frame: av.VideoFrame) -> Graph:
        """Filters for pictures like this one."""
        turns = _turns(frame)
        width, height = frame.width * max(self._aspect, Fraction(1)), frame.height / min(self._aspect, Fraction(1))
        if any(name == "transpose" for name, _ in turns):
            width, height = height, width
        shrunk = min(Fraction(1), SIDE / max(width, height))
        size = self._size or (_even(width * shrunk), _even(height * shrunk))
        shape = f"width={frame.width}:height={frame.height}:pix_fmt={frame.format.name}"
        colours = f"colorspace={frame.colorspace}:range={frame.color_range}"
        matrix = ":out_color_matrix=bt709" if frame.format.is_rgb else ""
        graph = Graph()
        graph.link_nodes(
            graph.add("buffer", f"{shape}:time_base={TICK}:{colours}"),
            *([graph.add("bwdif", "mode=send_frame:deint=interlaced")] if self._interlaced else []),
            *(graph.add(name, value) for name, value in turns),
            graph.add("scale", f"{size[0]}:{size[1]}:out_range=tv{matrix}"),
            graph.add("format", "yuv420p"),
            graph.add("setsar", "1"),
            graph.add("buffersink"),
        ).configure()
        return graph


def _even(side: Fraction) -> int:
    return max(2, 2 * int(side / 2 + Fraction(1, 2)))


def _turns(frame: av.VideoFrame) -> tuple[tuple[str, str | None], ...]:
    """The filters, and what they are told, that turn a picture as its display matrix says."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return ()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(b) > abs(a):
        ways = {(False, True): "clock", (True, False): "cclock", (True, True): "cclock_flip"}
        return (("transpose", ways.get((c > 0, b > 0), "clock_flip")),)
    return tuple((name, None) for name, turned in (("hflip", a < 0), ("vflip", d < 0)) if turned)


class Pictures:
    """The track of pictures. Each lasts until the next one, and the last one until the clip ends."""

    def __init__(
        self,
        muxer: OutputContainer,
        start: float,
        end: float,
        first: av.VideoFrame,
        aspect: Fraction,
        rate: Fraction,
    ) -> None:
        """Of a stretch of a file, in seconds: `first` is a picture like those that come, and is not shown."""
        self.reached = 0.0
        """Seconds at which the last picture ends, from the start of the file."""
        self._muxer = muxer
        self._start = start
        self._end = end
        self._usual = float(1 / rate)
        sample = Upright(aspect)
        first.pts, first.time_base = 0, TICK
        like = [*sample.turn(first), *sample.turn(None)][0]
        self._upright = Upright(aspect, (like.width, like.height))
        # Without B-frames pictures are stored in the order of their times, and no player has to shift them.
        self._track: Any = muxer.add_stream(
            "libx264", rate=rate, options={"crf": "20", "preset": "veryfast", "bf": "0"}
        )
        self._track.width, self._track.height, self._track.pix_fmt = like.width, like.height, "yuv420p"
        self._track.codec_context.time_base = self._track.time_base = TICK
        for tag in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(self._track.codec_context, tag, getattr(like, tag))
        self._waiting: tuple[av.VideoFrame, int] | None = None
        self._ticks: dict[int, int] = {}

    def add(self, frame: av.VideoFrame, time: float, seconds: float) -> None:
        """A picture, when it begins in the file, and how long it lasts, 0 where nobody knows."""
        self.reached = max(self.reached, time + (seconds or self._usual))
        tick = 0
        if self._waiting and self._waiting[1] and time <= self._start + GRACE:
            return  # its clock was set back
        if self._waiting and time > self._start + GRACE:
            tick = round((time - self._start) / TICK)
            if time >= self._end - GRACE or tick <= self._waiting[1]:
                return
            self._show(*self._waiting, tick)
        self._waiting = frame, tick

    def finish(self, seconds: float) -> None:
        """Let the clip be so long."""
        if self._waiting:
            self._show(*self._waiting, max(round(seconds / TICK), self._waiting[1] + 1))
        for ready in self._upright.turn(None):
            self._encode(ready)
        self._encode(None)

    def _show(self, frame: av.VideoFrame, tick: int, until: int) -> None:
        self._ticks[tick] = until - tick
        frame.pts, frame.time_base = tick, TICK
        for ready in self._upright.turn(frame):
            self._encode(ready)

    def _encode(self, frame: av.VideoFrame | None) -> None:
        if frame is not None:
            frame.pict_type = 0  # where key frames are is for the encoder to say
        for packet in self._track.encode(frame):
            packet.duration = self._ticks.pop(packet.pts, packet.duration)
            self._muxer.mux(packet)


class Sound:
    """The track of sound, of one or two channels at RATE: what is missing is silence, what overlaps is cut."""

    def __init__(self, muxer: OutputContainer, start: float, end: float, channels: int) -> None:
        self.reached = 0.0
        """Seconds at which the sound ends that was heard, from the start of the file."""
        self._muxer = muxer
        self._start = start
        self._layout = "mono" if channels == 1 else "stereo"
        self._track: Any = muxer.add_stream("aac", rate=RATE, layout=self._layout)
        self._track.bit_rate = 128_000
        self._whole = round((end - start) * RATE)
        self._placed = 0
        self._skip = 0
        self._kind: tuple[Any, ...] = ()
        self._begun = 0.0
        self._count = 0
        self._resampler: av.AudioResampler | None = None

    def add(self, frame: av.AudioFrame, time: float) -> None:
        """Sound, and its time in the file."""
        rate = frame.sample_rate
        if not RATES[0] <= rate <= RATES[1]:
            return
        kind = (rate, frame.layout.name, frame.format.name)
        if kind != self._kind or abs(time - self._begun - self._count / rate) > TOLERANCE:
            self._resample(None)
            self._kind, self._begun, self._count = kind, time, 0
            place = round((time - self._start) * RATE)
            self._silence(place)
            self._skip = max(0, self._placed - place)
            self._resampler = av.AudioResampler("fltp", self._layout, RATE)
        self._count += frame.samples
        self.reached = max(self.reached, self._begun + self._count / rate)
        frame.pts = None
        self._resample(frame)

    def finish(self, seconds: float) -> None:
        """Let the clip be so long."""
        self._resample(None)
        self._whole = min(self._whole, round(seconds * RATE))
        self._silence(self._whole)
        self._muxer.mux(self._track.encode(None))

    def _resample(self, frame: av.AudioFrame | None) -> None:
        for ready in self._resampler.resample(frame) if self._resampler else ():
            if ready is not None:
                samples = np.nan_to_num(ready.to_ndarray(), nan=0, posinf=0, neginf=0)
                skip = min(self._skip, samples.shape[1])
                self._skip -= skip
                self._put(samples[:, skip:].clip(-1, 1))

    def _silence(self, until: int) -> None:
        while (missing := min(until, self._whole) - self._placed) > 0:
            self._put(np.zeros((1 if self._layout == "mono" else 2, min(missing, RATE)), np.float32))

    def _put(self, samples: NDArray[np.float32]) -> None:
        samples = np.ascontiguousarray(samples[:, : self._whole - self._placed], np.float32)
        if samples.size:
            frame = av.AudioFrame.from_ndarray(samples, "fltp", self._layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._placed, Fraction(1, RATE)
            self._placed += samples.shape[1]
            self._muxer.mux(self._track.encode(frame))
