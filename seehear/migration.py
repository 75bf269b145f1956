"""Other models for a library that is in use: what they need is made beside what there is, and takes its place at once.

A second ledger, and collections of the next era, are filled as by `add`; whoever is killed goes on where he was.
Vectors of encoders that stay are copied, and transcripts of a transcriber that stays are used again. Until the last
transaction the old models answer as if nothing happened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seehear.assembly import NEXT
from seehear.batches import BATCH
from seehear.era import Era
from seehear.errors import InputError, LibraryError, ModelMismatch, SeehearError
from seehear.folders import LEDGER, File
from seehear.ledger import Ledger
from seehear.parts import Chosen, Parts, assemble
from seehear.passages import KEY
from seehear.records import PASSAGES, Entry, Known, Outcome
from seehear.tally import Progress
from seehear.types import Collection, Problem, Report, Route, Segment, Text

REPLACED = ("sources", "outcomes", "facts", "segments", "thumbnails", "kept", "garbage")
"""Tables that are those of the new models, from the switch on."""
_FOLLOW = """
INSERT OR IGNORE INTO main.transcripts SELECT * FROM saved.transcripts;
DELETE FROM main.roots;
INSERT INTO main.roots SELECT * FROM saved.roots;
INSERT OR REPLACE INTO main.passport SELECT * FROM saved.passport WHERE key IN ('name', 'frames');
"""
_SWITCH = f"""
{"".join(f"DELETE FROM main.{name}; INSERT INTO main.{name} SELECT * FROM saved.{name};" for name in REPLACED)}
INSERT OR IGNORE INTO main.transcripts SELECT * FROM saved.transcripts;
DELETE FROM main.passport WHERE key NOT IN ('format', 'name');
INSERT OR IGNORE INTO main.passport SELECT * FROM saved.passport WHERE key NOT IN ('migration', 'makes', 'drops');
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
        self._store_name, self._era = old.ledger.passport()["store"], old.store.number + 1
        self._keys = {str(path): key for key, path in old.ledger.paths().items()}
        self._new = self._begun()
        try:
            self._kept = {
                route
                for route, encoder in self._new.encoders.items()
                if any((route.encoder, route.channel) == (other.encoder, other.channel) for other in old.encoders)
                and dict(encoder.fingerprint) == old.passport.fingerprint(route.encoder)
            }
            """Routes whose vectors stay what they are."""
        except BaseException:
            self._end(self._new)
            raise

    def run(self, *, drop_missing: bool) -> tuple[Report, Parts | None]:
        """Make what is missing, and switch to it; None where files would be lost that the old models have."""
        new, old = self._new, self._old
        try:
            report = self._made()
            if not drop_missing and any(self._lost(problem) for problem in (*report.failed, *report.partial)):
                return report, None
            new.scales.refresh()
            new.ledger.stamp({"drops": json.dumps([old.store.number, *_places(old)])})
        finally:
            self._end(new)
        old.ledger.file.with_other(self._path, _SWITCH)
        old.ledger.routes = new.models.routes
        old.pool.close()
        return report, assemble(
            self._folder, old.ledger, lambda: old.store.store, self._store_name, self._chosen, repair=True
        )

    def _begun(self) -> Parts:
        """The next era as far as it is made; from the beginning where nobody could go on with that."""
        if self._fits():
            with suppress(ModelMismatch):  # there may be other weights under a name by now
                parts = self._assembled()
                if all(parts.store.count(place) >= n for place, n in parts.ledger.counts().items()):
                    return parts
                self._end(parts)
        self._give_up()
        parts = self._assembled()
        try:
            for place in parts.collections():
                parts.store.drop(place)
            parts.ledger.stamp({"migration": self._wish(), "makes": json.dumps(_places(parts))})
        except BaseException:
            self._end(parts)
            raise
        return parts

    def _fits(self) -> bool:
        """Whether what was begun is what is wished for now."""
        with suppress(SeehearError), closing(Ledger(self._path, ())) as before:
            begun = before.passport().get("migration") == self._wish()
            return begun and before.counters().get("era") == self._era
        return False

    def _give_up(self) -> None:
        """Remove what was begun, unless it has become what there is."""
        with suppress(SeehearError), closing(Ledger(self._path, ())) as before:
            places = json.loads(before.passport().get("makes", "[]"))
            if before.counters().get("era") == self._era:
                for place in places:
                    Era(self._old.store.store, self._era).drop(Collection(*place))
        self._remove()

    def _assembled(self) -> Parts:
        ledger = Ledger(self._path, self._chosen.models.routes)
        try:
            ledger.file.with_other(self._folder / LEDGER, _FOLLOW)
            ledger.set_era(self._era)
            return assemble(
                self._folder, ledger, lambda: self._old.store.store, self._store_name, self._chosen, repair=True
            )
        except BaseException:
            ledger.close()
            raise

    def _wish(self) -> str:
        """What is to be made, so that another wish does not go on with it."""
        chosen, models = self._chosen, self._chosen.models
        routes = [[one.channel, one.encoder, sorted(one.answers)] for one in models.routes]
        names = {name: _named(given) for name, given in chosen.encoders.items()}
        heard = [models.transcriber, _named(chosen.transcriber)]
        return json.dumps([models.name, routes, models.modalities, names, heard, chosen.frames], sort_keys=True)

    def _end(self, parts: Parts) -> None:
        parts.pool.close()
        parts.ledger.close()

    def _remove(self) -> None:
        for name in (NEXT, f"{NEXT}-wal", f"{NEXT}-shm"):
            (self._folder / name).unlink(missing_ok=True)

    def _lost(self, problem: Problem) -> bool:
        """Whether the old models have more of what failed than will be there."""
        key = self._keys.get(problem.path, f"{KEY}{problem.path}")
        before, outcomes = _good(self._old.ledger, key), self._new.ledger.outcomes(key)
        after = _good(self._new.ledger, key)
        return bool(before - after & {one.route.channel for one in outcomes}) or bool(before and not after)

    def _made(self) -> Report:
        new, old = self._new, self._old
        known = {one.key: one for one in old.ledger.sources()}
        new.ledger.remove([one.key for one in new.ledger.sources() if one.key not in known])
        roots = old.ledger.roots()
        files = [File.of(one, roots) for one in known.values() if one.root != PASSAGES]
        ingest = new.ingest(None, self._progress, speech=new.speech(None), donor=self._vectors, retry=True)
        report = ingest.take(lambda: files)
        failed, report.failed = report.failed, []
        for problem in failed:
            key = self._keys[problem.path]
            reason, seen = f"the new models could not look at it: {problem.reason}", new.ledger.known(key)
            if seen is not None and seen.settings:  # it was opened, and so is what it is now
                report.failed.append(problem)
            else:
                # Should it come back, it is to be read, though it is what it was.
                self._carry(replace(known[key], settings="", seen_ns=0), problem.path, reason, report)
        for one in known.values():
            if one.root == PASSAGES and new.ledger.known(one.key) != one:
                self._carry(one, os.fsdecode(one.path), "the new models could not read it", report)
        return report

    def _vectors(self, place: Collection, segments: Sequence[Segment]) -> Rows:
        """Vectors that the library has of segments, where the encoder and what it was given stay the same."""
        if not any((route.encoder, route.channel) == (place.encoder, place.channel) for route in self._kept):
            return {}
        there = self._old.ledger.resolve([segment.id for segment in segments])
        same = [one.id for one in segments if one.id in there and _what(one) == _what(there[one.id][0])]
        return self._old.store.get(place, same)

    def _carry(self, known: Known, name: str, reason: str, report: Report) -> None:
        """Take over a file that cannot be read, or a passage that is no file, as far as the ledger has it.

        Its words are embedded again; what it looks or sounds like stays where the encoder does.
        """
        segments, before = self._old.ledger.segments(known.key), _good(self._old.ledger, known.key)
        told = {one.route.channel: one for one in self._old.ledger.outcomes(known.key) if one.status != "failed"}
        outcomes = []
        for route in self._new.encoders:
            mine = [one for one in segments if one.channel == route.channel]
            if mine and route.channel in before:
                why = self._carried(route, mine, reason, report)
                was = told[route.channel]
                outcomes.append(Outcome(route, "failed", why) if why else Outcome(route, was.status, was.reason))
        good = {one.route.channel for one in outcomes if one.status != "failed"}
        kept = [one for one in segments if one.channel in good]
        outcomes = outcomes or [Outcome(route, "failed", reason) for route in self._new.encoders]
        self._new.ledger.publish([Entry(known, kept, outcomes)])
        if before and before <= good:
            report.added.append(name)
        else:
            why = next((one.reason for one in outcomes if one.status == "failed"), reason)
            report.failed.append(Problem(name, why))

    def _carried(self, route: Route, segments: list[Segment], reason: str, report: Report) -> str:
        """Give segments their vectors on a route; returns why that cannot be, if it cannot."""
        place = Collection(route.encoder, route.channel, segments[0].modality)
        rows = self._vectors(place, segments)
        missing = [one for one in segments if one.id not in rows]
        if missing and route.channel not in ("speech", "text"):
            return reason
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            try:
                made = self._new.encoders[route].embed([Text(one.text) for one in part], "document")
            except SeehearError:
                raise  # weights that are missing will be missing for the next one too
            except Exception as error:
                return f"{route.encoder} could not embed it: {error!r}"
            rows |= dict(zip([one.id for one in part], made, strict=True))
            report.embedded += len(part)
        self._new.ledger.garbage.intend(place, [one.id for one in segments])
        self._new.store.upsert(place, segments, np.stack([rows[one.id] for one in segments]))
        return ""


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


def _good(ledger: Ledger, key: str) -> set[str]:
    """Channels of which a ledger has a file, at least in part."""
    return {one.route.channel for one in ledger.outcomes(key) if one.status != "failed"}


def _named(given: object) -> str:
    """What is the same of an object that is made again in another process."""
    return given if isinstance(given, str) else f"{type(given).__module__}:{type(given).__qualname__}"


def _places(parts: Parts) -> list[list[str]]:
    return [[place.encoder, place.channel, place.modality] for place in parts.collections()]
