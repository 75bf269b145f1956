"""A recording or a video as FFmpeg's libraries see it (PyAV): its streams, and where its time begins.

Only the demuxer that the sniffed type names is tried, and it can open nothing but the file that is open already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Discard

from seehear.errors import DamagedMedia, MediaTooLarge, SeehearError, UnsupportedMedia
from seehear.media import AUDIO_TYPES, VIDEO_TYPES, Limits, too_much_memory
from seehear.types import Source


@contextmanager
def opened(source: Source, limits: Limits) -> Iterator[InputContainer]:
    """The file as its own demuxer sees it; whatever goes wrong inside is a MediaError."""
    file = _File(source.file)
    demuxer = AUDIO_TYPES.get(source.type) or VIDEO_TYPES.get(source.type)
    if demuxer is None:
        raise UnsupportedMedia(f"it is no recording and no video but {source.type}")
    options = {"protocol_whitelist": "none", "max_streams": str(limits.streams + 1)}
    try:
        with av.open(file, "r", demuxer, options, metadata_errors="ignore", io_open=_nothing_else) as container:
            if len(container.streams) > limits.streams:  # some demuxers leave out those that are too many
                raise MediaTooLarge(
                    f"it has more than {limits.streams} tracks; raise Limits(streams=...) or --limit streams=N"
                )
            yield container
    except SeehearError:
        raise
    except MemoryError as error:  # FFmpeg's word for too many tracks too
        raise MediaTooLarge(f"it has more than {limits.streams} tracks, or {too_much_memory(limits)}") from error
    except Exception as error:  # PyAV raises many kinds for what a broken file makes of FFmpeg
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DamagedMedia(f"it is damaged or cut short ({reason})") from error


class _File:
    """The open file, which refuses a seek to nowhere in FFmpeg's way: of an exception PyAV prints a traceback."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self.read = file.read
        self.tell = file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return -1


def _nothing_else(url: str, *_: Any) -> Any:
    """What FFmpeg is told when a file asks for another file, or for an address."""
    raise PermissionError(f"it may not open {url!r}")


def only(container: InputContainer, stream: Any) -> None:
    """Let all other streams be passed over unread."""
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all


def zero(container: InputContainer) -> float:
    """The timestamp, in seconds, at which the file begins: that of its first sound or picture, or 0.

    MP4, Matroska and AVI keep a line of time of their own, which begins at 0 whatever comes first.
    """
    timed = any(name in container.format.name for name in ("avi", "matroska", "mov"))
    return 0.0 if timed else (container.start_time or 0) / av.time_base
