"""The write path: files -> decoded segments -> batches -> vectors -> store -> ledger.

Decoding runs ahead in other processes while this thread embeds. Nothing is seen before it is whole: a file is published
after all its vectors are stored. A bad file never stops the others.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from seehear.batches import BATCH, Batches, Donor
from seehear.brought import Brought
from seehear.contracts import Encoder, Store
from seehear.decoder import Event, Finished, Job, Note, Opened, Piece
from seehear.draft import Draft, same
from seehear.due import Due, GiveMetadata
from seehear.errors import DecoderDied, MediaError, SeehearError, UnreadableMedia, UnsupportedMedia
from seehear.folders import File, Folders
from seehear.ledger import Ledger
from seehear.left import Left
from seehear.media import READS
from seehear.pool import Pool
from seehear.records import PASSAGES, Entry, Known, Outcome
from seehear.speech import Speech
from seehear.tally import Progress, Tally
from seehear.types import Channel, Problem, Report, Route, Segment, Text, Waveform, segment_id

OPEN = 4 * BATCH
"""Files that may wait for a batch to fill before it goes as it is."""


class Ingest:
    """One run of `Library.add` or of one of its sisters."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        pool: Pool,
        encoders: Mapping[Route, Encoder],
        metadata: GiveMetadata | None,
        progress: Progress | None,
        *,
        speech: Speech | None = None,
        brought: Brought | None = None,
        donor: Donor | None = None,
        gone: dict[str, Known] | None = None,
        **looks: Any,
    ) -> None:
        """`gone` are files that are no more, by key, to be forgotten in the end; `looks` is what `Due` is told."""
        self.ledger, self.store, self.pool, self.encoders = ledger, store, pool, encoders
        self.speech, self.brought, self.gone = speech, brought, gone or {}
        self.batches = Batches(ledger, store, encoders, brought, donor)
        self.tally = Tally(progress, dry=bool(looks.get("dry")))
        self.due = Due(ledger, pool, encoders, metadata, self.tally, gone=self.gone, **looks)
        self.report = self.tally.report
        self._folders = Folders(ledger)
        self._places = ledger.paths() if self.gone else {}
        """Where each file was."""
        self._left = Left(self.gone)
        self._drawn: dict[str, Draft] = {}
        """Files that the pool has taken and not opened yet; filled from its threads."""
        self._drafts: dict[str, Draft] = {}
        self._leaders: dict[tuple[str, str], str] = {}
        """Of files with the same bytes, the one that is being embedded."""
        self._twins: list[Draft] = []
        self._mute = ""
        """Why no speech can be written down, once that is known."""

    def run(self, paths: Sequence[str | os.PathLike[str]]) -> Report:
        """Take in files and folders. Raises only what makes going on pointless, such as missing weights."""
        with self.tally.run(lambda: self.batches.embedded):
            report = self._take_all(lambda: self._folders.discover(paths))
            for problem in self.brought.unused({one.path for one in report.failed}) if self.brought else []:
                self.tally.note(problem)
            if not any((report.added, report.changed, report.moved, report.unchanged, report.partial, report.failed)):
                for path in paths:
                    self.tally.fail(Problem(os.fspath(path), f"there is nothing in it that is read ({READS})"))
        return report

    def take(self, found: Callable[[], Iterable[File | Problem]]) -> Report:
        """Take in what is found; `found` may be called twice, the first time to count."""
        with self.tally.run(lambda: self.batches.embedded):
            return self._take_all(found)

    def remove(self, keys: Sequence[str]) -> None:
        """Forget files, and delete all that was stored of them."""
        with self.tally.run(lambda: 0):
            self.tally.total = len(keys)
            contents = {known.content for key in keys if (known := self.ledger.known(key))}
            self.ledger.remove(keys)
            self.ledger.transcripts.tidy(contents)
            for key in keys:
                self.tally.done("removed", key)
            self.sweep()

    def _take_all(self, found: Callable[[], Iterable[File | Problem]]) -> Report:
        if self.tally.listened_to:
            files = [file.key if isinstance(file, File) else None for file in found()]
            keys = [key for key in files if key is not None]
            self.tally.total, self.tally.expected = len(files), len(keys) - self.ledger.having(keys)
        self.sweep()
        self._decode(self._jobs(found()))
        while self._twins:
            # A twin whose other has changed or failed in the meantime is read again; one of each kind then leads.
            twins, self._twins = self._twins, []
            self._follow(twins)
            self._decode(self._drawn_again([draft for draft in twins if not self._copied(draft)]))
        self._forget_gone()
        self.sweep()
        self.ledger.transcripts.tidy()
        return self.report

    def _decode(self, jobs: Iterator[Job]) -> None:
        with closing(self.pool.run(jobs)) as events:
            for event in events:
                self._take(event)
        self._flush()

    def _jobs(self, found: Iterable[File | Problem]) -> Iterator[Job]:
        for draft, job in self.due.drafts(found):
            self._drawn[draft.file.key] = draft
            yield job

    def _drawn_again(self, drafts: list[Draft]) -> Iterator[Job]:
        for draft in drafts:
            again = Draft(draft.file, draft.given, time.time_ns(), draft.size, draft.mtime_ns, draft.new, again=True)
            again.moved, self._drawn[draft.file.key] = draft.moved, again
            yield draft.file.job()

    def _take(self, event: Event) -> None:
        key = event.job.key
        if key in self._drawn:
            self._drafts[key] = self._drawn.pop(key)
        draft = self._drafts[key]
        match event:
            case Opened():
                draft.opened = event
                bytes_ = same(event)
                if self._leaders.setdefault(bytes_, key) != key or (not draft.again and self.ledger.twin(*bytes_)):
                    draft.twin = True
            case Piece(segment=segment, content=content):
                self.tally.reach(draft.file.name, segment.start)
                draft.found |= segment.metadata
                if segment.channel == "speech" and isinstance(content, Waveform):
                    self._hear(draft, segment, content)
                else:
                    draft.segments.append(segment)
                    if not draft.twin:
                        self.batches.put(draft, segment, content)
                self._publish()
            case Note(message=message, channels=()):
                self.tally.note(Problem(draft.file.name, message))
            case Note(message=message, channels=channels):
                draft.missing |= dict.fromkeys(channels, message)
            case Finished(error=MediaError() as error):
                self._failed(draft, error)
            case Finished():
                self._finish(draft)
        if len(self._drafts) > OPEN:
            self._flush()

    def _hear(self, draft: Draft, stretch: Segment, waveform: Waveform) -> None:
        """Put in the place of a stretch of speech what is said in it."""
        if draft.twin or self.speech is None or draft.opened is None:
            return
        first = sum(segment.channel == "speech" for segment in draft.segments)
        reason, passages = self._mute, []
        try:
            passages = [] if reason else self.speech.passages(stretch, waveform, same(draft.opened), first)
        except SeehearError as error:  # what is missing now will be missing for the next stretch too
            reason = self._mute = f"what is said in it could not be transcribed: {error}"
        except Exception as error:
            reason = f"what is said from {stretch.start:.1f} s on could not be transcribed: {error!r}"
        if reason:
            draft.passing |= bool(self._mute)
            draft.broken |= {route: reason for route in self.encoders if route.channel == "speech"}
        for passage in passages:
            if isinstance(language := passage.metadata.get("language"), str):
                draft.spoken[language] += len(passage.text)
            plain = replace(passage, metadata={})
            draft.segments.append(plain)
            self.batches.put(draft, plain, Text(passage.text))

    def _finish(self, draft: Draft) -> None:
        opened, key = draft.opened, draft.file.key
        assert opened  # noqa: S101 - only a file that was opened ends without an error
        skipped = opened.content in opened.job.unless
        known = self.ledger.known(key) if skipped else None
        if known and known.content == opened.content:
            self.ledger.touch(key, opened.size, opened.mtime_ns, draft.seen_ns)
            self._close(draft)
            self.due.still_there(draft.file, known, draft.given)
        elif draft.twin or skipped:
            self._twins.append(draft)
            self._close(draft)
        else:
            draft.whole = True

    def _close(self, draft: Draft) -> None:
        del self._drafts[draft.file.key]
        if draft.opened and self._leaders.get(same(draft.opened)) == draft.file.key:
            del self._leaders[same(draft.opened)]

    def _failed(self, draft: Draft, error: MediaError) -> None:
        """A file cannot be read. It is listed with the reason, in place of what it was, unless it may still be that."""
        file = draft.file
        self._close(draft)
        self.batches.drop(draft)
        if isinstance(error, UnsupportedMedia) and not file.named and not file.claims_to_be_media:
            self.ledger.remove([] if draft.new else [file.key])
            self.tally.done("ignored", file.name)
            return
        unsure = isinstance(error, UnreadableMedia) or (isinstance(error, DecoderDied) and not draft.opened)
        # Its segments may be those that are published, with vectors of other bytes by now: then they are no use.
        spoilt = not draft.twin and self.ledger.published([segment.id for segment in draft.segments])
        if draft.new or spoilt or not unsure:
            self._keep(file)
            draft.passing = isinstance(error, UnreadableMedia)
            broken = [Outcome(route, "failed", str(error)) for route in self.encoders]
            self._follow([draft])
            self.ledger.publish([Entry(replace(draft.known(), found={}), (), broken)], filter(None, [draft.moved]))
        self.tally.fail(Problem(file.name, str(error)))

    def _flush(self) -> None:
        self.batches.flush()
        self._publish()

    def _publish(self) -> None:
        """Let all files be seen whose vectors are stored."""
        ready = [draft for draft in self._drafts.values() if draft.ready]
        if not ready:
            return
        self._follow(ready)
        for draft in ready:
            self._keep(draft.file)
        outcomes = {draft.file.key: draft.outcomes(self.encoders) for draft in ready}
        entries = [Entry(draft.known(), draft.segments, outcomes[draft.file.key]) for draft in ready]
        self.ledger.publish(entries, [draft.moved for draft in ready if draft.moved])
        for draft in ready:
            self._close(draft)
            if draft.broken or (draft.missing and not draft.moved):
                reason = "; ".join(dict.fromkeys([*draft.missing.values(), *draft.broken.values()]))
                good = any(outcome.status != "failed" for outcome in outcomes[draft.file.key])
                self.tally.fail(Problem(draft.file.name, reason), "partial" if good else "failed")
            elif draft.moved:
                self.tally.done("moved", draft.file.name, str(self._places[draft.moved]))
            else:
                self.tally.done("added" if draft.new else "changed", draft.file.name)

    def _copied(self, draft: Draft) -> bool:
        """Give a file the vectors of another that has the same bytes, if there still is one."""
        assert draft.opened  # noqa: S101 - its bytes made it a twin
        other = self.ledger.twin(*same(draft.opened))
        if other is None:
            return False
        counted: Counter[Channel] = Counter()
        ids, draft.segments = {}, []
        for theirs in self.ledger.segments(other):
            ordinal, counted[theirs.channel] = counted[theirs.channel], counted[theirs.channel] + 1
            name = segment_id(draft.file.key, draft.opened.content, theirs.channel, ordinal, draft.opened.settings)
            ids[theirs.id] = name
            draft.segments.append(replace(theirs, id=name, source=draft.file.key))
        if not self.batches.copy(draft, ids):
            return False
        draft.found = dict(self.ledger.found(other))
        draft.missing = {
            one.route.channel: one.reason for one in self.ledger.outcomes(other) if one.status == "partial"
        }
        draft.whole = True
        self._drafts[draft.file.key] = draft
        self._publish()
        return True

    def _follow(self, drafts: Iterable[Draft]) -> None:
        """See which new files are some that are gone, at another place: then what was said about them stays."""
        new = {one.file.key: one for one in drafts if one.new and one.opened and not one.moved}
        for key, was in self._left.follow({key: one.opened.content for key, one in new.items() if one.opened}).items():
            new[key].moved, given = was, self.gone.pop(was).given
            new[key].given = new[key].given or given

    def _forget_gone(self) -> None:
        self.ledger.remove(self.gone)
        for key in self.gone:
            self.tally.done("removed", str(self._places[key]))

    def _keep(self, file: File) -> None:
        if file.root != PASSAGES:
            self._folders.keep(file.root)

    def sweep(self) -> None:
        """Delete from the store what the ledger no longer refers to."""
        for collection, ids in self.ledger.garbage.rows().items():
            self.store.delete(collection, ids)
            self.ledger.garbage.swept(collection, ids)
