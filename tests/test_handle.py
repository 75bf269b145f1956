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


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "secret.bin"
    path.write_bytes(b"secret")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "a.bin").write_bytes(b"was")
    return tmp_path / "added"


def test_links_are_followed_inside_a_folder_and_not_out_of_it(folder: Path, outside: Path) -> None:
    (folder / "inside.bin").symlink_to("a.bin")
    (folder / "out.bin").symlink_to(outside)
    (folder / "again.bin").symlink_to("out.bin")
    (folder / "door").symlink_to(outside.parent)
    with Handle(folder / "inside.bin", [folder]) as file:
        assert file.read() == b"was"
    for name in ("out.bin", "again.bin", "door/secret.bin", "../elsewhere/secret.bin"):
        with pytest.raises(UnreadableMedia, match="leads out"):
            Handle(folder / name, [folder])
        with Handle(folder / name, [folder, outside.parent]) as file:
            assert file.read() == b"secret"
    with pytest.raises(UnreadableMedia, match="not there"):
        Handle(folder / "gone.bin", [folder])


def test_the_folder_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(folder)
    for within in (folder, tmp_path / "alias"):
        with Handle(tmp_path / "alias" / "a.bin", [within]) as file:
            assert file.read() == b"was"


@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_a_link_that_comes_between_the_look_and_the_opening_is_not_followed(
    folder: Path, outside: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to the folder changes it in just that moment."""
    (folder / "below").mkdir()
    path = folder / "below" / "secret.bin"
    path.write_bytes(b"harmless")
    look = os.lstat

    def swap(looked_at: str) -> os.stat_result:
        found = look(looked_at)
        if swapped == "file":
            path.unlink()
            path.symlink_to(outside)
        else:
            path.unlink()
            path.parent.rmdir()
            path.parent.symlink_to(outside.parent)
        return found

    monkeypatch.setattr("seehear.handle.os.lstat", swap)
    with pytest.raises(UnreadableMedia):
        Handle(path, [folder])


def test_where_the_system_does_not_tell_the_path_is_looked_at_again(
    folder: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> Path:
        raise OSError

    monkeypatch.setattr("seehear.handle.Path.readlink", refused)
    with Handle(folder / "a.bin", [folder]) as file:
        assert file.read() == b"was"
    real = os.open

    def swap(path: str, flags: int) -> int:
        descriptor = real(outside, flags)
        return descriptor if path.endswith("a.bin") else real(path, flags)

    monkeypatch.setattr("seehear.handle.os.open", swap)
    with pytest.raises(UnreadableMedia, match="changed"):
        Handle(folder / "a.bin", [folder])


def test_devices_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> int:
        raise AssertionError("a device may do something when it is opened")

    monkeypatch.setattr("seehear.handle.os.open", forbidden)
    for name in ("/dev/zero", "/dev/tty", "/dev/fd/0"):
        if os.path.exists(name):  # noqa: PTH110
            with pytest.raises(UnreadableMedia, match=r"regular file|not there|cannot be opened"):
                Handle(Path(name))
