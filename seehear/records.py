"""The rows of the ledger as values: a file, what became of it, its segments; and how they are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from seehear.types import Metadata, Modality, Route, Segment, Word


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the ledger has it."""

    key: str
    root: str
    path: bytes
    """Below the root, as the file system spells it; of a passage that is no file, its id."""
    modality: Modality
    content: str
    size: int
    mtime_ns: int
    seen_ns: int
    """When it was read; a change within the clock's grain of that moment would not show in `mtime_ns`."""
    settings: str
    given: Metadata
    """What the user said about it."""
    found: Metadata
    """What the file says about itself; where both speak, the user is right."""


PLAIN = [field.name for field in fields(Known)][:-2]
"""Columns that are written as they are."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file on one route: done, partial or failed."""

    route: Route
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is ready to be seen."""

    known: Known
    segments: Sequence[Segment]
    outcomes: Sequence[Outcome]


PASSAGES = ""
"""The root of passages that are no files."""


def packed(metadata: Metadata) -> str:
    """Metadata as it is stored."""
    return json.dumps(dict(metadata))


def packed_words(words: Sequence[Word]) -> str:
    """Words as they are stored."""
    return json.dumps([asdict(word) for word in words]) if words else ""


def segment_of(row: Sequence[object], metadata: Metadata | None = None) -> Segment:
    """A segment of its columns: id to words, in the order of `Segment`'s fields."""
    *plain, words = row
    said = tuple(Word(**word) for word in json.loads(str(words))) if words else ()
    return Segment(*plain, said, metadata or {})  # type: ignore[arg-type,call-arg]


def known_of(row: tuple[object, ...]) -> Known:
    """A file of its columns."""
    plain, given, found = row[: len(PLAIN)], row[len(PLAIN)], row[len(PLAIN) + 1]
    return Known(*plain, given=json.loads(str(given)), found=json.loads(str(found)))  # type: ignore[arg-type,misc]
