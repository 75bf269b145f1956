"""The ledger's file between two openings: sealed and backed up when it is closed, looked at when it is opened."""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from pathlib import Path

from seehear.backup import BACKUP, fault, restore, save
from seehear.database import Database, cure
from seehear.errors import LibraryDamaged, LibraryError
from seehear.folders import LEDGER
from seehear.ledger import Ledger
from seehear.seal import Seal

SEAL, ASIDE, DRAFT = "seal.json", "ledger.sqlite.damaged", "ledger.sqlite.new"
logger = logging.getLogger(__name__)


class Custody:
    """Of the ledger in one library's folder."""

    def __init__(self, folder: Path) -> None:
        self._ledger, self._backup = folder / LEDGER, folder / BACKUP
        self._seal = Seal(folder / SEAL, lambda: [path for path in (self._ledger, self._backup) if path.exists()])
        self._before: dict[str, int] = {}
        self._spoilt = False
        """Whether the backup is not what was written."""

    def take(self, *, repair: bool) -> None:
        """See whether the ledger is what it was; with `repair`, put one that is not aside, and make it of its backup.

        Raises LibraryDamaged, or LibraryError when the system refuses.
        """
        try:
            if (self._backup.exists() or self._ledger.exists()) and (why := self._fault()):
                if not repair:
                    raise LibraryDamaged(f"{self._ledger} is damaged: {why}. {cure(self._ledger.parent)}")
                self._restore(why)
            self._seal.lift()
        except OSError as error:
            raise LibraryError(
                f"{error.filename or self._ledger} cannot be used: {error.strerror}. Check permissions and disk."
            ) from error

    def opened(self, ledger: Ledger) -> None:
        """Remember what it was, to tell whether a backup is due."""
        self._before = ledger.counters()

    def back_up(self, ledger: Ledger) -> None:
        """Write the backup if anything has changed. Raises LibraryError."""
        now = ledger.counters()
        if now.get("changes") and (now != self._before or self._spoilt or not self._backup.exists()):
            try:
                save(ledger.file, self._backup)
            except OSError as error:
                raise LibraryError(
                    f"{error.filename or self._backup} cannot be used: {error.strerror}. Check permissions and disk."
                ) from error
            self._before, self._spoilt = now, False

    def close(self) -> None:
        """Seal the ledger, which is closed. Without a seal it is looked at the next time."""
        with suppress(OSError):
            if self._ledger.exists():
                self._seal.set()

    def _fault(self) -> str | None:
        """What is wrong with the ledger; None if nothing is."""
        if not self._ledger.exists() or not self._ledger.stat().st_size:
            return "it is gone" if self._backup.exists() else None
        broken = self._seal.broken()
        self._spoilt = BACKUP in broken if broken is not None else self._backup.exists() and bool(fault(self._backup))
        if broken is not None:
            return "it is not what was written" if LEDGER in broken else None
        try:
            with closing(Database(self._ledger)) as file:
                return file.quick_check()
        except LibraryDamaged as error:
            return str(error)

    def _restore(self, why: str) -> None:
        if not self._backup.exists():
            raise LibraryDamaged(
                f"{self._ledger} is damaged ({why}), and was never backed up. Remove the library's folder "
                f"{self._ledger.parent} and add your files again."
            )
        logger.warning("the ledger is made again from its backup", extra={"seehear": {"event": "restored", "why": why}})
        draft = self._ledger.with_name(DRAFT)  # half of it would be taken for all
        for name in ("", "-wal", "-shm"):
            draft.with_name(DRAFT + name).unlink(missing_ok=True)
        restore(self._backup, draft)
        for name in ("-wal", "-shm"):
            self._ledger.with_name(LEDGER + name).unlink(missing_ok=True)
        if self._ledger.exists():
            self._ledger.replace(self._ledger.with_name(ASIDE))
        draft.replace(self._ledger)
