"""A file on its way in: what is known of it before the ledger lets it be seen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from seehear.decoder import Job, Opened
from seehear.folders import File
from seehear.handle import recent
from seehear.records import Known, Outcome
from seehear.types import Channel, Metadata, Route, Scalar, Segment


@dataclass(slots=True)
class Draft:
    """A file on its way in."""

    file: File
    given: Metadata
    """What the user says about it."""
    seen_ns: int
    size: int
    mtime_ns: int
    new: bool
    """The library did not have it."""
    opened: Opened | None = None
    again: bool = False
    """It was taken for a copy of another file whose vectors are no use."""
    twin: bool = False
    """Another file has the same bytes, and its vectors serve this one too."""
    found: dict[str, Scalar] = field(default_factory=dict)
    """What the file says about itself."""
    spoken: Counter[str] = field(default_factory=Counter)
    """Characters that were said in each language."""
    segments: list[Segment] = field(default_factory=list)
    waiting: int = 0
    """Vectors that are not stored yet."""
    whole: bool = False
    broken: dict[Route, str] = field(default_factory=dict)
    """Routes on which an encoder failed, and how."""
    missing: dict[Channel, str] = field(default_factory=dict)
    """Channels of which not all could be read, and why."""
    passing: bool = False
    """What failed may do better another time, though the file stays as it is."""
    moved: str | None = None
    """Key of a file that is gone, and that it was before."""

    @property
    def ready(self) -> bool:
        """It is decoded to its end, and all its vectors are stored."""
        return self.whole and not self.waiting

    def outcomes(self, routes: Iterable[Route]) -> list[Outcome]:
        """What became of it on each route that has anything to do with it."""
        present = {segment.channel for segment in self.segments} | self.missing.keys()
        found = []
        for route in routes:
            if route in self.broken:
                found.append(Outcome(route, "failed", self.broken[route]))
            elif route.channel in self.missing:
                found.append(Outcome(route, "partial", self.missing[route.channel]))
            elif route.channel in present:
                found.append(Outcome(route, "done"))
        return found

    def known(self) -> Known:
        """The file as the ledger will have it."""
        file, opened = (
            self.file,
            self.opened or Opened(Job("", self.file.path), self.file.claims, "", self.size, self.mtime_ns, ""),
        )
        language: Metadata = {"language": self.spoken.most_common(1)[0][0]} if self.spoken else {}
        found = {**self.found, **language}
        return Known(
            file.key, file.root, os.fsencode(file.below), opened.modality, opened.content, opened.size, opened.mtime_ns,
            0 if self.passing else self.seen_ns, opened.settings, self.given, found,
        )  # fmt: skip


def unchanged(known: Known, size: int, mtime_ns: int) -> bool:
    """Tell by size and time that a file is still what it was when it was read."""
    return (known.size, known.mtime_ns) == (size, mtime_ns) and not recent(mtime_ns, known.seen_ns)


def same(opened: Opened) -> tuple[str, str]:
    """What two files share whose vectors are the same: their bytes, and how they are cut."""
    return opened.content, opened.settings
