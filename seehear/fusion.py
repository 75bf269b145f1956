"""Many ranked lists -> hits.

Similarities of two collections are never compared. Until they are calibrated, lists are joined by reciprocal rank
(Cormack, Clarke and Buettcher, SIGIR 2009), and a hit's score is the best cosine of its evidence, cut off at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seehear.hits import Hit
from seehear.types import Collection, Evidence, Match, Segment

RANK = 60
"""The constant of reciprocal rank fusion, as in its paper."""


def fuse(lists: Mapping[Collection, list[tuple[Match, Segment, Path]]]) -> list[Hit]:
    """Join ranked lists per segment; best first."""
    evidence: dict[str, list[Evidence]] = {}
    found: dict[str, tuple[Segment, Path]] = {}
    for collection, matches in lists.items():
        for rank, (match, segment, path) in enumerate(matches, 1):
            score = min(1.0, max(0.0, match.similarity))
            found[segment.id] = (segment, path)
            evidence.setdefault(segment.id, []).append(
                Evidence(
                    segment.id, collection.channel, collection.encoder, rank, match.similarity, score,
                    segment.start, segment.end, segment.text,
                )
            )  # fmt: skip
    order = sorted(evidence, key=lambda name: -sum(1 / (RANK + one.rank) for one in evidence[name]))
    return [_hit(*found[name], evidence[name]) for name in order]


def _hit(segment: Segment, path: Path, evidence: list[Evidence]) -> Hit:
    place = "" if segment.start is None or segment.end is None else f"#t={segment.start:.3f},{segment.end:.3f}"
    return Hit(
        id=segment.source + place,
        source=str(path),
        modality=segment.modality,
        start=segment.start,
        end=segment.end,
        score=max(one.score for one in evidence),
        text=segment.text,
        metadata=segment.metadata,
        evidence=tuple(sorted(evidence, key=lambda one: -one.score)),
    )
