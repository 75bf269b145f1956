"""What files are called, and which are left alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from seehear import Library
from seehear.errors import InputError
from seehear.folders import Folders
from seehear.ledger import Ledger

OpenLibrary = Callable[..., Library]


def keys(library: Library) -> list[str]:
    found: list[str] = library.info()["sources"]
    return found


def test_two_folders_of_one_name_keep_their_files_apart(library: Library, tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        (tmp_path / year / "photos").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / year / "photos" / "a.png")
        library.add(tmp_path / year / "photos")
    assert keys(library) == ["photos-2/a.png", "photos/a.png"]
    assert len(library.retrieve("red")) == 2


def test_a_file_has_one_name_however_it_is_reached(library: Library, photos: Path) -> None:
    library.add(photos / "red.png")
    library.add(photos / "more")
    library.add(photos)
    library.add(photos.parent / "photos" / ".." / "photos")
    assert sorted(keys(library)) == [
        "photos/blue.png", "photos/green.png", "photos/more/white.png", "photos/red.png", "photos/yellow.png",
    ]  # fmt: skip


def test_hidden_files_and_other_libraries_are_left_alone(library: Library, photos: Path) -> None:
    (photos / ".cache").mkdir()
    Image.new("RGB", (8, 8)).save(photos / ".cache" / "x.png")
    Image.new("RGB", (8, 8)).save(photos / ".y.png")
    (photos / "other.library").mkdir()
    (photos / "other.library" / "ledger.sqlite").touch()
    (photos / "other.library" / "lock").touch()
    Image.new("RGB", (8, 8)).save(photos / "other.library" / "z.png")
    assert len(library.add(photos).added) == 5


def test_a_library_inside_its_own_photos_is_not_taken_in(open_library: OpenLibrary, photos: Path) -> None:
    library = open_library(photos / "media.library")
    report = library.add(photos)
    assert (len(report.added), report.failed, report.ignored) == (5, [], [])


def test_a_link_that_leads_out_is_not_followed(library: Library, photos: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    (photos / "link.png").symlink_to(secret)
    (photos / "folder").symlink_to(tmp_path)
    report = library.add(photos)
    assert len(report.added) == 5
    assert {Path(problem.path).name for problem in report.failed} == {"link.png", "folder"}
    assert all("leads out" in problem.reason for problem in report.failed)


def test_a_link_within_the_folder_is_another_name(library: Library, photos: Path) -> None:
    (photos / "alias.png").symlink_to(photos / "red.png")
    assert len(library.add(photos).added) == 6


def test_names_that_are_no_text_can_be_added_found_and_removed(library: Library, photos: Path) -> None:
    path = os.fsencode(photos) + b"/caf\xe9 \n\x1b[31m.png"
    Image.new("RGB", (8, 8), "black").save(os.fsdecode(path), "PNG")
    library.add(photos)
    assert "photos/caf\\xe9 \n\x1b[31m.png" in keys(library)
    found = [hit for hit in library.retrieve("green", k=9) if os.fsencode(hit.source) == path]
    assert len(found) == 1
    assert found[0].picture().size == (8, 8)
    library.remove(os.fsdecode(path))
    assert len(keys(library)) == 5


def test_a_folder_that_may_not_be_read_is_named(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    report = library.add(photos)
    assert len(report.added) == 4
    (problem,) = report.failed
    assert problem.path.endswith("more")
    assert "cannot be read" in problem.reason


def test_two_names_never_share_a_key(library: Library, photos: Path) -> None:
    for name in (b"bad\xff.png", b"bad\\xff.png"):
        Image.new("RGB", (8, 8), "red").save(os.fsdecode(os.fsencode(photos) + b"/" + name), "PNG")
    assert len(library.add(photos).added) == 7
    assert len(set(keys(library))) == 7


def test_a_file_that_may_not_be_looked_at_does_not_end_the_walk(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def denied(path: Path, **options: bool) -> os.stat_result:
        if path.name == "blue.png":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", denied)
    report = library.add(photos)
    assert len(report.added) == 4
    assert [(Path(p.path).name, p.reason) for p in report.failed] == [
        ("blue.png", "it cannot be looked at: Permission denied")
    ]


def test_a_library_is_no_folder_of_pictures(library: Library, tmp_path: Path) -> None:
    (problem,) = library.add(tmp_path / "library").failed
    assert "this is a library" in problem.reason


def test_an_empty_name_is_not_the_current_folder(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    assert "no such file" in library.add("").failed[0].reason
    assert "it is a URL" in library.add("https://example.org/a.jpg").failed[0].reason
    library.add(".")
    with pytest.raises(InputError, match="Not in this library"):
        library.remove("")
    assert len(keys(library)) == 5


def test_a_transcript_beside_a_recording_is_no_file_of_its_own(tmp_path: Path) -> None:
    for name in ("talk.wav", "talk.srt", "other.srt"):
        (tmp_path / name).write_text("x")
    folders = Folders(Ledger(Path(":memory:"), ()))
    assert [file.below.name for file in folders.discover([tmp_path])] == ["other.srt", "talk.wav"]  # type: ignore[union-attr]
