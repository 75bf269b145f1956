"""What `add` promises: every file gets an outcome, nothing is embedded twice, nothing stale stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seehear import Library
from seehear.errors import EncoderError, InputError
from seehear.testing import COLOUR, COLOUR_SET, ColourEncoder
from seehear.types import Collection, Content, Picture, Role

OpenLibrary = Callable[..., Library]
VISUAL = Collection(COLOUR, "visual", "image")


def names(paths: Sequence[str]) -> set[str]:
    return {Path(path).name for path in paths}


def first(library: Library, colour: str) -> str:
    return Path(library.retrieve(colour, k=1, min_score=0)[0].source).name


def age(folder: Path) -> None:
    """Let files be old enough for their times to be trusted."""
    for path in folder.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_a_folder_is_taken_in_with_all_below_it(library: Library, photos: Path) -> None:
    report = library.add(photos)
    assert names(report.added) == {"red.png", "green.png", "blue.png", "yellow.png", "white.png"}
    assert (report.embedded, report.failed, report.unchanged) == (5, [], [])
    assert library.info()["sources"] == [
        "photos/blue.png", "photos/green.png", "photos/more/white.png", "photos/red.png", "photos/yellow.png",
    ]  # fmt: skip


def test_adding_again_embeds_nothing(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    age(photos)
    library.add(photos)
    encoder.embedded.clear()
    report = library.add(photos)
    assert (len(report.unchanged), report.added, report.embedded) == (5, [], 0)
    assert encoder.embedded == []


def test_a_file_that_was_only_touched_is_read_but_not_embedded(library: Library, photos: Path) -> None:
    age(photos)
    library.add(photos)
    os.utime(photos / "red.png", (1_700_000_100, 1_700_000_100))
    report = library.add(photos)
    assert (len(report.unchanged), report.embedded) == (5, 0)
    # The new time is remembered: the next look is a look at the time only.
    assert library._parts.ledger.known("photos/red.png").mtime_ns == 1_700_000_100 * 10**9  # type: ignore[union-attr]


def test_a_file_changed_within_the_clocks_grain_is_noticed(library: Library, photos: Path) -> None:
    path = photos / "red.png"
    path.write_bytes(path.read_bytes() + bytes(50))
    library.add(photos)
    status = path.stat()
    Image.new("RGB", (40, 30), "blue").save(path)
    path.write_bytes(path.read_bytes().ljust(status.st_size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    report = library.add(photos)
    assert names(report.changed) == {"red.png"}


def test_a_changed_file_is_replaced_whole(library: Library, photos: Path) -> None:
    library.add(photos)
    assert first(library, "red") == "red.png"
    Image.new("RGB", (9, 9), "blue").save(photos / "red.png")
    report = library.add(photos)
    assert names(report.changed) == {"red.png"}
    assert first(library, "red") != "red.png"
    assert len(library.retrieve("red", k=50, min_score=0)) == 5
    assert library._parts.store.count(VISUAL) == 5


def test_the_same_bytes_under_two_names_are_embedded_once(library: Library, photos: Path) -> None:
    (photos / "twin.png").write_bytes((photos / "red.png").read_bytes())
    report = library.add(photos)
    assert (len(report.added), report.embedded) == (6, 5)
    assert names([hit.source for hit in library.retrieve("red", k=2)]) == {"red.png", "twin.png"}


def test_a_later_copy_costs_no_embedding(library: Library, photos: Path) -> None:
    library.add(photos)
    (photos / "later.png").write_bytes((photos / "red.png").read_bytes())
    report = library.add(photos)
    assert (names(report.added), report.embedded) == ({"later.png"}, 0)
    assert names([hit.source for hit in library.retrieve("red", k=2)]) == {"red.png", "later.png"}


def test_two_files_that_swap_their_bytes_are_both_right(library: Library, photos: Path) -> None:
    library.add(photos)
    red, blue = photos / "red.png", photos / "blue.png"
    a, b = red.read_bytes(), blue.read_bytes()
    red.write_bytes(b)
    blue.write_bytes(a)
    library.add(photos)
    assert first(library, "red") == "blue.png"
    assert first(library, "blue") == "red.png"
    assert library._parts.store.count(VISUAL) == 5


def test_bytes_that_move_to_a_new_name_while_the_old_one_changes_are_found(library: Library, photos: Path) -> None:
    library.add(photos)
    (photos / "zz.png").write_bytes((photos / "blue.png").read_bytes())
    Image.new("RGB", (9, 9), "white").save(photos / "blue.png")
    report = library.add(photos)
    assert (names(report.added), names(report.changed)) == ({"zz.png"}, {"blue.png"})
    assert first(library, "blue") == "zz.png"


def test_copies_of_a_broken_file_all_fail(library: Library, photos: Path) -> None:
    broken = (photos / "red.png").read_bytes()[:60]
    for name in ("x1.png", "x2.png", "x3.png"):
        (photos / name).write_bytes(broken)
    report = library.add(photos)
    assert {Path(problem.path).name for problem in report.failed} == {"x1.png", "x2.png", "x3.png"}
    assert len(report.added) == 5


def test_bad_files_are_named_with_their_reason_and_stop_no_other(library: Library, photos: Path) -> None:
    (photos / "text.jpg").write_text("no picture")
    (photos / "empty.png").touch()
    (photos / "cut.png").write_bytes((photos / "red.png").read_bytes()[:60])
    (photos / "notes.bin").write_text("not meant to be a picture")
    report = library.add([photos, photos / "nowhere", "https://example.org/a.png"])
    reasons = {Path(problem.path).name: problem.reason for problem in report.failed}
    assert "whatever its name says" in reasons.pop("text.jpg")
    assert "0 bytes" in reasons.pop("empty.png")
    assert "damaged or cut short" in reasons.pop("cut.png")
    assert "no such file" in reasons.pop("nowhere")
    assert "it is a URL" in reasons.pop("a.png")
    assert reasons == {}
    assert names(report.ignored) == {"notes.bin"}
    assert len(report.added) == 5


def test_a_text_file_that_is_named_itself_is_an_error(library: Library, tmp_path: Path) -> None:
    (tmp_path / "notes.bin").write_text("words")
    assert [problem.path for problem in library.add(tmp_path / "notes.bin").failed] == [str(tmp_path / "notes.bin")]


@pytest.mark.parametrize("content", [None, "words"])
def test_a_folder_without_pictures_is_reported(library: Library, tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if content:
        (folder / "notes.bin").write_text(content)
    (problem,) = library.add(folder).failed
    assert str(folder) in problem.path
    assert "there is no" in problem.reason


def test_a_file_that_breaks_is_no_longer_found_as_it_was(library: Library, photos: Path) -> None:
    library.add(photos)
    (photos / "red.png").write_bytes((photos / "red.png").read_bytes()[:60])
    report = library.add(photos)
    assert len(report.failed) == 1
    assert "red.png" not in names([hit.source for hit in library.retrieve("red", k=9)])
    assert [problem["path"] for problem in library.info()["problems"]] == ["photos/red.png"]
    assert library.info()["files"] == 4


def test_a_broken_file_that_is_mended_is_taken_in(library: Library, photos: Path) -> None:
    whole = (photos / "red.png").read_bytes()
    (photos / "red.png").write_bytes(whole[:60])
    library.add(photos)
    (photos / "red.png").write_bytes(whole)
    library.add(photos)
    assert first(library, "red") == "red.png"
    assert library.info()["problems"] == []


def test_metadata_of_a_mapping_holds_for_all_and_of_a_callable_for_each(library: Library, photos: Path) -> None:
    library.add(photos / "red.png", metadata={"project": "spring"})
    library.add(photos, metadata=lambda path: {"name": path.stem, "large": False})
    assert names([hit.source for hit in library.retrieve("red", where={"name": "blue"}, min_score=0)]) == {"blue.png"}
    assert library.retrieve("red", k=1)[0].metadata == {"name": "red", "large": False, "width": 40, "height": 30}


def test_new_metadata_of_an_unchanged_file_costs_no_embedding(library: Library, photos: Path) -> None:
    age(photos)
    library.add(photos, metadata={"year": 2023})
    report = library.add(photos, metadata={"year": 2024})
    assert (len(report.changed), report.embedded) == (5, 0)
    assert len(library.retrieve("red", where={"year": 2024})) == 5


def test_metadata_stays_when_nothing_is_said_and_goes_when_that_is_said(library: Library, photos: Path) -> None:
    library.add(photos, metadata={"year": 2023, "by": "ann"})
    library.add(photos)
    age(photos)
    assert len(library.add(photos, metadata={"by": "ann", "year": 2023}).unchanged) == 5
    library.add(photos)
    assert len(library.retrieve("red", where={"year": 2023}, min_score=0)) == 5
    library.add(photos / "red.png", metadata={})
    assert len(library.retrieve("red", where={"year": 2023}, min_score=0)) == 4


def test_metadata_that_cannot_be_stored_costs_that_file_only(library: Library, photos: Path) -> None:
    def told(path: Path) -> dict[str, Any]:
        if path.stem == "red":
            return {"tags": ["a", "b"]}
        if path.stem == "blue":
            raise KeyError("blue")
        return {"ok": True}

    report = library.add(photos, metadata=told)
    reasons = {Path(problem.path).name: problem.reason for problem in report.failed}
    assert "tags" in reasons["red.png"]
    assert "KeyError" in reasons["blue.png"]
    assert len(report.added) == 3


def test_progress_reaches_the_total(library: Library, photos: Path) -> None:
    (photos / "text.jpg").write_text("no picture")
    heard: list[tuple[int, int]] = []
    library.add([photos, photos / "nowhere"], progress=lambda done, total, _: heard.append((done, total)))
    assert [done for done, _ in heard] == [1, 2, 3, 4, 5, 6, 7]
    assert {total for _, total in heard} == {7}


class Fussy(ColourEncoder):
    """Refuses batches with something red in them, and red itself."""

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        for content in contents:
            if isinstance(content, Picture) and tuple(content.pixels[0, 0]) == (255, 0, 0):
                raise RuntimeError("out of memory")
        return super().embed(contents, role)


def test_a_failed_batch_is_retried_one_by_one(open_library: OpenLibrary, photos: Path) -> None:
    library = open_library(encoders={COLOUR: Fussy()})
    report = library.add(photos)
    assert len(report.added) == 4
    (problem,) = report.failed
    assert Path(problem.path).name == "red.png"
    assert "out of memory" in problem.reason
    assert first(library, "blue") == "blue.png"


def test_missing_weights_end_the_run_and_what_was_stored_stays(open_library: OpenLibrary, photos: Path) -> None:
    class Missing(ColourEncoder):
        def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
            raise EncoderError("weights are not there")

    with pytest.raises(EncoderError, match="weights are not there"):
        open_library(encoders={COLOUR: Missing()}).add(photos)


def test_a_file_given_twice_is_taken_in_once(library: Library, photos: Path) -> None:
    report = library.add([photos / "red.png", photos / "red.png", photos, photos / "more"])
    assert len(report.added) == 5
    assert len(library.info()["sources"]) == 5


def test_nothing_to_add_is_an_error(library: Library) -> None:
    with pytest.raises(InputError, match="which files"):
        library.add([])


def test_more_files_than_a_batch_are_all_found(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(150):
        Image.fromarray(rng.integers(0, 256, (1, 1, 3), np.uint8)).resize((8, 8)).save(folder / f"{number}.png")
    assert len(library.add(folder).added) == 150
    assert len({hit.id for hit in library.retrieve("red", k=500)}) == 150


STUTTER = '''
from seehear.errors import DamagedMedia
from seehear.modalities.image import ImageModality
from seehear.types import Segment, segment_id

class Stutter(ImageModality):
    """Cuts each picture into three, and breaks off in the middle of those that are named so."""
    settings = "three"

    def segments(self, source, needs):
        ((_, content),) = super().segments(source, needs)
        for part in range(3):
            if part == 2 and "broken" in source.key:
                raise DamagedMedia("it breaks off")
            name = segment_id(source.key, source.content, "visual", part, self.settings)
            yield Segment(name, source.key, "image", "visual", float(part), part + 1.0), content
'''


@pytest.fixture
def stuttering(open_library: OpenLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    (tmp_path / "stutter.py").write_text(STUTTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("seehear.ingest.BATCH", 1)
    return open_library(models=replace(COLOUR_SET, modalities=("stutter:Stutter",)))


def test_a_file_of_several_segments_is_seen_whole_or_not_at_all(stuttering: Library, photos: Path) -> None:
    (photos / "red.png").rename(photos / "broken.png")
    report = stuttering.add(photos)
    assert len(report.added) == 4
    assert [Path(problem.path).name for problem in report.failed] == ["broken.png"]
    assert stuttering._parts.store.count(VISUAL) == 12
    assert [(hit.start, hit.end) for hit in stuttering.retrieve("blue", k=3)] == [(0, 1), (1, 2), (2, 3)]
    assert "broken.png" not in names([hit.source for hit in stuttering.retrieve("red", k=50)])


def test_files_that_are_cut_otherwise_now_are_cut_again(
    stuttering: Library, open_library: OpenLibrary, photos: Path
) -> None:
    age(photos)
    stuttering.add(photos)
    stuttering.close()
    report = open_library().add(photos)
    assert (len(report.changed), report.embedded) == (5, 5)


def test_pairs_of_copies_that_swap_their_bytes_are_all_right(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, colour in (("a1", "red"), ("a2", "red"), ("b1", "blue"), ("b2", "blue")):
        Image.new("RGB", (9, 9), colour).save(folder / f"{name}.png")
    library.add(folder)
    a, b = (folder / "a1.png").read_bytes(), (folder / "b1.png").read_bytes()
    for name, content in (("a1", b), ("a2", b), ("b1", a), ("b2", a)):
        (folder / f"{name}.png").write_bytes(content)
    report = library.add(folder)
    assert names(report.changed) == {"a1.png", "a2.png", "b1.png", "b2.png"}
    assert names([hit.source for hit in library.retrieve("red", k=2)]) == {"b1.png", "b2.png"}
    assert names([hit.source for hit in library.retrieve("blue", k=2)]) == {"a1.png", "a2.png"}


def test_copies_of_what_cannot_be_embedded_are_all_reported(open_library: OpenLibrary, photos: Path) -> None:
    for name in ("copy1.png", "copy2.png"):
        (photos / name).write_bytes((photos / "red.png").read_bytes())
    report = open_library(encoders={COLOUR: Fussy()}).add(photos)
    assert names([problem.path for problem in report.failed]) == {"red.png", "copy1.png", "copy2.png"}
    assert len(report.added) == 4


def test_metadata_for_all_that_cannot_be_stored_is_the_callers_mistake(library: Library, photos: Path) -> None:
    with pytest.raises(InputError, match="cannot name metadata"):
        library.add(photos, metadata={"$and": 1})
