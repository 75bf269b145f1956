"""Many ranked lists -> hits.

Similarities of two collections are never compared. Each list comes with its surprises (`seehear.calibration`): how
unlikely it is that an unrelated question would find anything this good there. Those are comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seehear.calibration import joined, score
from seehear.hits import Hit
from seehear.types import Collection, Evidence, Match, Segment

SAME = 0.5
"""Two segments of a file are one place when they share this much of the shorter one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a ranked list."""

    match: Match
    rank: int
    surprise: float
    segment: Segment
    source: str
    """The file's path, or the passage's id."""


@dataclass(slots=True)
class Place:
    """A segment, and what else was found in the same place of the same file."""

    found: list[tuple[Collection, Found]] = field(default_factory=list)

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


def fuse(lists: Mapping[Collection, Sequence[Found]]) -> list[Hit]:
    """Join ranked lists into hits, best first: a hit is a segment, with whatever overlaps it in the same file."""
    segments: dict[str, Place] = {}
    for collection, rows in lists.items():
        for row in rows:
            segments.setdefault(row.segment.id, Place()).found.append((collection, row))
    places: dict[str, list[Place]] = {}
    for one in sorted(segments.values(), key=lambda place: -place.surprise):
        there = places.setdefault(one.best.segment.source, [])
        same = next((place for place in there if _overlap(place.best.segment, one.best.segment)), None)
        if same is None:
            there.append(one)
        else:
            same.found += one.found
    every = [place for there in places.values() for place in there]
    return [_hit(place) for place in sorted(every, key=lambda place: -place.surprise)]


def _overlap(one: Segment, other: Segment) -> bool:
    if one.start is None or one.end is None or other.start is None or other.end is None:
        return False
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > 0 and shared >= SAME * min(one.end - one.start, other.end - other.start)


def _hit(place: Place) -> Hit:
    best = place.best
    segment = best.segment
    timed = "" if segment.start is None or segment.end is None else f"#t={segment.start:.3f},{segment.end:.3f}"
    at = "" if segment.offset is None else f"#char={segment.offset},{segment.offset + len(segment.text)}"
    ordered = sorted(place.found, key=lambda pair: -pair[1].surprise)
    return Hit(
        id=segment.source + (timed or at),
        source=best.source,
        modality=segment.modality,
        start=segment.start,
        end=segment.end,
        score=score(place.surprise),
        text=next((row.segment.text for _, row in ordered if row.segment.text), ""),
        metadata=segment.metadata,
        evidence=tuple(_evidence(collection, row) for collection, row in ordered),
    )


def _evidence(collection: Collection, row: Found) -> Evidence:
    return Evidence(
        row.segment.id, collection.channel, collection.encoder, row.rank, row.match.similarity, score(row.surprise),
        row.segment.start, row.segment.end, row.segment.text, row.segment.words,
    )  # fmt: skip
