"""Files by content, and what is refused before it is decoded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recordings import FORMATS, tone, write

from seehear.errors import DamagedMedia, InputError, MediaTooLarge, UnreadableMedia, UnsupportedMedia
from seehear.media import (
    AUDIO_TYPES,
    PICTURE_TYPES,
    TEXT_TYPES,
    VIDEO_TYPES,
    Limits,
    open_source,
    sniff,
)
from seehear.types import Source

STARTS = [
    b"", b"RIFF", b"RIFF....WAVE", b"OggS", b"fLaC", b"ID3", b"ID3\4\0\0\0\0\0\0", b"\xff\xfb\x90d", b"\xff\xf1",
    b"FORM", b"\x1aE\xdf\xa3", b"\0\0\0\x18ftyp", b"\0\0\0\x18moov", b".snd\0", b"caff\0\1", b"#!AMR\n", b"BM",
    b"\xff\xfe",
]  # fmt: skip


def read(path: Path, limits: Limits | None = None) -> Source:
    with open_source(path, "key", limits or Limits()) as source:
        return source


@pytest.mark.parametrize("content", [b"BM, said the text file, and went on", b"RIFF....CDDA", b"%PDF-1.7", b"\0" * 64])
def test_what_is_nothing_that_is_read_is_unsupported_whatever_it_is_called(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnsupportedMedia, match="whatever its name says"):
        read(path)


@given(st.sampled_from(STARTS), st.binary(max_size=64), st.sampled_from(["", "a.txt", "a.md", "a"]))
def test_sniffing_never_fails(start: bytes, rest: bytes, name: str) -> None:
    known = {*PICTURE_TYPES, *AUDIO_TYPES, *VIDEO_TYPES, *TEXT_TYPES.values()}
    assert sniff(start + rest, name) in {None, *known}


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    Image.new("RGB", (40, 20)).save(path)
    with pytest.raises(MediaTooLarge, match="more than the limit of 10"):
        read(path, Limits(bytes=10))


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(DamagedMedia, match="empty"):
        read(path)


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match="not there"):
        read(tmp_path / "nowhere.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    Image.new("RGB", (40, 20)).save(path)
    path.chmod(0)
    with pytest.raises(UnreadableMedia, match="permissions"):
        read(path)


def test_permission_that_is_denied_is_told_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "any.png").touch()
    monkeypatch.setattr("seehear.media.os.open", denied)
    with pytest.raises(UnreadableMedia, match="change its permissions"):
        read(tmp_path / "any.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    with pytest.raises(UnreadableMedia, match="not a regular file"):
        read(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia):
        read(tmp_path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_recording_is_known_by_its_content_and_not_its_name(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", tone(0.5, FORMATS[suffix][2]))
    expected = {
        "au": "audio/basic", "avi": "video/x-msvideo", "caf": "audio/x-caf", "m4a": "audio/mp4",
        "mka": "audio/matroska", "mov": "video/mp4", "mp3": "audio/mpeg", "mp4": "video/mp4", "wma": "video/x-ms-asf",
    }  # fmt: skip
    misleading = path.rename(tmp_path / "photo.jpg")
    assert read(misleading).type == expected.get(suffix, f"audio/{suffix}")


@pytest.mark.parametrize(("suffix", "type_"), [("mka", "video/matroska"), ("webm", "video/webm")])
def test_a_container_with_pictures_is_a_video(tmp_path: Path, suffix: str, type_: str) -> None:
    path = write(tmp_path / f"a.{suffix}", tone(0.5, FORMATS[suffix][2]), pictures=True)
    assert read(path).type == type_


def test_mp3_frames_without_a_tag_are_known(tmp_path: Path) -> None:
    tagged = write(tmp_path / "a.mp3", tone(1, 44_100)).read_bytes()
    bare = tagged[tagged.index(b"\xff\xfb") :]
    assert sniff(bare[:4096]) == "audio/mpeg"
    assert sniff(bare[:4] + bytes(4092)) is None  # one frame's first bits prove nothing
    assert sniff(bare[:4] + bytes(400) + bare[:2] + b"\x98" + bytes(4000)) is None  # nor does one of another rate


def test_flac_behind_a_tag_of_mp3_is_flac(tmp_path: Path) -> None:
    flac = write(tmp_path / "a.flac", tone(0.1, 44_100)).read_bytes()
    assert sniff((b"ID3\4\0\0\0\0\1\0" + bytes(128) + flac)[:4096]) == "audio/flac"


@pytest.mark.parametrize("brand", [b"heic", b"avif", b"mif1"])
def test_pictures_in_an_mp4_box_are_no_video(brand: bytes) -> None:
    assert sniff(b"\0\0\0\x18ftyp" + brand + bytes(100)) is None


@pytest.mark.parametrize(("name", "type_"), [("a.txt", "text/plain"), ("A.MD", "text/markdown"), ("a.vtt", "text/vtt")])
def test_texts_are_known_by_their_names_if_they_are_text(tmp_path: Path, name: str, type_: str) -> None:
    path = tmp_path / name
    for content in (b"words", "words".encode("utf-16"), b"\xe9 in Latin-1"):
        path.write_bytes(content)
        assert read(path).type == type_
    for content in (b"wor\0ds", bytes(50)):
        path.write_bytes(content)
        with pytest.raises(UnsupportedMedia):
            read(path)
    Image.new("RGB", (4, 4)).save(path, "PNG")
    assert read(path).type == "image/png"


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixels": 0},
        {"bytes": -1},
        {"memory": 1 << 70},
        {"duration": float("inf")},
        {"duration": 1e30},
        {"seconds": float("nan")},
        {"frames": True},
        {"streams": "many"},
        {"roots": "/srv/uploads"},
        {"roots": Path("/srv")},
    ],
)
def test_what_is_no_limit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} of Limits"):
        Limits(**wrong)


def test_folders_of_limits_stay_where_they_were_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    limits = Limits(roots=("uploads", Path("more")))  # type: ignore[arg-type]
    monkeypatch.chdir("/")
    assert limits.roots == (str(tmp_path / "uploads"), str(tmp_path / "more"))
