"""The write path: files -> decoded segments -> batches -> vectors -> store -> ledger.

Decoding runs ahead in other processes while this thread embeds. Nothing is seen before it is whole: a file is published
after all its vectors are stored. A bad file never stops the others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.brought import Brought
from seehear.contracts import Encoder, Store
from seehear.draft import Draft, same, unchanged
from seehear.errors import DecoderDied, InputError, MediaError, SeehearError, UnreadableMedia, UnsupportedMedia
from seehear.folders import File, Folders
from seehear.ledger import Entry, Known, Ledger, Outcome
from seehear.media import READS
from seehear.metadata import checked
from seehear.pool import Event, Finished, Job, Note, Opened, Piece, Pool
from seehear.types import Channel, Collection, Content, Metadata, Problem, Report, Route, Segment
from seehear.where import facts

BATCH = 64
"""Segments per call of an encoder and of the store: past this neither gets faster."""
OPEN = 4 * BATCH
"""Files that may wait for a batch to fill before it goes as it is."""

GiveMetadata = Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]
Progress = Callable[[int, int, str], None]
"""Called with files done, files in all, and the file; from more than one thread, though never at once."""


class Ingest:
    """One run of `Library.add`."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        pool: Pool,
        encoders: Mapping[Route, Encoder],
        metadata: GiveMetadata | None,
        progress: Progress | None,
        brought: Brought | None = None,
    ) -> None:
        self.ledger, self.store, self.pool, self.encoders = ledger, store, pool, encoders
        # What holds for all files is checked once, and is the caller's mistake; what is told of each, file by file.
        self.metadata = metadata if metadata is None or callable(metadata) else checked(metadata)
        self.progress, self.brought = progress, brought
        self.report = Report()
        self._folders = Folders(ledger)
        self._drawn: dict[str, Draft] = {}
        """Files that the pool has taken and not opened yet; filled from its threads."""
        self._drafts: dict[str, Draft] = {}
        self._leaders: dict[tuple[str, str], str] = {}
        """Of files with the same bytes, the one that is being embedded."""
        self._twins: list[Draft] = []
        self._batches: dict[Route, list[tuple[Draft, Segment, Content]]] = {route: [] for route in encoders}
        self._done = self._total = 0
        self._counting = threading.Lock()

    def run(self, paths: Sequence[str | os.PathLike[str]]) -> Report:
        """Take in files and folders. Raises only what makes going on pointless, such as missing weights."""
        started = time.monotonic()
        if self.progress:
            self._total = sum(1 for _ in self._folders.discover(paths))
        self.sweep()
        self._decode(self._jobs(self._folders.discover(paths)))
        while self._twins:
            # A twin whose other has changed or failed in the meantime is read again; one of each kind then leads.
            twins, self._twins = self._twins, []
            self._decode(self._drawn_again([draft for draft in twins if not self._copied(draft)]))
        self.sweep()
        report = self.report
        report.notes += self.brought.unused({one.path for one in report.failed}) if self.brought else []
        if not (report.added or report.unchanged or report.partial or report.failed):
            for path in paths:
                report.failed.append(Problem(os.fspath(path), f"there is no picture in it ({READS})"))
        report.seconds = time.monotonic() - started
        return report

    def _decode(self, jobs: Iterator[Job]) -> None:
        with closing(self.pool.run(jobs)) as events:
            for event in events:
                self._take(event)
        self._flush()

    def _jobs(self, found: Iterable[File | Problem]) -> Iterator[Job]:
        """What has to be read; what has not changed since it was read is done with a look at its size and time."""
        for file in found:
            if isinstance(file, Problem):
                self._fail(file)
                continue
            try:
                told = checked(self.metadata(file.path)) if callable(self.metadata) else self.metadata
                status = file.path.stat()
            except InputError as error:
                self._fail(Problem(str(file.path), str(error)))
                continue
            except OSError as error:
                self._fail(Problem(str(file.path), f"it cannot be looked at: {error.strerror}"))
                continue
            except Exception as error:  # the user's own function
                self._fail(Problem(str(file.path), f"its metadata could not be had: {error!r}"))
                continue
            known = self.ledger.known(file.key)
            given = self.ledger.given(file.key) if told is None else told
            if known and known.settings != self.pool.settings[known.modality]:
                known = None
            if known and unchanged(known, status):
                self._still_there(file, known, given)
                continue
            for encoder in self.encoders.values():
                _ = encoder.dim  # a checkpoint that is still to be fetched is fetched now, not while a batch waits
            self._drawn[file.key] = Draft(file, given, time.time_ns())
            yield Job(file.key, file.path, known.content if known else None)

    def _still_there(self, file: File, known: Known, given: Metadata) -> None:
        """A file has not changed; what the user says about it may have."""
        if sorted(facts(known.given)) != sorted(facts(given)):  # as mappings, true and 1 would be equal
            self.ledger.describe(known, given)
            self._tell(self.report.added, file)
        else:
            self._tell(self.report.unchanged, file)

    def _drawn_again(self, drafts: list[Draft]) -> Iterator[Job]:
        for draft in drafts:
            self._drawn[draft.file.key] = Draft(draft.file, draft.given, time.time_ns())
            yield Job(draft.file.key, draft.file.path)

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
            case Piece():
                draft.found |= event.segment.metadata
                draft.segments.append(event.segment)
                for route in self.encoders:
                    if route.channel == event.segment.channel and not draft.twin:
                        draft.waiting += 1
                        self._batches[route].append((draft, event.segment, event.content))
                        if len(self._batches[route]) >= BATCH:
                            self._embed(route)
            case Note(message=message):
                self.report.notes.append(Problem(str(draft.file.path), message))
            case Finished(error=MediaError() as error):
                self._failed(draft, error)
            case Finished():
                self._finish(draft)
        if len(self._drafts) > OPEN:
            self._flush()

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
        for route, batch in self._batches.items():
            self._batches[route] = [item for item in batch if item[0] is not draft]
        if isinstance(error, UnsupportedMedia) and not file.named and not file.claims_to_be_media:
            self._tell(self.report.ignored, file)
        else:
            self._fail(Problem(str(file.path), str(error)))
        if draft.opened:
            self._folders.keep(file.root)
            broken = [Outcome(route, "failed", str(error)) for route in self.encoders]
            self.ledger.publish([Entry(draft.known(), (), broken)])
        elif not isinstance(error, (UnreadableMedia, DecoderDied)):
            self.ledger.remove([file.key])

    def _flush(self) -> None:
        for route in self.encoders:
            self._embed(route)
        self._publish()

    def _embed(self, route: Route) -> None:
        """Embed and store what waits on a route, then publish the files that this makes whole."""
        batch, self._batches[route] = self._batches[route], []
        for modality in dict.fromkeys(segment.modality for _, segment, _ in batch):
            part = [item for item in batch if item[1].modality == modality]
            kept, rows = self._vectors(route, part)
            if kept:
                self._upsert(Collection(route.encoder, route.channel, modality), [item[1] for item in kept], rows)
            self.report.embedded += 0 if self.brought else len(kept)
        for draft, _, _ in batch:
            draft.waiting -= 1
        self._publish()

    def _upsert(self, collection: Collection, segments: Sequence[Segment], rows: NDArray[np.float32]) -> None:
        self.ledger.intend(collection, [segment.id for segment in segments])
        self.store.upsert(collection, segments, rows)

    def _vectors(self, route: Route, batch: list[tuple[Draft, Segment, Content]]) -> tuple[list[Any], Any]:
        encoder = self.encoders[route]
        if self.brought:
            return batch, self.brought.rows([draft.file.path for draft, _, _ in batch])
        contents = [content for _, _, content in batch]
        try:
            if np.isfinite(rows := encoder.embed(contents, "document")).all():
                return batch, rows
            raise ValueError("its vector holds no numbers")
        except SeehearError:
            raise  # weights that are missing will be missing for the next batch too
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].broken[route] = f"{route.encoder} could not embed it: {error!r}"
                return [], None
        # One bad content must not take the rest of its batch along: each gets a try of its own.
        singles = [self._vectors(route, [item]) for item in batch]
        good = [(kept[0], rows) for kept, rows in singles if kept]
        return [item for item, _ in good], np.concatenate([rows for _, rows in good]) if good else None

    def _publish(self) -> None:
        """Let all files be seen whose vectors are stored."""
        ready = [draft for draft in self._drafts.values() if draft.ready]
        if not ready:
            return
        for draft in ready:
            self._folders.keep(draft.file.root)
        self.ledger.publish(Entry(draft.known(), draft.segments, self._outcomes(draft)) for draft in ready)
        for draft in ready:
            self._close(draft)
            if draft.broken:
                reason = "; ".join(draft.broken.values())
                good = len(draft.broken) < len(self.encoders)
                self._fail(Problem(str(draft.file.path), reason), self.report.partial if good else None)
            else:
                self._tell(self.report.added, draft.file)

    def _outcomes(self, draft: Draft) -> list[Outcome]:
        present: set[Channel] = {segment.channel for segment in draft.segments}
        routes = [route for route in self.encoders if route.channel in present]
        return [Outcome(r, "failed" if r in draft.broken else "done", draft.broken.get(r, "")) for r in routes]

    def _copied(self, draft: Draft) -> bool:
        """Give a file the vectors of another that has the same bytes, if there still is one."""
        assert draft.opened  # noqa: S101 - its bytes made it a twin
        other = self.ledger.twin(*same(draft.opened))
        if other is None:
            return False
        ids = self.ledger.segment_ids(other)
        for route in self.encoders:
            mine = [segment for segment in draft.segments if segment.channel == route.channel]
            theirs = ids.get(route.channel, [])
            if not mine:
                continue
            collection = Collection(route.encoder, route.channel, mine[0].modality)
            vectors = self.store.get(collection, theirs)
            if len(mine) != len(theirs) or len(vectors) != len(theirs):
                return False
            self._upsert(collection, mine, np.stack([vectors[name] for name in theirs]))
        draft.whole = True
        self._drafts[draft.file.key] = draft
        self._publish()
        return True

    def sweep(self) -> None:
        """Delete from the store what the ledger no longer refers to."""
        for collection, ids in self.ledger.garbage().items():
            self.store.delete(collection, ids)
            self.ledger.swept(collection, ids)

    def _tell(self, where: list[str], file: File) -> None:
        where.append(str(file.path))
        self._step(str(file.path))

    def _fail(self, problem: Problem, where: list[Problem] | None = None) -> None:
        (self.report.failed if where is None else where).append(problem)
        self._step(problem.path)

    def _step(self, path: str) -> None:
        with self._counting:
            self._done += 1
            if self.progress:
                self.progress(self._done, self._total, path)
