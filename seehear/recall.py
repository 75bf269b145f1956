"""An answer that was given earlier, by its id: an agent, a link, a stored document know no more of it than that."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from seehear.errors import InputError
from seehear.hits import Hit
from seehear.ledger import Ledger
from seehear.types import Channel, Evidence, Segment

ID = re.compile(r"([0-9a-f]{16})(?:#(t|char)=(\d{1,9}(?:\.\d{1,6})?),(\d{1,9}(?:\.\d{1,6})?))?", re.ASCII)
"""A file's name (`seehear.types.source_name`), and a place in it: seconds, or characters of a text."""
SHOWN = 20
"""Segments that are its evidence, at most: a whole file has thousands."""
ORDER: tuple[Channel, ...] = ("visual", "speech", "text", "sound")
"""What stands for a place first."""


def recalled(ledger: Ledger, id: str, channels: Collection[Channel] | None = None) -> Hit:  # noqa: A002 - a hit's name for it
    """The hit with an id, or the whole file that it names; its score is 0, since nobody asked.

    Its evidence is what is there in some channels, nearest the middle first, of rank 0. Raises InputError for an id of
    nothing here.
    """
    written = ID.fullmatch(id) if isinstance(id, str) else None
    key = ledger.scenes.key(written[1]) if written else None
    every = list(ledger.resolve(ledger.scenes.ids(key)).values()) if key else []
    every.sort(key=lambda pair: (pair[0].start or 0.0, pair[0].offset or 0))
    if not written or not every:
        raise InputError("Nothing here has that id. Ids are those of earlier hits, written exactly as they were.")
    segments = [segment for segment, _ in every]
    first = segments[0]
    start, end, inside = _place(written, segments)
    if not inside:
        raise InputError("Nothing is there: that place is outside the file.")
    inside = [segment for segment in inside if channels is None or segment.channel in channels]
    if not inside:
        raise InputError("Nothing that may be asked for here has that id.")
    middle = ((start or 0.0) + (end or 0.0)) / 2
    ordered = sorted(inside, key=lambda s: (ORDER.index(s.channel), abs(_middle(s) - middle)))
    text, low, high = _text(inside), float(written[3] or 0), float(written[4] or 0)
    if written[2] == "t":
        id = f"{written[1]}#t={start:.3f},{end:.3f}"  # noqa: A001
    elif written[2] == "char":
        begin, last = inside[0].offset or 0, max(_stop(segment) for segment in inside)
        text = text[max(0, int(low) - begin) : int(high) - begin]
        id = f"{written[1]}#char={int(low)},{min(int(high), last)}"  # noqa: A001
    return Hit(
        id=id,
        source=every[0][1],
        modality=first.modality,
        start=start,
        end=end,
        score=0.0,
        text=text,
        metadata=first.metadata,
        evidence=tuple(
            Evidence(s.id, s.channel, "", 0, 0.0, 0.0, s.start, s.end, s.text, s.words) for s in ordered[:SHOWN]
        ),
    )


def _place(written: re.Match[str], segments: Sequence[Segment]) -> tuple[float | None, float | None, list[Segment]]:
    """From when to when it lasts, and the segments in it; without a place, all of the file."""
    kind, low, high = written[2], float(written[3] or 0), float(written[4] or 0)
    if segments[0].modality not in ("audio", "video"):
        if kind == "char" and low >= high:
            return None, None, []
        if kind == "char":
            exact = [s for s in segments if (s.offset, _stop(s)) == (low, high)]
            return None, None, exact or [s for s in segments if (s.offset or 0) < high and _stop(s) > low]
        return None, None, [] if kind else list(segments)
    start, end = 0.0, max(segment.end or 0.0 for segment in segments)
    if kind == "t":
        start, end = low, min(high, end)
        return start, end, [s for s in segments if start < end and (s.start or 0.0) < end and (s.end or 0.0) > start]
    return start, end, [] if kind else list(segments)


def _text(segments: Sequence[Segment]) -> str:
    """What is read or said, once: passages of a text overlap."""
    if segments[0].offset is None:
        return " ".join(dict.fromkeys(segment.text for segment in segments if segment.text))
    text, end = "", segments[0].offset
    for segment in segments:
        text += " " * ((segment.offset or 0) - end)  # what stood between them was space
        text += segment.text[max(0, end - (segment.offset or 0)) :]
        end = max(end, _stop(segment))
    return text


def _stop(segment: Segment) -> int:
    return (segment.offset or 0) + len(segment.text)


def _middle(segment: Segment) -> float:
    return ((segment.start or 0.0) + (segment.end or 0.0)) / 2
