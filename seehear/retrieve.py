"""The read path: a question -> one vector per route -> nearest in each collection -> hits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from seehear.asked import Asked
from seehear.calibration import MIN_SCORE, score
from seehear.contracts import Store
from seehear.errors import InputError, LibraryError, ModelMismatch, QueryError, SeehearError
from seehear.fusion import TIMED, Found, fuse
from seehear.hits import Hit, Hits
from seehear.ledger import Ledger
from seehear.query import MOST, TEXT_MAX, build, count, filters, heard, listing, parts
from seehear.recall import recalled
from seehear.scales import Scales
from seehear.scenes import Listed
from seehear.shortlist import SPARE, Nearest, shortlist
from seehear.speech import Speech
from seehear.together import Together
from seehear.types import Collection, Content, Kind, Match, Modality, Query, Route, Text
from seehear.where import Condition
from seehear.wording import repeated
from seehear.words import NAME as WORDS

T = TypeVar("T")

TRIES = 100
"""Times that a question is asked of a library that changes while it is answered."""
DEEP, SHALLOW = 8, 64
"""Of recordings and videos so many rows are asked for per hit, and so many at least: neighbours become one moment."""
DEEPEST = 500
"""Hits for which rows have been asked for when it is enough, whatever they made."""
Contents = list[tuple[Content, float]]
"""The parts of a question, each with its weight."""
Vectors = dict[Route, tuple[NDArray[np.float32], frozenset[Kind]]]
"""A question as each route sees it, (dim,), and the kinds of its parts."""


@dataclass(frozen=True, slots=True)
class Retriever:
    """The common retriever interface: asks a library, with settings that hold for every question."""

    ledger: Ledger
    store: Store
    encoders: Mapping[Route, Together]
    modalities: tuple[Modality, ...]
    asked: Asked
    speech: Speech | None
    scales: Scales
    executor: Executor
    k: int = 10
    settings: Mapping[str, Any] | None = None
    era: int = 0
    """Of the models that ask."""

    def retrieve(self, query: str | Query, k: int | None = None, **fields: Any) -> Hits:
        """Find the k best answers, best first.

        Any field of Query may be given beside a plain string. Raises QueryError for a question that cannot be asked.
        """
        wanted = count(self.k if k is None else k)
        self._counters()
        asked, said = heard(self._built(query, fields), self.asked, self.speech)
        condition = filters(asked)
        contents = parts(asked, self.asked)
        vectors = self._vectors(asked, contents)
        # What several kinds of parts pull towards, or away from, has no null of its own.
        plain = len({content.kind for content, _ in contents}) == 1 and all(weight > 0 for _, weight in contents)
        texts = [content.text for content, weight in contents if isinstance(content, Text) and weight > 0]
        words = " ".join(texts) if len(texts) == len(contents) else None
        hits = self._ranked(asked, condition, vectors, words, wanted, plain=plain)
        return Hits(hits, said)

    async def aretrieve(self, query: str | Query, k: int | None = None, **fields: Any) -> Hits:
        """Like `retrieve`, without holding up the event loop."""
        return await self.apart(lambda: self.retrieve(query, k, **fields))

    async def apart(self, call: Callable[[], T]) -> T:
        """Run something beside the event loop, with the few others that the library works on at a time."""
        try:
            future = asyncio.get_running_loop().run_in_executor(self.executor, call)
        except RuntimeError as error:  # it takes no more
            raise LibraryError("The library is closed; open it again.") from error
        return await future

    def hit(self, id: str) -> Hit:  # noqa: A002 - it is what a hit calls it
        """An answer that was given earlier, by its id; or by the id's part before `#` the whole file.

        Its score is 0, since nobody asked, and its evidence is what is there, of rank 0. Raises InputError for what is
        not in the library, or not among what this retriever may find.
        """
        settings = self.bounds
        hit, condition = recalled(self.ledger, id, settings.channels), filters(settings)
        segment = [hit.evidence[0].segment]
        seen = settings.modalities is None or hit.modality in settings.modalities
        if not seen or (condition and not self.ledger.selection.passing(segment, condition)):
            raise InputError("Nothing that may be asked for here has that id.")
        return self._tied([hit])[0]

    def similar(self, hit: Hit | str, k: int | None = None, **fields: Any) -> Hits:
        """Find what is like a hit, or the one with an id: what looks, sounds or reads like it, itself left out.

        The best of its evidence is the question. Raises as `retrieve` and `hit` do.
        """
        hit = self.hit(hit) if isinstance(hit, str) else hit
        if not isinstance(hit, Hit) or not hit.evidence:
            raise QueryError(f"What is like a hit is asked with a hit, or its id, not with {repeated(hit)}.")
        wanted, first = count(self.k if k is None else k), hit.evidence[0]
        more = min(wanted + SPARE, MOST)  # what is around it, or is it again, is left out
        if first.text:
            found: Sequence[Hit] = self.retrieve(Query(text=first.text[:TEXT_MAX]), more, **fields)
        else:
            asked = self._built(Query(), fields)
            kind: Kind = "image" if first.channel == "visual" else "audio"
            vectors = self._stored(Collection("", first.channel, hit.modality), first.segment, kind, asked)
            found = self._ranked(asked, filters(asked), vectors, None, more, plain=True)
        return Hits([one for one in found if not _same(one, hit)][:wanted])

    def sources(self, containing: str = "", first: int = 0, most: int = 50, **fields: Any) -> tuple[list[Listed], int]:
        """Some of the files that may be found, by key, and how many there are; their keys contain a text.

        Raises QueryError for bounds that make no sense.
        """
        containing = listing(containing, first, most)
        asked = self._built(Query(), fields)
        modalities = tuple(one for one in self.modalities if asked.modalities is None or one in asked.modalities)
        if condition := filters(asked):
            self.ledger.selection.check(condition)
        channels = sorted(asked.channels or {route.channel for route in self.encoders})
        return self.ledger.scenes.listed(containing, modalities, channels, condition, first, most)

    @property
    def bounds(self) -> Query:
        """The settings, checked, as a question that asks nothing."""
        return self._built(Query(), {})

    def _built(self, query: str | Query, fields: Mapping[str, Any]) -> Query:
        given = {name: value for name, value in fields.items() if value is not None}  # None lifts no bound
        return build(query, {**(self.settings or {}), **given})

    def _stored(self, place: Collection, segment: str, kind: Kind, asked: Query) -> Vectors:
        """A segment's own vectors, as each route sees them that takes what it is of."""
        found: Vectors = {}
        for route in self._able(frozenset({kind}), asked):
            row = self.store.get(replace(place, encoder=route.encoder), [segment]).get(segment)
            if row is not None:
                found[route] = (row, frozenset({kind}))
        return found

    def _ranked(
        self,
        asked: Query,
        condition: Condition | None,
        vectors: Vectors,
        words: str | None,
        wanted: int,
        *,
        plain: bool,
    ) -> list[Hit]:
        """The best hits, best first; with `words`, of passages that have them too.

        Of a library that changes meanwhile it is asked again, so that no answer is made of two states of it.
        """
        for _ in range(TRIES):
            before = self._counters()
            try:
                hits = self._ranked_once(asked, condition, vectors, words, wanted, plain=plain)
            except SeehearError:
                self._counters()  # where the models have changed, collections of the old ones are gone
                raise
            if self._counters() == before:
                break
        return hits

    def _counters(self) -> dict[str, int]:
        counters = self.ledger.counters()
        if counters.get("era", 0) != self.era:
            raise ModelMismatch("The library has other models by now: open it again, or make the retriever anew.")
        return counters

    def _ranked_once(
        self,
        asked: Query,
        condition: Condition | None,
        vectors: Vectors,
        words: str | None,
        wanted: int,
        *,
        plain: bool,
    ) -> list[Hit]:
        deep = wanted
        while True:
            lists = self._lists(asked, condition, words, vectors, deep)
            if asked.min_score is None and plain:
                lists = {one: rows for one, rows in lists.items() if rows and score(rows[0].surprise) >= MIN_SCORE}
            hits = fuse(lists, min(wanted, asked.per_source or wanted))
            # Many rows may make few hits: neighbours are one moment, and a file may have filled its share.
            if len(hits) >= wanted or deep >= DEEPEST or all(len(lists[one]) < _deep(one, deep) for one in lists):
                break
            deep *= 8
        return self._tied([hit for hit in hits[:wanted] if hit.score >= (asked.min_score or 0.0)])

    def _lists(
        self, asked: Query, condition: Condition | None, words: str | None, vectors: Vectors, k: int
    ) -> dict[Collection, list[Found]]:
        """The rows of each collection that k hits may need, best first."""
        lists: dict[Collection, list[Found]] = {}
        for route, (vector, kinds) in vectors.items():
            for collection in self._collections(route, asked):
                nearest = self._by_vector(collection, vector)
                matches = shortlist(self.ledger, nearest, collection, _deep(collection, k), condition)
                lists[collection] = self.resolved(matches, self.scales.rate(collection, kinds, matches))
        if words is not None:
            lists |= self._by_words(words, asked, condition, k)
        return lists

    def _collections(self, route: Route, asked: Query) -> list[Collection]:
        """The collections of a route that hold anything."""
        wanted = [one for one in self.modalities if asked.modalities is None or one in asked.modalities]
        every = [Collection(route.encoder, route.channel, modality) for modality in wanted]
        return [collection for collection in every if self.scales.count(collection)]

    def _vectors(self, query: Query, asked: Contents) -> Vectors:
        """One unit vector per route that takes every part: the weighted sum of the parts, and their kinds."""
        kinds = frozenset(content.kind for content, _ in asked)
        weights = np.array([weight for _, weight in asked], dtype=np.float32)
        embedded: dict[str, NDArray[np.float32]] = {}
        able = [
            route for route in self._able(kinds, query) if self._collections(route, query)
        ]  # loads none for nothing
        for route in able:
            if route.encoder not in embedded:
                rows = self.encoders[route].embed([content for content, _ in asked])
                total = weights @ rows
                length = float(np.linalg.norm(total))
                if not math.isfinite(length):
                    raise QueryError(f"{route.encoder} makes nothing of this question: its vector holds no numbers.")
                if length < 1e-3 * float(np.abs(weights).sum()):
                    raise QueryError("The parts of the question cancel each other out. Take less away.")
                embedded[route.encoder] = (total / length).astype(np.float32)
        return {route: (embedded[route.encoder], kinds) for route in able}

    def _able(self, kinds: frozenset[Kind], query: Query) -> list[Route]:
        """The routes that a question of such kinds may take. Raises QueryError if there are none."""
        routes = [route for route in self.encoders if query.channels is None or route.channel in query.channels]
        able = [route for route in routes if kinds <= route.answers]
        if not able:
            here = ", ".join(f"{r.channel} by {' or '.join(sorted(r.answers))}" for r in self.encoders)
            place = f" in {', '.join(sorted(query.channels))}" if query.channels else ""
            raise QueryError(
                f"Nothing here answers a question made of {' and '.join(sorted(kinds))}{place}. "
                f"This library answers: {here}."
            )
        return able

    def _by_vector(self, collection: Collection, vector: NDArray[np.float32]) -> Nearest:
        return lambda k, among: self.store.nearest(collection, vector, k, among)

    def _by_words(
        self, question: str, asked: Query, condition: Condition | None, k: int
    ) -> dict[Collection, list[Found]]:
        """What shares words with the question, where passages are read or said."""
        lists: dict[Collection, list[Found]] = {}
        for channel in dict.fromkeys(route.channel for route in self.encoders):
            if channel not in ("speech", "text") or (asked.channels is not None and channel not in asked.channels):
                continue
            for collection in self._collections(Route(channel, WORDS, frozenset({"text"})), asked):

                def nearest(k: int, among: Sequence[str] | None, of: Collection = collection) -> list[Match]:
                    return self.ledger.words.nearest(of, question, k, among)

                matches = shortlist(self.ledger, nearest, collection, _deep(collection, k), condition)
                lists[collection] = self.resolved(matches, self.scales.rate(collection, frozenset({"text"}), matches))
        return lists

    def _tied(self, hits: Sequence[Hit]) -> list[Hit]:
        """Hits that can open their files, and say what the bounds let them."""
        speech = "speech" in (self.bounds.channels or {"speech"})
        return [self.ledger.scenes.tied(hit, self.asked.limits, speech=speech) for hit in hits]

    def resolved(self, matches: Sequence[Match], surprises: Sequence[float]) -> list[Found]:
        """The rows of a ranked list, with the segments that they stand for."""
        seen = self.ledger.resolve([match.id for match in matches])
        rated = enumerate(zip(matches, surprises, strict=True), 1)
        return [Found(match, rank, surprise, *seen[match.id]) for rank, (match, surprise) in rated if match.id in seen]


def _same(one: Hit, other: Hit) -> bool:
    """Whether a hit is the other, or has something of it."""
    if one.source_name != other.source_name:
        return False
    if one.modality not in TIMED:
        return "#" not in other.id or one.id == other.id
    return (one.start or 0.0) < (other.end or 0.0) and (one.end or 0.0) > (other.start or 0.0)


def _deep(collection: Collection, k: int) -> int:
    """How many rows of a collection make k hits."""
    return max(SHALLOW, DEEP * k) if collection.modality in TIMED else k
