"""Words as words: BM25 over passages and transcripts, so that names, numbers and rare words are found.

The index is SQLite's FTS5, in the ledger: what is published is in it, in the same transaction. Its `bm25()` follows
Robertson and Zaragoza 2009 (Foundations and Trends in IR 3) with k1 = 1.2 and b = 0.75.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from seehear.database import BOUND, Database
from seehear.types import Collection, Match

NAME = "bm25"
"""What stands in the place of an encoder in evidence and collections."""
COMMON = 0.2
"""Share of the passages from which on a word is not looked up; it still counts as a part of the question."""
TERMS = 32
"""Words of a question that are looked up, the first ones; longer questions are left to the encoders."""


class Words:
    """Ranks passages by the words that they share with a question. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def nearest(self, collection: Collection, question: str, k: int, among: Sequence[str] | None = None) -> list[Match]:
        """The k passages of a channel that share most with a question, best first; with `among`, only of these ids.

        The similarity is the share of the question's information that a passage has, 0 to 1: its BM25 over what a
        passage of average length would get that has each of the question's words once. A word that is nowhere
        counts as the rarest of all, so that one common word out of ten never looks like an answer.
        """
        (row,) = self._file.all("SELECT count(*) FROM segments WHERE text != ''")
        passages = int(str(row[0]))
        counts = {term: self._count(term) for term in self._terms(question)}
        held = {term: n for term, n in counts.items() if n}
        if not held:
            return []
        # What is nearly everywhere tells little, and is most of the work; unless there is nothing else to look for.
        telling = [term for term, n in held.items() if n <= COMMON * passages] or list(held)
        asked = (" OR ".join(telling), collection.channel, collection.modality)
        rest = (
            "FROM passages JOIN segments ON number = passages.rowid JOIN sources ON key = source "
            "WHERE passages MATCH ? AND channel = ? AND modality = ?"
        )
        rows: list[tuple[object, ...]] = []
        if among is None:
            rows = self._file.all(f"SELECT id, bm25(passages) {rest} ORDER BY rank LIMIT ?", (*asked, k))
        for start in range(0, len(among or ()), BOUND):
            part = (among or ())[start : start + BOUND]
            marks = ", ".join("?" * len(part))
            rows += self._file.all(f"SELECT id, bm25(passages) {rest} AND id IN ({marks})", (*asked, *part))
        total = sum(math.log(1 + (passages - n + 0.5) / (n + 0.5)) for n in counts.values())
        found = [Match(str(name), min(1.0, -float(value) / total)) for name, value in rows]  # type: ignore[arg-type]
        return sorted(found, key=lambda match: -match.similarity)[:k]

    def _terms(self, question: str) -> list[str]:
        """The words of a question as phrases for MATCH: quoted, so that none of them is syntax."""
        words = [word.replace('"', " ").replace("\0", " ").strip() for word in question.split()]
        kept = dict.fromkeys(word.casefold() for word in words if any(c.isalnum() for c in word))
        return [f'"{word}"' for word in kept][:TERMS]

    def _count(self, term: str) -> int:
        """In how many passages a word is."""
        (row,) = self._file.all("SELECT count(*) FROM passages WHERE passages MATCH ?", (term,))
        return int(str(row[0]))
