"""`sync`: what was added, changed, moved and removed in a folder is so in the library, and nothing else is."""

from __future__ import annotations

import os
import random
import shutil
import wave
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import film, plain, remuxed, steady
from PIL import Image

from seehear import Library, ModelSet
from seehear.errors import InputError, MissingExtra
from seehear.testing import COLOUR, COLOUR_SET, COLOURS, ColourEncoder, LoudnessTranscriber
from seehear.types import Collection, Kind, Passage, Report, Route, Waveform

OpenLibrary = Callable[..., Library]
VISUAL = Collection(COLOUR, "visual", "image")
ALL: frozenset[Kind] = frozenset({"text", "image", "audio"})
SET = ModelSet("mixed", tuple(Route(c, COLOUR, ALL) for c in ("visual", "sound", "speech", "text")), (
    "image", "audio", "text", "video"))  # fmt: skip
LISTS = ("added", "changed", "moved", "removed", "unchanged", "ignored")
LONG_AGO = 1_700_000_000


def told(report: Report, folder: Path) -> dict[str, list[object]]:
    """The lists of a report that are not empty, with paths as they are below a folder."""

    def below(one: object) -> Any:
        if isinstance(one, tuple):
            return tuple(map(below, one))
        return os.path.relpath(str(getattr(one, "path", one)), folder)

    lists = {name: sorted(map(below, getattr(report, name))) for name in (*LISTS, "partial", "failed")}
    return {name: found for name, found in lists.items() if found}


def age(folder: Path, seconds: int = LONG_AGO) -> None:
    """Let files be old enough for their times to be trusted."""
    for path in folder.rglob("*"):
        os.utime(path, (seconds, seconds))


def said(library: Library) -> dict[str, dict[str, object]]:
    """What the user said about each file."""
    return {one.key: dict(one.given) for one in library._parts.ledger.sources()}


def state(library: Library) -> dict[str, object]:
    """Files with what is known of them, segments and their vectors: all that two libraries of one folder share."""
    parts, files = library._parts, {}
    for known in parts.ledger.sources():
        outcomes = [(one.route.channel, one.status, one.reason) for one in parts.ledger.outcomes(known.key)]
        segments = [(one.id, one.channel, one.text, one.start) for one in parts.ledger.segments(known.key)]
        files[known.key] = (known.content, known.found, outcomes, sorted(segments))
    rows: dict[tuple[str, str, str], Any] = {}
    for place in parts.collections():
        held = parts.store.get(place, sorted(parts.store.ids(place)))
        # Chroma makes them of unit length each time: the last bit of those that were copied may be another.
        rows |= {(place.channel, place.modality, name): row.round(5).tolist() for name, row in held.items()}
    return {"files": files, "rows": rows}


def test_what_was_added_changed_moved_and_removed_is_followed(
    library: Library, photos: Path, encoder: ColourEncoder
) -> None:
    age(photos)
    library.add(photos, metadata=lambda path: {"named": path.stem})
    Image.new("RGB", (7, 7), "black").save(photos / "black.png")
    Image.new("RGB", (9, 9), "white").save(photos / "blue.png")
    (photos / "red.png").rename(photos / "more" / "rose.png")
    (photos / "green.png").unlink()
    encoder.embedded.clear()
    report = library.sync(photos)
    assert told(report, photos) == {
        "added": ["black.png"],
        "changed": ["blue.png"],
        "moved": [("red.png", "more/rose.png")],
        "removed": ["green.png"],
        "unchanged": ["more/white.png", "yellow.png"],
    }
    assert report.embedded == len(encoder.embedded) == 2
    assert said(library) == {
        "photos/black.png": {},
        "photos/blue.png": {"named": "blue"},
        "photos/more/rose.png": {"named": "red"},
        "photos/more/white.png": {"named": "white"},
        "photos/yellow.png": {"named": "yellow"},
    }
    assert library._parts.store.count(VISUAL) == 5
    assert Path(library.retrieve("red", k=1)[0].source) == photos / "more" / "rose.png"


def test_a_dry_run_says_what_would_be_and_changes_nothing(
    library: Library, photos: Path, encoder: ColourEncoder
) -> None:
    age(photos)
    library.add(photos)
    other = photos.parent / "other"
    other.mkdir()
    (photos / "red.png").rename(other / "red.png")
    (photos / "blue.png").unlink()
    Image.new("RGB", (9, 9), "white").save(photos / "green.png")
    encoder.embedded.clear()
    before, counters, roots = state(library), library._parts.ledger.counters(), library.info()["folders"]
    report = library.sync([photos, other], dry_run=True, metadata={"year": 2024})
    assert told(report, photos) == {
        "changed": ["green.png", "more/white.png", "yellow.png"],
        "moved": [("red.png", "../other/red.png")],
        "removed": ["blue.png"],
    }
    assert (report.embedded, encoder.embedded) == (0, [])
    assert (state(library), library._parts.ledger.counters(), library.info()["folders"]) == (before, counters, roots)
    assert library._parts.ledger.garbage.rows() == {}


def test_metadata_is_what_is_said_now_or_else_what_was_said_before(library: Library, photos: Path) -> None:
    age(photos)
    library.add(photos, metadata={"year": 2023})
    (photos / "red.png").rename(photos / "rose.png")
    os.utime(photos / "blue.png", (LONG_AGO + 9, LONG_AGO + 9))

    def tell(path: Path) -> Mapping[str, object]:
        if path.stem == "white":
            raise KeyError("white")
        return {"year": 2023} if path.stem == "green" else {"name": path.stem}

    expected = {
        "changed": ["blue.png", "yellow.png"], "moved": [("red.png", "rose.png")], "unchanged": ["green.png"],
        "failed": ["more/white.png"],
    }  # fmt: skip
    assert told(library.sync(photos, dry_run=True, metadata=tell), photos) == expected
    report = library.sync(photos, metadata=tell)
    assert (told(report, photos), report.embedded) == (expected, 0)
    assert said(library)["photos/rose.png"] == {"name": "rose"}
    assert said(library)["photos/blue.png"] == {"name": "blue"}
    assert said(library)["photos/more/white.png"] == {"year": 2023}
    (photos / "rose.png").rename(photos / "red.png")
    library.sync(photos)
    assert said(library)["photos/red.png"] == {"name": "rose"}


def test_a_file_that_takes_the_place_of_another_is_a_change_of_that_one(library: Library, photos: Path) -> None:
    age(photos)
    library.add(photos, metadata=lambda path: {"named": path.stem})
    (photos / "red.png").replace(photos / "blue.png")
    expected = {
        "changed": ["blue.png"], "removed": ["red.png"], "unchanged": ["green.png", "more/white.png", "yellow.png"],
    }  # fmt: skip
    assert told(library.sync(photos, dry_run=True), photos) == expected
    report = library.sync(photos)
    assert (told(report, photos), report.embedded) == (expected, 0)
    assert said(library)["photos/blue.png"] == {"named": "blue"}
    assert Path(library.retrieve("red", k=1)[0].source).name == "blue.png"


def test_a_copy_that_stays_is_no_move(library: Library, photos: Path) -> None:
    age(photos)
    library.add(photos, metadata=lambda path: {"named": path.stem})
    shutil.copy2(photos / "red.png", photos / "copy.png")  # the first one stays
    shutil.copy2(photos / "blue.png", photos / "azure.png")
    (photos / "blue.png").rename(photos / "more" / "blue.png")  # it does not
    expected = {
        "added": ["azure.png", "copy.png"], "moved": [("blue.png", "more/blue.png")],
        "unchanged": ["green.png", "more/white.png", "red.png", "yellow.png"],
    }  # fmt: skip
    assert told(library.sync(photos, dry_run=True), photos) == expected
    report = library.sync(photos)
    assert (told(report, photos), report.embedded) == (expected, 0)
    assert said(library)["photos/copy.png"] == said(library)["photos/azure.png"] == {}
    assert said(library)["photos/more/blue.png"] == {"named": "blue"}


def test_copies_that_move_together_keep_what_was_said_of_each(library: Library, photos: Path) -> None:
    folder = photos / "trip"
    folder.mkdir()
    for name in ("a", "b", "c"):
        shutil.copy2(photos / "red.png", folder / f"{name}.png")
    age(photos)
    library.add(photos, metadata=lambda path: {"named": path.stem})
    folder.rename(photos / "journey")
    report = library.sync(photos)
    assert [Path(was).name for was, _ in report.moved] == [Path(now).name for _, now in report.moved]
    assert {key: given for key, given in said(library).items() if "journey" in key} == {
        f"photos/journey/{name}.png": {"named": name} for name in ("a", "b", "c")
    }
    assert (len(report.moved), report.added, report.removed, report.embedded) == (3, [], [], 0)


def broken(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def test_a_failed_file_that_is_moved_stays_listed(library: Library, photos: Path) -> None:
    broken(photos / "red.png")
    age(photos)
    library.add(photos, metadata={"year": 2024})
    (problem,) = library.info()["problems"]
    (photos / "red.png").rename(photos / "rose.png")
    expected = {"unchanged": ["blue.png", "green.png", "more/white.png", "yellow.png"], "failed": ["rose.png"]}
    assert told(library.sync(photos, dry_run=True), photos) == expected
    assert told(library.sync(photos), photos) == expected
    assert library.info()["problems"] == [{"path": "photos/rose.png", "reason": problem["reason"]}]
    assert said(library)["photos/rose.png"] == {"year": 2024}
    assert told(library.sync(photos), photos) == expected


def test_a_video_that_is_there_in_part_is_moved_as_such(open_library: OpenLibrary, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    sound = np.sin(np.arange(3 * 16_000) / 9).astype(np.float32) / 4
    whole = film(tmp_path / "whole.mp4", steady([(3, plain(COLOURS["red"]))], 5), sound=sound)
    remuxed(whole, folder / "a.mp4", spoil="audio")
    age(folder)
    library = open_library(models=replace(SET, routes=SET.routes[:2], modalities=("video",)))
    (problem,) = library.add(folder).partial
    (folder / "a.mp4").rename(folder / "b.mp4")
    expected = {"moved": [("a.mp4", "b.mp4")]}
    assert told(library.sync(folder, dry_run=True), folder) == expected
    report = library.sync(folder)
    assert (told(report, folder), report.embedded) == (expected, 0)
    assert library.info()["problems"] == [{"path": "films/b.mp4", "reason": problem.reason}]
    assert told(library.sync(folder), folder) == {"unchanged": ["b.mp4"]}


STUTTER = '''
from seehear.modalities.image import ImageModality

class Otherwise(ImageModality):
    """Cuts pictures in the same way, and calls it another."""
    settings = "otherwise"
'''


def test_a_file_that_is_moved_and_cut_otherwise_now_keeps_what_was_said(
    open_library: OpenLibrary, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "otherwise.py").write_text(STUTTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    age(photos)
    with open_library(models=replace(COLOUR_SET, modalities=("otherwise:Otherwise",))) as library:
        library.add(photos, metadata=lambda path: {"named": path.stem})
    (photos / "red.png").rename(photos / "rose.png")
    library = open_library()
    expected = {
        "changed": ["blue.png", "green.png", "more/white.png", "yellow.png"], "moved": [("red.png", "rose.png")],
    }  # fmt: skip
    assert told(library.sync(photos, dry_run=True), photos) == expected
    assert told(library.sync(photos), photos) == expected
    assert said(library)["photos/rose.png"] == {"named": "red"}


def test_files_that_move_between_two_folders_are_followed_where_both_are_given(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (9, 9), "black").save(other / "black.png")
    age(photos)
    age(other)
    library.add([photos, other], metadata=lambda path: {"named": path.stem})
    (photos / "red.png").rename(other / "red.png")
    (other / "black.png").rename(photos / "noir.png")
    report = library.sync([photos, other])
    assert told(report, photos)["moved"] == [("../other/black.png", "noir.png"), ("red.png", "../other/red.png")]
    assert (report.embedded, report.added, report.removed) == (0, [], [])
    assert (said(library)["other/red.png"], said(library)["photos/noir.png"]) == ({"named": "red"}, {"named": "black"})


def test_where_one_folder_is_given_the_files_of_the_other_stay(library: Library, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (9, 9), "black").save(other / "black.png")
    library.add([photos, other])
    (photos / "red.png").rename(other / "red.png")
    report = library.sync(other)
    assert (told(report, other), report.embedded) == ({"added": ["red.png"], "unchanged": ["black.png"]}, 0)
    assert "photos/red.png" in library.info()["sources"]
    assert told(library.sync(photos), photos)["removed"] == ["red.png"]


def test_folders_within_folders_are_one(library: Library, photos: Path) -> None:
    age(photos)
    library.add(photos / "more")
    library.add(photos, metadata=lambda path: {"named": path.stem})
    (photos / "red.png").rename(photos / "more" / "red.png")
    (photos / "more" / "white.png").rename(photos / "white.png")
    expected = {
        "moved": [("more/white.png", "white.png"), ("red.png", "more/red.png")],
        "unchanged": ["blue.png", "green.png", "yellow.png"],
    }  # fmt: skip
    assert told(library.sync([photos, photos / "more"], dry_run=True), photos) == expected
    assert told(library.sync([photos / "more", photos]), photos) == expected
    assert library.info()["sources"] == [
        "more/red.png", "photos/blue.png", "photos/green.png", "photos/white.png", "photos/yellow.png",
    ]  # fmt: skip
    assert said(library)["more/red.png"] == {"named": "red"}


def test_a_folder_may_be_given_by_a_link(library: Library, photos: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(photos, target_is_directory=True)
    library.add(link)
    (photos / "red.png").unlink()
    assert told(library.sync(link), photos)["removed"] == ["red.png"]
    assert len(library.sync(photos).unchanged) == 4


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("left", ["", ".hidden", "notes.txt.bin", "new.png"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_folder_of_which_every_file_is_gone_may_be_a_disk_that_is_not_mounted(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, left: str, relative: bool, dry_run: bool
) -> None:
    library.add(photos)
    shutil.rmtree(photos)
    photos.mkdir()
    if left:
        Image.new("RGB", (9, 9)).save(photos / left, "PNG")
    monkeypatch.chdir(photos.parent)
    with pytest.raises(InputError, match=r"None of the 5 files .* Is the disk mounted\? .*seehear remove"):
        library.sync("photos" if relative else photos, dry_run=dry_run)
    assert library.info()["files"] == 5


@pytest.mark.parametrize("relative", [False, True])
def test_one_of_several_folders_may_be_a_disk_that_is_not_mounted(
    library: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    Image.new("RGB", (9, 9), "black").save(disk / "black.png")
    library.add([photos, disk])
    (disk / "black.png").unlink()
    (photos / "red.png").unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"None of the 1 files .*disk is there"):
        library.sync(["photos", "disk"] if relative else [photos, disk])
    assert library.info()["files"] == 6
    assert told(library.sync(photos), photos)["removed"] == ["red.png"]


@pytest.mark.parametrize("given", ["red.png", "nowhere", ""])
def test_only_folders_that_are_there_are_synchronised(library: Library, photos: Path, given: str) -> None:
    library.add(photos)
    with pytest.raises(InputError, match=r"is no folder that is there.*seehear relocate OLD NEW.*seehear remove"):
        library.sync([photos, str(photos / given) if given else ""])
    assert library.info()["files"] == 5


def kept_where_it_cannot_be_looked_at(library: Library, photos: Path) -> None:
    report = library.sync(photos)
    assert report.removed == ([str(photos / "red.png")])
    (problem,) = report.failed
    assert problem.path.endswith("more")
    assert "this folder cannot be read" in problem.reason
    assert "photos/more/white.png" in library.info()["sources"]


def test_files_of_a_folder_that_may_not_be_read_stay(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(photos)
    (photos / "red.png").unlink()
    scan = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    kept_where_it_cannot_be_looked_at(library, photos)


def test_files_of_a_folder_that_the_system_does_not_let_us_read_stay(library: Library, photos: Path) -> None:
    library.add(photos)
    (photos / "red.png").unlink()
    (photos / "more").chmod(0)
    try:
        if os.access(photos / "more", os.R_OK):
            pytest.skip("root may read everything")
        kept_where_it_cannot_be_looked_at(library, photos)
    finally:
        (photos / "more").chmod(0o755)


class Absent(LoudnessTranscriber):
    """A transcriber whose package is not installed, yet."""

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        raise MissingExtra("pip install it")


def test_a_recording_that_nobody_could_write_down_is_tried_again_where_it_was_moved(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    from recordings import write
    from spoken import spoken

    folder = tmp_path / "talks"
    folder.mkdir()
    voice = spoken("My name is John. I live in New York.")
    write(folder / "a.wav", voice.samples, rate=voice.rate)
    age(folder)
    with open_library(models=SET, transcriber=Absent()) as library:
        assert told(library.add(folder, metadata={"year": 2024}), folder) == {"partial": ["a.wav"]}
        (folder / "a.wav").rename(folder / "b.wav")
        expected = {"partial": ["b.wav"]}
        assert told(library.sync(folder, dry_run=True), folder) == expected
        assert told(library.sync(folder), folder) == expected
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    assert told(library.sync(folder), folder) == {"changed": ["b.wav"]}
    assert library.info()["problems"] == []
    assert said(library) == {"talks/b.wav": {"year": 2024}}


class Walk:
    """A folder that somebody works in, at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.number = folder, random.Random(seed), 0
        (folder / "sub" / "deep").mkdir(parents=True)
        for _ in range(8):
            self.add()

    def files(self, *suffixes: str) -> list[Path]:
        every = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [path for path in every if not suffixes or path.suffix in suffixes]

    def contents(self) -> dict[str, bytes]:
        """What a file is, transcripts beside it included, by its path; transcripts are no files of their own."""
        beside = {path.with_suffix(".wav"): path for path in self.files(".srt")}
        return {
            str(path): path.read_bytes() + (beside[path].read_bytes() if path in beside else b"")
            for path in self.files()
            if path not in beside.values() or not path.with_suffix(".wav").exists()
        }

    def place(self, suffix: str) -> Path:
        self.number += 1
        return self.folder / self.rng.choice(["", "sub", "sub/deep"]) / f"{self.number:02}{suffix}"

    def touched(self, path: Path) -> None:
        """Each change has a time of its own, long ago: what has just changed is read in any case."""
        self.number += 1
        os.utime(path, (LONG_AGO + self.number, LONG_AGO + self.number))

    def fill(self, path: Path) -> None:
        if path.suffix == ".png":
            size = self.rng.randint(5, 40), self.rng.randint(5, 40)
            Image.new("RGB", size, tuple(self.rng.randrange(256) for _ in range(3))).save(path)
        elif path.suffix == ".wav":
            level, seconds = self.rng.randint(1, 99) / 100, self.rng.randint(2, 4)
            samples = np.sin(np.arange(8_000 * seconds) / self.rng.randint(3, 30)) * level * 32_767
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 8_000, 0, "NONE", ""))
                file.writeframes(samples.astype("<i2").tobytes())
        elif path.suffix == ".srt":
            path.write_text(f"1\n00:00:00,000 --> 00:00:01,000\nIt is {self.rng.random()}.\n")
        else:
            path.write_text(f"The number is {self.rng.random()}.")
        self.touched(path)

    def add(self) -> None:
        self.fill(self.place(self.rng.choice([".png", ".png", ".png", ".wav", ".txt", ".bin"])))

    def change(self) -> None:
        self.fill(self.rng.choice(self.files()))

    def touch(self) -> None:
        self.touched(self.rng.choice(self.files()))

    def rename(self) -> None:
        path = self.rng.choice(self.files(".png", ".wav", ".txt"))
        path.rename(self.place(path.suffix))

    def replace(self) -> None:
        one, other = self.rng.sample(self.files(".png"), 2)
        one.replace(other)

    def swap(self) -> None:
        one, other = self.rng.sample(self.files(".png"), 2)
        one.rename(self.folder / "swap")
        other.rename(one)
        (self.folder / "swap").rename(other)

    def delete(self) -> None:
        self.rng.choice(self.files()).unlink()

    def copy(self) -> None:
        path = self.rng.choice(self.files(".png", ".wav", ".txt"))
        shutil.copy2(path, self.place(path.suffix))

    def spoil(self) -> None:
        path = self.rng.choice(self.files(".png"))
        broken(path)
        self.touched(path)

    def empty(self) -> None:
        path = self.rng.choice(self.files(".txt", ".png"))
        path.write_bytes(b"")
        self.touched(path)

    def write_down(self) -> None:
        if recordings := self.files(".wav"):
            self.fill(self.rng.choice(recordings).with_suffix(".srt"))

    def folders(self) -> None:
        """Rename a folder with all below it."""
        self.number += 1
        (self.folder / "sub" / "deep").rename(self.folder / f"deep{self.number}")
        (self.folder / "sub" / "deep").mkdir()

    def step(self) -> None:
        steps = [
            self.add, self.change, self.touch, self.rename, self.rename, self.replace, self.swap, self.delete,
            self.copy, self.spoil, self.empty, self.write_down, self.folders,
        ]  # fmt: skip
        for _ in range(self.rng.randint(1, 5)):
            while len(self.files(".png")) < 3:
                self.add()
            self.rng.choice(steps)()


def renamed(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> Iterable[tuple[str, str]]:
    """Files of which nobody can doubt where they went: their bytes are in one place before, and in another one now."""
    places = {content: [p for p, other in now.items() if other == content] for content in before.values()}
    for path, content in before.items():
        if list(before.values()).count(content) == 1 and len(places[content]) == 1 and content:
            (place,) = places[content]
            if path not in now and place not in before:
                yield path, place


def told_of(*lists: Iterable[object]) -> set[str]:
    """Paths in lists of a report."""
    return {str(getattr(one, "path", one)) for many in lists for one in many}


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(n, marks=pytest.mark.slow) for n in range(5, 60))])
def test_whatever_becomes_of_a_folder_a_dry_run_foretells_it_and_the_library_equals_one_from_scratch(
    open_library: OpenLibrary, tmp_path: Path, seed: int
) -> None:
    walk, folder = Walk(tmp_path / "folder", seed), tmp_path / "folder"
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    library.sync(folder)
    before, numbers = walk.contents(), dict[str, int]()
    for _ in range(6):
        walk.step()
        now, foretold = walk.contents(), library.sync(folder, dry_run=True)
        report = library.sync(folder)
        # Which of the new files are broken a dry run does not say.
        new = told_of(report.failed) - told_of(foretold.failed)
        for name in LISTS:
            assert sorted(one for one in getattr(foretold, name) if one not in new) == sorted(getattr(report, name))
        assert told_of(foretold.failed, foretold.partial) <= told_of(report.failed, report.partial)
        assert new <= {*foretold.added, *foretold.changed, *(now for _, now in foretold.moved)}
        assert foretold.embedded == 0
        moves = dict(renamed(before, now))
        passed = told_of(report.failed, report.ignored)
        assert {pair for pair in moves.items() if pair[1] not in passed} <= {*report.moved}
        moves |= dict(report.moved)
        again = told(library.sync(folder), folder)
        assert again.keys() <= {"unchanged", "ignored", "failed"}
        assert again.get("failed", []) == told(report, folder).get("failed", [])
        numbers = {moves.get(path, path): number for path, number in numbers.items() if path not in report.removed}
        for path in report.added:
            numbers[path] = max(numbers.values(), default=0) + 1
            assert library.add(path, metadata={"number": numbers[path]}).embedded == 0
        tells = {str(folder.parent / key): given for key, given in said(library).items()}
        assert {path: given["number"] for path, given in tells.items() if given} == numbers
        before = now
    scratch = open_library(tmp_path / "scratch", models=SET, transcriber=LoudnessTranscriber())
    scratch.add(folder)
    assert state(library) == state(scratch)
