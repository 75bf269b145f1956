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
            # Not `rebuild`, which would count segments without words too, and weigh all words otherwise.
            db.execute("INSERT INTO passages (passages) VALUES ('delete-all')")
            db.execute("INSERT INTO passages (rowid, text) SELECT number, text FROM segments WHERE text != ''")
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

    def failed(self, reason: str, route: Route | None = None) -> list[str]:
        """Files that failed for a reason, on any route or on one."""
        rows = self._file.all("SELECT source, channel, encoder FROM outcomes WHERE reason = ?", (reason,))
        wanted = route and (route.channel, route.encoder)
        return sorted({str(key) for key, *where in rows if wanted in (None, tuple(where))})

    def restored(self) -> None:
        """Note that everything is there again that the backup told of."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM counters WHERE name = 'restored'")
