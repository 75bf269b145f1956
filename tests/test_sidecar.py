"""Transcripts beside recordings: which are taken, and that a new one is seen, whatever the clock says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from recordings import tone, write

from seehear import sidecar
from seehear.errors import MediaNote
from seehear.media import Limits, open_source, stamp
from seehear.sidecar import SIDECAR_BYTES, beside, is_sidecar
from seehear.types import Source

SRT = b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n"
WHISPER = {"text": "Hello.", "language": "en", "segments": [{"start": 0.0, "end": 1.0, "text": "Hello."}]}


def read(path: Path) -> Source:
    with open_source(path, "key", Limits()) as source:
        return source


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    return write(folder / "talk.wav", tone(0.5, 16_000))


@pytest.mark.parametrize("name", ["talk.srt", "talk.VTT", "talk.en.srt", "talk.pt-BR.vtt"])
def test_a_transcript_beside_a_recording_comes_with_it(talk: Path, name: str) -> None:
    bare = read(talk)
    talk.with_name(name).write_bytes(SRT)
    source = read(talk)
    assert bare.subtitles is None
    assert source.subtitles == (Path(name).suffix.lower(), SRT)
    assert is_sidecar(talk.with_name(name))


@pytest.mark.parametrize("name", ["talk.2.srt", "other.srt", "talk.txt", "talk.en.json", "talk.tsv"])
def test_what_is_named_otherwise_is_no_transcript(talk: Path, name: str) -> None:
    talk.with_name(name).write_bytes(SRT)
    assert read(talk).subtitles is None
    assert not is_sidecar(talk.with_name(name))


def test_the_first_of_several_transcripts_is_taken(talk: Path) -> None:
    for name in ("talk.en.srt", "talk.json", "talk.vtt"):
        talk.with_name(name).write_bytes(SRT)
    assert read(talk).subtitles == (".vtt", SRT)
    talk.with_name("talk.srt").write_bytes(SRT)
    assert read(talk).subtitles == (".srt", SRT)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"segments": 3}', '{"segments": [3]}', '{"segments": [{"start": 1}]}', "[" * 100_000]
)
def test_json_that_whisper_did_not_write_is_no_transcript(talk: Path, content: str) -> None:
    beside = talk.with_name("talk.json")
    beside.write_text(content)
    assert read(talk).subtitles is None
    beside.write_text(json.dumps(WHISPER))
    assert read(talk).subtitles == (".json", beside.read_bytes())


def test_another_transcript_makes_another_content(talk: Path) -> None:
    beside = talk.with_name("talk.srt")
    contents = [read(talk).content]
    for written in (SRT, SRT + b"\n", SRT):
        beside.write_bytes(written)
        contents.append(read(talk).content)
    beside.unlink()
    contents.append(read(talk).content)
    assert contents[0] == contents[4]
    assert contents[1] == contents[3]
    assert len(set(contents)) == 3


def test_a_stamp_says_what_the_source_says_and_changes_with_the_transcript(talk: Path) -> None:
    beside = talk.with_name("talk.srt")
    stamps = [stamp(talk)]
    beside.write_bytes(SRT)
    stamps.append(stamp(talk))
    source = read(talk)
    assert stamps[1] == (source.size, source.mtime_ns)
    assert stamps[1][0] == talk.stat().st_size + len(SRT)
    os.utime(beside, ns=(0, talk.stat().st_mtime_ns + 7))
    stamps.append(stamp(talk))
    assert stamps[2][1] == talk.stat().st_mtime_ns + 7
    assert len(set(stamps)) == 3
    with pytest.raises(FileNotFoundError):
        stamp(talk.with_name("nowhere.wav"))


def test_a_picture_has_no_transcript(talk: Path) -> None:
    picture = talk.with_name("photo.png")
    Image.new("RGB", (4, 4)).save(picture)
    picture.with_suffix(".srt").write_bytes(SRT)
    assert read(picture).subtitles is None
    assert stamp(picture)[0] == picture.stat().st_size
    assert not is_sidecar(picture.with_suffix(".srt"))


def test_a_transcript_that_is_no_use_is_noted(talk: Path) -> None:
    beside = talk.with_name("talk.srt")
    beside.mkdir()
    with pytest.warns(MediaNote, match=r"talk\.srt beside it is no use"):
        assert read(talk).subtitles is None
    beside.rmdir()
    with beside.open("wb") as file:
        file.truncate(SIDECAR_BYTES + 1)
    with pytest.warns(MediaNote, match="more than 16 MB"):
        assert read(talk).subtitles is None


class Clock:
    """The system's clock and the one that nobody can set, as a test has them go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.running = 0.0, 1_000.0
        monkeypatch.setattr("seehear.sidecar.time.time_ns", lambda: int(self.now * 1e9))
        monkeypatch.setattr("seehear.sidecar.time.monotonic", lambda: self.running)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are listed, each time."""
    found: list[Path] = []
    scan = os.scandir

    def listed(folder: Path) -> object:
        found.append(folder)
        return scan(folder)

    monkeypatch.setattr("seehear.sidecar.os.scandir", listed)
    sidecar._listed.cache_clear()
    sidecar._seen.cache_clear()
    return found


def moment(folder: Path, seconds: float) -> float:
    """So many seconds after a folder last changed, since the epoch."""
    status = folder.stat()
    return max(status.st_mtime, status.st_ctime) + seconds


def test_a_folder_that_is_at_rest_is_listed_once(talk: Path, clock: Clock, listings: list[Path]) -> None:
    clock.now = moment(talk.parent, 3)
    for _ in range(5):
        assert beside(talk) == []
    assert len(listings) == 1
    talk.with_name("talk.srt").write_bytes(SRT)
    clock.now = moment(talk.parent, 3)
    assert beside(talk) == [talk.with_name("talk.srt")]
    assert len(listings) == 2


@pytest.mark.parametrize("seconds", [1.9, 0, -5, -1e9])
def test_a_folder_that_has_just_changed_or_will_is_listed_again(
    talk: Path, clock: Clock, listings: list[Path], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last two are a clock that was set back."""
    look, status = Path.stat, talk.parent.stat()
    monkeypatch.setattr(Path, "stat", lambda path, **_: status if path == talk.parent else look(path))
    clock.now = moment(talk.parent, seconds)
    assert beside(talk) == []
    clock.running += 1
    assert beside(talk) == []
    clock.running += 0.9
    talk.with_name("talk.srt").write_bytes(SRT)  # the folder's times stay
    assert beside(talk) == [talk.with_name("talk.srt")]
    assert len(listings) == 3


def test_a_folder_of_the_future_is_not_listed_for_each_of_its_files(
    talk: Path, clock: Clock, listings: list[Path]
) -> None:
    clock.now = moment(talk.parent, -1e9)
    beside(talk)
    clock.running += 2.1
    for _ in range(5):
        beside(talk)
    assert len(listings) == 2
    talk.with_name("talk.srt").write_bytes(SRT)
    assert beside(talk) == [talk.with_name("talk.srt")]


def test_a_transcript_is_seen_though_the_time_of_the_folder_was_put_back(
    talk: Path, clock: Clock, listings: list[Path]
) -> None:
    status = talk.parent.stat()
    clock.now = moment(talk.parent, 3)
    assert beside(talk) == []
    while talk.parent.stat().st_ctime_ns == status.st_ctime_ns:  # until the file system's clock has gone on
        talk.with_name("talk.srt").write_bytes(SRT)
        os.utime(talk.parent, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert beside(talk) == [talk.with_name("talk.srt")]


def test_a_clock_that_is_set_forward_hides_no_transcript(talk: Path, clock: Clock, listings: list[Path]) -> None:
    clock.now = moment(talk.parent, 1e9)
    os.utime(talk.parent, (0, clock.now - 1e6))
    assert beside(talk) == []
    talk.with_name("talk.srt").write_bytes(SRT)
    os.utime(talk.parent, (0, clock.now + 0.004))
    assert beside(talk) == [talk.with_name("talk.srt")]
