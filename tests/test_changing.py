"""Files that change while they are read: what was read must be what was hashed, or else it is not taken."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from recordings import tone, write

from seehear import sidecar
from seehear.errors import DamagedMedia, MediaNote, UnreadableMedia, UnsupportedMedia
from seehear.handle import Handle
from seehear.media import Limits, open_source, stamp
from seehear.types import Source

SRT = b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n"


def aged(path: Path) -> Path:
    """A file that was last changed long ago."""
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def during(path: Path, change: Callable[[], object] = lambda: None, *, hashed: bool = True) -> Source:
    """Change a file while it is open."""
    with open_source(path, "key", Limits(), hashed=hashed) as source:
        change()
    return source


def rewrite(path: Path, written: bytes, *, restored: bool = False) -> None:
    """Write over the last bytes of a file, in place; `restored`, its time is as before."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(-len(written), os.SEEK_END)
        file.write(written)
    if restored:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))  # later, however coarse the clock


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What files were hashed, each time."""
    found: list[str] = []
    digest = hashlib.file_digest

    def counted(file: Handle, name: str) -> object:
        found.append(name)
        return digest(file, name)

    monkeypatch.setattr("seehear.media.hashlib.file_digest", counted)
    return found


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files were last touched ten seconds ago."""
    now = time.time_ns
    monkeypatch.setattr("seehear.handle.time.time_ns", lambda: now() + 10**10)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 20)).save(path)
    return path


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_is_rewritten_while_it_is_read_is_not_taken(picture: Path, old: bool, restored: bool) -> None:
    if old:
        aged(picture)
    with pytest.raises(UnreadableMedia, match="changed while it was read"):
        during(picture, lambda: rewrite(picture, b"another", restored=restored))


def test_a_time_that_was_set_back_by_hand_is_noticed(picture: Path, later: None) -> None:
    was = aged(picture).stat()

    def change() -> None:
        while picture.stat().st_ctime_ns == was.st_ctime_ns:  # until the file system's clock has gone on
            rewrite(picture, b"another", restored=True)

    with pytest.raises(UnreadableMedia, match="changed"):
        during(picture, change)
    assert picture.stat().st_mtime_ns == was.st_mtime_ns


def test_a_file_that_grows_or_shrinks_while_it_is_read_is_not_taken(picture: Path) -> None:
    whole = picture.read_bytes()
    for size in (len(whole) + 1, len(whole) - 1):
        picture.write_bytes(whole)
        with pytest.raises(UnreadableMedia, match="changed"):
            during(picture, lambda size=size: os.truncate(picture, size))  # type: ignore[misc]


def test_what_grows_while_it_is_hashed_is_not_even_opened(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.file_digest

    def growing(file: Handle, name: str) -> object:
        found = digest(file, name)
        os.truncate(picture, picture.stat().st_size + 1)
        return found

    monkeypatch.setattr("seehear.media.hashlib.file_digest", growing)
    with pytest.raises(UnreadableMedia, match="changed"), open_source(picture, "key", Limits()):
        pytest.fail("it was opened")


def failing(error: Exception, change: Callable[[], object] = lambda: None) -> Callable[[], object]:
    """A change, and what comes of it."""

    def change_and_fail() -> None:
        change()
        raise error

    return change_and_fail


@pytest.mark.parametrize("error", [DamagedMedia("cut short"), UnsupportedMedia("no sound"), ZeroDivisionError()])
def test_what_comes_of_half_the_bytes_is_not_blamed_on_the_file(picture: Path, error: Exception) -> None:
    with pytest.raises(type(error)):
        during(picture, failing(error))
    with pytest.raises(UnreadableMedia, match="changed"):
        during(picture, failing(error, lambda: rewrite(picture, b"another")))


def test_damage_is_believed_when_the_bytes_are_the_same_again(picture: Path, later: None, hashed: list[str]) -> None:
    aged(picture)
    with pytest.raises(DamagedMedia):
        during(picture, failing(DamagedMedia("cut short")))
    assert len(hashed) == 2
    with pytest.raises(UnsupportedMedia):
        during(picture, failing(UnsupportedMedia("no sound")))
    assert len(hashed) == 3


def test_a_disk_that_is_gone_is_not_taken_for_damage(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OSError(5, "Input/output error")

    unplug = partial(monkeypatch.setattr, "seehear.media.hashlib.file_digest", gone)
    with pytest.raises(UnreadableMedia, match="any more"):
        during(picture, failing(DamagedMedia("cut short"), unplug))


def test_a_file_at_rest_is_hashed_once(picture: Path, later: None, hashed: list[str]) -> None:
    during(aged(picture))
    assert len(hashed) == 1


def test_a_file_that_has_just_changed_is_hashed_twice(picture: Path, hashed: list[str]) -> None:
    during(picture)
    assert len(hashed) == 2


def test_a_file_of_the_future_is_hashed_twice(picture: Path, later: None, hashed: list[str]) -> None:
    ahead = time.time() + 3600
    os.utime(picture, (ahead, ahead))
    assert during(picture).mtime_ns == picture.stat().st_mtime_ns
    assert len(hashed) == 2


def test_what_is_not_hashed_is_still_not_shown_when_it_changes(picture: Path, hashed: list[str]) -> None:
    assert during(picture, hashed=False).content == ""
    assert hashed == []
    with pytest.raises(UnreadableMedia):
        during(picture, lambda: rewrite(picture, b"another"), hashed=False)


def test_other_permissions_are_no_change(picture: Path) -> None:
    assert len(during(picture, lambda: picture.chmod(0o600)).content) == 64


@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_is_replaced_while_it_is_read_is_still_what_it_was(picture: Path, gone: bool) -> None:
    was, status = picture.read_bytes(), aged(picture).stat()
    other = picture.with_name("b.png")
    Image.new("RGB", (9, 9)).save(other)
    with open_source(picture, "key", Limits()) as source:
        if gone:
            picture.unlink()
        else:
            other.replace(picture)
        source.file.seek(0)
        assert source.file.read() == was
    assert source.content == hashlib.sha256(was).hexdigest()
    assert (source.size, source.mtime_ns) == (status.st_size, status.st_mtime_ns)
    if not gone:
        assert stamp(picture) != (source.size, source.mtime_ns)


CHANGES: dict[str, Callable[[Path], object]] = {
    "changes": lambda beside: rewrite(beside, b"!"),
    "changes and hides it": lambda beside: rewrite(beside, b"!", restored=True),
    "goes": lambda beside: beside.unlink(),
    "gets company": lambda beside: beside.with_suffix(".vtt").write_bytes(SRT),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_transcript_that_changes_while_the_recording_is_read_is_noticed(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    talk = write(tmp_path / "talk.wav", tone(0.5, 16_000))
    beside = tmp_path / "talk.srt"
    beside.write_bytes(SRT)
    with pytest.raises(UnreadableMedia, match="transcript beside it"):
        during(talk, lambda: change(beside))
    assert len(during(talk).content) == 64


def test_a_transcript_that_appears_while_the_recording_is_read_is_noticed(tmp_path: Path) -> None:
    talk = write(tmp_path / "talk.wav", tone(0.5, 16_000))
    with pytest.raises(UnreadableMedia, match="transcript beside it"):
        during(talk, lambda: (tmp_path / "talk.srt").write_bytes(SRT))


def test_a_transcript_that_changes_while_it_is_read_shows_in_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = write(tmp_path / "talk.wav", tone(0.5, 16_000))
    beside = tmp_path / "talk.srt"
    beside.write_bytes(SRT)
    taken = sidecar.transcript

    def changing(paths: list[Path], _: object) -> object:
        found = taken(paths)
        beside.write_bytes(SRT + SRT)
        return found

    monkeypatch.setattr("seehear.media.transcript", changing)
    with pytest.raises(UnreadableMedia), open_source(talk, "key", Limits()) as source:
        assert (source.size, source.mtime_ns) != stamp(talk)


def test_a_transcript_that_is_no_use_is_noted_once(tmp_path: Path) -> None:
    talk = write(tmp_path / "talk.wav", tone(0.5, 16_000))
    (tmp_path / "talk.srt").mkdir()
    with pytest.warns(MediaNote) as noted:
        during(talk)
    assert len(noted) == 1
