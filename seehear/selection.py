"""Which segments a filter lets through: asked of the ledger, and remembered until something changes.

The ledger knows all metadata; the store knows none. `share` tells roughly how much a filter lets through. If that is
much, the retriever asks the store for more than it needs and leaves out what does not pass; if it is little, the store
is asked for the nearest among those that do. Either costs a fraction of Chroma's own `where`: see
`cookbook/measure_filters.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seehear.database import BOUND, Database
from seehear.errors import QueryError
from seehear.types import Collection
from seehear.where import Condition
from seehear.wording import repeated
from seehear.words import NAME

REMEMBERED = 8
"""Filters whose answers are kept."""
SAMPLE = 300
"""Segments that are looked at to tell how much a filter lets through."""


class Selection:
    """Answers filters. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file
        self._answers: dict[Any, Any] = {}
        self._changes = (-1, -1)

    def ids(self, collection: Collection, condition: Condition) -> list[str]:
        """Ids of the published segments of a collection that a filter lets through.

        Raises QueryError for a name that no file has, or whose values are all of another type than is asked for.
        """
        answers = self._remembered()
        found: list[str] | None = answers.get((collection, condition))
        if found is None:
            self.check(condition)
            embedded = (
                "AND EXISTS (SELECT 1 FROM outcomes WHERE outcomes.source = sources.key AND outcomes.encoder = ? "
                "AND outcomes.channel = segments.channel AND status != 'failed') "
            )
            by_words = collection.encoder == NAME
            found = self._read(
                "sources JOIN segments ON segments.source = sources.key WHERE segments.channel = ? AND modality = ? "
                f"{'' if by_words else embedded} AND {condition.sql}",
                (
                    *(collection.channel, collection.modality),
                    *(() if by_words else (collection.encoder,)),
                    *condition.values,
                ),
            )
            answers[collection, condition] = found
        return found

    def share(self, collection: Collection, condition: Condition) -> float:
        """About how much of a collection a filter lets through, 0 to 1. Raises QueryError as `ids` does."""
        answers = self._remembered()
        if (collection, condition, "share") not in answers:
            self.check(condition)
            sample: list[str] | None = answers.get(collection)
            if sample is None:
                # Ids are hashes: the first of them are as good as drawn.
                answers[collection] = sample = self._read(
                    "segments JOIN sources ON sources.key = segments.source "
                    f"WHERE segments.channel = ? AND modality = ? ORDER BY segments.id LIMIT {SAMPLE}",
                    (collection.channel, collection.modality),
                )
            passing = self.passing(sample, condition)
            answers[collection, condition, "share"] = len(passing) / max(1, len(sample))
        found: float = answers[collection, condition, "share"]
        return found

    def passing(self, ids: Sequence[str], condition: Condition) -> set[str]:
        """Those of some segments that a filter lets through."""
        found: set[str] = set()
        for start in range(0, len(ids), BOUND):
            part = ids[start : start + BOUND]
            marks = ", ".join("?" * len(part))
            found.update(
                self._read(
                    "segments JOIN sources ON sources.key = segments.source "
                    f"WHERE segments.id IN ({marks}) AND {condition.of_each}",
                    (*part, *condition.values),
                )
            )
        return found

    def _read(self, rest: str, values: Sequence[object]) -> list[str]:
        return [str(name) for (name,) in self._file.all(f"SELECT segments.id FROM {rest}", values)]  # noqa: S608 - ours

    def _remembered(self) -> dict[Any, Any]:
        changes = self._file.changes
        if self._changes != changes or len(self._answers) > 3 * REMEMBERED:
            self._answers, self._changes = {}, changes
        return self._answers

    def check(self, condition: Condition) -> None:
        """An empty answer to a misspelt name would be taken for the truth. Raises QueryError as `ids` does."""
        for name, types in condition.asks:
            held = {str(row[0]) for row in self._file.all("SELECT DISTINCT type FROM facts WHERE name = ?", (name,))}
            if not held and self._file.all("SELECT 1 FROM sources LIMIT 1"):
                names = [str(row[0]) for row in self._file.all("SELECT DISTINCT name FROM facts ORDER BY name")]
                known = f"Known are {', '.join(names)}" if names else "None of them has any"
                raise QueryError(f"No file here has the metadata {repeated(name)}. {known}.")
            if held and types and held.isdisjoint(types):
                raise QueryError(
                    f"The metadata {repeated(name)} is {' or '.join(sorted(held))} in every file here; "
                    f"a {' or '.join(sorted(types))} matches none."
                )
