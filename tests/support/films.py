"""Videos that are made for a test: pictures at given times, sound, subtitles, in any container and codec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TICK = Fraction(1, 90_000)
"""Time base of the pictures: fine enough for any rate, and for rates that vary."""


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (128, 96)) -> Array:
    """A picture (height, width, 3) of one colour; `size` is width, height."""
    return np.full((size[1], size[0], 3), colour, np.uint8)


def steady(shots: Iterable[tuple[float, Array]], rate: float = 25.0) -> Iterator[tuple[float, Array]]:
    """Pictures at a constant rate: each of `shots` is seconds and a picture that is shown for so long."""
    number = 0
    end = 0.0
    for seconds, picture in shots:
        end += seconds
        while number / rate < end - 1e-6:
            yield number / rate, picture
            number += 1


def film(
    path: Path,
    pictures: Iterable[tuple[float, Array]],
    *,
    sound: Array | None = None,
    rate: int = 16_000,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    every: int = 250,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    sound_codec: str = "aac",
    rotation: int = 0,
    aspect: Fraction | None = None,
    tick: Fraction = TICK,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Write a video of (seconds, picture (height, width, 3) uint8), in order; a key frame each `every` pictures.

    `sound` is float32 mono at `rate`, from second 0 on. `options` are the codec's, such as {"sc_threshold": "0"},
    `muxer` the container's; `rotation` is what a player turns it by, degrees counter-clockwise, `aspect` the shape of a
    pixel, width by height; times are rounded to `tick` seconds.
    """
    frames = iter(pictures)
    first = next(frames)
    with av.open(str(path), "w", options=muxer or {}) as container:
        for name, value in (metadata or {}).items():
            container.metadata[name] = value
        height, width = first[1].shape[:2]
        stream: Any = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, pixels, every
        stream.codec_context.time_base = stream.time_base = tick
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        track: Any = None if sound is None else container.add_stream(sound_codec, rate=rate, layout="mono")
        for seconds, picture in _chained(first, frames):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(seconds / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None and sound is not None:
            container.mux(_encoded(track, sound, rate))
    return path


def remuxed(path: Path, out: Path, spoil: str = "", muxer: dict[str, str] | None = None) -> Path:
    """Copy a video into another file; the contents of its packets of kind `spoil`, audio or video, become rubbish."""
    with av.open(str(path)) as old, av.open(str(out), "w", options=muxer or {}) as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            copy = packet
            if packet.stream.type == spoil:
                copy = av.Packet(b"\x7f" * packet.size)
                copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
                copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
            copy.stream = streams[packet.stream.index]
            new.mux(copy)
    return out


def _chained(first: tuple[float, Array], rest: Iterable[tuple[float, Array]]) -> Iterator[tuple[float, Array]]:
    yield first
    yield from rest


def _encoded(track: Any, sound: Array, rate: int) -> Sequence[Any]:
    packets = []
    for start in range(0, len(sound), 1024):
        piece = np.ascontiguousarray(sound[start : start + 1024], np.float32)[None]
        frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        packets += track.encode(frame)
    return [*packets, *track.encode(None)]
