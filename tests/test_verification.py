"""`verify`: what is missing, too much or damaged is found, and put right from words, files and nothing else."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed import SET, media
from PIL import Image

from seehear import Library
from seehear.folders import LEDGER
from seehear.testing import COLOUR, ColourEncoder, LoudnessTranscriber
from seehear.types import Collection, Picture, Segment, Text
from seehear.verification import Verification

PICTURES, WRITTEN = Collection(COLOUR, "visual", "image"), Collection(COLOUR, "text", "text")
OpenLibrary = Callable[..., Library]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media(tmp_path_factory.mktemp("verified") / "media")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, kinds: Path) -> Path:
    """A library of a little of everything, and of two passages that are no files; closed."""
    folder = tmp_path_factory.mktemp("kept") / "library"
    with Library.open(folder, models=SET) as library:
        library.add(kinds, metadata={"album": "all"})
        library.add_texts(["The bill is in the post.", "Nothing else."], ids=["mail-1", "mail-2"])
    return folder


@pytest.fixture
def writer() -> LoudnessTranscriber:
    return LoudnessTranscriber()


@pytest.fixture
def mixed(open_library: OpenLibrary, kept: Path, tmp_path: Path, writer: LoudnessTranscriber) -> Library:
    """A copy of it, to be damaged."""
    shutil.copytree(kept, tmp_path / "library")
    return open_library(models=SET, transcriber=writer)


def places(library: Library) -> dict[Collection, set[str]]:
    """What the store holds."""
    store, all_ = library._parts.store, library._parts.collections()
    return {place: found for place in all_ if (found := set(store.ids(place)))}


def told(library: Library) -> list[Any]:
    """What several questions find, and how well."""
    asked: list[tuple[str, dict[str, Any]]] = [("red", {}), ("kettle", {}), ("as loud as", {"channels": {"speech"}})]
    return [
        sorted((hit.source, hit.start, hit.end, hit.text, round(hit.score, 5), hit.thumbnail)
               for hit in library.retrieve(question, k=20, min_score=0, **bounds))
        for question, bounds in asked
    ]  # fmt: skip


def found_by(library: Library) -> list[tuple[str, float]]:
    """What a library of pictures answers."""
    return sorted((hit.source, round(hit.score, 5)) for hit in library.retrieve("red", min_score=0))


def wrong(found: Verification) -> dict[str, Any]:
    """All that it lists."""
    names = ("ledger", "missing", "orphans", "unread", "gone", "changed", "failed", "remains")
    return {name: value for name in names if (value := getattr(found, name))}


def test_nothing_is_wrong_with_a_library_that_was_left_alone(mixed: Library, encoder: ColourEncoder) -> None:
    held = sum(map(len, places(mixed).values()))
    encoder.embedded.clear()
    for repair in (False, True):
        found = mixed.verify(repair=repair)
        assert (found.good, found.files, found.vectors, found.embedded, wrong(found)) == (True, 7, held, 0, {})
        assert found.repaired == repair
    assert encoder.embedded == []


def test_every_vector_that_is_lost_is_missed_and_made_again(
    mixed: Library, encoder: ColourEncoder, writer: LoudnessTranscriber, kinds: Path
) -> None:
    before, held = told(mixed), places(mixed)
    assert {(place.channel, place.modality) for place in held} == {
        ("visual", "image"), ("visual", "video"), ("sound", "audio"), ("sound", "video"), ("speech", "audio"),
        ("speech", "video"), ("text", "text"),
    }  # fmt: skip
    for place, ids in held.items():
        mixed._parts.store.delete(place, sorted(ids))
    lost = mixed.verify()
    assert not lost.good
    assert sum(lost.missing.values()) == sum(map(len, held.values()))
    assert lost.missing[str(kinds / "red.png")] == 1
    found = mixed.verify(repair=True)
    assert (found.good, found.missing, found.remains) == (True, lost.missing, [])
    assert (places(mixed), told(mixed)) == (held, before)
    assert mixed.verify().good
    assert writer.transcribed == []  # what was said is known


def test_words_are_embedded_from_the_ledger_though_their_files_are_gone(
    open_library: OpenLibrary, tmp_path: Path, encoder: ColourEncoder
) -> None:
    folder = media(tmp_path / "media")
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    library.add([folder / "talk.wav", folder / "notes.txt"])
    before = told(library)
    shutil.rmtree(folder)
    for place in (WRITTEN, Collection(COLOUR, "speech", "audio")):
        library._parts.store.delete(place, list(library._parts.store.ids(place)))
    encoder.embedded.clear()
    found = library.verify(repair=True)
    assert (found.good, sorted(found.gone)) == (True, [str(folder / "notes.txt"), str(folder / "talk.wav")])
    assert {type(content) for content in encoder.embedded} == {Text}
    assert told(library) == before


def test_rows_that_nothing_refers_to_are_found_and_deleted(mixed: Library) -> None:
    row = np.eye(8, dtype=np.float32)[:1]
    for place in (PICTURES, WRITTEN):
        mixed._parts.store.upsert(place, [Segment("stranger", "media/red.png", place.modality, place.channel)], row)
    held = places(mixed)
    found = mixed.verify()
    assert (found.good, wrong(found)) == (False, {"orphans": 2})
    found = mixed.verify(repair=True)
    assert (found.good, found.orphans) == (True, 2)
    assert places(mixed) == {place: ids - {"stranger"} for place, ids in held.items()}
    assert mixed.verify().good


@pytest.mark.parametrize("row", [np.zeros(8), np.full(8, 7.0), np.r_[np.ones(7), 1e30]], ids=["none", "long", "huge"])
def test_a_vector_that_is_none_any_more_is_made_again(mixed: Library, kinds: Path, row: Any) -> None:
    before = told(mixed)
    (key,) = (one.key for one in mixed._parts.ledger.sources() if one.key.endswith("red.png"))
    (segment,) = mixed._parts.ledger.segments(key)
    mixed._parts.store.upsert(PICTURES, [segment], row[None].astype(np.float32))
    found = mixed.verify()
    assert (found.good, found.missing) == (False, {str(kinds / "red.png"): 1})
    found = mixed.verify(repair=True)
    assert (found.good, found.embedded) == (True, 1)
    assert told(mixed) == before


def test_an_index_of_words_that_is_empty_is_made_anew(mixed: Library) -> None:
    before = told(mixed)
    with mixed._parts.ledger.file.transaction() as db:
        db.execute("INSERT INTO passages (passages) VALUES ('delete-all')")
    assert told(mixed) != before
    found = mixed.verify()
    assert not found.good
    assert found.ledger
    assert mixed.verify(repair=True).good
    assert mixed.verify().good
    assert told(mixed) == before


def test_files_that_are_gone_or_changed_are_told_and_are_no_fault_of_the_library(
    open_library: OpenLibrary, photos: Path
) -> None:
    library = open_library()
    library.add(photos)
    (photos / "red.png").unlink()
    Image.new("RGB", (9, 9), "red").save(photos / "blue.png")
    for repair in (False, True):
        found = library.verify(repair=repair)
        assert (found.good, found.gone, found.changed) == (True, [str(photos / "red.png")], [str(photos / "blue.png")])
    assert library.info()["files"] == 5


def lose(library: Library, tmp_path: Path, how: str) -> None:
    """Lose all vectors of pictures, or all of everything, or the ledger too."""
    library.close()
    shutil.rmtree(tmp_path / "library" / "chroma")
    if how == "ledger":
        (tmp_path / "library" / LEDGER).unlink()


@pytest.mark.parametrize("how", ["vectors", "ledger"])
def test_what_can_be_made_of_no_file_any_more_is_listed_as_failed_and_the_rest_is_whole(
    open_library: OpenLibrary, photos: Path, tmp_path: Path, how: str
) -> None:
    library = open_library()
    library.add(photos)
    lose(library, tmp_path, how)
    gone, changed = photos / "red.png", photos / "blue.png"
    whole = gone.read_bytes()
    gone.unlink()
    changed.write_bytes(b"no picture")
    with open_library(repair=True) as library:
        found = library.verify(repair=True)
        assert not found.good
        ((path, reason),) = [(problem.path, problem.reason) for problem in found.remains]
        assert path == str(gone)  # the other is what it is: no picture
        assert reason.startswith("its vectors were lost, and cannot be made again: ")
        assert len(library.retrieve("red", min_score=0)) == 3
    with open_library() as library:  # as usual
        found = library.verify()
        assert found.good
        assert {Path(problem.path).name for problem in found.failed} == {"red.png", "blue.png"}
        assert (library.info()["files"], found.vectors) == (3, 3)
        gone.write_bytes(whole)  # and back
        report = library.add(photos)
        assert report.changed == [str(gone)]
        assert library.retrieve("red", min_score=0)[0].source == str(gone)


def test_a_changed_file_is_taken_as_it_is_now_where_its_vectors_are_lost(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    library = open_library()
    library.add(photos, metadata={"album": "spring"})
    lose(library, tmp_path, "vectors")
    Image.new("RGB", (9, 9), "yellow").save(photos / "red.png")
    with open_library(repair=True) as library:
        assert library.verify(repair=True).good
        best = library.retrieve("yellow", k=2, min_score=0)
        assert {Path(hit.source).name for hit in best} == {"red.png", "yellow.png"}
        assert {hit.metadata["album"] for hit in best} == {"spring"}
    with open_library() as library:
        assert library.verify().good
        assert len(library.add(photos).unchanged) == 5


DYING = """
import os, signal, sys
from seehear import Library
from seehear.batches import Batches
from seehear.library import Verifier
from seehear.ledger import Ledger
from seehear.testing import COLOUR_SET
moment = sys.argv[2]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
import seehear.batches
seehear.batches.BATCH = 2
if moment == "embedding":
    Batches._vectors = die
elif moment == "publishing":
    really = Ledger.publish
    def second(ledger, *given):
        really(ledger, *given)
        Ledger.publish = die
    Ledger.publish = second
elif moment == "giving up":
    Verifier._give_up = die
else:
    Library.close = die
with Library.open(sys.argv[1], models=COLOUR_SET, repair=True) as library:
    library.verify(repair=True)
"""


@pytest.mark.parametrize(
    ("moment", "how"),
    [("embedding", "vectors"), ("publishing", "vectors"), ("giving up", "vectors"), ("publishing", "ledger"),
     ("closing", "ledger")],
)  # fmt: skip
def test_a_repair_that_is_killed_goes_on_when_it_is_called_again(
    open_library: OpenLibrary, photos: Path, tmp_path: Path, moment: str, how: str
) -> None:
    library = open_library()
    library.add(photos)
    before = found_by(library)
    lose(library, tmp_path, how)
    done = subprocess.run([sys.executable, "-P", "-c", DYING, tmp_path / "library", moment], check=False)
    assert done.returncode == -signal.SIGKILL
    with open_library(repair=True) as library:
        if moment in ("embedding", "publishing"):
            assert not library.verify().good
        assert library.verify(repair=True).good
        assert found_by(library) == before
    with open_library() as library:
        assert (library.verify().good, found_by(library)) == (True, before)


def test_half_a_repair_is_told_of_by_verify_and_ended_by_add(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    library = open_library()
    library.add(photos)
    lose(library, tmp_path, "vectors")
    subprocess.run([sys.executable, "-P", "-c", DYING, tmp_path / "library", "embedding"], check=False)
    library = open_library()
    found = library.verify()
    assert (found.good, sorted(found.unread)) == (False, sorted(map(str, photos.rglob("*.png"))))
    library.add(photos, retry=True)
    assert library.verify().good
    assert len(library.retrieve("red", min_score=0)) == 5


def test_an_index_of_the_ledger_that_is_wrong_is_made_anew(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    with open_library() as library:
        library.add(photos)
    path = tmp_path / "library" / LEDGER
    with sqlite3.connect(path) as file:
        (root,) = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sources_content'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
    file.close()
    raw = bytearray((path).read_bytes())
    start = (root - 1) * size
    hashes = [place for place in range(start, start + size - 64) if raw[place : place + 64].isalnum()]
    raw[hashes[0]] = ord("f") if raw[hashes[0]] != ord("f") else ord("e")
    (path).write_bytes(raw)
    path.with_name("seal.json").unlink()
    library = open_library()
    assert library.verify().ledger
    assert library.verify(repair=True).good
    assert library.verify().good
    assert len(library.retrieve("red", min_score=0)) == 5


def test_progress_is_told(mixed: Library) -> None:
    heard: list[str] = []
    mixed.verify(progress=lambda done, total, name: heard.append(name))
    assert any("visual of image" in one for one in heard)
    assert all(one.startswith("verifying: ") for one in heard)


def test_pictures_alone_are_read_again_where_only_theirs_are_lost(mixed: Library, encoder: ColourEncoder) -> None:
    before, held = told(mixed), places(mixed)
    mixed._parts.store.delete(PICTURES, list(held[PICTURES]))
    encoder.embedded.clear()
    found = mixed.verify(repair=True)
    assert (found.good, found.embedded) == (True, 2)  # copy.png has the bytes of blue.png
    assert {type(content) for content in encoder.embedded} == {Picture}
    assert (places(mixed), told(mixed)) == (held, before)
