"""The folder that a library is: checked, made, and taken for one process.

A library belongs to one process at a time, readers included: Chroma's embedded index is not safe across processes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from seehear.errors import InputError, LibraryDamaged, LibraryError, LibraryInUse
from seehear.folders import LEDGER, LOCK
from seehear.hits import shown

HOLDER = "holder"


def take(path: str | os.PathLike[str], *, create: bool) -> tuple[Path, Callable[[], None]]:
    """Check a library's folder, make it if it is new, and take it; the callable lets go of it.

    Raises InputError, LibraryDamaged, LibraryInUse, or LibraryError when the system refuses.
    """
    if not os.fspath(path):
        raise InputError("A library needs a name: the folder that it is to be.")
    folder = Path(path).absolute()
    if not str(folder).isprintable():
        raise InputError(f"{shown(str(folder))}: the path of a library is plain text, without control characters.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a library is a folder.")
    made = (folder / LEDGER).exists()
    if not made and not create:
        raise InputError(f"There is no library in {folder}. Make one: seehear add PICTURES --library {folder}")
    if not made and (folder / "chroma").is_dir():
        raise LibraryDamaged(f"{folder} has vectors and no {LEDGER}. Restore it, or remove the folder and add again.")
    if not made and folder.exists() and any(entry.name not in (LOCK, HOLDER) for entry in folder.iterdir()):
        raise InputError(f"{folder} holds other files; give the library a folder of its own.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder, _lock(folder)
    except OSError as error:
        raise LibraryError(f"{folder} cannot be used for a library: {error.strerror}.") from error


def _lock(folder: Path) -> Callable[[], None]:
    lock = FileLock(folder / LOCK)
    holder = folder / HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who = "another process"
        with suppress(OSError):
            who = holder.read_text() or who
        raise LibraryInUse(
            f"{folder} is in use by {who}. A library belongs to one process at a time: wait for it, or stop it."
        ) from error
    holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")

    def release() -> None:
        holder.unlink(missing_ok=True)
        lock.release()

    return release
