"""The door: a library is a folder that remembers files, what is in them, and which models looked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np

from seehear import assembly
from seehear.brought import Brought
from seehear.contracts import Encoder, Store
from seehear.errors import InputError, LibraryDamaged, LibraryError, MediaError
from seehear.evaluate import Direction, image_to_text, text_to_image
from seehear.folders import LEDGER, Folders, listed
from seehear.hits import Hits
from seehear.ingest import BATCH, GiveMetadata, Ingest, Progress
from seehear.ledger import Ledger
from seehear.media import Limits
from seehear.passport import Passport, remembered
from seehear.place import take
from seehear.pool import Finished, Job, Piece, Pool
from seehear.presets import ModelSet, model_set
from seehear.query import count
from seehear.retrieve import Retriever
from seehear.types import Collection, Needs, Picture, Query, Report, Route, Text

DEFAULT_MODELS = "mini"
ASKERS = 4
"""Questions that `aretrieve` works on at a time."""


class Library:
    """Files, their vectors and the models that made them, in one folder. Open one with `Library.open`."""

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        store: Store,
        models: ModelSet,
        encoders: Mapping[Route, Encoder],
        passport: Passport,
        limits: Limits,
        release: Callable[[], None],
    ) -> None:
        self.path, self.models = path, models
        self._ledger, self._store, self._encoders, self._passport = ledger, store, encoders, passport
        self._pool = Pool(models.modalities, self._needs, limits)
        self._executor = ThreadPoolExecutor(ASKERS, thread_name_prefix="seehear")
        self._release = release
        self._writing = Lock()
        """Held by whoever adds or removes: what one has stored and not yet published is garbage to another."""
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        models: str | ModelSet | None = None,
        store: Any = "chroma",
        encoders: Mapping[str, Encoder | str] | None = None,
        limits: Limits | None = None,
        create: bool = True,
    ) -> Self:
        """Open a library, or make one.

        `models` is chosen when the library is made (`mini` if nothing is said) and remembered. `store` is `chroma`,
        `memory` to forget everything at the end, a Chroma client of yours, or a Store. `encoders` puts an object of
        your own, or another name, in the place of an encoder's name: a checkpoint that has moved, say.
        Raises LibraryInUse, LibraryDamaged, ModelMismatch, or InputError for names that do not exist.
        """
        folder, release = take(path, create=create)
        opened: list[Any] = []
        try:
            chosen = model_set(models or remembered(folder) or DEFAULT_MODELS)
            # What is forgotten at the end must not be remembered by half.
            ledger = Ledger(Path(":memory:") if assembly.forgets(store) else folder / LEDGER, chosen.routes)
            opened.append(ledger)
            passport = Passport(folder, ledger, chosen, assembly.store_name(store))
            watched = assembly.watched(chosen, encoders or {}, passport)
            vectors = assembly.opened(store, folder, ledger)
            opened.append(vectors)
            library = cls(folder, ledger, vectors, chosen, watched, passport, limits or Limits(), release)
            library._check_store()
            passport.stamp()
        except BaseException:
            for one in reversed(opened):
                one.close()
            release()
            raise
        return library

    def add(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        metadata: GiveMetadata | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Take in files, and folders with all that is below them. What is known and unchanged costs next to nothing.

        `metadata` is a mapping for all files, or a callable that is given each path. A file that cannot be taken in
        is reported, and stops no other. Raises EncoderError or MissingExtra when the models cannot be loaded.
        """
        given = listed(paths)
        if not given:
            raise InputError("Say which files or folders to add.")
        with self._writing:
            return self._ingest(metadata, progress).run(given)

    def add_vectors(
        self,
        files: Iterable[str | os.PathLike[str]],
        vectors: Any,
        *,
        metadata: GiveMetadata | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Take in files whose vectors you have: an array of floats (len(files), dim), one row per file, of any length.

        They must be of the library's model: a few are made anew and compared. Raises ModelMismatch, or as `add` does.
        """
        given = listed(files)
        brought = Brought(given, vectors)
        self._check_open()
        for encoder in self._encoders.values():
            brought.prove(encoder, self._open_picture)
        with self._writing:
            return self._ingest(metadata, progress, brought).run(given)

    def remove(self, sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
        """Forget files, given by path, by folder or by key; the files themselves stay. Returns the keys.

        Raises InputError, and removes nothing, if one of them is not in the library.
        """
        given = listed(sources)
        with self._writing:
            ingest = self._ingest(None, None)
            keys, unknown = Folders(self._ledger).select(given)
            if unknown:
                raise InputError(f"Not in this library: {', '.join(unknown)}. `seehear info --sources` lists what is.")
            self._ledger.remove(keys)
            ingest.sweep()
        return keys

    def retriever(self, k: int = 10, **fields: Any) -> Retriever:
        """A retriever with settings of its own: any field of Query, such as channels, modalities or where."""
        self._check_open()
        modalities = tuple(self._pool.settings)
        return Retriever(
            self._ledger, self._store, self._encoders, modalities, self._open_picture, self._executor, count(k), fields
        )

    def retrieve(self, query: str | Query, k: int = 10, **fields: Any) -> Hits:
        """Find the k best answers to a question in words, or to a Query; fields of Query may be given beside it."""
        return self.retriever().retrieve(query, k, **fields)

    async def aretrieve(self, query: str | Query, k: int = 10, **fields: Any) -> Hits:
        """Like `retrieve`, without holding up the event loop."""
        return await self.retriever().aretrieve(query, k, **fields)

    def evaluate(self, pairs: Sequence[tuple[Path, str]]) -> list[Direction]:
        """Measure how well captions find their pictures and pictures their captions, among those of `pairs`.

        The pictures must be in the library. Raises InputError if one is not, or if no encoder takes both.
        """
        self._check_open()
        route = next((r for r in self._encoders if r.channel == "visual" and {"text", "image"} <= r.answers), None)
        if route is None:
            raise InputError(f"The models {self.models.name!r} have no encoder that takes both words and pictures.")
        held = {str(path): key for key, path in self._ledger.paths().items()}
        owners: dict[str, int] = {}
        for path, _ in pairs:
            name = os.path.realpath(path)
            if name not in held:
                raise InputError(f"{path} is not in the library; add it first.")
            owners.setdefault(name, len(owners))
        ids = [self._ledger.segment_ids(held[name])["visual"][0] for name in owners]
        vectors = self._store.get(Collection(route.encoder, "visual", "image"), ids)
        images = np.stack([vectors[name] for name in ids])
        captions = [Text(caption) for _, caption in pairs]
        texts = np.concatenate(
            [self._encoders[route].embed(captions[n : n + BATCH], "query") for n in range(0, len(captions), BATCH)]
        )
        owner = [owners[os.path.realpath(path)] for path, _ in pairs]
        return [text_to_image(texts, owner, images), image_to_text(texts, owner, images)]

    def info(self) -> dict[str, Any]:
        """What the library holds, and what made it, as plain values."""
        self._check_open()
        sources = self._ledger.sources()
        problems = self._ledger.problems()
        return {
            "library": str(self.path),
            "models": self.models.name,
            "routes": [
                {"channel": route.channel, "encoder": route.encoder, "asked_by": sorted(route.answers)}
                for route in self.models.routes
            ],
            "encoders": {route.encoder: self._passport.fingerprint(route.encoder) for route in self._encoders},
            "files": len(sources) - len({problem.path for problem in problems}),
            "segments": sum(self._ledger.counts().values()),
            "problems": [asdict(problem) for problem in problems],
            "folders": {name: str(path) for name, path in self._ledger.roots().items()},
            "sources": [source.key for source in sources],
        }

    def close(self) -> None:
        """Let go of files, processes and the lock; may be called twice."""
        if not self._closed:
            self._closed = True
            self._executor.shutdown()
            self._pool.close()
            try:
                self._store.close()
            finally:
                self._ledger.close()
                self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LibraryError(f"{self.path} is closed; open it again.")

    def _ingest(
        self, metadata: GiveMetadata | None, progress: Progress | None, brought: Brought | None = None
    ) -> Ingest:
        self._check_open()
        return Ingest(self._ledger, self._store, self._pool, self._encoders, metadata, progress, brought)

    def _needs(self) -> Needs:
        wanted = {encoder.needs for encoder in self._encoders.values()}
        sizes = [one.pixels for one in wanted if one.pixels is not None]
        # What suits one network best is no use to another: then each gets pictures that it can make its own of.
        return wanted.pop() if len(wanted) == 1 else Needs(max(sizes) if len(sizes) == len(wanted) else None)

    def _open_picture(self, path: Path) -> Picture:
        """Decode a picture that is a question, in a process that may die of it."""
        found = None
        with closing(self._pool.run([Job(path.name, path)])) as events:
            for event in events:
                if isinstance(event, Piece) and isinstance(event.content, Picture):
                    found = event.content
                if isinstance(event, Finished) and event.error:
                    raise event.error
        if found is None:
            raise MediaError("there is no picture in it")
        return found

    def _check_store(self) -> None:
        """What the ledger says is there must be in the store; the reverse is only waste, unless there is no ledger."""
        wanted = self._ledger.counts()
        missing = sum(max(0, n - self._store.count(collection)) for collection, n in wanted.items())
        held = [Collection(r.encoder, r.channel, m) for r in self._encoders for m in self._pool.settings]
        if missing:
            what = f"{missing:,} vectors of {self.path} are gone"
        elif (
            self._ledger.empty()
            and not assembly.forgets(self._store)
            and any(self._store.count(collection) for collection in held)
        ):
            what = f"The ledger of {self.path} is gone"
        else:
            for collection in held if self._ledger.empty() else ():
                self._store.drop(collection)  # it may have been made for vectors of another length
            return
        raise LibraryDamaged(f"{what}. Remove that folder, and add your files again to make them anew.")
