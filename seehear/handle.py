"""A file that is open for reading: a regular one, opened once, that tells whether it was written to meanwhile.

Times of change come from a clock that may be set back or forward, and some file systems count them in steps of two
seconds. So a time that differs proves a change, and one that is the same proves nothing while it is recent.
"""

from __future__ import annotations

import os
import stat
import time
from io import BufferedReader, FileIO
from pathlib import Path

from seehear.errors import UnreadableMedia

GRAIN = 2 * 10**9
"""Nanoseconds: the coarsest step of a file's times, FAT's. What changed since may change again and not show it."""
CHANGED = "it, or a transcript beside it, changed while it was read; add it again when it is finished"


def recent(changed: int, now: int) -> bool:
    """Whether the next change might not show in a time of change; both ns since the epoch. In the future, it might."""
    return now - changed < GRAIN


class Handle(BufferedReader):
    """A regular file that is open for reading, and what it was when it was opened (`status`)."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises UnreadableMedia; of a FIFO too, which without a writer must not make us wait."""
        descriptor = _opened(path)
        self._opened_ns = time.time_ns()
        self.status = os.fstat(descriptor)
        if not stat.S_ISREG(self.status.st_mode):
            os.close(descriptor)
            raise UnreadableMedia("it is not a regular file")
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


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise UnreadableMedia("it is not there (any more)") from error
    except PermissionError as error:
        raise UnreadableMedia("you may not read it; change its permissions, or run as a user who may") from error
    except (OSError, ValueError) as error:
        raise UnreadableMedia(
            f"it cannot be opened: {getattr(error, 'strerror', None) or 'its name is none'}"
        ) from error
