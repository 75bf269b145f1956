"""Collections of one era of a library: with each new set of models it begins another, beside the old one's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seehear.contracts import Store
from seehear.types import Collection, Match, Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Era:
    """A store whose collections no other era of the same library sees."""

    def __init__(self, store: Store, number: int) -> None:
        """`number` is 0 for the models that the library was made with; then collections have their plain names."""
        self.store, self.number = store, number
        self.forgets = bool(getattr(store, "forgets", False))

    def _own(self, one: Collection) -> Collection:
        return replace(one, encoder=f"{one.encoder} era {self.number}") if self.number else one

    def upsert(self, collection: Collection, segments: Sequence[Segment], vectors: NDArray[np.float32]) -> None:
        self.store.upsert(self._own(collection), segments, vectors)

    def nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Match]:
        return self.store.nearest(self._own(collection), vector, k, among)

    def get(self, collection: Collection, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return self.store.get(self._own(collection), ids)

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        self.store.delete(self._own(collection), ids)

    def count(self, collection: Collection) -> int:
        return self.store.count(self._own(collection))

    def ids(self, collection: Collection) -> Iterator[str]:
        return self.store.ids(self._own(collection))

    def drop(self, collection: Collection) -> None:
        self.store.drop(self._own(collection))

    def close(self) -> None:
        self.store.close()
