"""What files are called, and which are left alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mixed import SET
from PIL import Image
from recordings import tone, write

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


def test_a_link_that_is_named_is_not_followed_out_of_its_folder_unless_it_is_a_folder(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "uploads").mkdir()
    link = tmp_path / "uploads" / "link.png"
    link.symlink_to(photos / "red.png")
    report = library.add([link, photos / "blue.png"])
    assert len(report.added) == 1
    assert [problem.reason.partition(";")[0] for problem in report.failed] == [
        "it is a link that leads out of the folder"
    ]
    (tmp_path / "album").symlink_to(photos)
    assert len(library.add(tmp_path / "album").added) == 4


def test_a_transcript_that_is_a_link_out_of_the_folder_is_not_read(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library(models=SET)
    (tmp_path / "secret.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nthe password\n")
    (tmp_path / "talks").mkdir()
    write(tmp_path / "talks" / "talk.wav", tone(2, 16_000))
    (tmp_path / "talks" / "talk.srt").symlink_to(tmp_path / "secret.srt")
    report = library.add(tmp_path / "talks")
    assert len(report.added) == 1
    assert ["leads out" in note.reason for note in report.notes] == [True]
    assert not any("password" in hit.text for hit in library.retrieve("password", k=9, min_score=0))


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


def where(library: Library) -> dict[str, str]:
    found: dict[str, str] = library.info()["folders"]
    return found


def settle(folder: Path) -> None:
    """Let files be old enough for their times to be trusted."""
    for path in folder.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_a_folder_that_was_moved_is_told_and_none_of_its_files_is_read_again(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    settle(photos)
    library.add(photos, metadata=lambda path: {"named": path.stem})
    moved = photos.rename(tmp_path / "pictures")
    assert library.relocate(photos, moved) == ["photos"]
    assert where(library) == {"photos": str(moved)}
    hit = library.retrieve("red", k=1)[0]
    assert (hit.source, hit.metadata["named"], hit.picture().size) == (str(moved / "red.png"), "red", (40, 30))
    report = library.sync(moved)
    assert (len(report.unchanged), report.embedded, report.added, report.moved) == (5, 0, [], [])


def test_a_folder_that_was_copied_with_new_times_is_read_and_not_embedded(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    settle(photos)
    library.add(photos)
    shutil.copytree(photos, tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(photos)
    library.relocate(photos, tmp_path / "copy")
    report = library.sync(tmp_path / "copy")
    assert (len(report.unchanged), report.embedded) == (5, 0)
    assert library._parts.ledger.known("photos/red.png").mtime_ns != 1_700_000_000 * 10**9  # type: ignore[union-attr]


def test_all_folders_below_one_that_was_moved_are_found(library: Library, photos: Path, tmp_path: Path) -> None:
    library.add([photos / "more", photos])
    photos.rename(tmp_path / "new")
    assert library.relocate(photos, tmp_path / "new") == ["more", "photos"]
    assert where(library) == {"more": str(tmp_path / "new" / "more"), "photos": str(tmp_path / "new")}
    assert len(library.sync(tmp_path / "new").unchanged) == 5


def test_a_folder_may_move_into_itself(library: Library, photos: Path) -> None:
    within = (photos / "more").rename(photos / "within")
    library.add([within, photos])
    photos.rename(photos.parent / "aside")
    photos.mkdir()
    (photos.parent / "aside").rename(within)
    assert library.relocate(photos, within) == ["photos", "within"]
    assert where(library) == {"photos": str(within), "within": str(within / "within")}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("nowhere", "pictures", r"'nowhere' is no folder that was added .* Its folders are .*photos\."),
        ("", "pictures", "'' is no folder that was added"),
        ("photos/more", "pictures", "'photos/more' is no folder that was added"),
        ("photos", "empty", "None of the 5 files .*photos is in .*empty"),
        ("photos", "nowhere", "None of the 5 files"),
        ("photos", "other", "other is a folder of this library already"),
    ],
)
def test_what_is_not_so_is_not_believed(
    library: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "other" / "red.png")
    library.add([photos, tmp_path / "other"])
    before = where(library)
    photos.rename(tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        library.relocate(old, new)
    assert where(library) == before


def test_two_folders_may_take_each_others_names(library: Library, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (8, 8), "black").save(other / "black.png")
    library.add([photos, other])
    other.rename(tmp_path / "third")
    photos.rename(other)
    library.relocate(other, tmp_path / "third")
    library.relocate(photos, other)
    assert where(library) == {"photos": str(other), "other": str(tmp_path / "third")}
    assert Path(library.retrieve("red", k=1)[0].source) == other / "red.png"


def test_folders_that_were_moved_together_with_the_library_are_found(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    photos.rename(home / "photos")
    settle(home)
    with open_library(home / "library") as library:
        library.add([home / "photos" / "more", home / "photos"])
    (tmp_path / "disk").mkdir()
    home.rename(tmp_path / "disk" / "moved")
    with open_library(tmp_path / "disk" / "moved" / "library") as library:
        moved = tmp_path / "disk" / "moved" / "photos"
        assert where(library) == {"more": str(moved / "more"), "photos": str(moved)}
        report = library.sync(moved)
        assert (len(report.unchanged), report.embedded) == (5, 0)
        assert library.retrieve("red", k=1)[0].picture().size == (40, 30)


def test_a_library_that_is_moved_alone_leaves_the_folders_where_they_are(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    with open_library() as library:
        library.add(photos)
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(photos, tmp_path / "elsewhere" / "photos")  # a copy beside it is not asked for
    (tmp_path / "library").rename(tmp_path / "elsewhere" / "library")
    with open_library(tmp_path / "elsewhere" / "library") as library:
        assert where(library) == {"photos": str(photos)}


def test_a_folder_is_not_taken_for_another_that_the_library_has(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    for year in ("2023", "2024"):
        (tmp_path / year / "photos").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / year / "photos" / "a.png")
    with open_library(tmp_path / "2023" / "library") as library:
        library.add([tmp_path / "2023" / "photos", tmp_path / "2024" / "photos"])
        before = where(library)
    shutil.rmtree(tmp_path / "2023" / "photos")
    (tmp_path / "2023" / "library").rename(tmp_path / "2024" / "library")
    with open_library(tmp_path / "2024" / "library") as library:
        assert where(library) == before
