"""The read path: a question -> one vector per route -> nearest in each collection -> hits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.contracts import Encoder, Store
from seehear.errors import QueryError
from seehear.fusion import fuse
from seehear.hits import Hits
from seehear.ledger import Ledger
from seehear.query import OpenPicture, build, count, filters, parts
from seehear.types import Collection, Content, Match, Modality, Query, Route, Segment
from seehear.where import Condition

SPARE = 8
"""Matches asked for beyond k, for rows that turn out not to be published."""
COMMON, MARGIN, MOST = 0.05, 1.5, 2_000
"""From this share on a filter is applied to what was found: so many times more is asked for, up to so many matches."""

Found = tuple[Match, Segment, Path]


@dataclass(frozen=True, slots=True)
class Retriever:
    """The common retriever interface: asks a library, with settings that hold for every question."""

    ledger: Ledger
    store: Store
    encoders: Mapping[Route, Encoder]
    modalities: tuple[Modality, ...]
    open_picture: OpenPicture
    executor: Executor
    k: int = 10
    settings: Mapping[str, Any] | None = None

    def retrieve(self, query: str | Query, k: int | None = None, **fields: Any) -> Hits:
        """Find the k best answers, best first.

        Any field of Query may be given beside a plain string. Raises QueryError for a question that cannot be asked.
        """
        wanted = count(self.k if k is None else k)
        asked = build(query, {**(self.settings or {}), **fields})
        condition = filters(asked)
        vectors = self._vectors(asked, parts(asked, self.open_picture))
        lists = {}
        for route, vector in vectors.items():
            for modality in self.modalities:
                if asked.modalities is None or modality in asked.modalities:
                    collection = Collection(route.encoder, route.channel, modality)
                    lists[collection] = self._nearest(collection, vector, wanted, condition)
        return Hits([hit for hit in fuse(lists) if hit.score >= asked.min_score][:wanted])

    async def aretrieve(self, query: str | Query, k: int | None = None, **fields: Any) -> Hits:
        """Like `retrieve`, without holding up the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, lambda: self.retrieve(query, k, **fields))

    def _vectors(self, query: Query, asked: list[tuple[Content, float]]) -> dict[Route, NDArray[np.float32]]:
        """One unit vector per route that takes every part: the weighted sum of the parts."""
        kinds = {content.kind for content, _ in asked}
        routes = [route for route in self.encoders if query.channels is None or route.channel in query.channels]
        able = [route for route in routes if kinds <= route.answers]
        if not able:
            here = ", ".join(f"{r.channel} by {' or '.join(sorted(r.answers))}" for r in self.encoders)
            place = f" in {', '.join(sorted(query.channels))}" if query.channels else ""
            raise QueryError(
                f"Nothing here answers a question made of {' and '.join(sorted(kinds))}{place}. "
                f"This library answers: {here}."
            )
        weights = np.array([weight for _, weight in asked], dtype=np.float32)
        embedded: dict[str, NDArray[np.float32]] = {}
        for route in able:
            if route.encoder not in embedded:
                rows = self.encoders[route].embed([content for content, _ in asked], "query")
                total = weights @ rows
                length = float(np.linalg.norm(total))
                if not math.isfinite(length):
                    raise QueryError(f"{route.encoder} makes nothing of this question: its vector holds no numbers.")
                if length < 1e-3 * float(np.abs(weights).sum()):
                    raise QueryError("The parts of the question cancel each other out. Take less away.")
                embedded[route.encoder] = (total / length).astype(np.float32)
        return {route: embedded[route.encoder] for route in able}

    def _nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, condition: Condition | None
    ) -> list[Found]:
        """The k nearest that a filter lets through."""
        if condition is None:
            return self._published(collection, vector, k)
        selection = self.ledger.selection
        share = selection.share(collection, condition)
        if share >= COMMON and (more := math.ceil((k + SPARE) / share * MARGIN)) <= MOST:
            # Much passes, so it is among the nearest too: that is cheaper than naming to the store all that may pass.
            matches = self.store.nearest(collection, vector, more)
            passing = selection.passing([match.id for match in matches], condition)
            found = self._resolved([match for match in matches if match.id in passing][: k + SPARE])
            if len(found) >= k:
                return found[:k]
        return self._published(collection, vector, k, selection.ids(collection, condition))

    def _published(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Found]:
        """The k nearest that are published; rows of files that are on their way in or out do not count."""
        asked = k + SPARE
        while True:
            matches = self.store.nearest(collection, vector, asked, among)
            found = self._resolved(matches)
            if len(found) >= k or len(matches) < asked:
                return found[:k]
            asked *= 2

    def _resolved(self, matches: Sequence[Match]) -> list[Found]:
        seen = self.ledger.resolve([match.id for match in matches])
        return [(match, *seen[match.id]) for match in matches if match.id in seen]
