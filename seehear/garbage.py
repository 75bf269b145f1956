"""Rows of the store that nothing refers to: not yet, or no more. Written down first, so that a kill leaves none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from seehear.database import Database
from seehear.types import Collection


class Garbage:
    """What is to be deleted from the store. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def intend(self, collection: Collection, ids: Sequence[str]) -> None:
        """Note what is about to be stored: it is garbage until it is published, should we be killed in between."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO garbage "
                "SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM segments WHERE id = ?)",
                [(collection.encoder, collection.channel, collection.modality, name, name) for name in ids],
            )

    def rows(self) -> dict[Collection, list[str]]:
        """All there is, by collection."""
        found: dict[Collection, list[str]] = {}
        for encoder, channel, modality, name in self._file.all("SELECT * FROM garbage"):
            found.setdefault(Collection(encoder, channel, modality), []).append(str(name))  # type: ignore[arg-type]
        return found

    def swept(self, collection: Collection, ids: Sequence[str]) -> None:
        """Note that some are gone from the store."""
        with self._file.transaction() as db:
            db.executemany("DELETE FROM garbage WHERE encoder = ? AND id = ?", [(collection.encoder, i) for i in ids])


def discard(db: sqlite3.Connection, rows: Iterable[tuple[Collection, str]]) -> None:
    """Note that rows are wanted no more, inside of a transaction."""
    db.executemany(
        "INSERT OR IGNORE INTO garbage VALUES (?, ?, ?, ?)",
        [(one.encoder, one.channel, one.modality, name) for one, name in rows],
    )
