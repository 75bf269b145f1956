"""What is told while files are taken in: the report, and how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from seehear.hits import clock
from seehear.types import Problem, Report

Progress = Callable[[int, int, str], None]
"""Called with files done, files in all, and the file, or how far into a long one it is: `talk.mp4, 12:04`. From more
than one thread, though never at once."""
PULSE = 1.0
"""Seconds between two signs of life of a long file."""


class Tally:
    """Counts files, each once: by the list of the report that it ends in."""

    def __init__(self, progress: Progress | None) -> None:
        self.report = Report()
        self.total = 0
        """Files in all, as far as that is known."""
        self._progress = progress
        self._done = 0
        self._told = time.monotonic()
        self._lock = threading.Lock()

    @property
    def listened_to(self) -> bool:
        """Whether somebody wants to know how far it is."""
        return self._progress is not None

    def add(self, where: list[str], name: str) -> None:
        """A file is done with, and there is nothing to say about it."""
        where.append(name)
        self._step(name)

    def fail(self, problem: Problem, where: list[Problem] | None = None) -> None:
        """A file is done with, and could not be taken in, or not whole."""
        (self.report.failed if where is None else where).append(problem)
        self._step(problem.path)

    def reach(self, name: str, seconds: float | None) -> None:
        """Somewhere in a file."""
        now = time.monotonic()
        if self._progress and seconds is not None and now - self._told > PULSE:
            with self._lock:
                self._told = now
                self._progress(self._done, self.total, f"{name}, {clock(seconds)}")

    def _step(self, name: str) -> None:
        with self._lock:
            self._done += 1
            self._told = time.monotonic()
            if self._progress:
                self._progress(self._done, self.total, name)
