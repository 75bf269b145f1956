"""The exact store: every vector is compared. The reference for all others, and good for some ten thousand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from seehear.types import Collection, Match, Segment


class MemoryStore:
    """Keeps vectors in dictionaries; nothing outlives the process."""

    forgets = True
    """So the library's ledger must not remember either."""

    def __init__(self, folder: Path | None = None) -> None:  # noqa: ARG002
        """A folder is accepted, as by every store, and not used."""
        self._lock = RLock()
        self._rows: dict[Collection, dict[str, NDArray[np.float32]]] = {}
        self._units: dict[Collection, NDArray[np.float32]] = {}
        """All vectors of a collection at unit length, until it is written again."""

    def upsert(self, collection: Collection, segments: Sequence[Segment], vectors: NDArray[np.float32]) -> None:
        """Write segments with their vectors, float32 (n, dim); an id that exists is replaced whole."""
        with self._lock:
            rows = self._rows.setdefault(collection, {})
            self._units.pop(collection, None)
            for segment, vector in zip(segments, vectors, strict=True):
                rows[segment.id] = vector.astype(np.float32)

    def nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Match]:
        """The k most similar segments, best first; equal ones in the order in which they were written."""
        with self._lock:
            ids = list(self._rows.get(collection, {}))
            if not ids:
                return []
            if collection not in self._units:
                self._units[collection] = _unit(np.stack(list(self._rows[collection].values())))
            units = self._units[collection]
        similarities = units @ _unit(vector[None])[0]
        if among is not None:
            wanted = frozenset(among)
            similarities = np.where([name in wanted for name in ids], similarities, -np.inf)
        order = np.argsort(-similarities, kind="stable")[:k]
        return [Match(ids[place], float(similarities[place])) for place in order if similarities[place] > -np.inf]

    def get(self, collection: Collection, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors by id; ids that are not there are left out."""
        rows = self._rows.get(collection, {})
        return {name: rows[name] for name in ids if name in rows}

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        """Remove segments; ids that are not there are passed over."""
        with self._lock:
            self._units.pop(collection, None)
            for name in ids:
                self._rows.get(collection, {}).pop(name, None)

    def count(self, collection: Collection) -> int:
        """How many segments a collection holds."""
        return len(self._rows.get(collection, {}))

    def ids(self, collection: Collection) -> Iterator[str]:
        """All ids of a collection."""
        yield from tuple(self._rows.get(collection, {}))

    def drop(self, collection: Collection) -> None:
        """Remove a collection and all it holds."""
        with self._lock:
            self._units.pop(collection, None)
            self._rows.pop(collection, None)

    def close(self) -> None:
        """Nothing to let go of."""


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
