"""Chroma, embedded in the library's folder: one collection per (encoder, channel, modality), cosine, our own vectors.

Chroma's files are sealed when the store closes. If the seal is broken at the next opening (the process was killed, or
somebody touched a file), another process looks at them first: a truncated index can crash whoever opens it
(chroma-core/chroma#7238).
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings
from chromadb.errors import ChromaError, InternalError, NotFoundError
from numpy.typing import NDArray

from seehear.errors import LibraryDamaged, LibraryError
from seehear.types import Collection, Match, Segment

CHUNK = 250
"""Rows per call: Chroma Cloud takes 300, an embedded one 5,461; its throughput is flat from 150 on."""
HNSW = {"space": "cosine", "max_neighbors": 64, "ef_construction": 200, "ef_search": 4000}
"""How a collection is indexed; only what is said at its creation counts. Chroma's defaults (16, 100, 100) find half of
the true ten when pictures ask among 20,000 texts: such questions lie apart from all that is stored. With these it is
more than 99 %, for some milliseconds more: `cookbook/measure_stores.py` prints both."""
SEAL = "seehear-seal.json"
PROBES = 50
"""Vectors of each collection that must find themselves when the files are looked at."""


class ChromaStore:
    """Vectors in an embedded Chroma. One process at a time, readers included."""

    def __init__(self, folder: Path) -> None:
        """Open or make the store in a folder. Raises LibraryDamaged when its files cannot be used."""
        self._folder: Path | None = folder
        folder.mkdir(parents=True, exist_ok=True)
        _look_at(folder)
        (folder / SEAL).unlink(missing_ok=True)
        try:
            self._client = _open(folder)
        except Exception as error:  # Chroma raises its own, SQLite's and plain ones for damaged files
            raise _damaged(folder, str(error)) from error
        self._begin()

    @classmethod
    def over(cls, client: Any, library: str) -> ChromaStore:
        """Use a Chroma client of the caller's, who closes it; `library` keeps our collections apart from others."""
        store = cls.__new__(cls)
        store._folder, store._client = None, client
        store._begin(f"seehear-{library}.")
        return store

    def _begin(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._collections: dict[Collection, chromadb.Collection] = {}
        self._closed = False

    def upsert(self, collection: Collection, segments: Sequence[Segment], vectors: NDArray[np.float32]) -> None:
        """Write segments with their vectors, float32 (n, dim); an id that exists is replaced whole."""
        target = self._collection(collection, create=True)
        assert target is not None  # noqa: S101 - it was asked to be made
        for start in range(0, len(segments), CHUNK):
            part = segments[start : start + CHUNK]
            ids = [segment.id for segment in part]
            with _explained(self._folder):
                target.upsert(
                    ids=ids,
                    embeddings=vectors[start : start + CHUNK],
                    metadatas=[_metadata(segment) for segment in part],
                )

    def nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Match]:
        """The k segments most similar to a vector (dim,), best first; with `among`, only of these ids."""
        held = self.count(collection)
        target = self._collection(collection)
        if target is None or not held or (among is not None and not among):
            return []
        ids = None if among is None else list(among)
        with _explained(self._folder):
            try:
                answer = target.query(
                    query_embeddings=vector[None, :],
                    ids=ids,
                    n_results=min(k, held if ids is None else len(ids)),
                    include=["distances"],
                )
            except InternalError:
                # One id that is gone by now fails the question; that is rare, and looking first costs more than asking.
                there = set(self.ids(collection))
                left = [name for name in ids or () if name in there]
                if ids is None or len(left) == len(ids):
                    raise
                return self.nearest(collection, vector, k, left)
        distances = (answer["distances"] or [[]])[0]
        return [Match(name, 1.0 - float(far)) for name, far in zip(answer["ids"][0], distances, strict=True)]

    def get(self, collection: Collection, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors by id; ids that are not there are left out."""
        target = self._collection(collection)
        found: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(ids) if target else 0, CHUNK):
            assert target is not None  # noqa: S101 - the range is empty otherwise
            with _explained(self._folder):
                rows = target.get(ids=list(ids[start : start + CHUNK]), include=["embeddings"])
            found |= zip(rows["ids"], np.asarray(rows["embeddings"], np.float32), strict=True)
        return found

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        """Remove segments; ids that are not there are passed over."""
        target = self._collection(collection)
        for start in range(0, len(ids) if target else 0, CHUNK):
            assert target is not None  # noqa: S101 - the range is empty otherwise
            with _explained(self._folder):
                target.delete(ids=list(ids[start : start + CHUNK]))

    def count(self, collection: Collection) -> int:
        """How many segments a collection holds; 0 for one that was never written."""
        target = self._collection(collection)
        with _explained(self._folder):
            return target.count() if target else 0

    def ids(self, collection: Collection) -> Iterator[str]:
        """All ids of a collection, read page by page."""
        target = self._collection(collection)
        page: list[str] = []
        offset = 0
        while target and (page := target.get(include=[], limit=CHUNK, offset=offset)["ids"]):
            yield from page
            offset += len(page)

    def drop(self, collection: Collection) -> None:
        """Remove a collection and all it holds."""
        with _explained(self._folder):
            if self._collection(collection):
                self._client.delete_collection(self._prefix + _name(collection))
        self._collections.pop(collection, None)

    def close(self) -> None:
        """Let Chroma write its files out, and seal them; may be called twice."""
        if not self._closed and self._folder is not None:
            self._closed = True
            rows = _rows(self._client)
            self._client.close()
            (self._folder / SEAL).write_text(json.dumps({"files": _listing(self._folder), "rows": rows}))

    def _collection(self, collection: Collection, *, create: bool = False) -> chromadb.Collection | None:
        if self._closed:
            raise LibraryError(f"{self._folder} is closed; open the library again.")
        if collection not in self._collections:
            name = self._prefix + _name(collection)
            with _explained(self._folder):
                try:
                    # No embedding function, neither now nor at creation: the default would fetch a model.
                    found = self._client.get_collection(name, embedding_function=None)
                except NotFoundError:
                    if not create:
                        return None
                    index: Any = {"hnsw": HNSW}
                    found = self._client.create_collection(name, embedding_function=None, configuration=index)
            if found.configuration_json["hnsw"]["space"] != "cosine":
                raise LibraryError(f"The Chroma collection {name} was not made for cosine similarity; remove it.")
            self._collections[collection] = found
        return self._collections[collection]


@contextmanager
def _explained(folder: Path | None) -> Iterator[None]:
    """Let Chroma's own errors name the library and the cure."""
    try:
        yield
    except ChromaError as error:
        where = f"in {folder}" if folder else "through your client"
        raise LibraryError(f"Chroma cannot go on {where}: {error}. Check disk or server, and open it again.") from error
    except LibraryError:
        raise
    except Exception as error:  # a server that has gone away raises what the HTTP library of the day does
        if folder is not None:
            raise
        raise LibraryError(f"The Chroma server cannot be reached ({error!r}). Start it, and try again.") from error


def _open(folder: Path) -> Any:
    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _name(collection: Collection) -> str:
    """Chroma's names are 3 to 512 of [a-zA-Z0-9._-]; an encoder may be called anything."""
    plain = f"{collection.encoder}.{collection.channel}.{collection.modality}"
    clean = re.sub(r"[^a-zA-Z0-9._-]|^[._-]|\.\.", "-", plain)
    return plain if clean == plain else f"x{clean}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def _metadata(segment: Segment) -> dict[str, Any]:
    """Where a vector came from, for whoever looks inside; what is asked for by filters is the ledger's."""
    own = {"_source": segment.source, "_start": segment.start, "_end": segment.end}
    return {key: value for key, value in own.items() if value is not None}


def _rows(client: Any) -> dict[str, int]:
    return {collection.name: collection.count() for collection in client.list_collections()}


def _listing(folder: Path) -> list[list[Any]]:
    """Every file with size and time of change: cheap to compare, and different after any write."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    return [[str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def _look_at(folder: Path) -> None:
    """If the seal is broken, let another process open everything first. Raises LibraryDamaged if it does not live."""
    try:
        seal = json.loads((folder / SEAL).read_text())
    except (OSError, ValueError):
        seal = {"files": [], "rows": {}}
    if seal["files"] == _listing(folder):
        return
    child = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "seehear.stores.chroma", str(folder), json.dumps(seal["rows"])],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if child.returncode:
        last = child.stderr.strip().splitlines()[-1:] or [
            f"the process that looked at it ended with {child.returncode}"
        ]
        raise _damaged(folder, last[0])


def _damaged(folder: Path, why: str) -> LibraryDamaged:
    return LibraryDamaged(
        f"The vectors in {folder} are damaged: {why}. They can be made again from your files: "
        f"remove the library's folder {folder.parent} and add them again."
    )


def inspect(folder: Path, rows: dict[str, int]) -> None:
    """Read every vector, and let some find themselves. May crash the process: run it in one that nobody needs.

    `rows` is how many each collection held when it was sealed; nothing is known after an unclean close.
    """
    client = _open(folder)
    if rows and rows != (found := _rows(client)):
        raise LibraryError(f"it held {sum(rows.values()):,} rows when it was closed, and holds {sum(found.values()):,}")
    for collection in client.list_collections():
        held = collection.count()
        probes: list[tuple[str, Any]] = []
        read = 0
        while ids := collection.get(include=[], limit=CHUNK, offset=read)["ids"]:
            page = collection.get(ids=ids, include=["embeddings"])
            vectors = page["embeddings"]
            if vectors is None or len(vectors) != len(ids):
                raise LibraryError(f"vectors are missing from {collection.name}")
            probes += list(zip(page["ids"], vectors, strict=True))[:: max(1, held // PROBES)]
            read += len(ids)
        if read != held:
            raise LibraryError(f"{collection.name} counts {held} rows and holds {read}")
        for name, vector in probes:
            near = collection.query(query_embeddings=vector[None, :], n_results=1, include=["distances"])
            if not near["ids"][0] or (near["distances"] or [[1.0]])[0][0] > 1e-3:
                raise LibraryError(f"row {name} of {collection.name} cannot be found by its own vector")
    client.close()


if __name__ == "__main__":
    try:
        inspect(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except (ChromaError, LibraryError, ValueError, TypeError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
