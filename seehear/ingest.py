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
from pathlib import Path
from typing import Any

from seehear.batches import BATCH, Batches
from seehear.brought import Brought
from seehear.contracts import Encoder, Store
from seehear.draft import Draft, same, unchanged
from seehear.errors import DecoderDied, InputError, MediaError, SeehearError, UnreadableMedia, UnsupportedMedia
from seehear.folders import File, Folders
from seehear.ledger import Ledger
from seehear.media import READS, stamp
from seehear.metadata import checked
from seehear.pool import Event, Finished, Job, Note, Opened, Piece, Pool
from seehear.records import PASSAGES, Entry, Known, Outcome
from seehear.speech import Speech
from seehear.tally import Progress, Tally
from seehear.types import Channel, Metadata, Problem, Report, Route, Segment, Text, Waveform, segment_id
from seehear.where import facts

OPEN = 4 * BATCH
"""Files that may wait for a batch to fill before it goes as it is."""

GiveMetadata = Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]


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
    ) -> None:
        self.ledger, self.store, self.pool, self.encoders = ledger, store, pool, encoders
        # What holds for all files is checked once, and is the caller's mistake; what is told of each, file by file.
        self.metadata = metadata if metadata is None or callable(metadata) else checked(metadata)
        self.speech, self.brought = speech, brought
        self.batches = Batches(ledger, store, encoders, brought)
        self.tally = Tally(progress)
        self.report = self.tally.report
        self._folders = Folders(ledger)
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
        report = self.take(lambda: self._folders.discover(paths))
        report.notes += self.brought.unused({one.path for one in report.failed}) if self.brought else []
        if not (report.added or report.unchanged or report.partial or report.failed):
            for path in paths:
                report.failed.append(Problem(os.fspath(path), f"there is nothing in it that is read ({READS})"))
        return report

    def take(self, found: Callable[[], Iterable[File | Problem]]) -> Report:
        """Take in what is found; `found` may be called twice, the first time to count."""
        started = time.monotonic()
        if self.tally.listened_to:
            self.tally.total = sum(1 for _ in found())
        self.sweep()
        self._decode(self._jobs(found()))
        while self._twins:
            # A twin whose other has changed or failed in the meantime is read again; one of each kind then leads.
            twins, self._twins = self._twins, []
            self._decode(self._drawn_again([draft for draft in twins if not self._copied(draft)]))
        self.sweep()
        self.report.embedded = self.batches.embedded
        self.report.seconds = time.monotonic() - started
        return self.report

    def _decode(self, jobs: Iterator[Job]) -> None:
        with closing(self.pool.run(jobs)) as events:
            for event in events:
                self._take(event)
        self._flush()

    def _jobs(self, found: Iterable[File | Problem]) -> Iterator[Job]:
        """What has to be read; what has not changed since it was read is done with a look at its size and time."""
        for file in found:
            if isinstance(file, Problem):
                self.tally.fail(file)
                continue
            try:
                told = self._told(file)
                size, mtime_ns = stamp(file.path) if file.text is None else (0, 0)
            except InputError as error:
                self.tally.fail(Problem(file.name, str(error)))
                continue
            except OSError as error:
                self.tally.fail(Problem(file.name, f"it cannot be looked at: {error.strerror}"))
                continue
            except Exception as error:  # the user's own function
                self.tally.fail(Problem(file.name, f"its metadata could not be had: {error!r}"))
                continue
            known = self.ledger.known(file.key)
            given = self.ledger.given(file.key) if told is None else told
            if known and known.settings != self.pool.settings.get(known.modality):
                known = None
            if known and file.text is None and unchanged(known, size, mtime_ns):
                self._still_there(file, known, given)
                continue
            for route, encoder in self.encoders.items():
                if route.channel in file.channels:
                    _ = encoder.dim  # a checkpoint that is still to be fetched is fetched now, not while a batch waits
            self._drawn[file.key] = Draft(file, given, time.time_ns())
            yield Job(file.key, file.path, known.content if known else None, file.text)

    def _told(self, file: File) -> Metadata | None:
        """What the user says about a file now; None if nothing."""
        if file.text is not None:
            return file.given
        return checked(self.metadata(file.path)) if callable(self.metadata) else self.metadata

    def _still_there(self, file: File, known: Known, given: Metadata) -> None:
        """A file has not changed; what the user says about it may have."""
        if sorted(facts(known.given)) != sorted(facts(given)):  # as mappings, true and 1 would be equal
            self.ledger.describe(known, given)
            self.tally.add(self.report.added, file.name)
        else:
            self.tally.add(self.report.unchanged, file.name)

    def _drawn_again(self, drafts: list[Draft]) -> Iterator[Job]:
        for draft in drafts:
            self._drawn[draft.file.key] = Draft(draft.file, draft.given, time.time_ns())
            yield Job(draft.file.key, draft.file.path, None, draft.file.text)

    def _take(self, event: Event) -> None:
        key = event.job.key
        if key in self._drawn:
            self._drafts[key] = self._drawn.pop(key)
        draft = self._drafts[key]
        match event:
            case Opened():
                draft.opened = event
                bytes_ = same(event)
                if self._leaders.setdefault(bytes_, key) != key or self.ledger.twin(*bytes_):
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
                self.report.notes.append(Problem(draft.file.name, message))
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
        known = self.ledger.known(key) if opened.job.unless == opened.content else None
        if known:
            self.ledger.touch(key, opened.size, opened.mtime_ns, draft.seen_ns)
            self._close(draft)
            self._still_there(draft.file, known, draft.given)
        elif draft.twin:
            self._twins.append(draft)
            self._close(draft)
        else:
            draft.whole = True

    def _close(self, draft: Draft) -> None:
        del self._drafts[draft.file.key]
        if draft.opened and self._leaders.get(same(draft.opened)) == draft.file.key:
            del self._leaders[same(draft.opened)]

    def _failed(self, draft: Draft, error: MediaError) -> None:
        """Report a file that cannot be read. What it was before is forgotten, unless it may still be just that."""
        file = draft.file
        self._close(draft)
        self.batches.drop(draft)
        if isinstance(error, UnsupportedMedia) and not file.named and not file.claims_to_be_media:
            self.tally.add(self.report.ignored, file.name)
        else:
            self.tally.fail(Problem(file.name, str(error)))
        if draft.opened and not isinstance(error, UnreadableMedia):
            self._keep(file)
            broken = [Outcome(route, "failed", str(error)) for route in self.encoders]
            self.ledger.publish([Entry(draft.known(), (), broken)])
        elif not isinstance(error, (UnreadableMedia, DecoderDied)):
            self.ledger.remove([file.key])

    def _flush(self) -> None:
        self.batches.flush()
        self._publish()

    def _publish(self) -> None:
        """Let all files be seen whose vectors are stored."""
        ready = [draft for draft in self._drafts.values() if draft.ready]
        if not ready:
            return
        for draft in ready:
            self._keep(draft.file)
        outcomes = {draft.file.key: draft.outcomes(self.encoders) for draft in ready}
        self.ledger.publish(Entry(draft.known(), draft.segments, outcomes[draft.file.key]) for draft in ready)
        for draft in ready:
            self._close(draft)
            if draft.broken or draft.missing:
                reason = "; ".join(dict.fromkeys([*draft.missing.values(), *draft.broken.values()]))
                good = any(outcome.status != "failed" for outcome in outcomes[draft.file.key])
                self.tally.fail(Problem(draft.file.name, reason), self.report.partial if good else None)
            else:
                self.tally.add(self.report.added, draft.file.name)

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
        draft.whole = True
        self._drafts[draft.file.key] = draft
        self._publish()
        return True

    def _keep(self, file: File) -> None:
        if file.root != PASSAGES:
            self._folders.keep(file.root)

    def sweep(self) -> None:
        """Delete from the store what the ledger no longer refers to."""
        for collection, ids in self.ledger.garbage().items():
            self.store.delete(collection, ids)
            self.ledger.swept(collection, ids)
