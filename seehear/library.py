"""The door: a library is a folder that remembers files, what is in them, and which models looked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout

from seehear import passport
from seehear.contracts import Encoder, Store
from seehear.errors import InputError, LibraryDamaged, LibraryError, LibraryInUse, MediaError
from seehear.evaluate import Direction, image_to_text, text_to_image
from seehear.folders import LEDGER, LOCK, Folders
from seehear.hits import Hits, shown
from seehear.ingest import BATCH, GiveMetadata, Ingest, Progress
from seehear.ledger import Ledger
from seehear.media import Limits
from seehear.pool import Finished, Job, Piece, Pool
from seehear.presets import ModelSet, model_set
from seehear.query import count
from seehear.registry import load
from seehear.retrieve import Retriever
from seehear.types import Collection, Needs, Picture, Query, Report, Route, Text

DEFAULT_MODELS = "mini"
HOLDER = "holder"
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
        limits: Limits,
        release: Callable[[], None],
    ) -> None:
        self.path, self.models = path, models
        self._ledger, self._store, self._encoders = ledger, store, encoders
        wanted = [encoder.needs.pixels for encoder in encoders.values() if encoder.needs.pixels]
        self._pool = Pool(models.modalities, Needs(pixels=max(wanted, default=None)), limits)
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
        store: str = "chroma",
        encoders: Mapping[str, Encoder] | None = None,
        limits: Limits | None = None,
        create: bool = True,
    ) -> Self:
        """Open a library, or make one.

        `models` is chosen when the library is made (`mini` if nothing is said) and remembered. `store` is `chroma`,
        or `memory` to forget everything at the end. `encoders` puts objects of your own in the place of names.
        Raises LibraryInUse, LibraryDamaged, ModelMismatch, or InputError for names that do not exist.
        """
        if not os.fspath(path):
            raise InputError("A library needs a name: the folder that it is to be.")
        folder = Path(path).absolute()
        if folder != Path(shown(str(folder))):
            raise InputError(f"{shown(str(folder))}: the path of a library is plain text, without control characters.")
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; a library is a folder.")
        made = (folder / LEDGER).exists()
        if not made and not create:
            raise InputError(f"There is no library in {folder}. Make one: seehear add PICTURES --library {folder}")
        if not made and (folder / "chroma").is_dir():
            raise LibraryDamaged(
                f"{folder} has vectors and no {LEDGER}. Restore it, or remove the folder and add again."
            )
        if not made and folder.exists() and any(entry.name not in (LOCK, HOLDER) for entry in folder.iterdir()):
            raise InputError(f"{folder} holds other files; give the library a folder of its own.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            release = _lock(folder)
        except OSError as error:
            raise LibraryError(f"{folder} cannot be used for a library: {error.strerror}.") from error
        opened: list[Any] = []
        try:
            chosen = model_set(models or passport.remembered(folder) or DEFAULT_MODELS)
            given = encoders or {}
            names = dict.fromkeys(route.encoder for route in chosen.routes)
            made_of = {name: given[name] if name in given else load(name)() for name in names}
            # What is forgotten at the end must not be remembered by half.
            ledger = Ledger(Path(":memory:") if store == "memory" else folder / LEDGER, chosen.routes)
            opened.append(ledger)
            passport.check(folder, ledger, chosen, made_of)
            vectors = load(store)(folder / store)
            opened.append(vectors)
            library = cls(
                folder, ledger, vectors, chosen, {route: made_of[route.encoder] for route in chosen.routes},
                limits or Limits(), release,
            )  # fmt: skip
            library._check_store()
        except BaseException:
            for one in reversed(opened):
                one.close()
            release()
            raise
        return library

    def add(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        metadata: GiveMetadata | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Take in files, and folders with all that is below them. What is known and unchanged costs next to nothing.

        `metadata` is a mapping for all files, or a callable that is given each path. A file that cannot be taken in
        is reported, and stops no other. Raises EncoderError or MissingExtra when the models cannot be loaded.
        """
        given = _paths(paths)
        if not given:
            raise InputError("Say which files or folders to add.")
        with self._writing:
            return self._ingest(metadata, progress).run(given)

    def remove(self, sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
        """Forget files, given by path, by folder or by key; the files themselves stay. Returns the keys.

        Raises InputError, and removes nothing, if one of them is not in the library.
        """
        given = _paths(sources)
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

    def _ingest(self, metadata: GiveMetadata | None, progress: Progress | None) -> Ingest:
        self._check_open()
        return Ingest(self._ledger, self._store, self._pool, self._encoders, metadata, progress)

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
        elif not wanted and not self._ledger.garbage() and any(self._store.count(collection) for collection in held):
            what = f"The ledger of {self.path} is gone"
        else:
            return
        raise LibraryDamaged(f"{what}. Remove that folder, and add your files again to make them anew.")


def _paths(given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    listed = [given] if isinstance(given, (str, os.PathLike)) else given
    if not isinstance(listed, Iterable) or not all(isinstance(one, (str, os.PathLike)) for one in listed):
        raise InputError(f"Files and folders are given by their paths, not by {given!r}.")
    return [os.fspath(one) for one in listed]


def _lock(folder: Path) -> Callable[[], None]:
    """Take the library for this process. Raises LibraryInUse, naming who holds it."""
    lock = FileLock(folder / LOCK)
    holder = folder / HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who = "another process"
        with suppress(OSError):
            who = holder.read_text() or who
        raise LibraryInUse(
            f"{folder} is in use by {who}. A library belongs to one process at a time: wait for it, or stop it."
        ) from error
    holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")

    def release() -> None:
        holder.unlink(missing_ok=True)
        lock.release()

    return release
