"""Nothing is seen before it is published, and nothing that is replaced stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from seehear.errors import LibraryDamaged
from seehear.ledger import Ledger
from seehear.records import Entry, Known, Outcome
from seehear.types import Collection, Route, Segment

ROUTE = Route("visual", "colour", frozenset({"text"}))
VISUAL = Collection("colour", "visual", "image")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.sqlite", [ROUTE])
    ledger.add_root("photos", tmp_path)
    return ledger


def entry(key: str, content: str, status: str = "done") -> Entry:
    known = Known(
        key, "photos", key.encode(), "image", content, 10, 20, 30, "whole", {"year": 2024}, {"width": 3, "year": 1999}
    )
    segments = [Segment(f"{key}-{content}", key, "image", "visual")]
    return Entry(
        known, segments if status == "done" else [], [Outcome(ROUTE, status, "" if status == "done" else "why")]
    )


def test_what_is_published_can_be_resolved(ledger: Ledger, tmp_path: Path) -> None:
    ledger.publish([entry("a", "1")])
    segment, path = ledger.resolve(["a-1", "unknown"])["a-1"]
    assert (segment.source, segment.modality, segment.metadata) == ("a", "image", {"year": 2024, "width": 3})
    assert path == str(tmp_path / "a")


def test_a_replaced_file_leaves_garbage_until_it_is_swept(ledger: Ledger) -> None:
    ledger.publish([entry("a", "1")])
    ledger.publish([entry("a", "2")])
    assert set(ledger.resolve(["a-1", "a-2"])) == {"a-2"}
    assert ledger.garbage.rows() == {VISUAL: ["a-1"]}
    ledger.garbage.swept(VISUAL, ["a-1"])
    assert ledger.garbage.rows() == {}


def test_a_file_that_comes_back_is_no_garbage(ledger: Ledger) -> None:
    for content in ("1", "2", "1"):
        ledger.publish([entry("a", content)])
    assert ledger.garbage.rows() == {VISUAL: ["a-2"]}


def test_publishing_is_all_or_nothing(ledger: Ledger) -> None:
    twice = entry("b", "1")
    broken = Entry(twice.known, [*twice.segments, *twice.segments], twice.outcomes)
    with pytest.raises(LibraryDamaged, match="UNIQUE"):
        ledger.publish([entry("a", "1"), broken])
    assert ledger.sources() == []


def test_a_twin_is_a_file_that_is_whole(ledger: Ledger) -> None:
    ledger.publish([entry("a", "1", status="failed"), entry("b", "2")])
    assert ledger.twin("1", "whole") is None
    assert ledger.twin("2", "whole") == "b"
    assert ledger.twin("2", "cut otherwise") is None


def test_a_failed_file_is_listed_with_its_reason(ledger: Ledger) -> None:
    ledger.publish([entry("a", "1", status="failed")])
    assert [(outcome.status, outcome.reason) for outcome in ledger.outcomes("a")] == [("failed", "why")]
    assert [(problem.path, problem.reason) for problem in ledger.problems()] == [("a", "why")]
    assert ledger.counts() == {}


def test_many_ids_are_resolved_at_once(ledger: Ledger) -> None:
    ledger.publish([entry(f"{number}", "x") for number in range(1200)])
    assert len(ledger.resolve([f"{number}-x" for number in range(1200)])) == 1200
    assert ledger.counts() == {VISUAL: 1200}


def test_what_was_written_is_there_after_reopening(ledger: Ledger, tmp_path: Path) -> None:
    ledger.publish([entry("a", "1")])
    ledger.close()
    again = Ledger(tmp_path / "ledger.sqlite", [ROUTE])
    assert again.known("a") == entry("a", "1").known
    again.close()


def test_what_was_stored_and_never_published_is_garbage(ledger: Ledger) -> None:
    ledger.publish([entry("a", "1")])
    ledger.garbage.intend(VISUAL, ["a-1", "b-1", "c-1"])
    ledger.publish([entry("b", "1")])
    assert ledger.garbage.rows() == {VISUAL: ["c-1"]}
