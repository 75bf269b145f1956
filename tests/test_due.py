"""Which files are read: those that are new or have changed; what failed is tried again only where that may help."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from recordings import write
from spoken import spoken

from seehear import Library, ModelSet, media
from seehear.decoder import Event, Job
from seehear.errors import InputError, MissingExtra
from seehear.pool import Pool
from seehear.testing import COLOUR, ColourEncoder, LoudnessTranscriber
from seehear.types import Content, Kind, Passage, Problem, Report, Role, Route, Waveform

OpenLibrary = Callable[..., Library]
LONG_AGO = 1_700_000_000
HEARD: frozenset[Kind] = frozenset({"text", "audio"})
TALKS = ModelSet("talks", (Route("sound", COLOUR, HEARD), Route("speech", COLOUR, HEARD)), ("audio",))


def age(*paths: Path, seconds: int = LONG_AGO) -> None:
    """Let files be old enough for their times to be trusted."""
    for path in paths:
        for one in (path, *path.rglob("*")):
            os.utime(one, (seconds, seconds))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were opened, each time."""
    names: list[str] = []
    run = Pool.run

    def watched(pool: Pool, jobs: Iterable[Job]) -> Iterator[Event]:
        def drawn() -> Iterator[Job]:
            for job in jobs:
                names.append(job.path.name)
                yield job

        return run(pool, drawn())

    monkeypatch.setattr(Pool, "run", watched)
    return names


def spoilt(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:60])
    return path


def reasons(problems: Sequence[Problem]) -> dict[str, str]:
    return {Path(problem.path).name: problem.reason for problem in problems}


def take(library: Library, folder: Path, how: str, **options: object) -> Report:
    """The same by each way there is."""
    report: Report = getattr(library, how)(folder, **options)
    return report


@pytest.mark.parametrize("how", ["add", "sync"])
def test_a_file_that_failed_stays_listed_and_is_not_read_again(
    library: Library, photos: Path, read: list[str], how: str
) -> None:
    spoilt(photos / "red.png")
    age(photos)
    first = take(library, photos, how)
    assert (len(first.added), set(reasons(first.failed))) == (4, {"red.png"})
    read.clear()
    second = take(library, photos, how)
    assert (second.failed, len(second.unchanged), read) == (first.failed, 4, [])
    (problem,) = library.info()["problems"]
    assert problem == {"path": "photos/red.png", "reason": first.failed[0].reason}
    assert (library.info()["files"], "photos/red.png" in library.info()["sources"]) == (4, True)


@pytest.mark.parametrize("how", ["add", "sync"])
def test_a_file_that_failed_is_read_again_on_request(library: Library, photos: Path, read: list[str], how: str) -> None:
    spoilt(photos / "red.png")
    age(photos)
    first = take(library, photos, how)
    read.clear()
    second = take(library, photos, how, retry=True)
    assert (second.failed, read) == (first.failed, ["red.png"])


@pytest.mark.parametrize("how", ["add", "sync"])
@pytest.mark.parametrize("mended", [True, False])
def test_a_file_that_failed_is_read_again_when_it_changes(
    library: Library, photos: Path, read: list[str], how: str, mended: bool
) -> None:
    whole = (photos / "red.png").read_bytes()
    spoilt(photos / "red.png")
    age(photos)
    take(library, photos, how)
    read.clear()
    (photos / "red.png").write_bytes(whole if mended else whole[:70])
    age(photos / "red.png", seconds=LONG_AGO + 1)
    report = take(library, photos, how)
    assert read == ["red.png"]
    assert ([Path(one).name for one in report.changed], bool(report.failed)) == (["red.png"] * mended, not mended)
    assert bool(library.info()["problems"]) is not mended


class Failing(ColourEncoder):
    """Fails on all pictures, at first."""

    broken = True

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if self.broken and role == "document":
            raise RuntimeError("out of memory")
        return super().embed(contents, role)


def test_what_an_encoder_could_not_embed_is_tried_again_on_request_alone(
    open_library: OpenLibrary, photos: Path, read: list[str]
) -> None:
    encoder = Failing()
    library = open_library(encoders={COLOUR: encoder})
    age(photos)
    assert len(library.add(photos).failed) == 5
    encoder.broken = False
    read.clear()
    assert (len(library.sync(photos).failed), read) == (5, [])
    report = library.sync(photos, retry=True)
    assert (len(report.changed), report.embedded, report.failed) == (5, 5, [])
    assert library.info()["problems"] == []


def test_what_is_said_about_a_file_that_failed_is_remembered(library: Library, photos: Path, read: list[str]) -> None:
    spoilt(photos / "red.png")
    age(photos)
    library.add(photos)
    read.clear()
    library.add(photos, metadata={"year": 2024})
    assert (library._parts.ledger.given("photos/red.png"), read) == ({"year": 2024}, [])


class Absent(LoudnessTranscriber):
    """A transcriber whose package is not installed, yet."""

    absent = True

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        if self.absent:
            raise MissingExtra('pip install "seehear[whisper]"')
        return super().transcribe(waveform, language)


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    voice = spoken("My name is John. I live in New York.")
    write(folder / "talk.wav", voice.samples, rate=voice.rate)
    age(folder)
    return folder


@pytest.mark.parametrize("how", ["add", "sync"])
def test_what_failed_for_want_of_a_package_is_tried_again_by_itself(
    open_library: OpenLibrary, talks: Path, read: list[str], how: str
) -> None:
    transcriber = Absent()
    library = open_library(models=TALKS, transcriber=transcriber)
    first = take(library, talks, how)
    assert "pip install" in reasons(first.partial)["talk.wav"]
    assert library.retrieve("red", channels={"sound"}, min_score=0)  # what could be done is there
    again = take(library, talks, how)
    assert (again.partial, read) == (first.partial, ["talk.wav"] * 2)
    transcriber.absent = False
    report = take(library, talks, how)
    assert (report.partial, report.failed, [Path(one).name for one in report.changed]) == ([], [], ["talk.wav"])
    assert library.info()["problems"] == []
    assert library.retrieve("loud", channels={"speech"}, min_score=0)
    read.clear()
    assert (len(take(library, talks, how).unchanged), read) == (1, [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_what_the_system_does_not_let_us_read_is_tried_again_by_itself(
    library: Library, photos: Path, read: list[str]
) -> None:
    os.mkfifo(photos / "pipe.png")
    age(photos)
    assert "not a regular file" in reasons(library.add(photos).failed)["pipe.png"]
    read.clear()
    assert "not a regular file" in reasons(library.sync(photos).failed)["pipe.png"]
    assert read == ["pipe.png"]


def test_nothing_that_is_unchanged_is_read(library: Library, photos: Path, read: list[str]) -> None:
    age(photos)
    library.sync(photos)
    read.clear()
    report = library.sync(photos)
    assert (len(report.unchanged), report.embedded, read) == (5, 0, [])


def test_a_file_that_has_just_changed_is_read_and_no_more(library: Library, photos: Path, read: list[str]) -> None:
    age(photos)
    Image.new("RGB", (9, 9), "black").save(photos / "new.png")
    library.sync(photos)
    read.clear()
    report = library.sync(photos)  # within the grain of a clock a change need not show
    assert (len(report.unchanged), report.embedded, read) == (6, 0, ["new.png"])


def test_a_dry_run_does_not_even_note_what_it_was_told(library: Library, photos: Path, read: list[str]) -> None:
    spoilt(photos / "red.png")
    age(photos)
    library.add(photos)
    read.clear()
    report = library.sync(photos, dry_run=True, metadata={"year": 2024})
    assert ({Path(one).stem for one in report.changed}, set(reasons(report.failed)), read) == (
        {"blue", "green", "white", "yellow"}, {"red.png"}, [],
    )  # fmt: skip
    assert all(not library._parts.ledger.given(key) for key in library.info()["sources"])


def test_metadata_that_makes_no_sense_stops_everything_before_it_begins(library: Library, photos: Path) -> None:
    for run in (library.add, library.sync):
        with pytest.raises(InputError, match="tags"):
            run(photos, metadata={"tags": ["a"]})
    assert library.info()["sources"] == []


def test_a_file_that_goes_while_it_is_looked_for_costs_itself_alone(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = media.stamp

    def late(path: Path) -> tuple[int, int]:
        if path.name == "blue.png":
            path.unlink()
        return stamp(path)

    monkeypatch.setattr("seehear.due.stamp", late)
    report = library.add(photos)
    assert reasons(report.failed) == {"blue.png": "it cannot be looked at: No such file or directory"}
    assert len(report.added) == 4
