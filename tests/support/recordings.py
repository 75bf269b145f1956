"""Small real recordings, encoded with PyAV: any codec, any container, any layout, with subtitles or pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FORMATS = {
    "aac": ("adts", "aac", 44_100),
    "aiff": ("aiff", "pcm_s16be", 44_100),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "au": ("au", "pcm_s16be", 22_050),
    "avi": ("avi", "libmp3lame", 44_100),
    "caf": ("caf", "pcm_s16be", 44_100),
    "flac": ("flac", "flac", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "mka": ("matroska", "aac", 44_100),
    "mov": ("mov", "pcm_s16le", 44_100),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "mp4": ("mp4", "aac", 48_000),
    "ogg": ("ogg", "libopus", 48_000),
    "wav": ("wav", "pcm_s16le", 16_000),
    "webm": ("webm", "libopus", 48_000),
    "wma": ("asf", "wmav2", 44_100),
}
"""Suffix -> muxer, encoder, Hz."""
ASS = b"[Script Info]\r\n\r\n[V4+ Styles]\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Text\r\n"
"""What FFmpeg's encoders of subtitles want to be told before they open."""
Sound = NDArray[np.float32]


def tone(seconds: float, rate: int, hz: float = 440.0) -> Sound:
    """A sine of half the full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def write(
    path: Path,
    *tracks: Sound,
    starts: Sequence[float] = (0.0,),
    rate: int | None = None,
    layout: str = "mono",
    subtitles: Sequence[tuple[float, float, str]] = (),
    default: int | None = None,
    pictures: bool = False,
) -> Path:
    """Write a recording in the format that the suffix names: each track (samples,) or (channels, samples).

    A track of several `starts` is written once at each of them, in seconds.
    """
    container, codec, usual = FORMATS[path.suffix[1:]]
    rate = rate or usual
    with av.open(str(path), "w", format=container) as out:
        film = out.add_stream("libvpx" if container == "webm" else "mpeg4", rate=5) if pictures else None
        streams = [out.add_stream(codec, rate=rate) for _ in tracks]
        said = out.add_stream("mov_text" if container == "mp4" else "subrip") if subtitles else None
        if said is not None:
            said.codec_context.subtitle_header = ASS
        for place, stream in enumerate(streams):
            stream.layout = layout
            if codec == "wmav2":  # it has no default
                stream.codec_context.bit_rate = 128_000
            if default is not None:
                flag = av.stream.Disposition.default
                stream.disposition = flag if place == default else av.stream.Disposition(0)
        if film is not None:
            film.width = film.height = 32
            for number in range(10):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * number, np.uint8))
                frame.pts = number
                out.mux(film.encode(frame))
            out.mux(film.encode(None))
        for stream, samples in zip(streams, tracks, strict=True):
            _encode(out, stream, np.atleast_2d(samples), rate, layout, starts)
        for start, end, text in subtitles:
            written = text.encode()
            packet = av.Packet(len(written).to_bytes(2, "big") + written if container == "mp4" else written)
            packet.stream, packet.time_base = said, Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            out.mux(packet)
    return path


def _encode(
    out: av.container.OutputContainer,
    stream: av.AudioStream,
    samples: Sound,
    rate: int,
    layout: str,
    starts: Sequence[float],
) -> None:
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    size = stream.codec_context.frame_size or 1024
    for start in starts:
        convert = av.AudioResampler(stream.codec_context.format.name, layout, rate)
        for place in range(0, samples.shape[1], size):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, place : place + size]), "fltp", layout)
            frame.sample_rate = rate
            for ready in convert.resample(frame):
                ready.pts, ready.time_base = round(start * rate) + place, Fraction(1, rate)
                out.mux(stream.encode(ready))
    out.mux(stream.encode(None))
