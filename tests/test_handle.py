"""Files that are open: what shows of a change, and when that cannot be believed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from seehear.errors import UnreadableMedia
from seehear.handle import Handle, recent

SECOND = 10**9
NOON = 1_700_000_000 * SECOND


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"was")
    return path


def at(monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """Set the system's clock."""
    monkeypatch.setattr("seehear.handle.time.time_ns", lambda: moment)


@pytest.mark.parametrize(("ago", "expected"), [(0, True), (1.9, True), (2, False), (1e9, False), (-1, True)])
def test_two_seconds_ago_or_in_the_future_is_recent(ago: float, expected: bool) -> None:
    assert recent(NOON - int(ago * SECOND), NOON) is expected


def test_a_change_shows(path: Path) -> None:
    with Handle(path) as file:
        file.check()
        os.utime(path, ns=(NOON, NOON))
        with pytest.raises(UnreadableMedia, match="changed while it was read"):
            file.check()
    with Handle(path) as file:
        os.truncate(path, 9)
        os.utime(path, ns=(NOON, NOON))
        with pytest.raises(UnreadableMedia):
            file.check()


def test_reading_is_no_change(path: Path) -> None:
    with Handle(path) as file:
        assert file.read() == b"was"
        file.check()


def test_another_file_in_its_place_is_no_change(path: Path) -> None:
    with Handle(path) as file:
        other = path.with_name("b.bin")
        other.write_bytes(b"another")
        other.replace(path)
        file.check()
        assert file.read() == b"was"


def test_a_file_at_rest_tells_of_a_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, time.time_ns() + 10 * SECOND)
    with Handle(path) as file:
        assert file.tells(NOON)


def test_what_has_just_changed_does_not_tell(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() + 10 * SECOND
    at(monkeypatch, now)
    with Handle(path) as file:
        assert not file.tells(now - SECOND)
        at(monkeypatch, now + 60 * SECOND)  # it had just changed when it was opened, however long reading takes
        assert not file.tells(now - SECOND)


def test_a_clock_that_is_set_back_meanwhile_may_hide_a_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, time.time_ns() + 10 * SECOND)
    with Handle(path) as file:
        at(monkeypatch, NOON + SECOND)
        assert not file.tells(NOON)


def test_what_was_set_to_an_old_time_just_now_does_not_tell(path: Path) -> None:
    os.utime(path, ns=(NOON, NOON))
    with Handle(path) as file:
        assert not file.tells(NOON)


def test_what_was_set_to_its_old_time_meanwhile_does_not_tell(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, time.time_ns() + 10 * SECOND)
    with Handle(path) as file:
        status = path.stat()
        while path.stat().st_ctime_ns == status.st_ctime_ns:  # until the file system's clock has gone on
            path.write_bytes(b"new")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        file.check()
        assert not file.tells(NOON)


def test_a_disk_that_is_gone_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: int) -> os.stat_result:
        raise OSError(116, "Stale file handle")

    with Handle(path) as file:
        monkeypatch.setattr("seehear.handle.os.fstat", gone)
        with pytest.raises(UnreadableMedia, match="Stale file handle"):
            file.check()
        monkeypatch.undo()
