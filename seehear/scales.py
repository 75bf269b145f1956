"""The scale of each collection: what unrelated questions find in it, measured anew as it grows.

For questions in words, the unrelated ones are the sentences of the bank. For those that are pictures or sounds, they
are pictures or sounds of the library itself, each asked of all other files. Where these may be just what a collection
is about, as photographs are of their captions, made-up ones are asked too, and those that find less set the scale.
`seehear.calibration` makes scores of that.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from seehear.calibration import FEWEST, Null, noises, patterns
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
"""A scale is measured anew when its collection, or what its bank is drawn from, has grown or shrunk by this share; in
between it is shifted."""
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
        self._changes: dict[str, int] = {}
        """The ledger's counters when they were counted."""
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
        return self._held().get(collection, 0)

    def _held(self) -> dict[Collection, int]:
        with self._lock:
            changes = self._ledger.counters()
            if changes != self._changes:
                self._changes = changes
                counts = self._ledger.counts()
                by_words = {Collection(WORDS, one.channel, one.modality): n for one, n in counts.items()}
                self._counts = counts | by_words
            return self._counts

    def _null(self, collection: Collection, kind: Kind) -> Null:
        """The scale for a kind of question; measured now if it is due."""
        count, key = self.count(collection), (collection, kind)
        homes = self._homes(collection.encoder, kind)
        home = sum(homes.values())
        name = f"null {collection.encoder} {collection.channel} {collection.modality} {kind}"
        with self._lock:
            null = self._nulls.get(key)
            if null is None and (kept := self._ledger.kept.get(name)):
                null = Null.from_json(kept.decode())
            if null is None or _grown(null.count, count) or _grown(null.bank, home):
                null = replace(self._measured(collection, kind, count, homes), bank=home)
                self._ledger.kept.put(name, null.to_json().encode())
            self._nulls[key] = null
            return null

    def _measured(self, collection: Collection, kind: Kind, count: int, homes: Iterable[Collection]) -> Null:
        if collection.encoder == WORDS:
            best = [self._ledger.words.nearest(collection, question, 1) for question in sentences()]
            return Null.fit([found[0].similarity if found else 0.0 for found in best], count, least=SHARES)
        if kind == "text":
            return Null.fit(self._tops(collection, [], self._sentences(collection.encoder)), count)
        nulls = []
        names, rows = self._own(homes)
        if len(names) > FEWEST:  # with less, each of them may be a thing of the collection, and is not asked of itself
            nulls.append(Null.fit(self._tops(collection, names, rows), count))
        if collection.channel != HOMES[kind] or (kind == "image" and not nulls):
            drawn = self._encoder(collection.encoder).embed(patterns() if kind == "image" else noises(), "query")
            nulls.append(Null.fit(self._tops(collection, [], drawn), count, foreign=kind == "image"))
        return min(nulls, key=lambda null: null.location + null.scale, default=Null.fit([], count))

    def _tops(self, collection: Collection, names: Sequence[str], rows: Array) -> Array:
        """The best similarity that each of a bank (m, dim) has in a collection: (m,), less those that find nothing.

        `names` are the segments that the bank is, if it is the library's own: what finds itself, or its own file, or
        one of the same bytes, tells nothing.
        """
        tops = np.full(len(rows), -1.0, np.float32)
        owners = self._ledger.published(names)
        files = {content: number for number, content in enumerate(dict.fromkeys(owners.values()))}
        asking = np.array([files.get(owners.get(name, ""), -2) for name in names])
        for ids, vectors in self._vectors(collection):
            similar = vectors @ rows.T
            if names:
                owners = self._ledger.published(ids)
                asked = np.array([files.get(owners.get(name, ""), -1) for name in ids])
                similar[asked[:, None] == asking] = -1.0
            tops = np.maximum(tops, similar.max(axis=0))
        return tops[tops > -1]

    def _sentences(self, encoder: str) -> Array:
        """Vectors of unrelated questions in words: (n, dim)."""
        name = f"bank {encoder}"
        if (kept := self._ledger.kept.get(name)) is not None:
            return np.frombuffer(kept, "<f2").reshape(len(sentences()), -1).astype(np.float32)
        rows = self._encoder(encoder).embed([Text(sentence) for sentence in sentences()], "query")
        self._ledger.kept.put(name, rows.astype("<f2").tobytes())
        return rows

    def _own(self, homes: Iterable[Collection]) -> tuple[list[str], Array]:
        """Pictures or sounds of the library: their ids, and their vectors (n, dim); of equal ones, one."""
        found: dict[bytes, tuple[str, Array]] = {}
        for home in homes:
            ids = heapq.nsmallest(2 * BANK, self._store.ids(home))  # ids are hashes: as good as drawn
            for name, row in sorted(self._store.get(home, ids).items()):
                found.setdefault(row.tobytes(), (name, row))
        kept = sorted(found.values(), key=lambda pair: pair[0])[:BANK]
        return [name for name, _ in kept], np.array([row for _, row in kept], np.float32)

    def _homes(self, encoder: str, kind: Kind) -> dict[Collection, int]:
        """Where the library has contents that could be questions of a kind, and how many."""
        wanted = (encoder, HOMES.get(kind))
        return {home: n for home, n in self._held().items() if (home.encoder, home.channel) == wanted}

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


def _grown(before: int, now: int) -> bool:
    return abs(now - before) > GROWTH * before
