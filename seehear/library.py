"""The door: a library is a folder that remembers files, what is in them, and which models looked."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout

from seehear.contracts import Encoder, Store
from seehear.errors import InputError, LibraryDamaged, LibraryError, LibraryInUse, MediaError, ModelMismatch
from seehear.evaluate import Direction, image_to_text, text_to_image
from seehear.folders import LEDGER, Folders
from seehear.hits import Hits
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
        folder = Path(path).absolute()
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; a library is a folder.")
        made = (folder / LEDGER).exists()
        if not made and not create:
            raise InputError(f"There is no library in {folder}. Make one: seehear add PICTURES --library {folder}")
        if not made and folder.exists() and any(entry.name != "lock" for entry in folder.iterdir()):
            raise InputError(f"{folder} holds other files; give the library a folder of its own.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            release = _lock(folder)
        except OSError as error:
            raise LibraryError(f"{folder} cannot be used for a library: {error.strerror}.") from error
        opened: list[Any] = []
        try:
            chosen = model_set(models or _remembered(folder) or DEFAULT_MODELS)
            given = encoders or {}
            made_of = {name: given[name] if name in given else load(name)() for name in _encoder_names(chosen)}
            ledger = Ledger(folder / LEDGER, chosen.routes)
            opened.append(ledger)
            _check_passport(folder, ledger, chosen, made_of)
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
        given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        if not given:
            raise InputError("Say which files or folders to add.")
        return Ingest(self._ledger, self._store, self._pool, self._encoders, metadata, progress).run(given)

    def remove(self, sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
        """Forget files, given by path, by folder or by key; the files themselves stay. Returns the keys.

        Raises InputError, and removes nothing, if one of them is not in the library.
        """
        given = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
        keys, unknown = Folders(self._ledger).select([os.fspath(one) for one in given])
        if unknown:
            raise InputError(f"Not in this library: {', '.join(unknown)}. `seehear info --sources` lists what is.")
        self._ledger.remove(keys)
        Ingest(self._ledger, self._store, self._pool, self._encoders, None, None).sweep()
        return keys

    def retriever(self, k: int = 10, **fields: Any) -> Retriever:
        """A retriever with settings of its own: any field of Query, such as channels, modalities or where."""
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
        route = next((r for r in self._encoders if r.channel == "visual" and {"text", "image"} <= r.answers), None)
        if route is None:
            raise InputError(f"The models {self.models.name!r} have no encoder that takes both words and pictures.")
        held = {str(path): name for path, name in self._ledger.pictures().items()}
        owners: dict[str, int] = {}
        for path, _ in pairs:
            name = os.path.realpath(path)
            if name not in held:
                raise InputError(f"{path} is not in the library; add it first.")
            owners.setdefault(name, len(owners))
        ids = [held[name] for name in owners]
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
        """A ledger full of files beside an empty store means that somebody took the store away."""
        held = self._ledger.counts()
        if held and not any(self._store.count(collection) for collection in held):
            raise LibraryDamaged(
                f"The vectors of {self.path} are gone. Remove that folder, and add your files again to make them anew."
            )


def _encoder_names(models: ModelSet) -> list[str]:
    return list(dict.fromkeys(route.encoder for route in models.routes))


def _remembered(folder: Path) -> str | None:
    """Name of the set that a library was made with, without taking it for granted that one exists."""
    if not (folder / LEDGER).exists():
        return None
    ledger = Ledger(folder / LEDGER, ())
    try:
        return ledger.passport().get("models")
    finally:
        ledger.close()


def _check_passport(folder: Path, ledger: Ledger, models: ModelSet, encoders: Mapping[str, Encoder]) -> None:
    """Compare the library's models with those of this run; a new library is stamped. Raises ModelMismatch."""
    held = ledger.passport()
    if held.get("models", models.name) != models.name:
        raise ModelMismatch(
            f"{folder} was made with the models {held['models']!r}, not {models.name!r}; their vectors cannot "
            f"be compared. Open it without naming models, or make another library."
        )
    prints = json.dumps({name: encoder.fingerprint for name, encoder in encoders.items()}, sort_keys=True)
    if "models" not in held:
        ledger.stamp({"models": models.name, "fingerprints": prints})
    elif held["fingerprints"] != prints:
        before: dict[str, str] = json.loads(held["fingerprints"])
        changed = [name for name, encoder in encoders.items() if before.get(name) != encoder.fingerprint]
        raise ModelMismatch(
            f"{folder} was made with other weights or settings of {', '.join(changed) or 'its models'}; vectors of the "
            "two cannot be compared. Install the version it was made with, or make a new library from your files."
        )


def _lock(folder: Path) -> Callable[[], None]:
    """Take the library for this process. Raises LibraryInUse, naming who holds it."""
    lock = FileLock(folder / "lock")
    holder = folder / "holder"
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
