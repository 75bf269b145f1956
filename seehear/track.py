"""The sound of a recording, decoded with FFmpeg's libraries (PyAV): float32 mono, at every rate at once, in one pass.

Runs in the decoding processes. What comes out is continuous: gaps in the timestamps are silence, overlaps are cut.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from seehear.container import only, opened, zero
from seehear.errors import DamagedMedia, MediaNote, MediaTooLarge, UnsupportedMedia, note
from seehear.media import AUDIO_TYPES, Limits
from seehear.timeline import Block, Line, framed, resample
from seehear.types import Passage, Source, Waveform

RATES = (1_000, 768_000)
"""Hz that a recording may have."""
CHANNELS = 64
"""Most channels that it may have."""
SUBTITLES = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
"""FFmpeg's names of subtitles that are text."""
CUES = 50_000
"""Most embedded subtitles that are read."""


def blocks(source: Source, rates: Collection[int], limits: Limits) -> Iterator[Block]:
    """Decode the sound of a recording once, and yield it at each of `rates`, in blocks of about a second.

    Memory does not grow with the length. The mean of the channels is heard; of several tracks the default one. Raises
    UnsupportedMedia where there is no sound, DamagedMedia, MediaTooLarge; warns MediaNote of what is odd.
    """
    with opened(source, limits) as container:
        stream = _chosen(container)
        if "matroska" not in container.format.name:  # which counts to its last timestamp, whatever that may be
            _check_length(_promised(source, container, stream), limits)
        heard = 0.0
        line = Line(rates, zero(container))
        frames = _Frames(container, stream)
        for frame in frames:
            rate = frame.sample_rate
            if not RATES[0] <= rate <= RATES[1]:
                raise DamagedMedia(f"it claims {rate:,} samples per second; convert it to a usual rate")
            heard += frame.samples / rate
            _check_length(heard, limits)
            start = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
            if not line.follows(rate, start):
                yield from line.finish()
                yield from line.begin(rate, start)
            if line.full:
                break
            yield from line.append(_mono(frame))
        yield from line.finish()
        if line.end is None:
            raise DamagedMedia("no sound can be decoded from it: it is damaged or cut short")
        if not line.full:
            _check_end(source, container, stream, frames, line.end)


def subtitles(source: Source, limits: Limits) -> list[Passage]:
    """Embedded subtitles that are text, as they stand, tags and all; the default ones of several, else the first."""
    with opened(source, limits) as container:
        found = [s for s in container.streams.subtitles if s.codec_context and s.codec_context.name in SUBTITLES]
        whole = [s for s in found if not s.disposition & s.disposition.forced] or found
        if not whole:
            return []
        stream = next((s for s in whole if s.disposition & s.disposition.default), whole[0])
        only(container, stream)
        passages: list[Passage] = []
        for packet in container.demux(stream):
            if packet.pts is None or packet.duration is None or packet.time_base is None:
                continue
            start = float(packet.pts * packet.time_base)
            end = float((packet.pts + packet.duration) * packet.time_base)
            passages.append(Passage(start, end, _written(bytes(packet), stream.codec_context.name)))
            if len(passages) == CUES:
                note(f"of its subtitles the first {CUES:,} are read")
                break
        return passages


def resampled(waveform: Waveform, rate: int) -> Waveform:
    """A whole waveform at another rate, Hz."""
    if waveform.rate == rate or not len(waveform.samples):
        return Waveform(waveform.samples, rate)
    resampler = av.AudioResampler("fltp", "mono", rate)
    pieces = [*resample(resampler, framed(waveform.samples, waveform.rate)), *resample(resampler, None)]
    return Waveform(np.concatenate(pieces), rate)


def _chosen(container: InputContainer) -> Any:
    """The track that is heard; all others are passed over unread."""
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    if not streams:
        raise UnsupportedMedia("it has no sound" + (" that can be decoded" if container.streams.audio else ""))
    chosen = next((s for s in streams if s.disposition & s.disposition.default), streams[0])
    if len(streams) > 1:
        place = streams.index(chosen) + 1
        warnings.warn(f"it has {len(streams)} tracks of sound; track {place} is heard", MediaNote, stacklevel=3)
    only(container, chosen)
    channels, rate = chosen.codec_context.channels, chosen.codec_context.sample_rate
    if channels > CHANNELS:
        raise MediaTooLarge(f"it claims {channels:,} channels of sound, more than the limit of {CHANNELS}")
    if rate > RATES[1]:
        raise MediaTooLarge(f"it claims {rate:,} samples per second, more than the limit of {RATES[1]:,}")
    return chosen


class _Frames:
    """Frames of a track, in order. What cannot be decoded is passed over."""

    def __init__(self, container: InputContainer, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self.cut = False
        """Whether the last packet was broken, as it is where a file ends too early."""
        self.broken = 0

    def __iter__(self) -> Iterator[av.AudioFrame]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                    if packet.size:
                        self.cut = packet.is_corrupt
                except av.FFmpegError:
                    self.cut = True
                    self.broken += 1
                    continue
                yield from frames
        except av.FFmpegError:  # the container itself ends badly; what came before is good
            self.cut = True


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    """The mean of a frame's channels, -1 to 1; what is no number is silence."""
    channels = frame.layout.nb_channels
    if channels > CHANNELS:
        raise MediaTooLarge(f"it claims {channels:,} channels of sound, more than the limit of {CHANNELS}")
    found = frame.to_ndarray()
    if not frame.format.is_planar:
        found = found.reshape(-1, channels).T
    mono = found[0].astype(np.float32) if channels == 1 else found.mean(axis=0, dtype=np.float32)
    if found.dtype.kind == "u":
        mono = mono / 128 - 1
    elif found.dtype.kind == "i":
        mono = mono / float(1 << 8 * found.itemsize - 1)
    clean: NDArray[np.float32] = np.nan_to_num(mono, copy=False, nan=0, posinf=0, neginf=0)
    return clean.clip(-1, 1)


def _check_length(seconds: float, limits: Limits) -> None:
    if seconds > limits.duration:
        raise MediaTooLarge(
            f"it claims {seconds / 3600:,.1f} hours of sound, or has them, more than the limit of "
            f"{limits.duration / 3600:,.1f}; cut it, or raise Limits(duration=...) or --limit duration=N"
        )


def _check_end(source: Source, container: InputContainer, stream: Any, frames: _Frames, end: float) -> None:
    """Note it where a file ends before it should."""
    if frames.cut or _promised(source, container, stream) - end > 0.5 or _page_is_cut(source):
        note(f"it is cut short after {end:,.1f} s")
    elif frames.broken:
        note(f"{frames.broken:,} pieces of its sound are damaged, and passed over")


def _promised(source: Source, container: InputContainer, stream: Any) -> float:
    """Seconds that a file's header claims; 0 where FFmpeg only guesses."""
    name = container.format.name
    if "matroska" in name and len(container.streams) == 1:
        return (container.duration or 0) / av.time_base
    if name == "mp3":
        place = source.file.tell()  # from which FFmpeg will read on
        source.file.seek(0)
        head = source.file.read(1 << 18)
        source.file.seek(place)
        if b"Xing" not in head and b"Info" not in head:
            return 0.0
    elif name not in ("aiff", "au", "flac") and "mov" not in name:
        return 0.0
    return float((stream.duration or 0) * stream.time_base)


def _page_is_cut(source: Source) -> bool:
    """Whether the last page of an Ogg file is not whole; FFmpeg passes over it and says nothing."""
    if AUDIO_TYPES.get(source.type) != "ogg":
        return False
    size = source.file.seek(0, os.SEEK_END)
    source.file.seek(max(0, size - (1 << 16)))
    tail = source.file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    return len(page) < 27 or 27 + page[26] + sum(page[27 : 27 + page[26]]) > len(page)


def _written(packet: bytes, codec: str) -> str:
    """The text in a subtitle's packet."""
    if codec == "mov_text":  # two bytes of length, the text, styles
        packet = packet[2 : 2 + int.from_bytes(packet[:2], "big")]
    text = packet.decode("utf-8", "replace")
    return text.split(",", 8)[-1] if codec in ("ass", "ssa") else text
