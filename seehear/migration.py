"""Other models for a library that is in use: what they need is made beside what there is, and takes its place at once.

A second ledger, and collections of the next era, are filled as by `add`; whoever is killed goes on where he was.
Vectors of encoders that stay are copied, and transcripts of a transcriber that stays are used again. Until the last
transaction the old models answer as if nothing happened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seehear.batches import BATCH
from seehear.errors import InputError, LibraryError
from seehear.folders import LEDGER, File
from seehear.ledger import Ledger
from seehear.parts import Chosen, Parts, assemble
from seehear.records import PASSAGES, Entry, Known, Outcome
from seehear.tally import Progress
from seehear.types import Collection, Report, Route, Segment, Text

NEXT = "next.sqlite"
REPLACED = ("sources", "outcomes", "facts", "segments", "thumbnails", "kept", "transcripts", "garbage")
"""Tables that are those of the new models, from the switch on."""
_FOLLOW = """
INSERT OR IGNORE INTO main.transcripts SELECT * FROM saved.transcripts;
DELETE FROM main.roots;
INSERT INTO main.roots SELECT * FROM saved.roots;
INSERT OR REPLACE INTO main.passport SELECT * FROM saved.passport WHERE key = 'name';
"""
_SWITCH = f"""
{"".join(f"DELETE FROM main.{name}; INSERT INTO main.{name} SELECT * FROM saved.{name};" for name in REPLACED)}
DELETE FROM main.passport WHERE key NOT IN ('format', 'name');
INSERT OR IGNORE INTO main.passport SELECT * FROM saved.passport WHERE key NOT IN ('migration', 'drops');
INSERT INTO main.passport SELECT 'dropping', value FROM saved.passport WHERE key = 'drops';
INSERT OR REPLACE INTO main.counters SELECT * FROM saved.counters WHERE name = 'era';
UPDATE main.counters SET value = value + 1 WHERE name = 'changes';
"""  # noqa: S608 - ours
Rows = dict[str, NDArray[np.float32]]


class Migration:
    """One run of `Library.migrate`."""

    def __init__(self, folder: Path, old: Parts, chosen: Chosen, progress: Progress | None) -> None:
        if old.store.forgets:
            raise InputError("A library that forgets everything at its end has nothing to migrate; make another.")
        self._folder, self._old, self._chosen, self._progress = folder, old, chosen, progress
        self._path = folder / NEXT
        self._store_name = old.ledger.passport()["store"]
        self._new = self._begun()
        self._kept = {
            route
            for route, encoder in self._new.encoders.items()
            if any((route.encoder, route.channel) == (other.encoder, other.channel) for other in old.encoders)
            and dict(encoder.fingerprint) == old.passport.fingerprint(route.encoder)
        }
        """Routes whose vectors stay what they are."""

    def run(self, *, drop_missing: bool) -> tuple[Report, Parts | None]:
        """Make what is missing, and switch to it; None where files would be lost that the old models have."""
        new, old = self._new, self._old
        try:
            report = self._made()
            lost = [problem for problem in report.failed if problem.path in self._good()]
            if lost and not drop_missing:
                return report, None
            new.scales.refresh()
            left = [[place.encoder, place.channel, place.modality] for place in old.collections()]
            new.ledger.stamp({"drops": json.dumps([old.store.number, *left])})
        finally:
            new.pool.close()
            new.ledger.close()
        old.ledger.file.with_other(self._path, _SWITCH)
        old.ledger.routes = new.models.routes
        self._remove()
        old.pool.close()
        return report, assemble(
            self._folder, old.ledger, lambda: old.store.store, self._store_name, self._chosen, repair=True
        )

    def _begun(self) -> Parts:
        """The next era as far as it is made."""
        era = self._old.store.number + 1
        fits = False
        with suppress(LibraryError), closing(Ledger(self._path, ())) as before:
            fits = before.passport().get("migration") == self._wish() and before.counters().get("era") == era
        if not fits:
            self._remove()
        ledger = Ledger(self._path, self._chosen.models.routes)
        try:
            ledger.file.with_other(self._folder / LEDGER, _FOLLOW)
            ledger.stamp({"migration": self._wish()})
            ledger.set_era(era)
            parts = assemble(
                self._folder, ledger, lambda: self._old.store.store, self._store_name, self._chosen, repair=True
            )
            if not fits:
                for place in parts.collections():
                    parts.store.drop(place)  # of one that was given up
        except BaseException:
            ledger.close()
            raise
        return parts

    def _wish(self) -> str:
        """What is to be made, so that another wish does not go on with it."""
        chosen = self._chosen
        names = {name: str(given) for name, given in chosen.encoders.items()}
        return json.dumps([chosen.models.name, names, str(chosen.transcriber), chosen.frames])

    def _remove(self) -> None:
        for name in (NEXT, f"{NEXT}-wal", f"{NEXT}-shm"):
            (self._folder / name).unlink(missing_ok=True)

    def _good(self) -> set[str]:
        """Paths of the files that the old models have, at least in part."""
        return {
            str(path)
            for key, path in self._old.ledger.paths().items()
            if any(one.status != "failed" for one in self._old.ledger.outcomes(key))
        }

    def _made(self) -> Report:
        new, old = self._new, self._old
        known = {one.key: one for one in old.ledger.sources()}
        new.ledger.remove([one.key for one in new.ledger.sources() if one.key not in known])
        roots, paths = old.ledger.roots(), old.ledger.paths()
        files = [File.of(one, roots) for one in known.values() if one.root != PASSAGES]
        ingest = new.ingest(None, self._progress, speech=new.speech(None), donor=self._vectors, retry=True)
        report = ingest.take(lambda: files)
        keys = {str(path): key for key, path in paths.items()}
        failed, report.failed = report.failed, []
        for problem in failed:
            key = keys[problem.path]
            reason, seen = f"the new models could not look at it: {problem.reason}", new.ledger.known(key)
            opened = seen is not None and seen.content  # and so is what it is now
            whole = not opened and self._carry(known[key], reason, report)
            (report.added if whole else report.failed).append(problem.path if whole else problem)  # type: ignore[arg-type]
        for one in known.values():
            if one.root == PASSAGES and new.ledger.known(one.key) != one:
                self._carry(one, "it is not there any more", report)
        return report

    def _vectors(self, place: Collection, segments: Sequence[Segment]) -> Rows:
        """Vectors that the library has of segments, where the encoder and what it was given stay the same."""
        if not any((route.encoder, route.channel) == (place.encoder, place.channel) for route in self._kept):
            return {}
        there = self._old.ledger.resolve([segment.id for segment in segments])
        same = [one.id for one in segments if one.id in there and _what(one) == _what(there[one.id][0])]
        return self._old.store.get(place, same)

    def _carry(self, known: Known, reason: str, report: Report) -> bool:
        """Take over a file that cannot be read, or a passage that is no file, as far as the ledger has it.

        Its words are embedded again; what it looks or sounds like stays where the encoder does. Returns whether nothing
        of it is lost.
        """
        segments = self._old.ledger.segments(known.key)
        before = {one.route.channel for one in self._old.ledger.outcomes(known.key) if one.status != "failed"}
        outcomes = []
        for route in self._new.encoders:
            mine = [one for one in segments if one.channel == route.channel]
            if mine and route.channel in before:
                whole = self._carried(route, mine, report)
                outcomes.append(Outcome(route, "done") if whole else Outcome(route, "failed", reason))
        good = {one.route.channel for one in outcomes if one.status == "done"}
        kept = [one for one in segments if one.channel in good]
        self._new.ledger.publish(
            [Entry(known, kept, outcomes or [Outcome(r, "failed", reason) for r in self._new.encoders])]
        )
        return before <= good

    def _carried(self, route: Route, segments: list[Segment], report: Report) -> bool:
        """Give segments their vectors on a route; False if that cannot be."""
        place = Collection(route.encoder, route.channel, segments[0].modality)
        rows = self._vectors(place, segments)
        missing = [one for one in segments if one.id not in rows]
        if missing and route.channel not in ("speech", "text"):
            return False
        self._new.ledger.garbage.intend(place, [one.id for one in segments])
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            made = self._new.encoders[route].embed([Text(one.text) for one in part], "document")
            rows |= dict(zip([one.id for one in part], made, strict=True))
            report.embedded += len(part)
        self._new.store.upsert(place, segments, np.stack([rows[one.id] for one in segments]))
        return True


def under_way(folder: Path) -> str | None:
    """Name of the models that a library is to have when a migration is ended that was begun; None if none was."""
    if not (folder / NEXT).exists():
        return None
    with suppress(LibraryError), closing(Ledger(folder / NEXT, ())) as ledger:
        return str(json.loads(ledger.passport().get("migration", '[""]'))[0]) or None
    return None


def _what(segment: Segment) -> tuple[object, ...]:
    """What decides the content of a segment of a file."""
    return segment.start, segment.end, segment.offset, segment.text
