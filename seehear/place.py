"""The folder that a library is: checked, made, and taken.

A library whose vectors are in its folder belongs to one process at a time, readers included: Chroma's embedded index is
not safe across processes. One whose vectors are on a server is open to many, and those who write take turns.
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from seehear.backup import BACKUP
from seehear.errors import InputError, LibraryDamaged, LibraryError, LibraryInUse
from seehear.folders import LEDGER, LOCK
from seehear.wording import shown

HOLDER, WRITER, WAITING = "holder", "writer", "waiting"
OURS = (LOCK, HOLDER, WRITER, WAITING)
OPENING = ", which is opening it"
HELD = 400
"""Characters that say who holds it, at most."""
MOMENT = 5.0
"""Seconds that a question waits for a migration of its own process that is just about to end."""
LOOKS = 0.01
"""Seconds between two looks of whoever waits for a turn."""
PATIENCE = 60.0
"""Seconds that whoever opens a library waits for another who is just doing so."""
logger = logging.getLogger(__name__)


class Place:
    """A library's folder, in our hands until `release`."""

    def __init__(self, path: str | os.PathLike[str], *, create: bool) -> None:
        """Check the folder, make it if it is new, and take it.

        Raises InputError, LibraryDamaged, LibraryInUse, or LibraryError when the system refuses.
        """
        try:
            self.folder = _checked(path, create=create)
        except OSError as error:
            raise _refused(error, path) from error
        self._holder = self.folder / HOLDER
        # Who closes a library need not be the thread that opened it.
        self._lock = FileLock(self.folder / LOCK, thread_local=False)
        self._writer = FileLock(self.folder / WRITER, thread_local=False, poll_interval=LOOKS)
        self._next = FileLock(self.folder / WAITING, thread_local=False, poll_interval=LOOKS)
        self._writing = Lock()
        self.shared = False
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _look(self.folder)
            self._take()
        except OSError as error:
            raise _refused(error, self.folder) from error

    def _take(self) -> None:
        started = time.monotonic()
        while True:
            try:
                self._lock.acquire(timeout=0.1)
                break
            except Timeout as error:
                who = ""
                with suppress(OSError), self._holder.open(errors="replace") as file:
                    who = file.read(HELD)  # who else may write here, writes what he likes
                waited = time.monotonic() - started
                # Who has just taken it has not said so yet; who opens a shared one lets others in at once.
                if waited > (PATIENCE if not who or who.endswith(OPENING) else 0.5):
                    raise LibraryInUse(
                        f"{self.folder} is in use by {who.removesuffix(OPENING) or 'another process'}. A library "
                        "belongs to one process at a time: wait for it, or stop it. One whose vectors are on a Chroma "
                        'server (store="http://...") can be used by many.'
                    ) from error
        self._tell(OPENING)

    def _tell(self, doing: str = "") -> None:
        self._holder.unlink(missing_ok=True)  # a link that somebody puts there must not be written through
        with self._holder.open("x") as file:
            file.write(f"process {os.getpid()} on {socket.gethostname()}{doing}")

    def share(self) -> bool:
        """Let others in, once it is `opened`. Returns whether nobody writes; then nobody does until `opened`."""
        self.shared = True
        with suppress(Timeout):
            self._writer.acquire(timeout=0)
        return self._writer.is_locked

    def opened(self) -> None:
        """It is ready for use."""
        if self.shared:
            self._writer.release()
            self.release()
        else:
            self._tell()

    @contextmanager
    def turn(self, *, wait: bool = True) -> Iterator[bool]:
        """Be the only one who writes: what one has stored and not yet published is garbage to another.

        Gives whether it is our turn, which it always is for whoever waits.
        """
        if not self._writing.acquire(blocking=wait):
            yield False
            return
        try:
            ours = not self.shared or self._acquired(wait=wait)
            try:
                yield ours
            finally:
                if self.shared and ours:
                    self._writer.release()
        finally:
            self._writing.release()

    def settled(self) -> bool:
        """Whether no thread of ours is changing it any more; waits a moment for that."""
        if ours := self._writing.acquire(timeout=MOMENT):
            self._writing.release()
        return ours

    def _acquired(self, *, wait: bool) -> bool:
        """Take the lock of those who write."""
        try:
            self._queue(0)
        except Timeout:
            if not wait:
                return False
            logger.info("waiting for another process to end its changes", extra={"seehear": {"event": "waiting"}})
            self._queue(-1)
        return True

    def _queue(self, timeout: float) -> None:
        """Take the turn once nobody has it. Who waits is next, also before the one who has just written."""
        with self._next.acquire(timeout):
            self._writer.acquire(timeout)

    def release(self) -> None:
        """Let go of it; may be called twice."""
        if self._writer.is_locked:
            self._writer.release()
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()


def _look(folder: Path) -> None:
    """See that what is in a library's folder is its own, and say where others can change it.

    Raises LibraryError for a link: what is written would go into another's file.
    """
    for one in folder.iterdir():
        if one.is_symlink():
            raise LibraryError(
                f"{one} is a link; what is in a library is its own. Remove the link, or move the whole folder to where "
                "it leads and open it there."
            )
    if not hasattr(os, "geteuid"):
        return
    status, fields = folder.stat(), {"seehear": {"event": "not_private", "path": str(folder)}}
    if status.st_uid not in (0, os.geteuid()):
        logger.warning(
            "%s belongs to another user (%d), who decides what it answers and which classes it loads. Trust him?",
            folder,
            status.st_uid,
            extra=fields,
        )
    elif status.st_mode & 0o022:
        logger.warning(
            "%s can be written to by others, who decide what it answers and which classes it loads: chmod go-w %s",
            folder,
            shlex.quote(str(folder)),
            extra=fields,
        )


def _refused(error: OSError, folder: str | os.PathLike[str]) -> LibraryError:
    where = error.filename or os.fspath(folder)
    return LibraryError(f"{where} cannot be used for a library: {error.strerror}. Check permissions and disk.")


def _checked(path: str | os.PathLike[str], *, create: bool) -> Path:
    if not os.fspath(path):
        raise InputError("A library needs a name: the folder that it is to be.")
    folder = Path(path).absolute()
    if not str(folder).isprintable():
        raise InputError(f"{shown(str(folder))}: the path of a library is plain text, without control characters.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a library is a folder.")
    # A ledger of no bytes is none; one that was just being made has no vectors beside it.
    made = ((folder / LEDGER).exists() and (folder / LEDGER).stat().st_size > 0) or (folder / BACKUP).exists()
    if not made and not create:
        raise InputError(f"There is no library in {folder}. Make one: seehear add PICTURES --library {folder}")
    if not made and (folder / "chroma").is_dir():
        raise LibraryDamaged(f"{folder} has vectors and no {LEDGER}. Restore it, or remove the folder and add again.")
    if not made and folder.exists() and any(one.name not in (LEDGER, *OURS) for one in folder.iterdir()):
        raise InputError(f"{folder} holds other files; give the library a folder of its own.")
    return folder
