"""What was ingested, from which bytes, by which models: SQLite. What is not published here does not exist.

A file and its segments become visible in one transaction, after its vectors are stored. Rows of the store that are no
longer wanted are written down as garbage in the same transaction, so that a kill between the two loses nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

from seehear.errors import LibraryDamaged, LibraryError
from seehear.types import Channel, Collection, Metadata, Modality, Problem, Route, Segment

FORMAT = "1"
BOUND = 500
"""Values bound in one statement; SQLite takes 32,766, old builds 999."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS passport (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roots (name TEXT PRIMARY KEY, path BLOB NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (
    key TEXT PRIMARY KEY, root TEXT NOT NULL, path BLOB NOT NULL, modality TEXT NOT NULL, content TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL, settings TEXT NOT NULL,
    metadata TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sources_content ON sources (content);
CREATE TABLE IF NOT EXISTS outcomes (
    source TEXT NOT NULL, channel TEXT NOT NULL, encoder TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (source, channel, encoder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, channel TEXT NOT NULL, ordinal INTEGER NOT NULL,
    start REAL, stop REAL, text TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_source ON segments (source, channel, ordinal);
CREATE TABLE IF NOT EXISTS garbage (
    encoder TEXT, channel TEXT, modality TEXT, id TEXT, PRIMARY KEY (encoder, channel, modality, id)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the ledger has it."""

    key: str
    root: str
    path: bytes
    """Below the root, as the file system spells it."""
    modality: Modality
    content: str
    size: int
    mtime_ns: int
    seen_ns: int
    """When it was read; a change within the clock's grain of that moment would not show in `mtime_ns`."""
    settings: str
    metadata: Metadata


_PLAIN = [field.name for field in fields(Known) if field.name != "metadata"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file on one route: done, partial or failed."""

    route: Route
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is ready to be seen."""

    known: Known
    segments: Sequence[Segment]
    outcomes: Sequence[Outcome]


class Ledger:
    """The library's SQLite file. May be used from several threads."""

    def __init__(self, path: Path, routes: Sequence[Route]) -> None:
        """Open or make the ledger. Raises LibraryDamaged when the file is no ledger of this format."""
        self._routes = routes
        self._path = path
        self._lock = threading.RLock()
        with self._explained():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.executescript(_SCHEMA)
                found = self.passport().get("format")
                if found is None:
                    self.stamp({"format": FORMAT})
                elif found != FORMAT:
                    raise LibraryDamaged(f"{path} has format {found}; this seehear reads {FORMAT}. Make it again.")
            except BaseException:
                self._db.close()
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say which file SQLite is complaining about."""
        try:
            yield
        except sqlite3.OperationalError as error:  # permissions, a full disk, a lock
            raise LibraryError(f"{self._path} cannot be used: {error}. Check its permissions and the disk.") from error
        except sqlite3.DatabaseError as error:
            raise LibraryDamaged(
                f"{self._path} is damaged ({error}); restore it, or remove the library and add your files again."
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._explained(), self._lock:
            return self._db.execute(statement, values).fetchall()

    # The passport: what the library was made with.

    def passport(self) -> dict[str, str]:
        """Everything that was stamped."""
        return {str(key): str(value) for key, value in self._all("SELECT key, value FROM passport")}

    def stamp(self, values: dict[str, str]) -> None:
        """Write into the passport."""
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO passport VALUES (?, ?)", values.items())

    # Folders that were added.

    def roots(self) -> dict[str, Path]:
        """Name of each added folder, and where it is."""
        rows = self._all("SELECT name, path FROM roots")
        return {str(name): Path(os.fsdecode(path)) for name, path in rows if isinstance(path, bytes)}

    def add_root(self, name: str, path: Path) -> None:
        """Remember a folder under a name."""
        with self._transaction() as db:
            db.execute("INSERT INTO roots VALUES (?, ?)", (name, os.fsencode(path)))

    # Files.

    def known(self, key: str) -> Known | None:
        """A file by its key, if every route of it is done or partial."""
        rows = self._all(
            "SELECT * FROM sources WHERE key = ? AND NOT EXISTS "
            "(SELECT 1 FROM outcomes WHERE source = key AND status = 'failed')",
            (key,),
        )
        return _known(rows[0]) if rows else None

    def twin(self, content: str, settings: str) -> str | None:
        """Key of a file with the same bytes, cut the same way, that is there whole."""
        rows = self._all(
            "SELECT key FROM sources WHERE content = ? AND settings = ? AND NOT EXISTS "
            "(SELECT 1 FROM outcomes WHERE source = key AND status != 'done') LIMIT 1",
            (content, settings),
        )
        return str(rows[0][0]) if rows else None

    def sources(self) -> list[Known]:
        """All files that are there, in the order of their keys."""
        return [_known(row) for row in self._all("SELECT * FROM sources ORDER BY key")]

    def paths(self) -> dict[str, Path]:
        """Where each file is, by its key."""
        roots = self.roots()
        return {known.key: roots[known.root] / os.fsdecode(known.path) for known in self.sources()}

    def problems(self) -> list[Problem]:
        """Files that are there in part, or failed, and why."""
        rows = self._all("SELECT source, reason FROM outcomes WHERE status != 'done' ORDER BY source")
        return [Problem(str(source), str(reason)) for source, reason in rows]

    def segment_ids(self, key: str) -> dict[Channel, list[str]]:
        """Ids of a file's segments by channel, in their order."""
        found: dict[Channel, list[str]] = {}
        for channel, name in self._all(
            "SELECT channel, id FROM segments WHERE source = ? ORDER BY channel, ordinal", (key,)
        ):
            found.setdefault(channel, []).append(str(name))  # type: ignore[arg-type]
        return found

    def resolve(self, ids: Sequence[str]) -> dict[str, tuple[Segment, Path]]:
        """Segments that are published, with the file that each is of; others are left out."""
        roots = self.roots()
        found: dict[str, tuple[Segment, Path]] = {}
        for start in range(0, len(ids), BOUND):
            part = ids[start : start + BOUND]
            marks = ", ".join("?" * len(part))
            for name, source, modality, channel, begin, end, text, metadata, root, path in self._all(
                "SELECT id, source, modality, channel, start, stop, text, metadata, root, path "  # noqa: S608 - only marks
                f"FROM segments JOIN sources ON key = source WHERE id IN ({marks})",
                part,
            ):
                segment = Segment(name, source, modality, channel, begin, end, text, json.loads(str(metadata)))  # type: ignore[arg-type]
                found[segment.id] = (segment, roots[str(root)] / os.fsdecode(path))  # type: ignore[arg-type]
        return found

    def counts(self) -> dict[Collection, int]:
        """How many segments each collection should hold."""
        rows = self._all(
            "SELECT encoder, o.channel, modality, count(*) FROM segments s JOIN sources ON key = s.source "
            "JOIN outcomes o ON o.source = key AND o.channel = s.channel AND status = 'done' GROUP BY 1, 2, 3"
        )
        return {Collection(encoder, channel, modality): int(n) for encoder, channel, modality, n in rows}  # type: ignore

    # Changes.

    def publish(self, entries: Iterable[Entry]) -> None:
        """Let files be seen, whole, in place of what they were before. One transaction."""
        with self._transaction() as db:
            for entry in entries:
                known, key = entry.known, entry.known.key
                kept = {segment.id for segment in entry.segments}
                self._discard(db, key, kept)
                db.execute(
                    "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [getattr(known, name) for name in _PLAIN] + [json.dumps(dict(known.metadata))],
                )
                db.executemany(
                    "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)",
                    [(key, o.route.channel, o.route.encoder, o.status, o.reason) for o in entry.outcomes],
                )
                db.executemany(
                    "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [(s.id, key, s.channel, n, s.start, s.end, s.text) for n, s in enumerate(entry.segments)],
                )
                for segment in entry.segments:
                    db.execute("DELETE FROM garbage WHERE id = ?", (segment.id,))

    def intend(self, collection: Collection, ids: Sequence[str]) -> None:
        """Note what is about to be stored: it is garbage until it is published, should we be killed in between."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO garbage "
                "SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM segments WHERE id = ?)",
                [(collection.encoder, collection.channel, collection.modality, name, name) for name in ids],
            )

    def touch(self, key: str, size: int, mtime_ns: int, seen_ns: int) -> None:
        """Note that a file was read again and found to hold the same bytes."""
        with self._transaction() as db:
            db.execute(
                "UPDATE sources SET size = ?, mtime_ns = ?, seen_ns = ? WHERE key = ?", (size, mtime_ns, seen_ns, key)
            )

    def remove(self, keys: Iterable[str]) -> None:
        """Forget files; what the store holds of them becomes garbage. One transaction."""
        with self._transaction() as db:
            for key in keys:
                self._discard(db, key, set())

    def _discard(self, db: sqlite3.Connection, key: str, kept: set[str]) -> None:
        row = db.execute("SELECT modality FROM sources WHERE key = ?", (key,)).fetchone()
        if row:
            rows = db.execute("SELECT id, channel FROM segments WHERE source = ?", (key,)).fetchall()
            db.executemany(
                "INSERT OR IGNORE INTO garbage VALUES (?, ?, ?, ?)",
                [
                    (route.encoder, route.channel, row[0], name)
                    for name, channel in rows
                    for route in self._routes
                    if route.channel == channel and name not in kept
                ],
            )
        for statement in (
            "DELETE FROM segments WHERE source = ?",
            "DELETE FROM outcomes WHERE source = ?",
            "DELETE FROM sources WHERE key = ?",
        ):
            db.execute(statement, (key,))

    def garbage(self) -> dict[Collection, list[str]]:
        """Rows of the store that nothing refers to any more."""
        found: dict[Collection, list[str]] = {}
        for encoder, channel, modality, name in self._all("SELECT * FROM garbage"):
            found.setdefault(Collection(encoder, channel, modality), []).append(str(name))  # type: ignore[arg-type]
        return found

    def swept(self, collection: Collection, ids: Sequence[str]) -> None:
        """Note that garbage is gone from the store."""
        with self._transaction() as db:
            db.executemany("DELETE FROM garbage WHERE encoder = ? AND id = ?", [(collection.encoder, i) for i in ids])

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()


def _known(row: tuple[object, ...]) -> Known:
    return Known(*row[:-1], metadata=json.loads(str(row[-1])))  # type: ignore[arg-type,misc]
