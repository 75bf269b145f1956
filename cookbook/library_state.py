"""All that a library holds, as plain values in one file, so that a process may write it down and another compare it;
and whether a file is found by what it is.

`kill_ingest.py` has one written after each restart. What should be there is told by another library, which was made of
the same contents without a kill: vectors are compared by content, channel and place in the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear import Library, Query
from seehear.decoder import Job, Piece
from seehear.query import TEXT_MAX
from seehear.types import Waveform
from seehear.words import NAME as WORDS

SAME = 0.9999  # cosine of two vectors of one content
ITSELF = 0.999  # least similarity of a content to itself
TIE = 1e-5  # of two similarities that count as the same
Place = str  # a collection's encoder, channel and modality
Rows = dict[str, NDArray[np.float32]]  # vectors by id


@dataclass(frozen=True)
class Held:
    """A file as the ledger has it."""

    key: str
    path: str
    content: str
    modality: str
    segments: list[list[Any]]
    """Id, channel, start, end, text, and place in the text."""
    failed: list[str]
    """Why it is not there whole."""

    def ids(self, channel: str = "") -> list[str]:
        """Ids of its segments in a channel, or in all."""
        return [name for name, of, *_ in self.segments if channel in ("", of)]


@dataclass(frozen=True)
class State:
    """What ledger and store hold."""

    files: list[Held]
    rows: dict[Place, Rows]
    counts: dict[Place, int]
    """How many rows the store says that it has."""
    garbage: list[str]
    """Ids that the ledger knows to be deleted from the store, sooner or later."""

    @classmethod
    def of(cls, library: Library) -> State:
        """Read it from an open library."""
        parts = library._parts
        ledger, store, paths = parts.ledger, parts.store, parts.ledger.paths()
        files = []
        for known in ledger.sources():
            segments = [[s.id, s.channel, s.start, s.end, s.text, s.offset] for s in ledger.segments(known.key)]
            failed = [one.reason for one in ledger.outcomes(known.key) if one.status == "failed"]
            files.append(Held(known.key, str(paths[known.key]), known.content, known.modality, segments, failed))
        rows, counts = {}, {}
        for one in parts.collections():
            place = f"{one.encoder} {one.channel} {one.modality}"
            rows[place], counts[place] = store.get(one, list(store.ids(one))), store.count(one)
        return cls(files, rows, counts, [name for ids in ledger.garbage.rows().values() for name in ids])

    def write(self, path: str) -> None:
        """Write it into a file."""
        places = list(self.rows)
        told = [[vars(one) for one in self.files], places, [list(self.rows[p]) for p in places], self.counts]
        arrays: dict[str, Any] = {str(n): np.array(list(self.rows[place].values())) for n, place in enumerate(places)}
        np.savez(path, told=np.array(json.dumps([*told, self.garbage])), **arrays)

    @classmethod
    def read(cls, path: str) -> State:
        """Read it from a file."""
        with np.load(path) as saved:
            files, places, ids, counts, garbage = json.loads(str(saved["told"]))
            rows = {place: dict(zip(ids[n], saved[str(n)], strict=True)) for n, place in enumerate(places)}
        return cls([Held(**one) for one in files], rows, counts, garbage)

    def by_content(self) -> dict[str, Held]:
        """One of the files of each content."""
        return {one.content: one for one in self.files}

    def collections(self, held: Held) -> Iterator[tuple[Place, list[str]]]:
        """The collections that a file is in, and its ids there."""
        for place in self.rows:
            _, channel, modality = place.rsplit(" ", 2)
            if modality == held.modality and (ids := held.ids(channel)):
                yield place, ids

    def missing(self, held: Held) -> list[str]:
        """Vectors of a file that the store lacks."""
        return [name for place, ids in self.collections(held) for name in ids if name not in self.rows[place]]

    def doubled(self) -> list[str]:
        """Paths that are there twice, and collections that count more rows than they list."""
        paths = [path for path, n in Counter(one.path for one in self.files).items() if n > 1]
        return paths + [place for place, n in self.counts.items() if n > len(self.rows[place])]

    def orphans(self, *, settled: bool) -> list[str]:
        """Rows of the store that nothing refers to; unless all is `settled`, those to be deleted are none."""
        known = {name for one in self.files for _, ids in self.collections(one) for name in ids}
        known |= set() if settled else set(self.garbage)
        return [name for rows in self.rows.values() for name in rows if name not in known]

    def differs(self, held: Held, whole: State, model: Held) -> str:
        """In what a file is not what another library has of the same content; empty if in nothing."""
        if [rest for _, *rest in held.segments] != [rest for _, *rest in model.segments]:
            return f"has {len(held.segments)} segments, others than the {len(model.segments)} of its content"
        for (place, ids), (_, others) in zip(self.collections(held), whole.collections(model), strict=True):
            if not _alike(self.rows[place], ids, whole.rows[place], others):
                return f"has other vectors in {place}"
        return ""


def _alike(rows: Mapping[str, Any], ids: Sequence[str], others: Mapping[str, Any], of: Sequence[str]) -> bool:
    """Whether vectors are the same; one that is missing is told elsewhere."""
    pairs = [(rows[one], others[other]) for one, other in zip(ids, of, strict=True) if one in rows]
    return all(float(one @ other) >= SAME for one, other in pairs)


def questions(library: Library, held: Held) -> Iterator[tuple[str, Query]]:
    """A file's own picture, a window of its sound, a sentence of its own."""
    for channel in ("speech", "text"):
        for _, of, _, _, text, _ in held.segments:
            if of == channel and text.strip():
                yield channel, Query(text=text[:TEXT_MAX])
                break
    if held.modality == "image":
        yield "visual", Query(image=held.path)
        return
    seen = set[str]()
    with closing(library._parts.pool.run([Job("probe", Path(held.path))])) as events:
        for event in events:
            if isinstance(event, Piece) and event.segment.channel not in {"speech", *seen}:
                seen.add(event.segment.channel)
                heard = isinstance(event.content, Waveform)
                content = event.content if heard else getattr(event.content, "pixels", None)
                yield event.segment.channel, Query(audio=content) if heard else Query(image=content)


def misfound(
    library: Library, files: dict[str, Held], held: Held, channel: str, query: Query
) -> tuple[str, str] | None:
    """What is wrong with the answer to a question that is a part of a file, if anything is."""
    hits = library.retrieve(
        query, k=len(files), channels=frozenset({channel}), modalities=frozenset({held.modality}), min_score=0
    )
    similar = [max((e.similarity for e in hit.evidence if e.encoder != WORDS), default=-1.0) for hit in hits]
    mine = [n for n, hit in enumerate(hits) if hit.source == held.path]
    if not mine or (own := max(similar[n] for n in mine)) < ITSELF:
        return "lost", "it is not found"
    places = [(hits[n].start, hits[n].end) for n in mine]
    if len(places) > len(set(places)):
        return "duplicated", "it is found twice"
    if stale := sorted({hit.source for hit in hits} - files.keys()):
        return "wrong", f"{stale} are found"
    return ("wrong", "others are found before it") if max(similar) > own + TIE else None
