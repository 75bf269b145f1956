"""What is told while files are taken in: the report, how far it is, and a log for whoever runs it.

Each file that is done with is a record of the logger `seehear.ingest`, each run ends with one, and a long run says now
and then on `seehear.progress` how far it is. A record's attribute `seehear` holds the same as plain values.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

from seehear.hits import clock
from seehear.types import Problem, Report
from seehear.wording import shown

Progress = Callable[[int, int, str], None]
"""Called with files done, files in all, and the file, or how far into a long one it is: `talk.mp4, 12:04`. From more
than one thread, though never at once."""
FileOutcome = Literal["added", "changed", "moved", "unchanged", "partial", "failed", "ignored", "removed"]
"""What became of a file: the list of the report that it ends in."""
PULSE = 1.0
"""Seconds between two signs of life of a long file."""
BEAT = 30.0
"""Seconds between two records that say how far it is."""
WINDOW = 30.0
"""Seconds of the past that say how long a file takes."""
FEW, MANY = 5, 1000
"""Files of the past that are looked at however long ago they were, as long videos take minutes each; and at most."""
SURE = 1.0
"""Seconds after the first file before there is an estimate: it may be the first of a batch, and those end together."""
LOOK = 1e-4
"""Seconds that a file takes which only has to be looked at."""
DRY = "dry run"

log, beats = logging.getLogger("seehear.ingest"), logging.getLogger("seehear.progress")
log.addHandler(logging.NullHandler())  # the report says what failed: nothing goes to standard error by itself


class Pace:
    """Estimates the time left. How fast files go by that are unchanged says nothing of those that have to be read."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self.start = now, now()
        self._looked = self._read = 0
        self._first: float | None = None
        """When the first file was read."""
        self._past = deque([(self.start, 0)], MANY)
        """When files were read, and how many had been by then."""

    def step(self, now: float, outcome: FileOutcome) -> None:
        """A file is done with."""
        if outcome in ("unchanged", "removed"):
            self._looked += 1
            if not self._read:
                self._past[0] = (now, 0)  # the time that went by before is none of what reading takes
            return
        self._read += 1
        self._first = now if self._first is None else self._first
        self._past.append((now, self._read))
        while len(self._past) > FEW and self._past[1][0] <= now - WINDOW:
            self._past.popleft()

    def left(self, total: int, expected: int) -> float | None:
        """Seconds that `total` files will still take, of which so many were expected to be read."""
        now, done = self._now(), self._looked + self._read
        rest = max(total - done, 0)
        if not self._read:
            return None if expected or not done or now - self.start < SURE else rest * (now - self.start) / done
        then, before = self._past[0]
        if self._first is None or now - self._first < SURE or self._read == before:
            return None
        to_read: float = min(max(expected - self._read, 0), rest)
        if self._read > expected:  # files have changed: as many among those to come as among those that have gone by
            to_read = rest * (self._read - expected) / (done - expected)
        return to_read * (now - then) / (self._read - before) + (rest - to_read) * LOOK


class Tally:
    """Counts files, each once, by what became of them."""

    def __init__(
        self, progress: Progress | None = None, *, dry: bool = False, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`dry` is a run that only says what it would do; `now` tells seconds that never go back."""
        self.report = Report()
        self.total = 0
        """Files in all, as far as that is known."""
        self.expected = 0
        """Those among them that will probably have to be read, because the library does not know them."""
        self._progress, self._now, self._dry = progress, now, dry
        self._pace = Pace(now)
        self._counts: Counter[str] = Counter()
        self._done = 0
        self._told = self._beat = self._pace.start
        self._lock = threading.Lock()

    @property
    def listened_to(self) -> bool:
        """Whether somebody wants to know how far it is, and so how many files there are."""
        return self._progress is not None or log.isEnabledFor(logging.INFO) or beats.isEnabledFor(logging.INFO)

    @contextmanager
    def run(self, embedded: Callable[[], int]) -> Iterator[None]:
        """The whole of a run, at whose end the report gets its figures and the log its summary, even if it fails."""
        error = None
        try:
            yield
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            self.report.embedded, self.report.seconds = embedded(), self._now() - self._pace.start
            self._sum_up(error)

    def done(self, outcome: FileOutcome, name: str, was: str | None = None) -> None:
        """A file is done with, and there is nothing to say about it, but what it `was` called if it moved."""
        self._step(outcome, name, name if was is None else (was, name), **({} if was is None else {"was": was}))

    def fail(self, problem: Problem, outcome: Literal["partial", "failed"] = "failed") -> None:
        """A file is done with, and could not be taken in, or not whole."""
        self._step(outcome, problem.path, problem, problem.reason)

    def note(self, problem: Problem) -> None:
        """There is something odd about a file that is taken in whole."""
        self.report.notes.append(problem)
        if log.isEnabledFor(logging.INFO):
            fields = {"event": "note", "path": problem.path, "reason": problem.reason}
            log.info("note: %s: %s", shown(problem.path), shown(problem.reason), extra={"seehear": fields})

    def reach(self, name: str, seconds: float | None) -> None:
        """Somewhere in a file."""
        if seconds is None:
            return
        now = self._now()
        if now - self._told > PULSE:
            with self._lock:
                self._told = now
                if self._progress:
                    self._progress(self._done, self.total, f"{name}, {clock(seconds)}")
                self._tell_how_far(now)

    def left(self) -> float | None:
        """Seconds that the rest will take, about; None if that cannot be said (yet)."""
        return self._pace.left(self.total, self.expected) if self.total else None

    def _step(self, outcome: FileOutcome, name: str, entry: Any, reason: str = "", **more: str) -> None:
        with self._lock:
            getattr(self.report, outcome).append(entry)
            self._counts[outcome] += 1
            self._done += 1
            self.total = max(self.total, self._done) if self.total else 0  # those that are gone were not counted
            self._told = now = self._now()
            self._pace.step(now, outcome)
            if self._progress:
                self._progress(self._done, self.total, name)
            if log.isEnabledFor(level := logging.WARNING if outcome == "failed" else logging.INFO):
                fields = {"path": name, "outcome": outcome, "reason": reason or None, "dry_run": self._dry, **more}
                says = ": ".join(shown(part) for part in (DRY * self._dry, outcome, name, reason) if part)
                log.log(level, "%s", says, extra={"seehear": {"event": "file", **fields, **self._how_far(now)}})
            self._tell_how_far(now)

    def _how_far(self, now: float) -> dict[str, Any]:
        left = self.left()
        return {
            "done": self._done,
            "total": self.total or None,
            "seconds": round(now - self._pace.start, 3),
            "seconds_left": None if left is None else round(left, 1),
        }

    def _tell_how_far(self, now: float) -> None:
        if now - self._beat < BEAT or not beats.isEnabledFor(logging.INFO):
            return
        self._beat, left = now, self.left()
        says = f"{self._done:,} of {self.total:,} files" if self.total else f"{self._done:,} files"
        says += "" if left is None else f", {about(left)} left"
        beats.info("%s", says, extra={"seehear": {"event": "progress", **self._how_far(now)}})

    def _sum_up(self, error: str | None) -> None:
        if log.isEnabledFor(logging.INFO):
            counts = {outcome: self._counts[outcome] for outcome in get_args(FileOutcome)}
            seconds, embedded = self.report.seconds, self.report.embedded
            says = f"{DRY}: " if self._dry else ""
            says += ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items() if count) or "no files"
            figures = {"embedded": embedded, "seconds": round(seconds, 3), "error": error, "dry_run": self._dry}
            speed = round(self._done / seconds, 1) if seconds > 0 else None
            fields = {"event": "summary", "done": self._done, "total": self.total or None, "counts": counts}
            told = {"seehear": {**fields, **figures, "files_per_second": speed}}
            log.info("%s in %.1f s%s", says, seconds, f"; stopped by {error}" if error else "", extra=told)


def about(seconds: float) -> str:
    """A time that nobody knows exactly, such as `about 4 min`."""
    for most, unit, name in ((55, 1, "s"), (55 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < most:
            return f"about {max(round(seconds / unit), 1)} {name}"
    return f"about {round(seconds / 86400)} days"
