"""Wall-clock time: when something was seen or heard, and the questions `after` and `before`.

A photograph has the time that the camera's clock showed, and often no zone. So both are kept as they are: wall-clock
seconds, counted as if the clock showed UTC, and the zone's offset if there is one.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

from seehear.errors import QueryError
from seehear.metadata import TAKEN
from seehear.where import Condition, joined
from seehear.wording import repeated

WALL = "(sources.taken + coalesce(segments.start, 0))"
"""Wall-clock seconds of a segment: a moment of a video is as much later as it is into it."""
_REST = f"({WALL} - 86400.0 * CAST({WALL} / 86400.0 AS INTEGER))"
OF_DAY = f"CASE WHEN {_REST} < 0 THEN {_REST} + 86400 ELSE {_REST} END"
"""Seconds since midnight; not by `floor`, which not every SQLite has."""
KNOWN = "sources.taken IS NOT NULL"
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*([ap])?\.?(?:m\.?)?", re.IGNORECASE)
FORMS = "a date (2024-05-03), with a time (2024-05-03T21:30) and a zone (+02:00) if you like, or a clock time (10 PM)"


def seconds(moment: datetime) -> tuple[float, float | None]:
    """Wall-clock seconds of a moment, and its zone's offset in seconds, or None if it has no zone."""
    offset = moment.utcoffset()
    return moment.replace(tzinfo=UTC).timestamp(), None if offset is None else offset.total_seconds()


def taken(written: Any) -> tuple[float, float | None] | None:
    """Read the metadata `taken` (ISO 8601); None when it is no time."""
    try:
        return seconds(datetime.fromisoformat(written))
    except (TypeError, ValueError, OverflowError):
        return None


def span(after: Any, before: Any) -> Condition | None:
    """Translate `after` (from then on) and `before` (until just then) for the ledger. Raises QueryError.

    A time without a zone, and a clock time, are compared with what the camera's clock showed. A time with a zone is
    compared as an instant; a photograph that has no zone is taken to be of the question's.
    """
    start, end = (_read(given, name) for given, name in ((after, "after"), (before, "before")))
    if isinstance(start, datetime) and isinstance(end, datetime):
        _check_order(start, end)
    if isinstance(start, time) and start == end:
        raise QueryError(f"Nothing is after {start} and before {end}.")
    parts = [_bound(limit, sign) for limit, sign in ((start, ">="), (end, "<")) if limit is not None]
    if not parts:
        return None
    if isinstance(start, time) and isinstance(end, time) and start > end:
        found = joined("OR", parts)  # after 22:00 and before 6:00 is the night between
    else:
        found = joined("AND", parts)
    return Condition(f"({KNOWN} AND {found.sql})", found.values, ((TAKEN, frozenset()),))


def _check_order(start: datetime, end: datetime) -> None:
    (first, zone), (last, other) = seconds(start), seconds(end)
    if first - (zone or 0) >= last - (other or 0) and (zone is None) == (other is None):
        raise QueryError(f"Nothing is after {start} and before {end}.")


def _bound(limit: datetime | time, sign: str) -> Condition:
    if isinstance(limit, time):
        since = limit.hour * 3600 + limit.minute * 60 + limit.second + limit.microsecond / 1e6
        return Condition(f"({OF_DAY}) {sign} ?", (since,))
    wall, zone = seconds(limit)
    if zone is None:
        return Condition(f"{WALL} {sign} ?", (wall,))
    instant = f"CASE WHEN zone IS NULL THEN {WALL} {sign} ? ELSE {WALL} - zone {sign} ? END"
    return Condition(instant, (wall, wall - zone))


def _read(given: Any, name: str) -> datetime | time | None:
    if isinstance(given, str):
        given = _parsed(given.strip(), name)
    if isinstance(given, time) and given.tzinfo is not None:
        raise QueryError(f"{name} is a clock time on any day, so it has no zone: leave it out.")
    if given is None or isinstance(given, (datetime, time)):
        return given
    if isinstance(given, date):
        return datetime.combine(given, time())
    raise QueryError(f"{name} is {FORMS}, not {repeated(given)}.")


def _parsed(words: str, name: str) -> datetime | time:
    clock = _CLOCK.fullmatch(words)
    try:
        if clock and (clock[2] or clock[4]):
            hour, half = int(clock[1]), (clock[4] or "").lower()
            if half:
                if not 1 <= hour <= 12:
                    raise ValueError
                hour = hour % 12 + (12 if half == "p" else 0)
            return time(hour, int(clock[2] or 0), int(clock[3] or 0))
        return datetime.fromisoformat(words)
    except ValueError as error:
        raise QueryError(f"{name} is {FORMS}, not {repeated(words)}.") from error
