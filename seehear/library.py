"""The door: a library is a folder that remembers files, what is in them, and which models looked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seehear.asked import Asked
from seehear.brought import Brought
from seehear.changes import gone, preview
from seehear.contracts import Encoder, Transcriber
from seehear.due import GiveMetadata
from seehear.errors import InputError, LibraryError, ModelMismatch
from seehear.evaluate import Direction, directions
from seehear.folders import Folders, listed, relocated
from seehear.handle import real
from seehear.hits import Hits
from seehear.ingest import Ingest
from seehear.inventory import inventory
from seehear.media import Limits
from seehear.migration import Migration
from seehear.opening import Opened, opened
from seehear.parts import Chosen, Parts
from seehear.passages import passages
from seehear.presets import ModelSet, model_set
from seehear.query import build, count, filters
from seehear.retrieve import Retriever
from seehear.tally import Progress
from seehear.types import Query, Report
from seehear.verification import Verification, Verifier

ASKERS = 4
"""Questions that `aretrieve` works on at a time."""


class Library:
    """Files, their vectors and the models that made them, in one folder. Open one with `Library.open`."""

    def __init__(self, opened: Opened) -> None:
        self.path = opened.place.folder
        self._place, self._custody, self._parts = opened.place, opened.custody, opened.parts
        self._chosen = opened.chosen
        self._executor = ThreadPoolExecutor(ASKERS, thread_name_prefix="seehear")
        self._closed = False

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, models: str | ModelSet | None = None, store: Any = None,
        encoders: Mapping[str, Encoder | str] | None = None, transcriber: str | Transcriber | None = None,
        frames: str | None = None, limits: Limits | None = None, create: bool = True, repair: bool = False,
    ) -> Self:  # fmt: skip
        """Open a library, or make one.

        `models` is chosen when the library is made (`mini` if nothing is said) and remembered; so is `store`: `chroma`,
        the address of a Chroma server (`http://localhost:8000`), which many processes may use at once, `memory` to
        forget everything at the end, a Chroma client of yours, or a Store. `encoders` puts an object of
        your own, or another name, in the place of an encoder's name: a checkpoint that has moved, say. `transcriber`
        is who writes down what is said from now on, instead of the set's own: `whisper:MODEL`, `faster-whisper:MODEL`,
        or an object; a name is remembered. `frames` is how those of videos are chosen from now on: `keyframes`, or
        `shots` (every frame is read); it is remembered too, and videos are cut anew when they are added again.
        `repair` opens a library that is damaged: what is no use is put aside, and `verify(repair=True)` makes it anew.
        Raises LibraryInUse, LibraryDamaged, ModelMismatch, or InputError for names that do not exist.
        """
        return cls(
            opened(
                path, models, store, create=create, repair=repair, encoders=encoders or {}, transcriber=transcriber,
                frames=frames, limits=limits or Limits(),
            )
        )  # fmt: skip

    def add(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *,
        metadata: GiveMetadata | None = None, language: str | None = None, retry: bool = False,
        progress: Progress | None = None,
    ) -> Report:  # fmt: skip
        """Take in files, and folders with all that is below them. What is known and unchanged costs next to nothing.

        `metadata` is a mapping for all files, or a callable that is given each path. `language` (ISO 639-1) is what is
        spoken in them; None to find out. A file that cannot be taken in is reported, and stops no other; it is tried
        again when it has changed, or with `retry`. Raises EncoderError or MissingExtra if models cannot be loaded.
        """
        given = listed(paths)
        if not given:
            raise InputError("Say which files or folders to add.")
        return self._change(metadata, progress, lambda ingest: ingest.run(given), language=language, retry=retry)

    def sync(
        self, folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, dry_run: bool = False,
        metadata: GiveMetadata | None = None, language: str | None = None, retry: bool = False,
        progress: Progress | None = None,
    ) -> Report:  # fmt: skip
        """Make the library equal to folders: take in what is new or has changed, follow what was moved, forget what is
        gone. What was moved is not embedded again, and keeps its metadata.

        With `dry_run` nothing is changed, and the report says what would be. The rest is as in `add`. Raises InputError
        for what is no folder, or one of which every file is gone, or as `add` does.
        """
        given = listed(folders)
        with self._turn() as parts:
            speech = parts.speech(language)
            left = gone(parts.ledger, given)
            ingest = parts.ingest(metadata, progress, speech=speech, gone=left, retry=retry, dry=dry_run)
            if dry_run:
                with ingest.tally.run(lambda: 0):
                    return preview(ingest.due, Folders(parts.ledger).discover(given), left, self._chosen.limits)
            report = ingest.run(given)
            parts.scales.refresh()
        return report

    def add_texts(
        self, texts: Sequence[str], metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Sequence[str] | None = None, *, progress: Progress | None = None,
    ) -> Report:  # fmt: skip
        """Take in passages that are no files; those of an id that is there replace what it was.

        An id that is not given follows from the text. A hit's `source` is the id, and `remove` takes it. Raises
        InputError, or as `add` does.
        """
        given = passages(texts, metadatas, ids)
        if "text" not in self._open_parts().models.modalities:
            raise InputError(f"The models {self.models.name!r} read no texts.")
        return self._change(None, progress, lambda ingest: ingest.take(lambda: given))

    def add_vectors(
        self, files: Iterable[str | os.PathLike[str]], vectors: Any, *, metadata: GiveMetadata | None = None,
        progress: Progress | None = None,
    ) -> Report:  # fmt: skip
        """Take in files whose vectors you have: an array of floats (len(files), dim), one row per file, of any length.

        They must be of the library's model: a few are made anew and compared. Raises ModelMismatch, or as `add` does.
        """
        given = listed(files)
        brought = Brought(given, vectors)
        parts = self._open_parts()
        seen = {route: encoder for route, encoder in parts.encoders.items() if route.channel == "visual"}
        for encoder in seen.values():
            brought.prove(encoder, Asked(parts.pool).picture)
        return self._change(metadata, progress, lambda ingest: ingest.run(given), encoders=seen, brought=brought)

    def remove(self, sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
        """Forget files, given by path, by folder or by key, and passages, given by id. Returns the keys.

        The files themselves stay. Raises InputError, and removes nothing, if one of them is not in the library.
        """
        given = listed(sources)
        with self._turn() as parts:
            keys, unknown = Folders(parts.ledger).select(given)
            if unknown:
                raise InputError(f"Not in this library: {', '.join(unknown)}. `seehear info --sources` lists what is.")
            parts.ingest(None, None).remove(keys)
            parts.scales.refresh()
        return keys

    def relocate(self, old: str | os.PathLike[str], new: str | os.PathLike[str]) -> list[str]:
        """Say that a folder was moved: its files are looked for in the new place from now on, and none is read again.

        Folders that were moved together with the library are found without that. Returns the names of the folders.
        Raises InputError if nothing of it was added, or nothing of it is there.
        """
        with self._turn() as parts:
            parts.ledger.move_roots(moved := relocated(parts.ledger, os.fspath(old), os.fspath(new)))
        return sorted(moved)

    def migrate(
        self, models: str | ModelSet, *, encoders: Mapping[str, Encoder | str] | None = None,
        transcriber: str | Transcriber | None = None, frames: str | None = None, drop_missing: bool = False,
        progress: Progress | None = None,
    ) -> Report:  # fmt: skip
        """Give the library other models: what they need is embedded again, and the old ones answer until all is done.

        It may be killed, and goes on when it is called again. Retrievers made before have to be made anew. Where files
        that the old models have cannot be read any more, nothing is switched, and the report lists them as failed;
        with `drop_missing` they stay listed, less what is lost. The rest is as in `open`, and so are the errors.
        """
        chosen = Chosen(model_set(models), encoders or {}, transcriber, frames, self._chosen.limits)
        with self._turn() as parts:
            report, new = Migration(self.path, parts, chosen, progress).run(drop_missing=drop_missing)
            if new:
                self._parts, self._chosen = new, chosen
                self._custody.back_up(new.ledger)  # the one before tells of the old models
        return report

    def verify(self, *, repair: bool = False, progress: Progress | None = None) -> Verification:
        """Compare what the library says it holds with what is stored, and with the files on disk.

        `repair` makes again what is missing, and deletes what nothing refers to. What became of the files is only told:
        `sync` follows it. Raises as `add` does.
        """
        with self._turn() as parts:
            return Verifier(parts, progress).run(repair=repair)

    def retriever(self, k: int = 10, **fields: Any) -> Retriever:
        """A retriever with settings of its own: any field of Query, such as channels, modalities or where.

        Raises QueryError for settings that make no sense.
        """
        parts = self._open_parts()
        filters(build(Query(), fields))
        return Retriever(
            parts.ledger, parts.store, parts.asking, tuple(parts.pool.settings), Asked(parts.pool), parts.speech(None),
            parts.scales, self._executor, count(k), fields, parts.store.number,
        )  # fmt: skip

    def retrieve(self, query: str | Query, k: int = 10, **fields: Any) -> Hits:
        """Find the k best answers to a question in words, or to a Query; fields of Query may be given beside it."""
        parts = self._open_parts()
        try:
            return self.retriever().retrieve(query, k, **fields)
        except ModelMismatch:
            if not self._place.settled() or self._parts is parts:  # no migration of ours that was about to end
                raise
            return self.retrieve(query, k, **fields)

    async def aretrieve(self, query: str | Query, k: int = 10, **fields: Any) -> Hits:
        """Like `retrieve`, without holding up the event loop."""
        return await self.retriever().apart(lambda: self.retrieve(query, k, **fields))

    def evaluate(self, pairs: Sequence[tuple[Path, str]]) -> list[Direction]:
        """Measure how well captions find their pictures and pictures their captions, among those of `pairs`.

        The pictures must be in the library. Raises InputError if one is not, or if no encoder takes both.
        """
        parts = self._open_parts()
        route = next((r for r in parts.encoders if r.channel == "visual" and {"text", "image"} <= r.answers), None)
        if route is None:
            raise InputError(f"The models {self.models.name!r} have no encoder that takes both words and pictures.")
        return directions(parts.ledger, parts.store, route, parts.encoders[route], pairs)

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file is in the library."""
        return real(path) in self._open_parts().ledger.paths().values()

    def info(self) -> dict[str, Any]:
        """What the library holds, and what made it, as plain values."""
        return inventory(self.path, self._open_parts())

    @property
    def models(self) -> ModelSet:
        """The model set that it answers with."""
        return self._parts.models

    def close(self) -> None:
        """Let go of files, processes and the lock; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._executor.shutdown()
        parts, whole = self._parts, False
        try:
            try:
                with self._place.turn(wait=False) as ours:
                    parts = self._parts
                    if ours and not parts.store.forgets:  # else whoever is at it will do so
                        self._custody.back_up(parts.ledger)
            finally:
                parts.close()  # though the disk may be full
            whole = not self._place.shared and not parts.store.forgets
        finally:
            parts.ledger.close()
            if whole:
                self._custody.close()
            self._place.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_parts(self) -> Parts:
        if self._closed:
            raise LibraryError(f"{self.path} is closed; open it again.")
        return self._parts

    @contextmanager
    def _turn(self) -> Iterator[Parts]:
        """Be the only one who changes it, with the parts of then: models may have changed while we waited.

        Raises ModelMismatch if another process has given it other models.
        """
        self._open_parts()
        with self._place.turn():
            parts = self._open_parts()
            if parts.ledger.counters().get("era", 0) != parts.store.number:
                raise ModelMismatch("The library has other models by now: open it again.")
            yield parts

    def _change(
        self,
        metadata: GiveMetadata | None,
        progress: Progress | None,
        work: Callable[[Ingest], Report],
        *,
        language: str | None = None,
        **looks: Any,
    ) -> Report:
        """One run of the write path, in its turn."""
        with self._turn() as parts:
            speech = parts.speech(language)
            report = work(parts.ingest(metadata, progress, speech=speech, **looks))
            parts.scales.refresh()
        return report
