"""The library's SQLite file: its tables, its transactions, and errors that name it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from seehear.errors import LibraryDamaged, LibraryError

FORMAT = "6"
PATIENCE = 60.0
"""Seconds that a change waits for those of other processes."""
BOUND = 500
"""Values of a list that are bound in one statement; SQLite takes 32,766 of all kinds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS roots (name TEXT PRIMARY KEY, path BLOB NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (
    key TEXT PRIMARY KEY, root TEXT NOT NULL, path BLOB NOT NULL, modality TEXT NOT NULL, content TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL, settings TEXT NOT NULL,
    given TEXT NOT NULL, found TEXT NOT NULL, taken REAL, zone REAL, name TEXT NOT NULL UNIQUE) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sources_content ON sources (content);
CREATE TABLE IF NOT EXISTS facts (
    name TEXT, type TEXT, value, source TEXT, PRIMARY KEY (name, type, value, source)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS facts_source ON facts (source, name);
CREATE TABLE IF NOT EXISTS outcomes (
    source TEXT NOT NULL, channel TEXT NOT NULL, encoder TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (source, channel, encoder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, channel TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start REAL, stop REAL, text TEXT NOT NULL, place INTEGER, words TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS segments_source ON segments (source, channel, ordinal);
CREATE TABLE IF NOT EXISTS garbage (
    encoder TEXT, channel TEXT, modality TEXT, id TEXT, PRIMARY KEY (encoder, channel, modality, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transcripts (
    content TEXT, stretch TEXT, passages TEXT NOT NULL, PRIMARY KEY (content, stretch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS thumbnails (segment TEXT PRIMARY KEY, jpeg BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS passages USING fts5 (
    text, content = 'segments', content_rowid = 'number', tokenize = "unicode61 remove_diacritics 2");
CREATE TRIGGER IF NOT EXISTS passages_in AFTER INSERT ON segments WHEN new.text != '' BEGIN
    INSERT INTO passages (rowid, text) VALUES (new.number, new.text); END;
CREATE TRIGGER IF NOT EXISTS passages_out AFTER DELETE ON segments WHEN old.text != '' BEGIN
    INSERT INTO passages (passages, rowid, text) VALUES ('delete', old.number, old.text); END;
"""

_COUNT = "INSERT INTO counters VALUES ('changes', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"


def cure(folder: Path) -> str:
    """What helps a damaged library."""
    return f"To put it right: seehear verify --repair --library {folder}"


class Database:
    """One SQLite file. May be used from several threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises LibraryDamaged when it is none of this format."""
        self._path = path
        self._lock = threading.RLock()
        self._changes = 0
        with self._explained():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=PATIENCE)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("CREATE TABLE IF NOT EXISTS passport (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
                found = self.all("SELECT value FROM passport WHERE key = 'format'")
                if found and found != [(FORMAT,)]:
                    raise LibraryDamaged(
                        f"{path} has format {found[0][0]}; this seehear reads {FORMAT}: make it again."
                    )
                self._db.executescript(_SCHEMA)
                self._db.execute("INSERT OR IGNORE INTO passport VALUES ('format', ?)", (FORMAT,))
            except BaseException:
                self._db.close()
                raise

    @property
    def changes(self) -> tuple[int, int]:
        """Other numbers after any change, ours or another process's, so that nobody repeats an old answer."""
        ((others,),) = self.all("PRAGMA data_version")
        return self._changes, int(str(others))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say which file SQLite is complaining about."""
        try:
            yield
        except sqlite3.OperationalError as error:  # permissions, a full disk, a lock
            raise LibraryError(f"{self._path} cannot be used: {error}. Check its permissions and the disk.") from error
        except sqlite3.ProgrammingError as error:
            raise LibraryError(f"{self._path.parent} is closed; open it again.") from error
        except sqlite3.DatabaseError as error:
            raise LibraryDamaged(f"{self._path} is damaged ({error}). {cure(self._path.parent)}") from error

    @contextmanager
    def transaction(self, *, counted: bool = False) -> Iterator[sqlite3.Connection]:
        """All that is done inside happens, or none of it; `counted` if answers to questions may change."""
        with self._explained(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._changes += 1
            try:
                yield self._db
                if counted:
                    self._db.execute(_COUNT)
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows that a statement gives."""
        with self._explained(), self._lock:
            return self._db.execute(statement, values).fetchall()

    def with_other(self, path: Path, statements: str) -> None:
        """Run statements beside another file, which they call `saved`: all, or none. Raises as the others do."""
        with self._explained(), self._lock:
            self._db.execute("ATTACH ? AS saved", (str(path),))
            try:
                self._changes += 1
                self._db.executescript(f"BEGIN IMMEDIATE; {statements} COMMIT;")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._db.execute("DETACH saved")

    def quick_check(self) -> str | None:
        """What is wrong with the file at a glance, or None."""
        (found, *_) = [str(row[0]) for row in self.all("PRAGMA quick_check(1)")]
        return None if found == "ok" else found

    def check(self) -> str | None:
        """What is wrong with the file, or None."""
        try:
            found = [str(row[0]) for row in self.all("PRAGMA integrity_check(5)")]
            with self.transaction() as db:
                db.execute("INSERT INTO passages (passages) VALUES ('integrity-check')")
            said, known = "SELECT number FROM segments WHERE text != ''", "SELECT id FROM passages_docsize"
            for one, other in ((said, known), (known, said)):
                if self.all(f"{one} EXCEPT {other} LIMIT 1"):
                    found.append("the index of words is not of the passages that there are")
        except LibraryDamaged as error:
            return str(error)
        return "; ".join(one for one in found if one != "ok") or None

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()
