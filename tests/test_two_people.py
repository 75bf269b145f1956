"""Two people on one machine: libraries share nothing, what is temporary is private, a folder that is not says so."""

from __future__ import annotations

import logging
import os
import random
import re
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seehear import Library, Query
from seehear.errors import InputError, LibraryError, QueryError, SeehearError
from seehear.integrations import llama_index
from seehear.place import HOLDER, OURS, Place
from seehear.testing import COLOUR, COLOUR_SET, COLOURS, ColourEncoder

OpenLibrary = Callable[..., Library]
WORDS = ("red", "green", "blue", "yellow", "white", "harbour", "kettle", "winter", "seven", "north")
OWNERS = ("anna", "berta")
ASK = """
import random, sys
from seehear import Library
with Library.open(sys.argv[1], models="seehear.testing:ColourEncoder") as library:
    print("ready", flush=True)
    sys.stdin.readline()
    chance = random.Random(int(sys.argv[2]))
    found = set()
    for _ in range(int(sys.argv[3])):
        words = " ".join(chance.choices(sys.argv[4:], k=3))
        found |= {hit.source for hit in library.retrieve(words, chance.randint(1, 20), min_score=0)}
    print(*sorted(found), sep="\\n")
"""


def fill(library: Library, folder: Path, owner: str) -> None:
    """Pictures under the same names as the other's, a pixel of their own in each; passages that name their owner."""
    folder.mkdir()
    for number, (name, colour) in enumerate(COLOURS.items()):
        picture = Image.new("RGB", (40 + number, 30), colour)
        picture.putpixel((0, 0), (len(owner), 0, 0))
        picture.save(folder / f"{name}.png")
    library.add(folder, metadata={"owner": owner, owner: True})
    chance = random.Random(owner)
    texts = [f"{owner} {' '.join(chance.choices(WORDS, k=6))}" for _ in range(40)]
    library.add_texts(texts, [{"owner": owner}] * len(texts), [f"{owner}-{number}" for number in range(len(texts))])


def question(chance: random.Random) -> Query:
    """Words, a picture, or both; sometimes only of some channels or kinds of files."""
    kind = chance.randrange(4)
    return Query(
        text=" ".join(chance.choices((*WORDS, *OWNERS), k=3)) if kind != 1 else None,
        image=np.full((8, 8, 3), chance.choices(range(256), k=3), np.uint8) if kind == 1 else None,
        channels=frozenset({"text"}) if kind == 2 else None,
        modalities=frozenset({chance.choice(("image", "text"))}) if kind == 3 else None,
        min_score=0.0,
    )


def owners(library: Library, chance: random.Random, times: int) -> set[str]:
    """Whose are all the answers to so many questions."""
    return {
        str(hit.metadata["owner"])
        for _ in range(times)
        for hit in library.retrieve(question(chance), chance.randint(1, 30))
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Library]]:
    """Two libraries of one process, with one encoder: files of the same names, passages that name their owner."""
    base, encoder = tmp_path_factory.mktemp("people"), ColourEncoder()
    options: dict[str, Any] = {"models": COLOUR, "encoders": {COLOUR: encoder}}
    made = {owner: Library.open(base / f"{owner}.library", **options) for owner in OWNERS}
    for owner, library in made.items():
        (base / owner).mkdir()
        fill(library, base / owner / "photos", owner)
    yield made
    for library in made.values():
        library.close()


def test_a_thousand_questions_to_each_find_nothing_of_the_other(both: dict[str, Library]) -> None:
    found: dict[str, set[str]] = {}

    def ask(owner: str) -> None:
        found[owner] = owners(both[owner], random.Random(len(found)), 1000)

    threads = [threading.Thread(target=ask, args=(owner,)) for owner in OWNERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {owner: {owner} for owner in OWNERS}


def test_ids_filters_and_lists_of_one_mean_nothing_to_the_other(both: dict[str, Library]) -> None:
    for owner, other in (OWNERS, OWNERS[::-1]):
        mine, theirs = both[owner].retriever(), both[other].retriever()
        for hit in theirs.retrieve(other, 100, min_score=0, channels={"text"}, modalities={"text"}):
            for look in (mine.hit, mine.similar):
                with pytest.raises(InputError):
                    look(hit.id)
        assert mine.sources(other)[1] == 0
        with pytest.raises(QueryError, match=other):
            mine.retrieve("red", where={other: True})
        assert mine.retrieve("red", where={"owner": other}) == []
        # Files of the same name in folders of the same name have the same id, and each library means its own.
        for hit in theirs.retrieve("red", 5, min_score=0, modalities={"image"}):
            assert mine.hit(hit.id).metadata["owner"] == owner
        assert not both[owner].holds(hit.source)
        with pytest.raises(InputError):
            both[owner].remove(hit.source)


def test_a_retriever_with_bounds_bounds_no_other(both: dict[str, Library]) -> None:
    anna, berta = (both[owner] for owner in OWNERS)
    bounded = anna.retriever(where={"owner": "nobody"}, modalities={"text"})
    assert bounded.retrieve("red", min_score=0) == []
    for library in (anna, berta):
        assert {hit.modality for hit in library.retrieve("red", 100, min_score=0)} == {"image", "text"}


def test_what_one_takes_in_changes_no_score_and_no_counter_of_the_other(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    first, second = (open_library(tmp_path / name, models=COLOUR, encoders={}) for name in ("first", "second"))
    fill(first, tmp_path / "photos", "anna")

    def state() -> list[object]:
        ledger = first._parts.ledger
        asked = [first.retrieve(word, 50, min_score=0) for word in WORDS]
        return [ledger.counters(), ledger.counts(), first.info(), [[(h.id, h.score) for h in one] for one in asked]]

    before = state()
    fill(second, tmp_path / "more", "berta")
    second.remove(tmp_path / "more")
    second.verify(repair=True)
    assert state() == before


def test_two_processes_at_once_find_nothing_of_each_other(tmp_path: Path) -> None:
    for owner in OWNERS:
        with Library.open(tmp_path / f"{owner}.library", models=COLOUR) as library:
            fill(library, tmp_path / owner, owner)
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, tmp_path / f"{owner}.library", str(number), "200", *WORDS, *OWNERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, owner in enumerate(OWNERS)
    ]
    for process in asked:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for owner, process in zip(OWNERS, asked, strict=True):
        told, _ = process.communicate("go\n", timeout=60)
        found = set(told.splitlines())
        assert len(found) == 45
        assert all(one.startswith((f"{owner}-", f"{tmp_path / owner}{os.sep}")) for one in found)
        assert process.returncode == 0


def test_what_is_temporary_is_private_and_has_a_name_that_nobody_guesses(
    both: dict[str, Library], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place, seen = tmp_path / "temporary", dict[str, int]()
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    old = os.umask(0)
    try:
        asked = both["anna"].retriever().asked
        picture = type(asked).picture

        def look(*given: Any, **more: Any) -> Any:
            seen.update({path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()})
            return picture(*given, **more)

        monkeypatch.setattr(type(asked), "picture", look)
        for _ in range(2):
            both["anna"].retrieve(Query(image=next(both["anna"].path.parent.rglob("red.png")).read_bytes()))
    finally:
        os.umask(old)
    assert list(seen.values()) == [0o600, 0o600]
    assert all(re.fullmatch(r"seehear-\w{8}", name) for name in seen)
    assert not list(place.iterdir())


class _Moment:
    """A hit of a recording whose clip is looked at while it is written."""

    modality = "video"

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.mode = 0

    def clip(self, path: Path) -> Path:
        self.folder, self.mode = path.parent, stat.S_IMODE(path.parent.stat().st_mode)
        path.write_bytes(b"moment")
        return path


def test_a_clip_for_a_node_is_made_in_a_private_folder_that_is_gone_afterwards() -> None:
    moment = _Moment()
    assert llama_index.to_clip(moment) == b"moment"  # type: ignore[arg-type]
    assert moment.mode == 0o700
    assert moment.folder is not None
    assert not moment.folder.exists()


def test_half_a_clip_has_a_name_that_nobody_guesses_and_follows_no_link(tmp_path: Path) -> None:
    from seehear.viewing import placed

    names = set()
    for _ in range(2):
        with placed(tmp_path / "film.mp4", 0.0, 1.0, tmp_path / "clip.mp4") as part:
            assert re.fullmatch(r"\.seehear-[0-9a-f]{32}\.part", part.name)
            names.add(part.name)
    assert len(names) == 2
    (tmp_path / "linked.mp4").symlink_to(tmp_path / "victim")
    with placed(tmp_path / "film.mp4", 0.0, 1.0, tmp_path / "linked.mp4"):
        pass
    assert not (tmp_path / "victim").exists()
    assert not (tmp_path / "linked.mp4").is_symlink()  # it is replaced, and not written through


@pytest.mark.parametrize("umask", [0o022, 0o002, 0])
def test_a_new_library_is_private_whatever_the_umask_says(
    open_library: OpenLibrary, tmp_path: Path, umask: int
) -> None:
    old = os.umask(umask)
    try:
        with open_library(tmp_path / "new" / "library") as library:
            library.add(_picture(tmp_path))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new" / "library").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_can_write_to_is_pointed_out_with_the_cure(
    open_library: OpenLibrary, tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "the library"
    open_library(folder).close()
    assert caplog.records == []
    folder.chmod(mode)
    open_library(folder).close()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{folder} can be written to by others")
    cure = record.getMessage().rpartition(": ")[2]
    assert cure == f"chmod go-w '{folder}'"
    subprocess.run(cure, shell=True, check=True)  # noqa: S602 - as somebody would type it
    caplog.clear()
    open_library(folder).close()
    assert caplog.records == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_user_is_pointed_out(
    open_library: OpenLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "library"
    open_library(folder).close()
    os.chown(folder, 12345, -1)
    open_library(folder).close()
    assert [one.getMessage().partition(",")[0] for one in caplog.records] == [
        f"{folder} belongs to another user (12345)"
    ]


@pytest.mark.parametrize("name", [*OURS, "ledger.sqlite", "ledger.sqlite-wal", "backup.sqlite", "seal.json", "chroma"])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_link_in_a_library_is_an_error_and_is_not_written_through(
    open_library: OpenLibrary, tmp_path: Path, name: str, fresh: bool
) -> None:
    folder, victim = tmp_path / "library", tmp_path / "victim"
    if fresh:
        folder.mkdir()
    else:
        with open_library(folder) as library:
            library.add(_picture(tmp_path))
        if (folder / name).is_dir():
            (folder / name).rename(tmp_path / "moved")
        (folder / name).unlink(missing_ok=True)
    if name == "chroma":
        victim.mkdir()
        (victim / "file").write_text("precious")
    else:
        victim.write_text("precious")
    (folder / name).symlink_to(victim)
    with pytest.raises(SeehearError):
        open_library(folder)
    assert ((victim / "file") if name == "chroma" else victim).read_text() == "precious"
    assert not victim.is_dir() or [one.name for one in victim.iterdir()] == ["file"]
    if name in OURS:
        with pytest.raises(LibraryError, match=f"{re.escape(str(folder / name))} is a link"):
            open_library(folder)


def test_a_link_that_is_put_in_the_place_of_the_holder_later_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = Place(tmp_path / "library", create=True)
    (place.folder / HOLDER).unlink()
    (place.folder / HOLDER).symlink_to(victim)
    place.opened()
    assert victim.read_text() == "precious"
    assert (place.folder / HOLDER).read_text().startswith("process ")
    place.release()


def test_a_library_may_be_reached_by_a_link_to_its_folder(open_library: OpenLibrary, tmp_path: Path) -> None:
    open_library(tmp_path / "library").close()
    (tmp_path / "link").symlink_to(tmp_path / "library")
    open_library(tmp_path / "link", models=COLOUR_SET).close()


def _picture(folder: Path) -> Path:
    Image.new("RGB", (40, 30), (255, 0, 0)).save(folder / "red.png")
    return folder / "red.png"
