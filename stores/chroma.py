"""Chroma, in the library's folder or on a server: a collection per (encoder, channel, modality), cosine, our vectors.

The files of an embedded one are sealed when it is closed. Where the seal says that one is not what it was, nothing is
opened; where there is none, because the process was killed, another process looks at them first.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sqlite3
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chromadb
import numpy as np
from chromadb.config import Settings
from chromadb.errors import ChromaError, InternalError, NotFoundError
from numpy.typing import NDArray

from seehear.errors import InputError, LibraryDamaged, LibraryError, SeehearError
from seehear.seal import Seal
from seehear.types import Collection, Match, Segment

from .inspection import embedded, fault

logger = logging.getLogger("seehear.store")
CHUNK = 250
"""Rows per call: Chroma Cloud takes 300, an embedded one 5,461; its throughput is flat from 150 on."""
PAGE = 100_000
"""Ids per page of a Chroma that is not in the cloud, which looks for each page from the beginning."""
HNSW = {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 4000}
"""How a collection is indexed; only what is said at its creation counts. Chroma's defaults (16, 100, 100) find half of
the true ten when pictures ask among 20,000 texts: such questions lie apart from all that is stored. With these it is
99 % or more, for some milliseconds more: `cookbook/measure_stores.py` prints both. Twice the neighbours find as much,
and take a fifth more of the disk."""
SPARE = 0.03
"""Share of a file that may be empty before it is written anew."""
SEAL = "seehear-seal.json"
REFUSED = re.compile(
    r"readonly database|disk I/O error|disk is full|unable to open|No space left|File too large|ermission ?[dD]enied|"
    r"Read-only file system"
)
"""What Chroma, SQLite and the system say where nothing is damaged: nobody may write, or there is no room."""


class ChromaStore:
    """Vectors in an embedded Chroma. One process at a time, readers included."""

    def __init__(self, folder: Path) -> None:
        """Open or make the store in a folder. Raises LibraryDamaged when its files cannot be used."""
        made = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._seal: Seal | None = Seal(folder / SEAL, lambda: (path for path in folder.rglob("*") if path.is_file()))
        broken = self._seal.broken()
        if broken:
            raise _damaged(folder, f"{', '.join(broken)} is not what was written")
        if broken is None and made:
            logger.info(
                "the library was not closed: its vectors are looked at", extra={"seehear": {"event": "looking"}}
            )
            if why := fault(folder):
                raise _unusable(folder, why)
        self._seal.lift()
        try:
            self._client = embedded(folder)
        except Exception as error:  # Chroma raises its own, SQLite's and plain ones for damaged files
            raise _unusable(folder, str(error)) from error
        self._folder = folder
        self._begin(folder)

    @classmethod
    def over(cls, client: Any, library: str) -> ChromaStore:
        """Use a Chroma client of the caller's, who closes it; `library` keeps our collections apart from others."""
        store = cls.__new__(cls)
        store._seal, store._client = None, client
        store._begin("your Chroma client", f"seehear-{library}.")
        return store

    @classmethod
    def at(cls, address: str, library: str) -> ChromaStore:
        """Use a Chroma server, such as `chroma run` starts, at `http://HOST:PORT`.

        It has no authentication of its own: whoever reaches it reads and changes everything. Raises InputError for what
        is no such address, LibraryError if nobody answers there.
        """
        try:
            parts = urlsplit(address)
            host, port, ssl = parts.hostname, parts.port, parts.scheme == "https"
            host = f"[{host}]" if host and ":" in host else host  # of IPv6
        except ValueError as error:
            raise InputError(f"{address!r} is no address of a Chroma server: {error}.") from error
        if not host or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise InputError(f"{address!r} is no address of a Chroma server; write http://HOST:PORT.")
        where = f"the Chroma server at {address}"
        with _explained(where):
            client = chromadb.HttpClient(
                host, port or (443 if ssl else 8000), ssl, settings=Settings(anonymized_telemetry=False)
            )
        store = cls.over(client, library)
        store._where, store._owned = where, True
        return store

    def _begin(self, where: str | Path, prefix: str = "") -> None:
        self._where = str(where)
        """What errors call it."""
        self._prefix = prefix
        self._owned = self._seal is not None
        """Whether the client is ours to close."""
        self._collections: dict[Collection, chromadb.Collection] = {}
        self._closed = False

    def upsert(self, collection: Collection, segments: Sequence[Segment], vectors: NDArray[np.float32]) -> None:
        """Write segments with their vectors, float32 (n, dim); an id that exists is replaced whole."""
        target = self._collection(collection, create=True)
        assert target is not None  # noqa: S101 - it was asked to be made
        for start in range(0, len(segments), CHUNK):
            part = segments[start : start + CHUNK]
            ids = [segment.id for segment in part]
            with _explained(self._where):
                target.upsert(ids=ids, embeddings=vectors[start : start + CHUNK])

    def nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Match]:
        """The k segments most similar to a vector (dim,), best first; with `among`, only of these ids."""
        target = self._collection(collection)
        if target is None or (among is not None and not among):
            return []
        ids = None if among is None else list(among)
        with _explained(self._where):
            try:
                answer = target.query(
                    query_embeddings=vector[None, :],
                    ids=ids,
                    n_results=k if ids is None else min(k, len(ids)),  # of what is there, if that is less
                    include=["distances"],
                )
            except InternalError:
                # One id that is gone by now fails the question; that is rare, and looking first costs more than asking.
                left = self._there(target, ids or ())
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
            with _explained(self._where):
                rows = target.get(ids=list(ids[start : start + CHUNK]), include=["embeddings"])
            found |= zip(rows["ids"], np.asarray(rows["embeddings"], np.float32), strict=True)
        return found

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        """Remove segments; ids that are not there are passed over."""
        target = self._collection(collection)
        for start in range(0, len(ids) if target else 0, CHUNK):
            assert target is not None  # noqa: S101 - the range is empty otherwise
            with _explained(self._where):
                target.delete(ids=list(ids[start : start + CHUNK]))

    def count(self, collection: Collection) -> int:
        """How many segments a collection holds; 0 for one that was never written."""
        target = self._collection(collection)
        with _explained(self._where):
            return target.count() if target else 0

    def ids(self, collection: Collection) -> Iterator[str]:
        """All ids of a collection, read page by page."""
        target = self._collection(collection)
        size, offset, page = PAGE if self._owned else CHUNK, 0, [""]
        while target and page:
            with _explained(self._where):
                page = target.get(include=[], limit=size, offset=offset)["ids"]
            yield from page
            offset += len(page)
            if len(page) < size:
                return

    def drop(self, collection: Collection) -> None:
        """Remove a collection and all it holds."""
        with _explained(self._where):
            if self._collection(collection):
                self._client.delete_collection(self._prefix + _name(collection))
        self._collections.pop(collection, None)

    def close(self) -> None:
        """Let Chroma write its files out, and seal them; may be called twice."""
        if not self._closed and self._owned:
            self._closed = True
            self._client.close()
            _hang_up(self._client)
            if self._seal:
                _shrunk(self._folder)
                with suppress(OSError):  # without it the files are looked at the next time
                    self._seal.set()

    def _there(self, target: chromadb.Collection, ids: Sequence[str]) -> list[str]:
        """Those of some ids that a collection has."""
        parts = [list(ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)]
        return [name for part in parts for name in target.get(ids=part, include=[])["ids"]]

    def _collection(self, collection: Collection, *, create: bool = False) -> chromadb.Collection | None:
        if self._closed:
            raise LibraryError("The library is closed; open it again.")
        if collection not in self._collections:
            name = self._prefix + _name(collection)
            with _explained(self._where):
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
def _explained(where: str) -> Iterator[None]:
    """Let Chroma's own errors name the place and the cure."""
    try:
        yield
    except SeehearError:
        raise
    except InternalError as error:  # what an index that cannot be read says, among others
        raise LibraryDamaged(
            f"Chroma cannot go on with {where}: {_short(error)}. Check disk or server; if it stays so: "
            "seehear verify --repair"
        ) from error
    except ChromaError as error:
        raise LibraryError(
            f"Chroma cannot go on with {where}: {_short(error)}. Check disk or server, and open the library again."
        ) from error
    except Exception as error:  # a server that has gone away raises what the HTTP library of the day does
        raise LibraryError(
            f"{where[0].upper()}{where[1:]} cannot be used ({_short(error)}). If it is a server, see whether it runs: "
            "chroma run --path FOLDER --port PORT. If it has moved, open the library with its new address: store="
        ) from error


def _hang_up(client: Any) -> None:
    """End the connections to a server, which Chroma 1.5.9 leaves open."""
    for one in (client, getattr(client, "_admin_client", None)):
        session = getattr(getattr(one, "_server", None), "_session", None)
        if session is not None:
            session.close()


def _short(error: Exception) -> str:
    """An error in a line: what answers at a wrong address may be a whole page."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200).rstrip(".?")


def _name(collection: Collection) -> str:
    """Chroma's names are 3 to 512 of [a-zA-Z0-9._-]; an encoder may be called anything."""
    plain = f"{collection.encoder}.{collection.channel}.{collection.modality}"
    clean = re.sub(r"[^a-zA-Z0-9._-]|^[._-]|\.\.", "-", plain)
    return plain if clean == plain else f"x{clean}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def _shrunk(folder: Path) -> None:
    """Give back what rows and collections that are gone have left on the disk; Chroma never does so by itself."""
    file = folder / "chroma.sqlite3"
    with suppress(OSError, sqlite3.Error), closing(sqlite3.connect(file, isolation_level=None)) as db:
        (pages,), (free,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
        if free > SPARE * pages:
            db.execute("VACUUM")
        indexes = {name for (name,) in db.execute("SELECT id FROM segments")}
        for path in folder.iterdir():
            if path.is_dir() and path.name not in indexes:
                shutil.rmtree(path)


def _unusable(folder: Path, why: str) -> LibraryError:
    """Damage is put right by making the vectors anew; what the system refuses is not."""
    if not REFUSED.search(why):
        return _damaged(folder, why)
    return LibraryError(f"The vectors in {folder} cannot be used: {why}. Check permissions and disk.")


def _damaged(folder: Path, why: str) -> LibraryDamaged:
    return LibraryDamaged(
        f"The vectors in {folder} are damaged: {why}. They can be made again from your files: "
        f"seehear verify --repair --library {folder.parent}"
    )
