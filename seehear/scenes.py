"""What is around a moment: the picture that stands for it, and what was said there. Asked of the ledger."""

from __future__ import annotations

from seehear.database import Database
from seehear.records import segment_of
from seehear.types import Segment


class Scenes:
    """Looks into recordings and videos that are published. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def thumbnail(self, key: str, at: float) -> bytes:
        """The picture that is on screen at a time, in seconds, as a small JPEG; empty where there is none.

        Before the first picture it is the first one.
        """
        rows = self._file.all(
            "SELECT jpeg FROM segments JOIN thumbnails ON segment = id WHERE source = ? AND channel = 'visual' "
            "ORDER BY start > ?, abs(start - ?) LIMIT 1",
            (key, at, at),
        )
        return rows[0][0] if rows else b""  # type: ignore[return-value]

    def said(self, key: str, start: float, end: float) -> list[Segment]:
        """The passages of a file that touch a stretch of time, in seconds, in their order."""
        rows = self._file.all(
            "SELECT id, source, modality, channel, start, stop, text, place, words FROM segments "
            "JOIN sources ON key = source WHERE source = ? AND channel = 'speech' AND start < ? AND stop > ? "
            "ORDER BY start",
            (key, end, start),
        )
        return [segment_of(row) for row in rows]
