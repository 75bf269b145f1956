"""Files that are written while a library takes them in, and clocks that are set: nothing half read is ever found."""

from __future__ import annotations

import os
import threading
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seehear import Library, ModelSet
from seehear.draft import unchanged
from seehear.records import Known
from seehear.testing import COLOUR, ColourEncoder
from seehear.types import Content, Role, Route, Waveform

OpenLibrary = Callable[..., Library]
KINDS = frozenset({"text", "image", "audio"})
SET = ModelSet("heard", (Route("sound", COLOUR, KINDS), Route("visual", COLOUR, KINDS)), ("audio", "image"))
RATE = 16_000
SECOND = 10**9
NOON = 1_700_000_000 * SECOND


class Hooked(ColourEncoder):
    """Does something before it embeds the first piece of a file, while the rest of it is still being read."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], object] | None = None

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if self.then and role == "document" and any(isinstance(one, Waveform) for one in contents):
            then, self.then = self.then, None
            then()
        return super().embed(contents, role)


@pytest.fixture
def encoder() -> Hooked:
    return Hooked()


@pytest.fixture
def library(open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch) -> Library:
    """One that embeds piece by piece, and whose processes are never far ahead of it."""
    monkeypatch.setattr("seehear.batches.BATCH", 1)
    monkeypatch.setattr("seehear.pool.WAITING", 1)
    return open_library(models=SET)


def recording(path: Path, level: float, seconds: int = 60) -> Path:
    """A recording; two of the same length have the same size."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(sound(level, seconds))
    return path


def sound(level: float, seconds: float) -> bytes:
    wanted = np.sin(np.arange(int(RATE * seconds)) / 10) * level * 32_767
    return wanted.astype("<i2").tobytes()


def overwrite(path: Path, written: bytes, *, restored: bool = False) -> None:
    """Write over the end of a file, in place; `restored`, its time is as before."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(-len(written), os.SEEK_END)
        file.write(written)
    if restored:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def heard(library: Library) -> list[tuple[float, float | None]]:
    """Beginning and end of everything that is found."""
    hits = library.retrieve("red", k=999, channels={"sound"}, min_score=0, per_source=999)
    return sorted((one.start or 0.0, one.end) for hit in hits for one in hit.evidence)


def failures(library: Library, path: Path) -> list[str]:
    return [problem.reason for problem in library.add(path).failed]


@pytest.mark.parametrize("restored", [False, True])
def test_a_recording_that_is_rewritten_while_it_is_read_is_taken_in_the_next_time(
    library: Library, encoder: Hooked, tmp_path: Path, restored: bool
) -> None:
    path, other = recording(tmp_path / "a.wav", 0.2), recording(tmp_path / "b.wav", 0.7)
    encoder.then = lambda: overwrite(path, other.read_bytes(), restored=restored)
    (reason,) = failures(library, path)
    assert "changed while it was read" in reason
    assert heard(library) == []
    encoder.embedded.clear()
    assert library.add(path).failed == []
    assert all(float(np.abs(one.samples).max()) > 0.6 for one in encoder.embedded)  # type: ignore[union-attr]
    assert library.add(other).embedded == 0  # they are the same now
    assert heard(library)


@pytest.mark.parametrize("restored", [False, True])
def test_what_a_recording_was_stays_until_it_is_at_rest(
    library: Library, encoder: Hooked, tmp_path: Path, restored: bool
) -> None:
    path = recording(tmp_path / "a.wav", 0.2)
    library.add(path)
    was = heard(library)
    recording(path, 0.4, 30)
    encoder.then = lambda: overwrite(path, sound(0.7, 10), restored=restored)
    assert len(failures(library, path)) == 1
    assert heard(library) == was
    assert library.add(path).failed == []
    assert max(end or 0 for _, end in heard(library)) == 30


def test_a_recording_that_still_grows_is_taken_in_when_it_is_whole(library: Library, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", 0.2)
    done, size = threading.Event(), path.stat().st_size

    def record() -> None:
        with path.open("ab", buffering=0) as file:
            while not done.wait(0.002):
                file.write(sound(0.3, 0.1))

    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        while path.stat().st_size == size:
            time.sleep(0.001)
        (reason,) = failures(library, path)
    finally:
        done.set()
        recorder.join()
    assert "changed while it was read" in reason
    assert heard(library) == []
    recording(path, 0.3, 70)  # the recorder writes the true length at the end
    assert library.add(path).failed == []
    assert max(end or 0 for _, end in heard(library)) == 70


def test_a_recording_that_is_replaced_while_it_is_read_is_first_the_one_and_then_the_other(
    library: Library, encoder: Hooked, tmp_path: Path
) -> None:
    path, other = recording(tmp_path / "a.wav", 0.2, 60), recording(tmp_path / "b.wav", 0.7, 30)
    encoder.then = lambda: other.replace(path)
    assert library.add(path).failed == []
    assert max(end or 0 for _, end in heard(library)) == 60
    assert all(float(np.abs(one.samples).max()) < 0.3 for one in encoder.embedded)  # type: ignore[union-attr]
    assert library.add(path).failed == []
    assert max(end or 0 for _, end in heard(library)) == 30


def test_the_other_files_do_not_suffer(library: Library, encoder: Hooked, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    first = recording(folder / "a.wav", 0.2)
    recording(folder / "b.wav", 0.2)  # the same bytes: it waits for the first one's vectors
    recording(folder / "c.wav", 0.5)
    encoder.then = lambda: overwrite(first, sound(0.7, 10))
    report = library.add(folder)
    assert [Path(problem.path).name for problem in report.failed] == ["a.wav"]
    assert {Path(hit.source).name for hit in library.retrieve("red", k=9, min_score=0)} == {"b.wav", "c.wav"}


def known(mtime_ns: int, seen_ns: int) -> Known:
    return Known("k", "r", b"a.png", "image", "c", 10, mtime_ns, seen_ns, "s", {}, {})


@pytest.mark.parametrize("ago", [2, 3600, 10**9])
def test_a_file_of_the_same_size_and_time_is_what_it_was(ago: int) -> None:
    was = known(NOON, NOON + ago * SECOND)
    assert unchanged(was, 10, NOON)
    assert not unchanged(was, 11, NOON)
    assert not unchanged(was, 10, NOON + 1)
    assert not unchanged(was, 10, NOON - 1)  # as of a clock that was set back since


@pytest.mark.parametrize("ago", [0, 1.999, -1, -3600, -(10**9)])
def test_a_file_that_had_just_changed_or_was_of_the_future_is_never_taken_for_the_same(ago: float) -> None:
    """The clock was set back before a file of the future was read."""
    assert not unchanged(known(NOON, NOON + int(ago * SECOND)), 10, NOON)


def picture(path: Path, colour: str) -> Path:
    Image.new("RGB", (8, 8), colour).save(path, "BMP")
    return path


def first(library: Library, colour: str) -> float:
    return library.retrieve(colour, k=1, min_score=0)[0].evidence[0].similarity


@pytest.mark.parametrize("years", [-20, 1])
def test_a_clock_that_was_set_hides_no_change(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    """It is wrong while a file is taken in, and right again when that is changed; the other way round as well."""
    true = time.time_ns
    path = picture(tmp_path / "a.bmp", "red")
    for colour, shift in (("blue", years), ("green", 0), ("yellow", years), ("red", 0)):
        monkeypatch.setattr(time, "time_ns", lambda shift=shift: true() + shift * 365 * 86_400 * SECOND)
        assert library.add(path).failed == []
        picture(path, colour)
        os.utime(path, ns=(time.time_ns(), time.time_ns()))  # by the clock as it is now
        report = library.add(path)
        assert (report.unchanged, report.embedded) == ([], 1)
        assert first(library, colour) > 0.9


def test_a_clock_that_was_set_back_hides_not_even_a_change_at_the_same_time(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(tmp_path / "a.bmp", "red")
    monkeypatch.setattr(time, "time_ns", lambda: NOON)
    library.add(path)
    status = path.stat()
    picture(path, "blue")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert library.add(path).embedded == 1


def test_with_a_clock_that_was_set_back_nothing_is_embedded_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(tmp_path / "a.bmp", "red")
    library.add(path)
    monkeypatch.setattr(time, "time_ns", lambda: NOON)
    report = library.add(path)
    assert (len(report.unchanged), report.embedded) == (1, 0)


class Forgetful(ColourEncoder):
    """Has no memory for documents, at first."""

    name = "forgetful"
    full = True

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if self.full and role == "document":
            raise RuntimeError("out of memory")
        return super().embed(contents, role)


@pytest.mark.usefixtures("library")  # for its short queues
def test_vectors_of_a_recording_that_changed_do_not_stay_under_what_is_found_of_it(
    open_library: OpenLibrary, encoder: Hooked, tmp_path: Path
) -> None:
    """It is read again for one encoder's sake, and what another made of it has the same names as before."""
    other, path = Forgetful(), recording(tmp_path / "a.wav", 0.2)
    both = ModelSet("both", (Route("sound", COLOUR, KINDS), Route("sound", "forgetful", KINDS)), ("audio",))
    library = open_library(tmp_path / "both", models=both, encoders={COLOUR: encoder, "forgetful": other})
    assert len(library.add(path).partial) == 1
    other.full = False
    encoder.then = lambda: overwrite(path, sound(0.7, 59), restored=True)
    (problem,) = library.add(path, retry=True).failed
    assert "changed while it was read" in problem.reason
    assert heard(library) == []
    assert library.add(path).failed == []
    assert len(heard(library)) == 23
