"""What the command shows: to people a bar, or a line now and then; to machines a log, which no name can forge."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seehear.tally import Tally
from seehear.terminal import complain, logged, progress, show_report
from seehear.types import Problem, Report

Capture = pytest.CaptureFixture[str]
NAME = 'a"b\n{"event": "summary"}\r\x1b[2J\x9b\u202e\u2028\U0001f600\x7f %s \udcff.png'
"""A name with a line of its own, escapes, a turn of direction, a line separator, and a byte that is no UTF-8."""


def lines(text: str) -> list[dict[str, Any]]:
    """Objects of a log, which must be in ASCII and valid for the strictest reader."""
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    found = [json.loads(line) for line in text.splitlines()]
    assert text == "".join(json.dumps(one) + "\n" for one in found)
    for one in found:
        json.dumps(one, ensure_ascii=False).encode()
    return found


def test_a_log_has_one_object_a_line(capsys: Capture) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    with logged(True), (tally := Tally()).run(lambda: 1):
        tally.done("added", "a.png")
        tally.fail(Problem("b.png", "it is broken"))
    out, err = capsys.readouterr()
    assert out == ""
    added, failed, summary = lines(err)
    assert list(added)[:6] == ["time", "level", "logger", "message", "event", "path"]
    assert added["time"].endswith("Z")
    assert began <= datetime.fromisoformat(added["time"]) <= datetime.now(UTC)
    assert (added["level"], added["logger"], added["outcome"]) == ("INFO", "seehear.ingest", "added")
    assert (failed["level"], failed["path"], failed["reason"]) == ("WARNING", "b.png", "it is broken")
    assert summary["counts"]["failed"] == 1


def test_a_name_cannot_forge_a_line_of_the_log(capsys: Capture) -> None:
    with logged(True):
        tally = Tally()
        tally.done("moved", NAME, NAME)
        tally.fail(Problem(NAME, NAME))
        tally.note(Problem(NAME, NAME))
        complain(NAME, 2)
    found = lines(capsys.readouterr().err)
    assert [one.get("event") for one in found] == ["file", "file", "note", "error"]
    for one in found[:3]:
        assert one["path"] == NAME.replace("\udcff", "\\udcff")
    for one in found:
        assert one["message"].isprintable()


def test_the_log_holds_what_other_libraries_warn_of_and_nothing_that_they_only_tell(capsys: Capture) -> None:
    with logged(True), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("soon to be gone", DeprecationWarning, stacklevel=1)
        logging.getLogger("chromadb").info("hello")
        logging.getLogger("chromadb").warning("%s is odd", "this")
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            logging.getLogger("seehear.other").exception("failed")
    warned, odd, failed = lines(capsys.readouterr().err)
    assert (warned["logger"], "soon to be gone" in warned["message"]) == ("py.warnings", True)
    assert (odd["logger"], odd["message"]) == ("chromadb", "this is odd")
    assert failed["exception"].endswith("ValueError: first\nsecond")


@pytest.mark.parametrize("as_json", [True, False])
def test_logging_is_left_as_it_was(as_json: bool) -> None:
    root, ours = logging.getLogger(), logging.getLogger("seehear")
    before = (list(root.handlers), root.level, ours.level, list(ours.handlers), warnings.showwarning)
    with pytest.raises(ZeroDivisionError), logged(as_json):
        _ = 1 // 0
    assert (list(root.handlers), root.level, ours.level, list(ours.handlers), warnings.showwarning) == before


def test_where_there_is_a_log_there_is_nothing_else_on_standard_error(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    problems = {"failed": [Problem("b.png", "it is broken")], "notes": [Problem("a.png", "it is odd")]}
    with logged(True):
        with progress("Adding", quiet=False) as told:
            assert told is None
        show_report(Report(["a.png"], **problems), Path("library"))
        assert complain("The disk is full.", 1) == 1
    out, err = capsys.readouterr()
    assert out == "1 added, 0 unchanged, 1 failed in 0.0 s; library: library\n"
    (only,) = lines(err)
    assert (only["level"], only["event"], only["message"], only["status"]) == ("ERROR", "error", "The disk is full.", 1)


def test_without_a_log_people_are_told_what_failed(capsys: Capture) -> None:
    report = Report(
        ["a.png"],
        changed=["c.png"],
        moved=[("d.png", "e.png"), ("f.png", "g.png")],
        removed=["h.png"],
        failed=[Problem("b\n.png", "it is broken")],
        notes=[Problem("a.png", "it is odd")],
    )
    show_report(report, Path("library"))
    out, err = capsys.readouterr()
    assert out == "1 added, 1 changed, 2 moved, 1 removed, 0 unchanged, 1 failed in 0.0 s; library: library\n"
    assert err == "a.png: it is odd\nb\ufffd.png: it is broken\n"


class Clock:
    """Each look at it is ten seconds after the last."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 10
        return self.seconds


def files(count: int, total: int) -> None:
    tally = Tally(now=Clock())
    assert tally.listened_to
    tally.total = tally.expected = total
    for number in range(count):
        tally.done("added", f"{number}{NAME}")


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(capsys: Capture) -> None:
    with progress("Adding", quiet=False) as told:
        assert told is None
        files(10, 2000)
    out, err = capsys.readouterr()
    assert out == ""
    said = err.splitlines()
    assert 2 <= len(said) < 10
    assert said[-1].startswith("Adding: ")
    assert " of 2,000 files, about " in said[-1]
    assert said[-1].endswith(" h left")
    assert err.isascii()
    assert not Tally().listened_to


def test_whoever_wants_quiet_is_told_nothing(capsys: Capture) -> None:
    with progress("Adding", quiet=True) as told:
        assert told is None
        tally = Tally(now=Clock())
        assert not tally.listened_to
        for _ in range(10):
            tally.done("added", "a.png")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with progress("Adding", quiet=False) as told:
        assert told is not None
        told(3, 10, "folder/a\x1b[2J.png")
    err = capsys.readouterr().err
    assert "3/10" in err
    assert "a\ufffd[2J.png" in err


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        with logged(True), (tally := Tally()).run(lambda: 0):
            tally.done("added", "a.png")
        assert tally.report.added == ["a.png"]
