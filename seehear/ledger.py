"""What was ingested, from which bytes, by which models: SQLite. What is not published here does not exist.

A file and its segments become visible in one transaction, after its vectors are stored. Rows of the store that are no
longer wanted are written down as garbage in the same transaction, so that a kill between the two loses nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from seehear.audit import Audit
from seehear.clock import taken
from seehear.database import BOUND, Database
from seehear.garbage import Garbage, discard
from seehear.kept import Kept, Transcripts
from seehear.metadata import TAKEN
from seehear.records import PASSAGES, PLAIN, Entry, Known, Outcome, known_of, packed, packed_words, segment_of
from seehear.scenes import Scenes
from seehear.selection import Selection
from seehear.types import Channel, Collection, Metadata, Problem, Route, Segment, source_name
from seehear.where import facts
from seehear.words import Words


class Ledger:
    """The library's SQLite file. May be used from several threads."""

    def __init__(self, path: Path, routes: Sequence[Route]) -> None:
        """Open or make the ledger. Raises LibraryDamaged when the file is no ledger of this format."""
        self.routes = routes
        self.file = Database(path)
        self.garbage, self.kept, self.transcripts = Garbage(self.file), Kept(self.file), Transcripts(self.file)
        self.audit, self.selection = Audit(self.file), Selection(self.file)
        self.words = Words(self.file)
        self.scenes = Scenes(self.file)

    # The passport: what the library was made with.

    def passport(self) -> dict[str, str]:
        """Everything that was stamped."""
        return {str(key): str(value) for key, value in self.file.all("SELECT key, value FROM passport")}

    def stamp(self, values: dict[str, str]) -> None:
        """Write into the passport."""
        with self.file.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO passport VALUES (?, ?)", values.items())

    def forget(self, keys: Iterable[str]) -> None:
        """Take out of the passport."""
        with self.file.transaction() as db:
            db.executemany("DELETE FROM passport WHERE key = ?", [(key,) for key in keys])

    def empty(self) -> bool:
        """Whether nothing has a vector, nor was on its way to one, nor is to be made anew after a loss."""
        return not self.file.all(
            "SELECT 1 FROM segments UNION ALL SELECT 1 FROM garbage "
            "UNION ALL SELECT 1 FROM counters WHERE name = 'restored' LIMIT 1"
        )

    def counters(self) -> dict[str, int]:
        """`changes` counts what could change an answer; `era` the sets of models that it has had, less one."""
        return {str(name): int(str(value)) for name, value in self.file.all("SELECT name, value FROM counters")}

    def name(self) -> str:
        """Sixteen hexadecimal digits that no other library has."""
        if "name" not in self.passport():
            self.stamp({"name": uuid.uuid4().hex[:16]})
        return self.passport()["name"]

    def set_era(self, number: int) -> None:
        """Say whose collections hold the vectors."""
        with self.file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO counters VALUES ('era', ?)", (number,))

    # Folders that were added.

    def roots(self) -> dict[str, Path]:
        """Name of each added folder, and where it is."""
        rows = self.file.all("SELECT name, path FROM roots")
        return {str(name): Path(os.fsdecode(path)) for name, path in rows if isinstance(path, bytes)}

    def add_root(self, name: str, path: Path) -> None:
        """Remember a folder under a name."""
        with self.file.transaction() as db:
            db.execute("INSERT INTO roots VALUES (?, ?)", (name, os.fsencode(path)))

    def move_roots(self, moved: Mapping[str, Path]) -> None:
        """Remember that folders are elsewhere now."""
        with self.file.transaction(counted=True) as db:
            # One may go where another still is.
            db.executemany("UPDATE roots SET path = CAST(name AS BLOB) WHERE name = ?", [(name,) for name in moved])
            db.executemany("UPDATE roots SET path = ? WHERE name = ?", [(os.fsencode(p), n) for n, p in moved.items()])

    # Files.

    def known(self, key: str) -> Known | None:
        """A file by its key, whatever became of it."""
        rows = self.file.all("SELECT * FROM sources WHERE key = ?", (key,))
        return known_of(rows[0]) if rows else None

    def having(self, keys: Sequence[str]) -> int:
        """How many of some files are known."""
        known = {str(key) for (key,) in self.file.all("SELECT key FROM sources")}
        return len(known.intersection(keys))

    def outcomes(self, key: str) -> list[Outcome]:
        """What became of a file on each of the library's routes."""
        rows = self.file.all("SELECT channel, encoder, status, reason FROM outcomes WHERE source = ?", (key,))
        found = {(channel, encoder): (str(status), str(reason)) for channel, encoder, status, reason in rows}
        pairs = [(route, found.get((route.channel, route.encoder))) for route in self.routes]
        return [Outcome(route, *told) for route, told in pairs if told]

    def given(self, key: str) -> Metadata:
        """What the user last said about a file, whatever became of it."""
        rows = self.file.all("SELECT given FROM sources WHERE key = ?", (key,))
        found: Metadata = json.loads(str(rows[0][0])) if rows else {}
        return found

    def found(self, key: str) -> Metadata:
        """What a file says about itself."""
        rows = self.file.all("SELECT found FROM sources WHERE key = ?", (key,))
        told: Metadata = json.loads(str(rows[0][0])) if rows else {}
        return told

    def twin(self, content: str, settings: str) -> str | None:
        """Key of a file with the same bytes, cut the same way, on which nothing failed."""
        rows = self.file.all(
            "SELECT key FROM sources WHERE content = ? AND settings = ? AND NOT EXISTS "
            "(SELECT 1 FROM outcomes WHERE source = key AND status = 'failed') LIMIT 1",
            (content, settings),
        )
        return str(rows[0][0]) if rows else None

    def sources(self) -> list[Known]:
        """All files that are there, in the order of their keys."""
        return [known_of(row) for row in self.file.all("SELECT * FROM sources ORDER BY key")]

    def paths(self) -> dict[str, Path]:
        """Where each file is, by its key."""
        roots = self.roots()
        files = [known for known in self.sources() if known.root != PASSAGES]
        return {known.key: roots[known.root] / os.fsdecode(known.path) for known in files}

    def passages(self) -> dict[str, str]:
        """Key of each passage that is no file, by its id."""
        return {os.fsdecode(known.path): known.key for known in self.sources() if known.root == PASSAGES}

    def problems(self) -> list[Problem]:
        """Files that are there in part, or failed, and why."""
        rows = self.file.all("SELECT DISTINCT source, reason FROM outcomes WHERE status != 'done' ORDER BY source")
        return [Problem(str(source), str(reason)) for source, reason in rows]

    def lost(self) -> int:
        """How many files are there by name alone: everything of them failed."""
        return len(self.file.all("SELECT 1 FROM outcomes GROUP BY source HAVING min(status = 'failed')"))

    def segment_ids(self, key: str) -> dict[Channel, list[str]]:
        """Ids of a file's segments by channel, in their order."""
        found: dict[Channel, list[str]] = {}
        for channel, name in self.file.all(
            "SELECT channel, id FROM segments WHERE source = ? ORDER BY channel, ordinal", (key,)
        ):
            found.setdefault(channel, []).append(str(name))  # type: ignore[arg-type]
        return found

    def segments(self, key: str) -> list[Segment]:
        """A file's segments, in their order, without the file's metadata."""
        rows = self.file.all(
            "SELECT id, source, modality, channel, start, stop, text, place, words, jpeg FROM segments "
            "JOIN sources ON key = source LEFT JOIN thumbnails ON segment = id WHERE source = ? ORDER BY ordinal",
            (key,),
        )
        return [replace(segment_of(row[:-1]), thumbnail=row[-1] or b"") for row in rows]  # type: ignore[arg-type]

    def resolve(self, ids: Sequence[str]) -> dict[str, tuple[Segment, str]]:
        """Segments that are published, with the file's path or the passage's id; others are left out."""
        roots = self.roots()
        found: dict[str, tuple[Segment, str]] = {}
        for start in range(0, len(ids), BOUND):
            part = ids[start : start + BOUND]
            marks = ", ".join("?" * len(part))
            for *row, given, own, root, path in self.file.all(
                "SELECT id, source, modality, channel, start, stop, text, place, words, given, found, root, path "  # noqa: S608 - only marks
                f"FROM segments JOIN sources ON key = source WHERE id IN ({marks})",
                part,
            ):
                below = os.fsdecode(path)  # type: ignore[arg-type]
                segment = segment_of(row, {**json.loads(str(own)), **json.loads(str(given))})
                found[segment.id] = (segment, str(roots[str(root)] / below) if root != PASSAGES else below)
        return found

    def published(self, ids: Sequence[str]) -> dict[str, str]:
        """Those of some segments that are published, with the hashes of their files' bytes."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), BOUND):
            part = ids[start : start + BOUND]
            marks = ", ".join("?" * len(part))
            rows = self.file.all(
                f"SELECT id, content FROM segments JOIN sources ON key = source WHERE id IN ({marks})",  # noqa: S608 - only marks
                part,
            )
            found |= {str(name): str(content) for name, content in rows}
        return found

    def counts(self) -> dict[Collection, int]:
        """How many segments each collection should hold."""
        rows = self.file.all(
            "SELECT encoder, o.channel, modality, count(*) FROM segments s JOIN sources ON key = s.source "
            "JOIN outcomes o ON o.source = key AND o.channel = s.channel AND status != 'failed' GROUP BY 1, 2, 3"
        )
        return {Collection(encoder, channel, modality): int(n) for encoder, channel, modality, n in rows}  # type: ignore

    # Changes.

    def publish(self, entries: Iterable[Entry], gone: Iterable[str] = ()) -> None:
        """Let files be seen, whole, in place of what they were before, and of those that are gone. One transaction."""
        with self.file.transaction(counted=True) as db:
            for key in gone:
                self._discard(db, key, set())
            for entry in entries:
                known, key = entry.known, entry.known.key
                kept = {segment.id for segment in entry.segments}
                self._discard(db, key, kept)
                db.execute(
                    "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)",
                    [getattr(known, name) for name in PLAIN]
                    + [packed(known.given), packed(known.found), source_name(key)],
                )
                _describe(db, key, {**known.found, **known.given})
                db.executemany(
                    "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)",
                    [(key, o.route.channel, o.route.encoder, o.status, o.reason) for o in entry.outcomes],
                )
                db.executemany(
                    "INSERT INTO segments (id, source, channel, ordinal, start, stop, text, place, words) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (s.id, key, s.channel, n, s.start, s.end, s.text, s.offset, packed_words(s.words))
                        for n, s in enumerate(entry.segments)
                    ],
                )
                db.executemany(
                    "INSERT INTO thumbnails VALUES (?, ?)", [(s.id, s.thumbnail) for s in entry.segments if s.thumbnail]
                )
                for segment in entry.segments:
                    db.execute("DELETE FROM garbage WHERE id = ?", (segment.id,))

    def touch(self, key: str, size: int, mtime_ns: int, seen_ns: int) -> None:
        """Note that a file was read again and found to hold the same bytes."""
        with self.file.transaction() as db:
            db.execute(
                "UPDATE sources SET size = ?, mtime_ns = ?, seen_ns = ? WHERE key = ?", (size, mtime_ns, seen_ns, key)
            )

    def describe(self, known: Known, given: Metadata) -> None:
        """Note what the user now says about a file that is there."""
        with self.file.transaction(counted=True) as db:
            db.execute("UPDATE sources SET given = ? WHERE key = ?", (packed(given), known.key))
            _describe(db, known.key, {**known.found, **given})

    def remove(self, keys: Iterable[str]) -> None:
        """Forget files; what the store holds of them becomes garbage. One transaction."""
        self.publish((), keys)

    def _discard(self, db: sqlite3.Connection, key: str, kept: set[str]) -> None:
        rows = db.execute(
            "SELECT id, channel, modality FROM segments JOIN sources ON key = source WHERE key = ?", (key,)
        )
        discard(
            db,
            [
                (Collection(route.encoder, route.channel, modality), name)
                for name, channel, modality in rows
                for route in self.routes
                if route.channel == channel and name not in kept
            ],
        )
        for statement in (
            "DELETE FROM thumbnails WHERE segment IN (SELECT id FROM segments WHERE source = ?)",
            "DELETE FROM segments WHERE source = ?",
            "DELETE FROM outcomes WHERE source = ?",
            "DELETE FROM facts WHERE source = ?",
            "DELETE FROM sources WHERE key = ?",
        ):
            db.execute(statement, (key,))

    def close(self) -> None:
        """Close the file; may be called twice."""
        self.file.close()


def _describe(db: sqlite3.Connection, key: str, metadata: Metadata) -> None:
    """Write what is asked for by filters: a file's metadata as rows, and its time."""
    db.execute("DELETE FROM facts WHERE source = ?", (key,))
    db.executemany("INSERT INTO facts VALUES (?, ?, ?, ?)", [(*fact, key) for fact in facts(metadata)])
    wall, zone = taken(metadata.get(TAKEN)) or (None, None)
    db.execute("UPDATE sources SET taken = ?, zone = ? WHERE key = ?", (wall, zone, key))
