"""A file that is open for reading: a regular one, opened once, where it may be, that tells of later changes.

Times of change come from a clock that may be set back or forward, and some file systems count them in steps of two
seconds. So a time that differs proves a change, and one that is the same proves nothing while it is recent.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from io import BufferedReader, FileIO
from pathlib import Path

from seehear.errors import UnreadableMedia

GRAIN = 2 * 10**9
"""Nanoseconds: the coarsest step of a file's times, FAT's. What changed since may change again and not show it."""
CHANGED = "it, or a transcript beside it, changed while it was read; add it again when it is finished"

IRREGULAR = "it is not a regular file"
LEADS_OUT = "it is a link that leads out of the folder; name what it points to instead"
FLAGS = os.O_RDONLY | sum(getattr(os, f"O_{name}", 0) for name in ("BINARY", "NOCTTY", "NOFOLLOW", "NONBLOCK"))
Folders = Collection[str | os.PathLike[str]]


def recent(changed: int, now: int) -> bool:
    """Whether the next change might not show in a time of change; both ns since the epoch. In the future, it might."""
    return now - changed < GRAIN


class Handle(BufferedReader):
    """A regular file that is open for reading, and what it was when it was opened (`status`)."""

    def __init__(self, path: Path, within: Folders | None = None) -> None:
        """Open it, unless links lead out of the folders `within`. Raises UnreadableMedia.

        Devices and FIFOs are not even opened, which may have effects. Links and folders may be changed by others
        between a look and the opening, so what is open is looked at again.
        """
        self.within = within
        descriptor = _opened(path, within)
        self._opened_ns = time.time_ns()
        try:
            self.status = os.fstat(descriptor)
            if not stat.S_ISREG(self.status.st_mode):
                raise UnreadableMedia(IRREGULAR)
            if within is not None and not inside(_place(descriptor, path), within):
                raise UnreadableMedia(LEADS_OUT)
        except BaseException:
            os.close(descriptor)
            raise
        super().__init__(FileIO(descriptor))

    def check(self) -> None:
        """Raise UnreadableMedia if it was written to: what was read may be half of the old and half of the new."""
        now = self._now()
        if (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns):
            raise UnreadableMedia(CHANGED)

    def tells(self, changed: int) -> bool:
        """Whether `check` can be believed, if the last change was at `changed`, ns since the epoch.

        It cannot where the clock may not have gone on since, nor where somebody has set the time by hand; what that
        leaves is the time at which the file's entry in the file system changed, which nobody can set.
        """
        touched, was = self._now().st_ctime_ns, self.status.st_ctime_ns
        return touched == was and not recent(max(changed, was), min(self._opened_ns, time.time_ns()))

    def _now(self) -> os.stat_result:
        try:
            return os.fstat(self.fileno())
        except OSError as error:
            raise UnreadableMedia(f"it cannot be read any more: {error.strerror or error}") from error


def real(path: str | os.PathLike[str]) -> Path | None:
    """Where a path leads, by way of its links; None where it can be none (a NUL, half a character) or just changes."""
    with suppress(OSError, ValueError):
        return Path(os.path.realpath(path))
    return None


def away(place: Path, path: str | os.PathLike[str]) -> bool:
    """Whether the place to which a path led is outside of the folder in which it was named.

    The place is looked at, and not the path once more, which may lead elsewhere by now.
    """
    return not place.is_relative_to(os.path.realpath(Path(path).parent))


def inside(place: str | os.PathLike[str], folders: Folders) -> bool:
    """Whether a path in which no links are is below one of some folders, which may be links."""
    return any(Path(place).is_relative_to(os.path.realpath(folder)) for folder in folders)


def _place(descriptor: int, path: Path) -> Path:
    """Where a file is that is open, as the system tells it."""
    with suppress(OSError):  # a system that has no such folder
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    place = Path(os.path.realpath(path))
    if not os.path.samestat(place.stat(), os.fstat(descriptor)):
        raise UnreadableMedia(CHANGED)
    return place


def _opened(path: Path, within: Folders | None) -> int:
    try:
        found = os.path.realpath(path, strict=True)
        if within is not None and not inside(found, within):
            raise UnreadableMedia(LEADS_OUT)
        if not stat.S_ISREG(os.lstat(found).st_mode):
            raise UnreadableMedia(IRREGULAR)
        return os.open(found, FLAGS)
    except FileNotFoundError as error:
        raise UnreadableMedia("it is not there (any more)") from error
    except PermissionError as error:
        raise UnreadableMedia("you may not read it; change its permissions, or run as a user who may") from error
    except (OSError, ValueError) as error:
        raise UnreadableMedia(
            f"it cannot be opened: {getattr(error, 'strerror', None) or 'its name is none'}"
        ) from error
