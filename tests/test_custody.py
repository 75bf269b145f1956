"""The ledger between two openings: damage is noticed, and what no file can tell comes back from the backup."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mixed import SET, media
from PIL import Image

from seehear import Library
from seehear.backup import BACKUP
from seehear.custody import ASIDE, SEAL
from seehear.database import Database
from seehear.errors import LibraryDamaged, LibraryError, ModelMismatch
from seehear.folders import LEDGER
from seehear.testing import COLOUR_SET, COLOURS, LoudnessTranscriber

OpenLibrary = Callable[..., Library]
Damage = Callable[[Path], object]
DAMAGE: dict[str, Damage] = {
    "a byte less": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing left": lambda path: path.write_bytes(b""),
    "a bit turned": lambda path: turn(path, 100),
    "gone": lambda path: path.unlink(),
}
damaged = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())


def turn(path: Path, place: int) -> None:
    """Turn a bit of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `open_library` makes its library."""
    return tmp_path / "library"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture of each colour."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (name, colour) in enumerate(COLOURS.items()):
        Image.new("RGB", (40 + number, 30), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A library of these that was closed properly."""
    folder = tmp_path_factory.mktemp("kept") / "library"
    with Library.open(folder, models=COLOUR_SET) as library:
        library.add(pictures)
    return folder


@pytest.fixture
def closed(kept: Path, folder: Path) -> Path:
    """A copy of it, to be damaged."""
    shutil.copytree(kept, folder)
    Library.open(folder, models=COLOUR_SET).close()  # it knows now where it is
    return folder


def names(library: Library) -> list[str]:
    """What answers, best first."""
    return [hit.id for hit in library.retrieve("red", min_score=0)]


@damaged
def test_a_damaged_ledger_is_refused_and_put_right_from_its_backup(
    open_library: OpenLibrary, closed: Path, damage: Damage
) -> None:
    with open_library() as library:
        before = names(library)
    damage(closed / LEDGER)
    for _ in range(2):  # a refusal changes nothing
        with pytest.raises(LibraryDamaged, match=rf"{LEDGER} is damaged.*seehear verify --repair --library {closed}"):
            open_library()
    with open_library(repair=True) as library:
        found = library.verify(repair=True)
        assert (found.good, len(found.unread), names(library)) == (True, 5, before)
    with open_library() as library:
        assert library.verify().good
        assert names(library) == before
    assert (closed / ASIDE).exists() == (damage is not DAMAGE["gone"])


def test_what_was_put_right_in_part_is_whole_after_the_next_add(
    open_library: OpenLibrary, closed: Path, pictures: Path
) -> None:
    (closed / LEDGER).unlink()
    with open_library(repair=True) as library:
        assert not library.verify().good
        assert names(library) == []
    with open_library() as library:
        assert len(library.verify().unread) == 5
        library.add(pictures)
        assert library.verify().good
        assert len(names(library)) == 5


@damaged
def test_a_damaged_backup_does_no_harm_and_is_written_anew(
    open_library: OpenLibrary, closed: Path, damage: Damage
) -> None:
    damage(closed / BACKUP)
    with open_library() as library:
        before = names(library)
        assert len(before) == 5
    (closed / LEDGER).unlink()
    with open_library(repair=True) as library:
        assert library.verify(repair=True).good
        assert names(library) == before


def test_a_damaged_backup_is_noticed_without_a_seal_too(open_library: OpenLibrary, closed: Path) -> None:
    (closed / BACKUP).write_bytes(b"no database" * 500)
    (closed / SEAL).unlink()
    open_library().close()
    (closed / LEDGER).unlink()
    open_library(repair=True).close()


@damaged
def test_a_damaged_seal_does_no_harm(open_library: OpenLibrary, closed: Path, damage: Damage) -> None:
    damage(closed / SEAL)
    with open_library() as library:
        assert len(names(library)) == 5
        assert library.verify().good


@pytest.mark.parametrize("name", ["half", "nothing left", "a bit turned"])
def test_where_ledger_and_backup_are_damaged_the_error_says_what_is_left_to_do(
    open_library: OpenLibrary, closed: Path, name: str
) -> None:
    (closed / LEDGER).write_bytes((closed / LEDGER).read_bytes()[:5000])
    DAMAGE[name](closed / BACKUP)
    for repair in (False, True, True):
        with pytest.raises(LibraryDamaged, match=r"Remove the library's folder" if repair else "verify --repair"):
            open_library(repair=repair)
    assert (closed / LEDGER).stat().st_size == 5000  # somebody may still make something of it


@damaged
def test_where_ledger_and_seal_are_damaged_the_backup_helps(
    open_library: OpenLibrary, closed: Path, damage: Damage
) -> None:
    (closed / LEDGER).write_bytes((closed / LEDGER).read_bytes()[:5000])
    damage(closed / SEAL)
    with pytest.raises(LibraryDamaged, match="verify --repair"):
        open_library()
    with open_library(repair=True) as library:
        assert library.verify(repair=True).good
        assert len(names(library)) == 5


def test_a_sealed_ledger_is_not_looked_through_again(
    open_library: OpenLibrary, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr(Database, "quick_check", lambda file: looked.append(file))
    open_library().close()
    assert looked == []
    (closed / SEAL).unlink()
    open_library().close()
    assert len(looked) == 1


def test_an_opening_that_is_refused_leaves_the_seal(open_library: OpenLibrary, closed: Path) -> None:
    with pytest.raises(ModelMismatch):
        Library.open(closed, models="mini")
    assert (closed / SEAL).exists()
    turn(closed / LEDGER, (closed / LEDGER).stat().st_size // 3)
    with pytest.raises(LibraryDamaged):
        open_library()


def test_the_backup_is_written_when_something_has_changed(
    open_library: OpenLibrary, closed: Path, pictures: Path
) -> None:
    def written() -> int:
        return (closed / BACKUP).stat().st_ino

    before = written()
    with open_library() as library:
        names(library)
    assert written() == before
    with open_library() as library:
        library.add(pictures, metadata={"album": "spring"})
    assert written() != before
    (closed / BACKUP).unlink()
    open_library().close()
    assert (closed / BACKUP).exists()


def test_an_empty_library_has_nothing_to_back_up(open_library: OpenLibrary, folder: Path) -> None:
    open_library().close()
    assert not (folder / BACKUP).exists()
    (folder / LEDGER).write_bytes(b"no database" * 500)
    with pytest.raises(LibraryDamaged, match=r"never backed up\. Remove the library's folder"):
        open_library(repair=True)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media(tmp_path_factory.mktemp("mixed") / "media")


def told(library: Library) -> list[list[Any]]:
    """What several questions find, with all that a hit knows."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("as loud as 50", {}),
        ("kettle", {}),
        ("green", {"modalities": {"video"}}),
    ]
    asked += [("bill", {"where": {"year": 2024}}), ("red", {"where": {"album": "all"}})]
    return [
        sorted(
            (hit.source, hit.start, hit.end, hit.text, round(hit.score, 5), sorted(hit.metadata.items()), hit.thumbnail)
            for hit in library.retrieve(question, k=20, min_score=0, **bounds)
        )
        for question, bounds in asked
    ]


def test_passages_metadata_transcripts_and_folders_outlive_the_ledger(
    open_library: OpenLibrary, kinds: Path, folder: Path
) -> None:
    writer = LoudnessTranscriber()
    with open_library(models=SET, transcriber=writer) as library:
        library.add(kinds, metadata={"album": "all"})
        library.add_texts(["The bill is in the post.", "Nothing else."], [{"year": 2024}, None], ["mail-1", "mail-2"])
        before, info = told(library), library.info()
        heard = len(writer.transcribed)
    assert heard
    assert any(hit[-1] for question in before for hit in question)  # pictures of moments
    (folder / LEDGER).unlink()
    shutil.rmtree(folder / "chroma")
    with open_library(models=SET, transcriber=writer, repair=True) as library:
        found = library.verify(repair=True)
        assert found.good
        assert sum(found.missing.values()) == 2  # the passages; the rest is read again
        assert told(library) == before
    assert len(writer.transcribed) == heard  # what was said is remembered
    with open_library(models=SET, transcriber=writer) as library:
        assert library.verify().good
        assert told(library) == before
        assert {name: library.info()[name] for name in ("files", "segments", "folders")} == {
            name: info[name] for name in ("files", "segments", "folders")
        }
        assert library.remove("mail-1") == ["mail-1"] or library.info()["files"] == info["files"] - 1


def test_a_folder_that_was_moved_is_still_known_after_the_ledger_is_lost(
    open_library: OpenLibrary, closed: Path, pictures: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(pictures, elsewhere)
    with open_library() as library:
        library.relocate(pictures, elsewhere)
    (closed / LEDGER).unlink()
    with open_library(repair=True) as library:
        assert library.verify(repair=True).good
        assert library.retrieve("red", k=1, min_score=0)[0].source == str(elsewhere / "red.png")


DYING = """
import os, signal, sys
from seehear import Library
from seehear.database import Database
from seehear.testing import COLOUR_SET
Database.with_other = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Library.open(sys.argv[1], models=COLOUR_SET, repair=True)
"""


def test_a_kill_while_the_ledger_is_made_again_leaves_it_to_be_made_again(
    open_library: OpenLibrary, closed: Path
) -> None:
    with open_library() as library:
        before = names(library)
    (closed / LEDGER).unlink()
    (closed / SEAL).unlink()
    done = subprocess.run([sys.executable, "-P", "-c", DYING, closed], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(LibraryDamaged, match="verify --repair"):
        open_library()
    with open_library(repair=True) as library:
        assert library.verify(repair=True).good
        assert names(library) == before


def test_a_ledger_of_no_bytes_that_was_never_backed_up_takes_no_vectors_along(
    open_library: OpenLibrary, closed: Path
) -> None:
    for name in (BACKUP, SEAL):
        (closed / name).unlink()
    (closed / LEDGER).write_bytes(b"")
    held = set((closed / "chroma").rglob("*"))
    for repair in (False, True):
        with pytest.raises(LibraryDamaged, match=rf"has vectors and no {LEDGER}"):
            open_library(repair=repair)
    assert set((closed / "chroma").rglob("*")) == held


def test_a_ledger_that_was_just_being_made_is_in_nobodys_way(open_library: OpenLibrary, folder: Path) -> None:
    folder.mkdir()
    (folder / LEDGER).touch()
    open_library().close()
    assert (folder / LEDGER).stat().st_size


def test_a_library_that_lost_its_ledger_can_still_be_opened_to_repair_it(
    open_library: OpenLibrary, closed: Path, pictures: Path
) -> None:
    """The backup alone says that there is a library."""
    for path in (LEDGER, SEAL, "lock"):
        (closed / path).unlink()
    shutil.rmtree(closed / "chroma")
    with pytest.raises(LibraryDamaged):
        open_library(create=False)
    with open_library(create=False, repair=True) as library:
        assert library.verify(repair=True).embedded == 5


def test_a_ledger_that_the_system_does_not_let_us_read_is_no_damage(
    open_library: OpenLibrary, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = Path.open

    def refused(path: Path, *given: Any, **more: Any) -> Any:
        if path.name == LEDGER:
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        with pytest.raises(LibraryError, match=rf"{LEDGER} cannot be used: Permission denied. Check"):
            open_library(repair=True)
    assert not (closed / ASIDE).exists()
    assert len(names(open_library())) == 5


def test_what_is_never_closed_is_checked_at_the_next_opening(
    open_library: OpenLibrary, closed: Path, pictures: Path
) -> None:
    code = (
        "import os, sys; from seehear import Library; from seehear.testing import COLOUR_SET\n"
        "library = Library.open(sys.argv[1], models=COLOUR_SET)\n"
        "library.remove(sys.argv[2]); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, closed, pictures / "red.png"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (closed / SEAL).exists()
    with open_library() as library:
        assert len(names(library)) == 4
    (closed / SEAL).unlink()
    with sqlite3.connect(closed / LEDGER) as file:
        (root,) = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'segments'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
    file.close()
    with (closed / LEDGER).open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(b"\xff" * 64)
    with pytest.raises(LibraryDamaged, match=f"{LEDGER} is damaged"):
        open_library()
