"""What the ledger says there should be, for whoever compares it with the store; and how it is put right."""

from __future__ import annotations

from collections.abc import Iterable

from seehear.database import Database
from seehear.types import Collection, Route


class Audit:
    """Asks, and mends. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def expected(self, place: Collection) -> dict[str, str]:
        """Ids that a collection should hold, and the file of each."""
        rows = self._file.all(
            "SELECT id, s.source FROM segments s JOIN sources ON key = s.source JOIN outcomes o ON o.source = key "
            "AND o.channel = s.channel WHERE encoder = ? AND o.channel = ? AND modality = ? AND status != 'failed'",
            (place.encoder, place.channel, place.modality),
        )
        return {str(name): str(source) for name, source in rows}

    def unread(self) -> list[str]:
        """Files of which nothing is known yet, since the ledger was made again of its backup."""
        rows = self._file.all(
            "SELECT key FROM sources WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE source = key) AND content = ''"
        )
        return [str(key) for (key,) in rows]

    def check(self) -> str | None:
        """What is wrong with the ledger's own file, or None."""
        return self._file.check()

    def mend(self) -> str | None:
        """Make indexes anew; what is wrong after that, or None."""
        with self._file.transaction(counted=True) as db:
            db.execute("INSERT INTO passages (passages) VALUES ('rebuild')")
            db.execute("REINDEX")
        return self._file.check()

    def fail(self, key: str, routes: Iterable[Route], reason: str) -> None:
        """Note that what a file had on some routes is lost; it is tried again whenever it is added."""
        with self._file.transaction(counted=True) as db:
            db.execute("UPDATE sources SET seen_ns = 0 WHERE key = ?", (key,))
            db.executemany(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, 'failed', ?)",
                [(key, route.channel, route.encoder, reason) for route in routes],
            )

    def lost(self, keys: Iterable[str], route: Route, reason: str) -> list[str]:
        """Those of some files that are still failed on a route for a reason."""
        rows = self._file.all(
            "SELECT source FROM outcomes WHERE channel = ? AND encoder = ? AND reason = ?",
            (route.channel, route.encoder, reason),
        )
        return sorted({str(key) for (key,) in rows}.intersection(keys))

    def restored(self) -> None:
        """Note that everything is there again that the backup told of."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM counters WHERE name = 'restored'")
