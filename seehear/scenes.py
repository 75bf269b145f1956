"""What is in a file and around a moment of it: its picture, its words, its segments. Asked of the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from seehear.database import Database
from seehear.hits import Hit
from seehear.media import Limits
from seehear.records import segment_of
from seehear.types import Channel, Modality, Segment, Stamp
from seehear.where import Condition


@dataclass(frozen=True, slots=True)
class Listed:
    """A file, or a passage that is none, as a list of them shows it."""

    name: str
    """Sixteen hexadecimal digits (`seehear.types.source_name`)."""
    key: str
    modality: Modality
    seconds: float | None
    """When the last thing that is known of it ends; None for what has no time."""


class Scenes:
    """Looks into files that are published. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def key(self, name: str) -> str | None:
        """The key of the file with a name of sixteen digits."""
        rows = self._file.all("SELECT key FROM sources WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def stamp(self, key: str) -> Stamp | None:
        """What a file was when it was read; None for a passage that is no file."""
        rows = self._file.all(
            "SELECT size, mtime_ns, content, roots.path FROM sources JOIN roots ON root = roots.name WHERE key = ?",
            (key,),
        )
        return (*rows[0][:3], os.fsdecode(rows[0][3])) if rows else None  # type: ignore[return-value,arg-type]

    def ids(self, key: str) -> list[str]:
        """Ids of all segments of a file, in the order of time, then of place."""
        rows = self._file.all("SELECT id FROM segments WHERE source = ? ORDER BY start, place, ordinal", (key,))
        return [str(name) for (name,) in rows]

    def listed(
        self,
        containing: str,
        modalities: Sequence[Modality],
        channels: Sequence[Channel],
        condition: Condition | None,
        first: int,
        most: int,
    ) -> tuple[list[Listed], int]:
        """Files with something in some channels whose key contains a text (in whatever case, of ASCII letters).

        By key, from the `first` on; and how many there are.
        """
        kinds, parts = (", ".join("?" * len(one)) for one in (modalities, channels))
        passing = condition.sql if condition else "TRUE"
        rest = (
            f"FROM sources WHERE instr(lower(key), lower(?)) AND modality IN ({kinds}) "  # noqa: S608 - ours
            f"AND EXISTS (SELECT 1 FROM segments WHERE segments.source = sources.key "
            f"AND channel IN ({parts}) AND {passing})"
        )
        values = (containing, *modalities, *channels, *(condition.values if condition else ()))
        told = "SELECT name, key, modality, (SELECT max(stop) FROM segments WHERE source = key) "
        rows = self._file.all(f"{told} {rest} ORDER BY key LIMIT ? OFFSET ?", (*values, most, first))
        ((total,),) = self._file.all(f"SELECT count(*) {rest}", values)
        return [Listed(*row) for row in rows], int(str(total))  # type: ignore[arg-type]

    def tied(self, hit: Hit, limits: Limits, *, speech: bool) -> Hit:
        """A hit that can open its file, and a moment that can show itself later, and ask while the library is open.

        Unless `speech` may be told, it says nothing of what is said around it.
        """
        key = self.key(hit.source_name) or ""
        hit = replace(hit, limits=limits, stamp=self.stamp(key))
        if hit.start is None or hit.end is None:
            return hit
        seen = next((one.start for one in hit.evidence if one.channel == "visual" and one.start is not None), hit.start)
        thumbnail = self.thumbnail(key, seen) if hit.modality == "video" else b""
        if not speech:
            return replace(hit, thumbnail=thumbnail)
        # Found were some of its sentences; left out of a quotation, the others would change what it says.
        text = " ".join(one.text for one in self.said(key, hit.start, hit.end)) if hit.text else ""
        return replace(hit, thumbnail=thumbnail, text=text or hit.text, said=partial(self.said, key))

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
