"""Many ranked lists -> hits.

Similarities of two collections are never compared. Each list comes with its surprises (`seehear.calibration`): how
unlikely it is that an unrelated question would find anything this good there. Those are comparable.

In a recording or a video, what was found close together becomes one moment: from its best row on, it takes in what is
next to it and about as surprising, in whatever channel; so a moment is as long as what was asked for, and two events of
one file stay two. Fusing the segments of one place, and not whole files, is from CARVE (arXiv 2606.13141).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from seehear.calibration import MIN_SCORE, joined, score
from seehear.hits import Hit
from seehear.types import Collection, Evidence, Match, Modality, Segment, source_name

SAME = 0.5 - 1e-6
"""Two segments of a file are one place when they share this much of the shorter one: windows of sound share a half."""
TIMED: frozenset[Modality] = frozenset({"audio", "video"})
"""Files in which neighbours become moments."""
JOIN = 2.0
"""Seconds between two rows that still belong together: a pause between sentences, a picture that was not kept."""
PEAK = 0.4
"""Share of the best row's surprise that a neighbour must have to be a part of the moment."""
LEAST = 0.5
"""What it may be less surprising in any case, where the best itself is hardly a find."""
LONGEST = 60.0
"""Seconds of a moment at most, unless one segment alone is longer: what goes on for longer is cut into equal parts."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A row of a ranked list."""

    match: Match
    rank: int
    surprise: float
    segment: Segment
    source: str
    """The file's path, or the passage's id."""


Row = tuple[Collection, Found]


@dataclass(slots=True)
class Place:
    """What was found in one place of a file: a segment, or a moment with all that is in it."""

    found: list[Row] = field(default_factory=list)
    start: float | None = None
    """Seconds; None for what has no time."""
    end: float | None = None

    @property
    def best(self) -> Found:
        """The most surprising row."""
        return max((one for _, one in self.found), key=lambda one: one.surprise)

    @property
    def surprise(self) -> float:
        """That of the best row, raised by other lists that agree."""
        voices: dict[tuple[str, str], float] = {}
        for collection, one in self.found:
            voice = (collection.channel, collection.encoder)
            voices[voice] = max(one.surprise, voices.get(voice, one.surprise))
        return joined(list(voices.values()))


def fuse(lists: Mapping[Collection, Sequence[Found]], per_source: int) -> list[Hit]:
    """Join ranked lists into hits, best first; of one file the best `per_source`."""
    files: dict[str, list[Row]] = {}
    for collection, rows in lists.items():
        for row in rows:
            files.setdefault(row.segment.source, []).append((collection, row))
    every = []
    for mine in files.values():
        mine.sort(key=lambda row: -row[1].surprise)
        there = moments(mine, per_source) if mine[0][1].segment.modality in TIMED else places(mine)
        every += sorted(there, key=lambda place: -place.surprise)[:per_source]
    return [_hit(place) for place in sorted(every, key=lambda place: -place.surprise)]


def places(rows: Iterable[Row]) -> list[Place]:
    """The rows of one file, best first, by segment; a segment takes in what overlaps it."""
    found: list[Place] = []
    for row in rows:
        segment = row[1].segment
        same = next(
            (p for p in found if p.best.segment.id == segment.id or _shared(segment, p.start, p.end) >= SAME), None
        )
        if same is None:
            found.append(Place([row], segment.start, segment.end))
        else:
            same.found.append(row)
    return found


def moments(rows: Sequence[Row], most: int) -> list[Place]:
    """The rows of one recording or video, best first, as its best `most` moments; none holds another."""
    found: list[Place] = []
    left = list(rows)
    while left and len(found) < most:
        best = left[0][1].surprise
        level = min(PEAK * best, best - LEAST)
        inside = _part(_grown(left[0], [row for row in left[1:] if row[1].surprise >= level], found))
        start, end = _extent([row[1].segment for row in inside])
        # What is there too and less surprising is evidence, if it is any, but does not make the moment longer.
        kept = set(inside)
        there = {row for row in left if row in kept or _shared(row[1].segment, start, end) >= SAME}
        evidence = [row for row in left if row in kept or (row in there and score(row[1].surprise) >= MIN_SCORE)]
        left = [row for row in left if row not in there]
        found.append(Place(evidence, start, end))
    return found


def _grown(seed: Row, candidates: Iterable[Row], found: Iterable[Place]) -> list[Row]:
    """A row, and those that hang together with it in time, between the moments that are found already."""
    start, end = _span(seed[1].segment)
    middle = (start + end) / 2
    edges = [edge for place in found for edge in (place.start, place.end) if edge is not None]
    before = max((edge for edge in edges if edge <= middle), default=-math.inf)
    after = min((edge for edge in edges if edge > middle), default=math.inf)
    inside = [seed]
    waiting = [row for row in candidates if before <= sum(_span(row[1].segment)) / 2 <= after]
    while True:
        near = [row for row in waiting if _apart(row[1].segment, start, end) <= JOIN]
        if not near:
            return inside
        waiting = [row for row in waiting if _apart(row[1].segment, start, end) > JOIN]
        inside += near
        start = min(start, *(_span(row[1].segment)[0] for row in near))
        end = max(end, *(_span(row[1].segment)[1] for row in near))


def _apart(segment: Segment, start: float, end: float) -> float:
    """Seconds between a segment and a stretch of time; negative where they overlap."""
    first, last = _span(segment)
    return max(first - end, start - last)


def _part(inside: list[Row]) -> list[Row]:
    """Of rows that hang together, those around the first one that make no more than the longest moment."""
    start, end = _extent([row[1].segment for row in inside])
    parts = math.ceil((end - start) / LONGEST)
    if parts <= 1:
        return inside

    def place(row: Row) -> int:
        return int((sum(_span(row[1].segment)) / 2 - start) / (end - start) * parts)

    return [row for row in inside if place(row) == place(inside[0])]


def _extent(segments: Sequence[Segment]) -> tuple[float, float]:
    """From when to when a moment lasts.

    Windows of sound overlap by half, so that a sound that is in two of them is likely where they meet: of a window that
    has a neighbour in the moment, the outer quarter is left off, unless the file begins there.
    """
    sounds = [_span(segment) for segment in segments if segment.channel == "sound"]
    spans = [_span(segment) for segment in segments if segment.channel != "sound"]
    for start, end in sounds:
        beside = [other for other in sounds if other != (start, end) and other[0] < end and start < other[1]]
        quarter = (end - start) / 4 if beside else 0.0
        spans.append((start + quarter if start > quarter else start, end - quarter))
    return min(start for start, _ in spans), max(end for _, end in spans)


def _span(segment: Segment) -> tuple[float, float]:
    return segment.start or 0.0, segment.end or segment.start or 0.0


def _shared(segment: Segment, start: float | None, end: float | None) -> float:
    """How much of the shorter one a segment and a place have in common, 0 to 1; 0 where there is no time."""
    if segment.start is None or segment.end is None or start is None or end is None:
        return 0.0
    shared = min(segment.end, end) - max(segment.start, start)
    return max(0.0, shared) / max(1e-9, min(segment.end - segment.start, end - start))


def _hit(place: Place) -> Hit:
    best = place.best
    segment = best.segment
    timed = "" if place.start is None or place.end is None else f"#t={place.start:.3f},{place.end:.3f}"
    at = "" if segment.offset is None else f"#char={segment.offset},{segment.offset + len(segment.text)}"
    ordered = sorted(place.found, key=lambda pair: -pair[1].surprise)
    return Hit(
        id=source_name(segment.source) + (timed or at),
        source=best.source,
        modality=segment.modality,
        start=place.start,
        end=place.end,
        score=score(place.surprise),
        text=_text([row.segment for _, row in ordered]),
        metadata=segment.metadata,
        evidence=tuple(_evidence(collection, row) for collection, row in ordered),
    )


def _text(segments: Sequence[Segment]) -> str:
    """What is read or said: in a moment all of it, in order of time; else in the best segment that has words."""
    worded = [segment for segment in segments if segment.text]
    if not worded or worded[0].modality not in TIMED:
        return worded[0].text if worded else ""
    inside = {segment.id: segment for segment in worded}
    return " ".join(segment.text for segment in sorted(inside.values(), key=_span))


def _evidence(collection: Collection, row: Found) -> Evidence:
    return Evidence(
        row.segment.id, collection.channel, collection.encoder, row.rank, row.match.similarity, score(row.surprise),
        row.segment.start, row.segment.end, row.segment.text, row.segment.words,
    )  # fmt: skip
