"""What of a ledger no file can tell: folders, what was said about files, passages, who made the vectors, transcripts.

It is a small SQLite file that is written when a library is closed. Should the ledger be damaged, the rest of it is made
again from the files that this one names.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from seehear.database import Database
from seehear.errors import LibraryDamaged
from seehear.records import PASSAGES

BACKUP = "backup.sqlite"
WHOLE = ("passport", "roots", "kept", "counters", "transcripts")
"""Tables that are saved as they are."""
_SAVE = f"""
{"".join(f"CREATE TABLE saved.{name} AS SELECT * FROM main.{name};" for name in WHOLE)}
CREATE TABLE saved.files AS SELECT key, root, path, modality, given, name FROM main.sources WHERE root != '{PASSAGES}';
CREATE TABLE saved.sources AS SELECT * FROM main.sources WHERE root = '{PASSAGES}';
CREATE TABLE saved.segments AS SELECT * FROM main.segments WHERE source IN (SELECT key FROM saved.sources);
CREATE TABLE saved.outcomes AS SELECT * FROM main.outcomes WHERE source IN (SELECT key FROM saved.sources);
CREATE TABLE saved.facts AS SELECT * FROM main.facts WHERE source IN (SELECT key FROM saved.sources);
"""  # noqa: S608 - ours
_RESTORE = f"""
{"".join(f"INSERT OR REPLACE INTO main.{name} SELECT * FROM saved.{name};" for name in (*WHOLE, "sources"))}
INSERT INTO main.segments SELECT * FROM saved.segments;
INSERT INTO main.outcomes SELECT * FROM saved.outcomes;
INSERT INTO main.facts SELECT * FROM saved.facts;
INSERT INTO main.sources
    SELECT key, root, path, modality, '', -1, 0, 0, '', given, '{{}}', NULL, NULL, name FROM saved.files;
INSERT OR REPLACE INTO main.counters VALUES ('restored', 1);
"""  # noqa: S608 - ours


def save(file: Database, path: Path) -> None:
    """Write a ledger's backup, in place of the one before. Raises LibraryError."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    file.with_other(draft, _SAVE)
    draft.replace(path)


def fault(path: Path) -> str | None:
    """What is wrong with a backup; None if nothing is."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as backup:
            (found,) = backup.execute("PRAGMA integrity_check").fetchone()
            backup.execute("SELECT 1 FROM passport, counters, files LIMIT 1")
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found)


def restore(path: Path, ledger: Path) -> None:
    """Make a ledger of its backup, in which every file is still to be read. Raises LibraryDamaged."""
    if found := fault(path):
        raise LibraryDamaged(
            f"{path} is no use either ({found}). Remove the library's folder {path.parent} and add your files again."
        )
    with closing(Database(ledger)) as file:
        file.with_other(path, _RESTORE)
