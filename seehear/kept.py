"""What the ledger keeps though it could be computed anew: banks and scales by name, transcripts by what was heard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from seehear.contracts import Transcriber
from seehear.database import Database
from seehear.types import Passage, Waveform, Word


class Kept:
    """Bytes by name. May be used from several threads."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def get(self, name: str) -> bytes | None:
        """What was kept under a name."""
        rows = self._file.all("SELECT value FROM kept WHERE name = ?", (name,))
        return rows[0][0] if rows else None  # type: ignore[return-value]

    def put(self, name: str, value: bytes) -> None:
        """Keep something under a name."""
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    def drop(self) -> None:
        """Keep nothing any more."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM kept")


class Transcripts:
    """What was said in each stretch of a file: whoever is killed in the middle of a talk need not hear it all again."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def get(self, content: str, stretch: str) -> list[Passage] | None:
        """The passages of a stretch (`stretch_name`) of a file with such bytes; None if it was never written down."""
        rows = self._file.all("SELECT passages FROM transcripts WHERE content = ? AND stretch = ?", (content, stretch))
        return [_passage(one) for one in json.loads(str(rows[0][0]))] if rows else None

    def put(self, content: str, stretch: str, passages: Sequence[Passage]) -> None:
        """Remember them."""
        written = json.dumps([asdict(passage) for passage in passages])
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO transcripts VALUES (?, ?, ?)", (content, stretch, written))

    def tidy(self, contents: Iterable[str] | None = None) -> None:
        """Forget those of bytes that no file has, or of some of these: what a killed run heard has no file yet."""
        unused = "DELETE FROM transcripts WHERE content NOT IN (SELECT content FROM sources)"
        with self._file.transaction() as db:
            if contents is None:
                db.execute(unused)
            else:
                db.executemany(f"{unused} AND content = ?", [(content,) for content in contents])


def stretch_name(transcriber: Transcriber, language: str | None, sound: Waveform) -> str:
    """Name a stretch of sound by what decides what is written down of it: its samples, and who listens."""
    told = json.dumps([dict(transcriber.fingerprint), language, sound.rate], sort_keys=True)
    return hashlib.sha256(told.encode() + sound.samples.tobytes()).hexdigest()


def _passage(told: dict[str, object]) -> Passage:
    words = tuple(Word(**word) for word in told.pop("words"))  # type: ignore[attr-defined]
    return Passage(**told, words=words)  # type: ignore[arg-type]
