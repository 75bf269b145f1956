"""Compares ledger, store and disk, and puts right what differs.

The ledger says what there should be. What the store lacks is embedded again: words from the ledger itself, pictures and
sounds from their files. What the store has beyond that is deleted. The files are the user's: what became of them is
told, and `sync` follows it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seehear.batches import BATCH
from seehear.errors import LibraryDamaged
from seehear.folders import File
from seehear.media import stamp
from seehear.parts import Parts
from seehear.records import PASSAGES
from seehear.tally import Progress
from seehear.types import Collection, Problem, Route, Text

LOST = "its vectors were lost"
READ = 1000
"""Vectors that are read from the store at a time."""
PROBES = 50
"""Vectors of each collection that are to find themselves."""
TOLERATED = 0.1
"""Share of them that may not: indexes are approximate, and of a thousand equal vectors they may lose some."""
UNIT, ITSELF = 1e-3, 0.999
"""How far from 1 a vector's length may be; least similarity of a vector to itself."""


@dataclass(slots=True)
class Verification:
    """What was found to be wrong; nothing, if it is `good`."""

    files: int = 0
    vectors: int = 0
    ledger: str | None = None
    """What is wrong with the ledger's own file."""
    missing: dict[str, int] = field(default_factory=dict)
    """Vectors that are not in the store, or are not what was stored, by file."""
    orphans: int = 0
    """Rows of the store that nothing refers to."""
    unread: list[str] = field(default_factory=list)
    """Files that are listed, and were never read since the ledger was restored, or a repair was cut short."""
    gone: list[str] = field(default_factory=list)
    """Files that are not where they were. For `sync`, `relocate` or `remove`."""
    changed: list[str] = field(default_factory=list)
    """Files that are not what was read. For `sync`, or `add`."""
    failed: list[Problem] = field(default_factory=list)
    """Files that were not taken in (whole), and why."""
    repaired: bool = False
    """Whether what is told here was put right, as far as `remains` does not say otherwise."""
    remains: list[Problem] = field(default_factory=list)
    """What could not be put right, and why."""
    embedded: int = 0
    """Contents that were embedded again."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the library can be trusted: what it says is there can be found, and nothing else can."""
        wrong = self.ledger or self.missing or self.orphans or self.unread
        return not self.remains if self.repaired else not wrong


class Verifier:
    """One run of `Library.verify`."""

    def __init__(self, parts: Parts, progress: Progress | None) -> None:
        self.parts, self.ledger, self.store = parts, parts.ledger, parts.store
        self.found = Verification()
        self._progress = progress
        self._unreadable: set[Collection] = set()
        """Collections whose index is damaged: there is nothing to rely on in them."""
        self._paths = self.ledger.paths()
        self._routes = {(route.encoder, route.channel): route for route in parts.encoders}

    def run(self, *, repair: bool) -> Verification:
        """Look at everything, and put it right if that is asked for."""
        started, found = time.monotonic(), self.found
        found.ledger = self.ledger.audit.check()
        found.files, found.failed = len(self._paths), self.ledger.problems()
        unread = self.ledger.audit.unread()
        begun = self.ledger.audit.failed(LOST)  # by a repair that did not get to its end
        found.unread = [str(self._paths[key]) for key in (*unread, *begun)]
        lost: dict[Collection, dict[str, str]] = {}
        for place in self.parts.collections():
            lost[place], extra = self._compared(place)
            found.orphans += len(extra)
            for key in lost[place].values():
                name = str(self._paths.get(key, key))
                found.missing[name] = found.missing.get(name, 0) + 1
        self._look_at_disk(unread)
        vectors = found.vectors
        if repair:
            self._repair(lost, unread, begun)
        found.vectors = vectors  # each once
        found.seconds = time.monotonic() - started
        return found

    def _compared(self, place: Collection) -> tuple[dict[str, str], set[str]]:
        """What a collection lacks, or holds damaged: id -> key of the file; and what nothing refers to."""
        wanted = self.ledger.audit.expected(place)
        try:
            return self._compared_rows(place, wanted)
        except LibraryDamaged:
            self._unreadable.add(place)
            return wanted, set()

    def _compared_rows(self, place: Collection, wanted: dict[str, str]) -> tuple[dict[str, str], set[str]]:
        there = set(self.store.ids(place))
        bad = wanted.keys() - there
        ids = [name for name in wanted if name in there]
        probes, lost = 0, list[str]()
        for start in range(0, len(ids), READ):
            self._tell(f"{place.channel} of {place.modality}")
            part = ids[start : start + READ]
            rows = self.store.get(place, part)
            self.found.vectors += len(rows)
            bad |= {name for name in part if name not in rows or not _is_unit(rows[name])}
            for name in part[:: max(1, len(ids) // PROBES)]:
                if name not in bad:
                    probes += 1
                    best = self.store.nearest(place, rows[name], 1)
                    lost += [name] if not best or best[0].similarity < ITSELF else []
        if len(lost) > probes * TOLERATED:
            bad.update(lost)
        extra = sorted(there.difference(wanted))  # of a file that failed in part, what did not fail is there
        return {name: wanted[name] for name in sorted(bad)}, set(extra) - self.ledger.published(extra).keys()

    def _look_at_disk(self, unread: list[str]) -> None:
        for number, known in enumerate(self.ledger.sources()):
            if number % READ == 0:
                self._tell("files")
            if known.root == PASSAGES or known.key in unread:
                continue
            path = self._paths[known.key]
            try:
                if stamp(path) != (known.size, known.mtime_ns):
                    self.found.changed.append(str(path))
            except OSError:
                self.found.gone.append(str(path))

    def _repair(self, lost: dict[Collection, dict[str, str]], unread: list[str], begun: list[str]) -> None:
        found = self.found
        found.repaired = True
        if found.ledger and (still := self.ledger.audit.mend()):
            found.remains.append(Problem("the ledger", still))
        anew = {*unread, *begun}
        for place in self._unreadable:
            self.store.drop(place)
        for place, ids in lost.items():
            if place.channel in ("speech", "text"):
                self._embed(place, list(ids))
            else:
                anew.update(ids.values())
                for key in set(ids.values()):
                    self.ledger.audit.fail(key, [self._routes[place.encoder, place.channel]], LOST)
        ingest = self.parts.ingest(None, self._progress, speech=self.parts.speech(None), anew=anew)
        roots = self.ledger.roots()
        files = [File.of(known, roots) for key in sorted(anew) if (known := self.ledger.known(key))]
        report = ingest.take(lambda: files)
        found.embedded += report.embedded
        self._give_up(lost, unread, {problem.path: problem.reason for problem in report.failed})
        for place in lost:
            self.store.delete(place, sorted(self._compared(place)[1]))
        self.ledger.audit.restored()
        self.parts.scales.refresh()

    def _embed(self, place: Collection, ids: list[str]) -> None:
        """Embed words again: the ledger still has them."""
        encoder = self.parts.encoders[self._routes[place.encoder, place.channel]]
        for start in range(0, len(ids), BATCH):
            self._tell("words again")
            segments = [segment for segment, _ in self.ledger.resolve(ids[start : start + BATCH]).values()]
            rows = encoder.embed([Text(segment.text) for segment in segments], "document")
            self.store.upsert(place, segments, rows)
            self.found.embedded += len(segments)

    def _give_up(self, lost: Mapping[Collection, Mapping[str, str]], unread: list[str], why: Mapping[str, str]) -> None:
        """What cannot be made again is listed as failed, and not counted on any more."""
        failed: dict[str, set[Route]] = {}
        for place in lost:
            route = self._routes[place.encoder, place.channel]
            for key in {*self._compared(place)[0].values(), *self.ledger.audit.failed(LOST, route)}:
                failed.setdefault(key, set()).add(route)
        still = set(self.ledger.audit.unread()).intersection(unread)
        failed |= {key: set(self.parts.encoders) for key in still}
        for key, routes in failed.items():
            name = str(self._paths.get(key, key))
            reason = f"{LOST}, and cannot be made again: {why.get(name, 'nobody knows why')}"
            self.ledger.audit.fail(key, routes, reason)
            self.found.remains.append(Problem(name, reason))

    def _tell(self, what: str) -> None:
        if self._progress:
            self._progress(self.found.vectors, 0, f"verifying: {what}")


def _is_unit(row: NDArray[np.float32]) -> bool:
    return abs(float(np.linalg.norm(row)) - 1) < UNIT  # what is no number is not less either
