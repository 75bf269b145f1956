"""The door: a library is a folder that remembers files, what is in them, and which models looked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from seehear import assembly
from seehear.asked import Asked
from seehear.brought import Brought
from seehear.contracts import Encoder, Store, Transcriber
from seehear.errors import InputError, LibraryError
from seehear.evaluate import Direction, directions
from seehear.folders import LEDGER, Folders, listed
from seehear.hits import Hits
from seehear.ingest import GiveMetadata, Ingest
from seehear.ledger import Ledger
from seehear.media import Limits
from seehear.passages import passages
from seehear.passport import Passport, remembered
from seehear.place import take
from seehear.pool import Pool
from seehear.presets import ModelSet, absolute, model_set
from seehear.query import build, count, filters
from seehear.retrieve import Retriever
from seehear.scales import Scales
from seehear.speech import Speech
from seehear.tally import Progress
from seehear.together import Together
from seehear.types import Query, Report, Route
from seehear.words import NAME as WORDS

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
        transcriber: Transcriber | None,
        passport: Passport,
        limits: Limits,
        release: Callable[[], None],
    ) -> None:
        self.path, self.models = path, models
        self._ledger, self._store, self._encoders, self._passport = ledger, store, encoders, passport
        self._transcriber = transcriber
        self._pool = Pool(models.modalities, lambda: assembly.needs(encoders, speech=transcriber is not None), limits)
        self._scales = Scales(ledger, store, encoders)
        asking = {route.encoder: Together(encoder) for route, encoder in encoders.items()}
        self._asking = {route: asking[route.encoder] for route in encoders}
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
        transcriber: str | Transcriber | None = None,
        frames: str | None = None,
        limits: Limits | None = None,
        create: bool = True,
    ) -> Self:
        """Open a library, or make one.

        `models` is chosen when the library is made (`mini` if nothing is said) and remembered. `store` is `chroma`,
        `memory` to forget everything at the end, a Chroma client of yours, or a Store. `encoders` puts an object of
        your own, or another name, in the place of an encoder's name: a checkpoint that has moved, say. `transcriber`
        is who writes down what is said from now on, instead of the set's own: `whisper:MODEL`, `faster-whisper:MODEL`,
        or an object; a name is remembered. `frames` is how those of videos are chosen from now on: `keyframes`, or
        `shots` (every frame is read); it is remembered too, and videos are cut anew when they are added again.
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
            writer = assembly.transcriber(chosen, transcriber, ledger.passport().get("transcriber"))
            chosen = assembly.modalities(chosen, frames, ledger.passport().get("frames"))
            vectors = assembly.opened(store, folder, ledger)
            opened.append(vectors)
            library = cls(folder, ledger, vectors, chosen, watched, writer, passport, limits or Limits(), release)
            assembly.agree(ledger, vectors, watched, library._pool.settings, folder)
            named = {"transcriber": transcriber, "frames": frames}
            passport.stamp({name: absolute(value) for name, value in named.items() if isinstance(value, str)})
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
        language: str | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Take in files, and folders with all that is below them. What is known and unchanged costs next to nothing.

        `metadata` is a mapping for all files, or a callable that is given each path. `language` (ISO 639-1) is what is
        spoken in them; None to find out. A file that cannot be taken in is reported, and stops no other. Raises
        EncoderError or MissingExtra when the models cannot be loaded.
        """
        given = listed(paths)
        if not given:
            raise InputError("Say which files or folders to add.")
        speech = self._speech(language)
        with self._writing:
            ingest = self._ingest(metadata, progress, speech=speech)
            return self._calibrated(ingest.run(given))

    def add_texts(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Sequence[str] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Report:
        """Take in passages that are no files; those of an id that is there replace what it was.

        An id that is not given follows from the text. A hit's `source` is the id, and `remove` takes it. Raises
        InputError, or as `add` does.
        """
        given = passages(texts, metadatas, ids)
        if "text" not in self.models.modalities:
            raise InputError(f"The models {self.models.name!r} read no texts.")
        with self._writing:
            ingest = self._ingest(None, progress)
            return self._calibrated(ingest.take(lambda: given))

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
        seen = {route: encoder for route, encoder in self._encoders.items() if route.channel == "visual"}
        for encoder in seen.values():
            brought.prove(encoder, Asked(self._pool).picture)
        with self._writing:
            ingest = self._ingest(metadata, progress, encoders=seen, brought=brought)
            return self._calibrated(ingest.run(given))

    def remove(self, sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
        """Forget files, given by path, by folder or by key, and passages, given by id. Returns the keys.

        The files themselves stay.

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
            self._scales.refresh()
        return keys

    def retriever(self, k: int = 10, **fields: Any) -> Retriever:
        """A retriever with settings of its own: any field of Query, such as channels, modalities or where.

        Raises QueryError for settings that make no sense.
        """
        self._check_open()
        filters(build(Query(), fields))
        modalities = tuple(self._pool.settings)
        return Retriever(
            self._ledger, self._store, self._asking, modalities, Asked(self._pool), self._speech(None), self._scales,
            self._executor, count(k), fields,
        )  # fmt: skip

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
        return directions(self._ledger, self._store, route, self._encoders[route], pairs)

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file is in the library."""
        self._check_open()
        return Path(os.path.realpath(path)) in self._ledger.paths().values()

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
            ]
            + [
                {"channel": channel, "encoder": WORDS, "asked_by": ["text"]}
                for channel in dict.fromkeys(r.channel for r in self.models.routes if r.channel in ("speech", "text"))
            ],
            "transcriber": self._transcriber.name if self._transcriber else None,
            "encoders": {route.encoder: self._passport.fingerprint(route.encoder) for route in self._encoders},
            "files": len(sources) - self._ledger.lost(),
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
        self,
        metadata: GiveMetadata | None,
        progress: Progress | None,
        encoders: Mapping[Route, Encoder] | None = None,
        **parts: Any,
    ) -> Ingest:
        self._check_open()
        return Ingest(self._ledger, self._store, self._pool, encoders or self._encoders, metadata, progress, **parts)

    def _speech(self, language: str | None) -> Speech | None:
        if language is not None and self._transcriber is None:
            raise InputError(f"The models {self.models.name!r} write down no speech, in whatever language.")
        return Speech(self._transcriber, language) if self._transcriber else None

    def _calibrated(self, report: Report) -> Report:
        self._scales.refresh()
        return report
