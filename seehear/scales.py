"""The scale of each collection: what unrelated questions find in it, measured anew as it grows.

For questions in words, the unrelated ones are the sentences of the bank. For those that are pictures or sounds, they
are pictures or sounds of the library itself, each asked of all the others. `seehear.calibration` makes scores of that.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from seehear.calibration import FEWEST, Null, patterns
from seehear.calibration import WORDS as SHARES
from seehear.contracts import Encoder, Store
from seehear.errors import EncoderError, MissingExtra
from seehear.ledger import Ledger
from seehear.types import Channel, Collection, Kind, Match, Route, Text
from seehear.words import NAME as WORDS

Array = NDArray[np.float32]

BANK = 256
"""Pictures or sounds of the library that are asked as unrelated questions."""
GROWTH = 0.2
"""A scale is measured anew when its collection has grown or shrunk by this share; in between it is shifted."""
READ = 1000
"""Vectors that are read from the store at a time."""
HOMES: Mapping[Kind, Channel] = {"image": "visual", "audio": "sound"}
"""Where the library has contents that could be questions of a kind."""


class Scales:
    """Rates what is found. May be used from several threads."""

    def __init__(self, ledger: Ledger, store: Store, encoders: Mapping[Route, Encoder]) -> None:
        self._ledger, self._store, self._encoders = ledger, store, encoders
        self._nulls: dict[tuple[Collection, Kind], Null] = {}
        self._counts: dict[Collection, int] = {}
        self._lock = Lock()

    def rate(self, collection: Collection, kinds: frozenset[Kind], matches: Sequence[Match]) -> list[float]:
        """How surprising each match of a list would be as an answer to an unrelated question; one float per match.

        A question of several kinds is rated by the kind that finds the highest similarities.
        """
        if not matches:
            return []
        count, similar = self.count(collection), [match.similarity for match in matches]
        rated = [self._null(collection, kind).surprise(similar, count) for kind in sorted(kinds)]
        found: list[float] = np.min(rated, axis=0).tolist()
        return found

    def refresh(self) -> None:
        """Measure what is due, now that files came or went."""
        with self._lock:
            self._counts.clear()
        for collection, n in self._ledger.counts().items():
            for route in self._encoders:
                if (route.encoder, route.channel) == (collection.encoder, collection.channel) and n:
                    with suppress(EncoderError, MissingExtra):  # a model that is gone is missed when it is asked
                        for kind in sorted(route.answers):
                            self._null(collection, kind)
            if collection.channel in ("speech", "text"):
                self._null(Collection(WORDS, collection.channel, collection.modality), "text")

    def count(self, collection: Collection) -> int:
        """How many segments a collection has."""
        with self._lock:
            if not self._counts:
                self._counts = self._ledger.counts()
                for one, n in tuple(self._counts.items()):
                    self._counts[Collection(WORDS, one.channel, one.modality)] = n
            return self._counts.get(collection, 0)

    def _null(self, collection: Collection, kind: Kind) -> Null:
        """The scale for a kind of question; measured now if it is due."""
        count, key = self.count(collection), (collection, kind)
        name = f"null {collection.encoder} {collection.channel} {collection.modality} {kind}"
        with self._lock:
            null = self._nulls.get(key)
            if null is None and (kept := self._ledger.kept(name)):
                null = Null.from_json(kept.decode())
            if null is None or abs(count - null.count) > GROWTH * null.count:
                null = self._measured(collection, kind, count)
                self._ledger.keep(name, null.to_json().encode())
            self._nulls[key] = null
            return null

    def _measured(self, collection: Collection, kind: Kind, count: int) -> Null:
        if collection.encoder == WORDS:
            best = [self._ledger.words.nearest(collection, question, 1) for question in sentences()]
            return Null.fit([found[0].similarity if found else 0.0 for found in best], count, least=SHARES)
        names, rows = self._bank(collection.encoder, kind)
        tops = np.full(len(rows), -1.0, np.float32)
        place = {name: number for number, name in enumerate(names)}
        for ids, vectors in self._vectors(collection):
            similar = vectors @ rows.T
            for number, name in enumerate(ids):
                if name in place:
                    similar[number, place[name]] = -1.0  # what finds itself tells nothing
            tops = np.maximum(tops, similar.max(axis=0))
        return Null.fit(tops[tops > -1], count, foreign=kind == "image" and not names)

    def _bank(self, encoder: str, kind: Kind) -> tuple[list[str], Array]:
        """Vectors of unrelated questions (n, dim), with the ids of those that are the library's own."""
        if kind == "text":
            name = f"bank {encoder}"
            if (kept := self._ledger.kept(name)) is not None:
                return [], np.frombuffer(kept, "<f2").reshape(len(sentences()), -1).astype(np.float32)
            rows = self._encoder(encoder).embed([Text(sentence) for sentence in sentences()], "query")
            self._ledger.keep(name, rows.astype("<f2").tobytes())
            return [], rows
        found: list[tuple[str, Array]] = []
        for home in self._ledger.counts():
            if (home.encoder, home.channel) == (encoder, HOMES[kind]):
                ids = heapq.nsmallest(BANK, self._store.ids(home))  # ids are hashes: as good as drawn
                found += sorted(self._store.get(home, ids).items())
        found = sorted(found, key=lambda pair: pair[0])[:BANK]
        if len(found) <= FEWEST:  # each of them may be a thing of the collection, and is then not asked of itself
            drawn = patterns() if kind == "image" else []
            return [], self._encoder(encoder).embed(drawn, "query")
        return [name for name, _ in found], np.array([row for _, row in found], np.float32)

    def _encoder(self, name: str) -> Encoder:
        return next(encoder for route, encoder in self._encoders.items() if route.encoder == name)

    def _vectors(self, collection: Collection) -> Iterator[tuple[list[str], Array]]:
        ids = list(self._store.ids(collection))
        for start in range(0, len(ids), READ):
            held = self._store.get(collection, ids[start : start + READ])
            if held:
                yield list(held), np.stack(list(held.values()))


@lru_cache(maxsize=1)
def sentences() -> tuple[str, ...]:
    """The bank: sentences about everything and nothing."""
    return tuple(files("seehear").joinpath("bank.txt").read_text(encoding="utf-8").splitlines())
