"""`after` and `before`: instants, the camera's own clock, and clock times on any day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from seehear.clock import span, taken
from seehear.errors import QueryError
from seehear.ledger import Ledger
from seehear.records import Entry, Known, Outcome
from seehear.types import Collection, Route, Segment

ROUTE = Route("visual", "colour", frozenset({"text"}))
VISUAL = Collection("colour", "visual", "image")
PLUS2 = timezone(timedelta(hours=2))
TAKEN = {
    "morning": "2024-05-03T07:00:00",
    "evening": "2024-05-03T21:59:59",
    "ten": "2024-05-03T22:00:00",
    "night": "2024-05-04T02:00:00",
    "berlin": "2024-05-03T23:30:00+02:00",
    "utc": "2024-05-03T21:30:00+00:00",
    "old": "1965-01-01T12:30:00.500000",
    "undated": None,
}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    ledger = Ledger(Path(":memory:"), [ROUTE])
    ledger.add_root("photos", Path("/photos"))
    ledger.publish(
        Entry(
            Known(key, "photos", key.encode(), "image", key, 1, 1, 1, "whole", {}, {"taken": when} if when else {}),
            [Segment(key, key, "image", "visual")],
            [Outcome(ROUTE, "done")],
        )
        for key, when in TAKEN.items()
    )
    return ledger


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (None, "10 PM", "morning evening night utc old"),
        ("10 PM", None, "ten berlin"),
        (time(22), None, "ten berlin"),
        ("22:00", "6 a.m.", "ten berlin night"),
        ("6:00", "22:00:00", "morning evening utc old"),
        ("12 am", "12:30 pm", "morning night"),
        ("21:59:59", time(21, 59, 59, 1), "evening"),
        (None, time.max, "morning evening ten night berlin utc old"),
        ("12:30 PM", "12:31 PM", "old"),
        (date(2024, 5, 4), None, "night"),
        (None, "1970-01-01", "old"),
        ("2024-05-03T21:00", "2024-05-03T22:00", "evening utc"),
        (datetime(2024, 5, 3, 22, 0), None, "ten night berlin"),
        # An instant: berlin and utc are the same one; what has no zone is taken to be of the question's.
        (datetime(2024, 5, 3, 21, 30, tzinfo=UTC), datetime(2024, 5, 3, 21, 30, 1, tzinfo=UTC), "berlin utc"),
        ("2024-05-03T23:00:00+02:00", "2024-05-04", "berlin utc"),
        ("2024-05-03T22:00:00+02:00", None, "ten night berlin utc"),
        ("1900-01-01", "11:59 PM", "morning evening ten night berlin utc old"),
    ],
)
def test_what_was_taken_then_is_let_through(ledger: Ledger, after: Any, before: Any, expected: str) -> None:
    condition = span(after, before)
    assert condition is not None
    assert sorted(ledger.selection.ids(VISUAL, condition)) == sorted(expected.split())


def test_a_moment_of_a_video_is_as_much_later_as_it_is_into_it() -> None:
    speech = Route("speech", "colour", frozenset({"text"}))
    ledger = Ledger(Path(":memory:"), [speech])
    ledger.add_root("talks", Path("/talks"))
    known = Known("t", "talks", b"t", "video", "t", 1, 1, 1, "whole", {}, {"taken": "2024-05-03T21:50:00"})
    moments = [Segment(f"at{start}", "t", "video", "speech", float(start), start + 5.0) for start in (0, 599, 600, 700)]
    ledger.publish([Entry(known, moments, [Outcome(speech, "done")])])
    early = span(None, "10 PM")
    assert early is not None
    assert sorted(ledger.selection.ids(Collection("colour", "speech", "video"), early)) == ["at0", "at599"]


def test_where_no_file_has_a_time_that_is_said(ledger: Ledger) -> None:
    timeless = Ledger(Path(":memory:"), [ROUTE])
    timeless.add_root("photos", Path("/photos"))
    known = Known("a", "photos", b"a", "image", "a", 1, 1, 1, "whole", {}, {"width": 3})
    timeless.publish([Entry(known, [Segment("a", "a", "image", "visual")], [Outcome(ROUTE, "done")])])
    asked = span(None, "10 PM")
    assert asked is not None
    with pytest.raises(QueryError, match=r"No file here has the metadata 'taken'. Known are width"):
        timeless.selection.ids(VISUAL, asked)


def test_nothing_asked_is_no_condition() -> None:
    assert span(None, None) is None


@pytest.mark.parametrize(
    ("after", "before", "words"),
    [
        ("yesterday", None, "after is a date"),
        ("10", None, "after is a date"),
        (None, "25:00", "before is a date"),
        (None, "13 pm", "before is a date"),
        (None, "0 am", "before is a date"),
        (None, "2024-02-31", "before is a date"),
        (5, None, "not 5"),
        (time(10, tzinfo=UTC), None, "has no zone"),
        ("2024-05-04", "2024-05-03", "Nothing is after"),
        ("10 PM", "22:00", "Nothing is after"),
        (datetime(2024, 5, 3, 12, tzinfo=UTC), datetime(2024, 5, 3, 13, tzinfo=PLUS2), "Nothing is after"),
    ],
)
def test_what_is_no_time_says_what_would_be(after: Any, before: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        span(after, before)


@pytest.mark.parametrize("written", ["", "soon", None, 5, "2024-02-31T00:00:00"])
def test_what_cannot_be_read_as_a_time_is_none(written: Any) -> None:
    assert taken(written) is None


def test_the_first_and_the_last_years_are_no_trouble() -> None:
    assert taken("0001-01-01T00:00:00+14:00") is not None
    assert taken("9999-12-31T23:59:59-12:00") is not None
