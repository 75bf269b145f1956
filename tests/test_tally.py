"""What an operator is told of a run: the report, the records of the log, and the estimate of the time left."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seehear import Library
from seehear.tally import BEAT, LOOK, FileOutcome, Tally, about
from seehear.types import Problem


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """The fields of all records so far, as they come."""
    fields: list[dict[str, Any]] = []
    caplog.set_level(logging.INFO, "seehear")
    caplog.handler.addFilter(lambda record: fields.append(record.seehear) or True)  # type: ignore[attr-defined]
    yield fields
    caplog.handler.filters.clear()


def finish(tally: Tally, outcome: FileOutcome, name: str = "a.png") -> None:
    if outcome == "failed" or outcome == "partial":
        tally.fail(Problem(name, "it is broken"), outcome)
    else:
        tally.done(outcome, name, "old.png" if outcome == "moved" else None)


def test_the_report_has_each_file_in_the_list_that_is_named_after_what_became_of_it() -> None:
    tally = Tally()
    for outcome in ("added", "changed", "moved", "unchanged", "partial", "failed", "ignored", "removed"):
        finish(tally, outcome, f"{outcome}.png")
    report = tally.report
    for name in ("added", "changed", "unchanged", "ignored", "removed"):
        assert getattr(report, name) == [f"{name}.png"]
    assert report.moved == [("old.png", "moved.png")]
    assert report.partial == [Problem("partial.png", "it is broken")]
    assert report.failed == [Problem("failed.png", "it is broken")]


def test_each_file_is_one_record(told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture, now: Clock) -> None:
    tally = Tally(now=now)
    tally.total = tally.expected = 4
    now.seconds += 2
    tally.done("added", "a.png")
    now.seconds += 2
    tally.done("moved", "b.png", "c.png")
    tally.fail(Problem("d.mp4", "no sound"), "partial")
    tally.fail(Problem("e.png", "it is broken"))
    common = {"event": "file", "total": 4, "dry_run": False}
    rest, broken = {"reason": None, "seconds": 4.0}, "it is broken"
    assert told == [
        common | {"path": "a.png", "outcome": "added", "reason": None, "done": 1, "seconds": 2.0, "seconds_left": None},
        common | rest | {"path": "b.png", "outcome": "moved", "was": "c.png", "done": 2, "seconds_left": 4.0},
        common | rest | {"path": "d.mp4", "outcome": "partial", "reason": "no sound", "done": 3, "seconds_left": 1.3},
        common | rest | {"path": "e.png", "outcome": "failed", "reason": broken, "done": 4, "seconds_left": 0.0},
    ]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "INFO", "WARNING"]
    assert {record.name for record in caplog.records} == {"seehear.ingest"}
    assert caplog.messages[0] == "added: a.png"
    assert caplog.messages[3] == "failed: e.png: it is broken"
    assert json.loads(json.dumps(told)) == told


def test_a_run_ends_with_a_summary(told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture, now: Clock) -> None:
    tally = Tally(now=now)
    with tally.run(lambda: 7):
        finish(tally, "added")
        finish(tally, "failed")
        tally.note(Problem("a.png", "its date does not exist"))
        now.seconds += 4
    assert (tally.report.embedded, tally.report.seconds) == (7, 4.0)
    assert told[2] == {"event": "note", "path": "a.png", "reason": "its date does not exist"}
    none = dict.fromkeys(("changed", "moved", "unchanged", "partial", "ignored", "removed"), 0)
    assert told[3:] == [
        {
            "event": "summary",
            "done": 2,
            "total": None,
            "counts": {"added": 1, "failed": 1, **none},
            "embedded": 7,
            "seconds": 4.0,
            "files_per_second": 0.5,
            "error": None,
            "dry_run": False,
        }
    ]
    assert caplog.messages[-1] == "1 added, 1 failed in 4.0 s"


def test_a_run_that_is_broken_off_has_a_summary_too(told: list[dict[str, Any]], now: Clock) -> None:
    tally = Tally(now=now)
    finish(tally, "added")
    with pytest.raises(KeyboardInterrupt), tally.run(lambda: 3):
        raise KeyboardInterrupt
    assert (told[-1]["event"], told[-1]["error"], told[-1]["embedded"]) == ("summary", "KeyboardInterrupt", 3)
    assert told[-1]["files_per_second"] is None  # no time has gone by
    assert tally.report.embedded == 3


def test_a_dry_run_says_so(told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    with (tally := Tally(dry=True, now=Clock())).run(lambda: 0):
        finish(tally, "added")
    assert [fields["dry_run"] for fields in told] == [True, True]
    assert caplog.messages == ["dry run: added: a.png", "dry run: 1 added in 0.0 s"]


def test_a_name_cannot_forge_a_message(told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    name = "a%s%(name)s\n2026-01-01 failed\x1b[2J\u202e.png"
    tally = Tally()
    tally.fail(Problem(name, "because %d of\r\nthis"))
    tally.note(Problem(name, "%s\n"))
    assert [fields["path"] for fields in told] == [name, name]
    for message in caplog.messages:
        assert message.isprintable()
        assert "a%s%(name)s\ufffd2026" in message


def test_nothing_is_written_where_nobody_asked_for_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with (tally := Tally()).run(lambda: 0):
        finish(tally, "failed")
    assert not tally.listened_to
    assert capsys.readouterr() == ("", "")
    logging.getLogger("seehear").warning("Fetching weights.")  # what is no matter of the report is still said
    assert capsys.readouterr() == ("", "Fetching weights.\n")


def test_files_are_counted_for_whoever_listens(caplog: pytest.LogCaptureFixture) -> None:
    assert not Tally().listened_to
    assert Tally(lambda *_: None).listened_to
    caplog.set_level(logging.INFO, "seehear.progress")
    assert Tally().listened_to


def test_a_long_run_says_how_far_it_is_each_half_minute(
    told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture, now: Clock
) -> None:
    caplog.set_level(logging.WARNING, "seehear.ingest")
    caplog.set_level(logging.INFO, "seehear.progress")
    tally = Tally(now=now)
    tally.total = tally.expected = 5000
    for _ in range(500):
        now.seconds += 0.125
        finish(tally, "added")
    assert [record.name for record in caplog.records] == ["seehear.progress", "seehear.progress"]
    assert caplog.messages == ["240 of 5,000 files, about 10 min left", "480 of 5,000 files, about 9 min left"]
    assert told[0] == {
        "event": "progress",
        "done": 240,
        "total": 5000,
        "seconds": 30.0,
        "seconds_left": pytest.approx(595, rel=0.01),
    }


def test_a_long_file_says_how_far_it_is(
    told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture, now: Clock
) -> None:
    calls: list[tuple[int, int, str]] = []
    tally = Tally(lambda *call: calls.append(call), now=now)
    tally.reach("picture.png", None)
    for second in range(40):
        tally.reach("film.mp4", 10.0 * second)
        now.seconds += 0.9
    assert calls[:2] == [(0, 0, "film.mp4, 0:20"), (0, 0, "film.mp4, 0:40")]
    assert [fields["event"] for fields in told] == ["progress"]
    assert caplog.messages == ["0 files"]
    assert told[0]["seconds"] == pytest.approx(BEAT, abs=2)


def test_files_that_are_gone_count_though_they_were_not_found(now: Clock) -> None:
    calls: list[tuple[int, int, str]] = []
    tally = Tally(lambda *call: calls.append(call), now=now)
    tally.total = 1
    finish(tally, "added", "a.png")
    finish(tally, "removed", "b.png")
    assert calls == [(1, 1, "a.png"), (2, 2, "b.png")]
    assert Tally().left() is None


QUICK: tuple[float, FileOutcome] = (1e-4, "unchanged")
FILMS: list[tuple[float, FileOutcome]] = [(30.0, "added"), (90.0, "added")] * 10


def steady(files: int, outcome: FileOutcome = "added") -> list[tuple[float, FileOutcome]]:
    """Ten files a second."""
    return [(0.1, outcome)] * files


def batches(files: int) -> list[tuple[float, FileOutcome]]:
    """As many, of which 64 end at once, as they do when a batch of pictures is stored."""
    return [(6.4 if n % 64 == 0 else 1e-4, "added") for n in range(files)]


@pytest.mark.parametrize(
    ("files", "expected", "from_", "factor"),
    [
        (steady(3000), 3000, 2, 1.05),
        (batches(3000), 3000, 20, 1.6),
        ([QUICK] * 3000 + batches(2000), 2000, 20, 1.6),
        ([QUICK] * 100_000 + steady(1000) + [QUICK] * 100_000, 1000, 12, 1.4),
        (steady(500) + [QUICK] * 100_000, 500, 2, 1.1),
        ([steady(1)[0], *[QUICK] * 9] * 1000, 1000, 2, 1.1),
        ([steady(1, "changed")[0], *[QUICK] * 9] * 1000, 0, 12, 1.2),
        ([QUICK] * 200_000, 0, 2, 1.01),
        (steady(3000, "changed"), 0, 2, 1.05),
        ([QUICK] * 3000 + FILMS, 20, 300, 1.3),
        (steady(150) + FILMS, 170, 300, 1.3),
    ],
    ids=[
        "steady",
        "in batches",
        "most are unchanged and come first",
        "new ones amid unchanged ones",
        "unchanged ones last",
        "new ones here and there",
        "changed ones here and there",
        "all are unchanged",
        "all are read again",
        "films after many that are unchanged",
        "films after pictures",
    ],
)
def test_the_time_left_is_about_right(
    now: Clock, files: list[tuple[float, FileOutcome]], expected: int, from_: float, factor: float
) -> None:
    tally = Tally(now=now)
    tally.total, tally.expected = len(files), expected
    start, end = now.seconds, now.seconds + sum(seconds for seconds, _ in files)
    asked, wrong, looked = start + from_, [], 0
    for seconds, outcome in files:
        now.seconds += seconds
        tally.done(outcome, "a")
        if now.seconds >= asked:
            asked, looked, left, true = now.seconds + 1, looked + 1, tally.left(), end - now.seconds
            # In the last seconds a batch, or a film, is the whole of it.
            if left is None or not true / factor - 10 <= left <= true * factor + 10:
                wrong.append((now.seconds - start, left, true))
    assert looked > 5
    assert wrong == []
    assert tally.left() == pytest.approx(0, abs=0.1)


def test_nothing_is_estimated_before_something_was_seen(now: Clock) -> None:
    tally = Tally(now=now)
    tally.total, tally.expected = 2000, 1000
    assert tally.left() is None
    for _ in range(1000):
        now.seconds += 0.01
        tally.done("unchanged", "a")
    assert tally.left() is None  # of what has to be read, nothing has been
    now.seconds += 1
    tally.done("added", "a")
    assert tally.left() is None  # it may be the first of a batch
    now.seconds += 1
    assert tally.left() is not None


def test_a_look_at_the_rest_takes_time_too(now: Clock) -> None:
    tally = Tally(now=now)
    tally.total, tally.expected = 1_000_020, 20
    for _ in range(20):
        now.seconds += 1
        finish(tally, "added")
    assert tally.left() == pytest.approx(1_000_000 * LOOK)


def test_an_estimate_grows_while_nothing_happens(now: Clock) -> None:
    tally = Tally(now=now)
    tally.total = tally.expected = 20
    for _ in range(10):
        now.seconds += 1
        finish(tally, "added")
    assert tally.left() == pytest.approx(10)
    now.seconds += 10
    assert tally.left() == pytest.approx(20)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 1 s"),
        (42.4, "about 42 s"),
        (59, "about 1 min"),
        (250, "about 4 min"),
        (3500, "about 1 h"),
        (20_000, "about 6 h"),
        (200_000, "about 2 days"),
    ],
)
def test_a_time_left_is_a_round_number(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_a_library_logs_each_file(library: Library, photos: Path, told: list[dict[str, Any]]) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    library.add(photos)
    files = [fields for fields in told if fields["event"] == "file"]
    assert sorted((Path(one["path"]).name, one["outcome"]) for one in files) == [
        ("blue.png", "added"),
        ("broken.png", "failed"),
        ("green.png", "added"),
        ("red.png", "added"),
        ("white.png", "added"),
        ("yellow.png", "added"),
    ]
    assert [one["done"] for one in files] == [1, 2, 3, 4, 5, 6]
    assert {one["total"] for one in files} == {6}
