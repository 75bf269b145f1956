"""The door: what a library remembers, refuses and lets go."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from PIL import Image

from seehear import Library, Limits, ModelSet
from seehear.errors import InputError, LibraryDamaged, LibraryError, LibraryInUse, ModelMismatch, SeehearError
from seehear.stores.memory import MemoryStore
from seehear.testing import COLOUR, COLOUR_SET, ColourEncoder
from seehear.types import Collection, Needs, Route, Segment

OpenLibrary = Callable[..., Library]


def test_a_library_is_there_again_after_closing(open_library: OpenLibrary, photos: Path) -> None:
    with open_library() as library:
        library.add(photos)
    with open_library() as library:
        assert Path(library.retrieve("red", k=1)[0].source).name == "red.png"
        assert library.info()["files"] == 5


def test_models_are_remembered_and_others_refused(open_library: OpenLibrary, photos: Path, tmp_path: Path) -> None:
    with open_library() as library:
        library.add(photos / "red.png")
    with pytest.raises(ModelMismatch, match=r"'colour', not 'mini'.*Open it without"):
        Library.open(tmp_path / "library", models="mini")


def test_other_weights_under_the_same_name_are_refused(open_library: OpenLibrary, photos: Path) -> None:
    with open_library() as library:
        library.add(photos / "red.png")
    other = ColourEncoder()
    other.fingerprint = {"weights": "none", "preprocessing": "median colour"}
    with pytest.raises(ModelMismatch, match=r"preprocessing: mean colour then, median colour.*Use the model it was"):
        open_library(encoders={COLOUR: other})


def test_a_refused_library_can_be_opened_right_afterwards(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    with open_library() as library:
        library.add(photos / "red.png")
    with pytest.raises(ModelMismatch):
        Library.open(tmp_path / "library", models="mini")
    open_library().close()


def test_a_second_opener_is_told_who_holds_it(open_library: OpenLibrary, tmp_path: Path) -> None:
    open_library()
    code = "import sys; from seehear import Library; Library.open(sys.argv[1])"
    second = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "library"], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "LibraryInUse" in second.stderr
    assert "is in use by process" in second.stderr


def test_the_same_process_cannot_open_it_twice_either(open_library: OpenLibrary) -> None:
    open_library()
    with pytest.raises(LibraryInUse):
        open_library()


def test_unknown_names_are_refused_with_the_known_ones(open_library: OpenLibrary, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model set 'nonsense'. Choose one of: .*mini"):
        open_library(models="nonsense")
    with pytest.raises(InputError, match=r"no 'nonsense'. Known are audio, chroma"):
        open_library(store="nonsense")


def test_a_file_or_a_folder_of_other_things_is_no_library(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(InputError, match="is a file"):
        Library.open(photos / "red.png")
    with pytest.raises(InputError, match="holds other files"):
        Library.open(photos)


def test_a_library_that_is_not_there_is_made_only_when_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no library in .*seehear add"):
        Library.open(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be used for a library"):
        Library.open(photos / "red.png" / "library")


def test_a_damaged_ledger_is_named(open_library: OpenLibrary, tmp_path: Path) -> None:
    open_library().close()
    (tmp_path / "library" / "ledger.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(LibraryDamaged, match=r"ledger.sqlite is damaged"):
        open_library()


def test_a_ledger_of_another_format_is_refused(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    library._parts.ledger.stamp({"format": "99"})
    library.close()
    with pytest.raises(LibraryDamaged, match="has format 99"):
        open_library()


def test_vectors_that_were_taken_away_are_noticed(open_library: OpenLibrary, photos: Path, tmp_path: Path) -> None:
    with open_library() as library:
        library.add(photos)
    for path in (tmp_path / "library" / "chroma").glob("*.*"):
        path.unlink()
    with pytest.raises(LibraryDamaged):
        open_library()


def test_files_are_removed_by_path_by_folder_and_by_key(library: Library, photos: Path) -> None:
    library.add(photos)
    assert library.remove([photos / "red.png", "photos/blue.png"]) == ["photos/red.png", "photos/blue.png"]
    assert library.remove(photos / "more") == ["photos/more/white.png"]
    assert library.info()["sources"] == ["photos/green.png", "photos/yellow.png"]
    assert {Path(hit.source).name for hit in library.retrieve("red", min_score=0)} == {"green.png", "yellow.png"}
    assert library._parts.store.count(Collection(COLOUR, "visual", "image")) == 2
    assert (photos / "red.png").exists()


def test_removing_what_is_not_there_removes_nothing(library: Library, photos: Path) -> None:
    library.add(photos)
    with pytest.raises(InputError, match="Not in this library: nonsense"):
        library.remove(["photos/red.png", "nonsense"])
    assert library.info()["files"] == 5


def test_a_removed_file_can_be_added_again(library: Library, photos: Path) -> None:
    library.add(photos)
    library.remove(photos / "red.png")
    assert len(library.add(photos).added) == 1
    assert Path(library.retrieve("red", k=1)[0].source).name == "red.png"


def test_an_encoder_is_chosen_by_module_and_class(tmp_path: Path, photos: Path) -> None:
    with Library.open(tmp_path / "named", models=COLOUR_SET) as library:
        library.add(photos)
        assert Path(library.retrieve("blue", k=1)[0].source).name == "blue.png"


def test_limits_are_the_users(open_library: OpenLibrary, photos: Path) -> None:
    report = open_library(limits=Limits(pixels=100)).add(photos)
    assert len(report.failed) == 5
    assert "limit" in report.failed[0].reason


def test_asking_does_not_hold_up_the_event_loop(library: Library, photos: Path) -> None:
    library.add(photos)

    async def ask() -> list[str]:
        answers = await asyncio.gather(*(library.aretrieve(colour, k=1) for colour in ("red", "green", "blue") * 5))
        return [Path(hits[0].source).stem for hits in answers]

    assert asyncio.run(ask()) == ["red", "green", "blue"] * 5


def test_captions_and_pictures_are_measured_against_each_other(library: Library, photos: Path) -> None:
    library.add(photos)
    pairs = [(photos / f"{colour}.png", colour) for colour in ("red", "green", "blue")]
    there, back = library.evaluate([*pairs, (photos / "red.png", "blue")])
    assert (there.queries, there.candidates) == (4, 3)
    assert there.recall[1] == 0.75
    # "blue" is said of two pictures; the tie counts against the one that is blue.
    assert (back.queries, back.recall[1], back.recall[5]) == (3, pytest.approx(2 / 3), 1.0)


def test_measuring_what_is_not_there_is_an_error(library: Library, photos: Path) -> None:
    library.add(photos / "red.png")
    with pytest.raises(InputError, match=r"blue.png is not in the library"):
        library.evaluate([(photos / "blue.png", "blue")])


def test_rows_of_the_store_that_are_not_published_are_not_found(library: Library, photos: Path) -> None:
    library.add(photos)
    where = Collection(COLOUR, "visual", "image")
    ids = library._parts.ledger.segment_ids("photos/red.png")["visual"]
    red = library._parts.store.get(where, ids)[ids[0]]
    best = library.retrieve("red", k=1)
    ghosts = [Segment(f"ghost{number}", "gone.png", "image", "visual") for number in range(40)]
    library._parts.store.upsert(where, ghosts, np.stack([red] * 40))
    assert [hit.id for hit in library.retrieve("red", k=1)] == [best[0].id]
    assert len(library.retrieve("red", k=5)) == 5


def test_adding_and_removing_at_once_loses_nothing(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(photos)
    many = photos.parent / "many"
    many.mkdir()
    for number in range(100):
        Image.new("RGB", (number + 1, 3), "red").save(many / f"{number}.png")
    upsert = library._parts.store.upsert

    def slow(*arguments: Any) -> None:
        upsert(*arguments)
        time.sleep(0.2)

    monkeypatch.setattr(library._parts.store, "upsert", slow)
    with ThreadPoolExecutor() as threads:
        adding = threads.submit(library.add, many)
        time.sleep(0.4)
        removing = threads.submit(library.remove, photos / "blue.png")
        assert len(adding.result().added) == 100
        assert removing.result() == ["photos/blue.png"]
    assert len(library.retrieve("red", k=500)) == 104


def test_a_closed_library_says_so(library: Library, photos: Path) -> None:
    library.close()
    for use in (
        lambda: library.add(photos),
        lambda: library.remove("photos/red.png"),
        lambda: library.retrieve("red"),
        lambda: library.info(),
        lambda: library.evaluate([]),
    ):
        with pytest.raises(LibraryError, match="is closed; open it again"):
            use()


def test_some_vectors_that_are_gone_are_noticed(open_library: OpenLibrary, photos: Path) -> None:
    with open_library() as library:
        library.add(photos)
        ids = library._parts.ledger.segment_ids("photos/red.png")["visual"]
        library._parts.store.delete(Collection(COLOUR, "visual", "image"), ids)
    with pytest.raises(LibraryDamaged, match=r"1 vectors of .* are gone"):
        open_library()


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_a_ledger_that_is_gone_is_noticed(open_library: OpenLibrary, photos: Path, tmp_path: Path, how: str) -> None:
    with open_library() as library:
        library.add(photos)
    for path in (tmp_path / "library").glob("ledger.sqlite*"):
        path.unlink()
    if how == "emptied":
        (tmp_path / "library" / "ledger.sqlite").touch()
    with pytest.raises(LibraryDamaged, match=r"ledger"):
        open_library()


def test_a_ledger_that_cannot_be_used_is_not_called_damaged(open_library: OpenLibrary, tmp_path: Path) -> None:
    open_library().close()
    ledger = tmp_path / "library" / "ledger.sqlite"
    ledger.unlink()
    ledger.mkdir()
    with pytest.raises(LibraryError, match=r"ledger.sqlite cannot be used: .*\. Check permissions") as caught:
        open_library()
    assert not isinstance(caught.value, LibraryDamaged)


@pytest.mark.parametrize("given", [5, [None], [b"x"], None])
def test_what_is_no_path_is_an_input_error(library: Library, given: Any) -> None:
    with pytest.raises(InputError, match="by their paths"):
        library.add(given)


@pytest.mark.parametrize("name", ["", "a\nb", os.fsdecode(b"caf\xe9")])
def test_a_library_has_a_name_that_can_be_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="library"):
        Library.open(name and tmp_path / name)


def test_a_run_that_ends_before_anything_is_published_can_go_on(
    open_library: OpenLibrary, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    library = open_library()
    monkeypatch.setattr(library._parts.ledger, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.add(photos)
    library.close()
    library = open_library()
    assert library.info()["files"] == 0
    assert len(library.add(photos).added) == 5
    assert library._parts.store.count(Collection(COLOUR, "visual", "image")) == 5
    assert library._parts.ledger.garbage.rows() == {}


def test_a_library_in_memory_leaves_nothing_to_be_misread(open_library: OpenLibrary, photos: Path) -> None:
    with open_library(store="memory") as library:
        library.add(photos)
        assert len(library.retrieve("red")) == 5
    with open_library(store="memory") as library:
        assert library.info()["files"] == 0


def test_a_library_whose_maker_was_killed_at_once_can_still_be_made(open_library: OpenLibrary, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    for name in ("lock", "holder"):
        (tmp_path / "library" / name).touch()
    assert open_library().info()["files"] == 0


def test_a_chroma_client_of_ones_own_holds_the_vectors(open_library: OpenLibrary, photos: Path, tmp_path: Path) -> None:
    client = chromadb.PersistentClient(str(tmp_path / "mine"))
    for _ in range(2):
        with open_library(store=client) as library:
            library.add(photos)
            assert Path(library.retrieve("red", k=1)[0].source).name == "red.png"
    assert sum(collection.count() for collection in client.list_collections()) == 5
    assert not (tmp_path / "library" / "chroma").exists()
    with pytest.raises(InputError, match="are in your own Client; open it with store="):
        open_library()
    client.close()


def test_what_is_no_store_is_an_input_error(open_library: OpenLibrary) -> None:
    for wrong in (object(), MemoryStore, "mini", 5):
        with pytest.raises(InputError, match=r"A store is a name, a Chroma server .*, a Chroma client or a Store, not"):
            open_library(store=wrong)


def test_a_first_try_that_failed_does_not_bind_the_next(open_library: OpenLibrary, photos: Path) -> None:
    with pytest.raises(InputError):
        open_library(store="chromaa")
    other = ColourEncoder()
    other.fingerprint = {"weights": "others"}
    open_library(encoders={COLOUR: other}, store="memory").close()
    open_library(encoders={COLOUR: other}).close()
    with open_library() as library:
        assert len(library.add(photos).added) == 5


def test_a_name_that_leads_nowhere_is_not_remembered(tmp_path: Path) -> None:
    with pytest.raises(SeehearError):
        Library.open(tmp_path / "new", models="no.such.module:Class")
    with Library.open(tmp_path / "new") as library:
        assert library.models.name == "mini"


def test_a_library_of_failed_files_only_takes_other_models(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes((photos / "red.png").read_bytes()[:60])
    with open_library() as library:
        assert library.add(broken).failed
    with Library.open(tmp_path / "library", models="mini") as library:
        assert library.models.name == "mini"


def test_an_encoder_of_no_route_is_an_input_error(open_library: OpenLibrary) -> None:
    with pytest.raises(InputError, match=r"have no encoder 'dual:typo'; they have seehear.testing:ColourEncoder"):
        open_library(encoders={"dual:typo": ColourEncoder()})
    with pytest.raises(InputError, match="is no encoder"):
        open_library(encoders={COLOUR: ColourEncoder})
    with pytest.raises(InputError, match="is no encoder"):
        open_library(encoders={COLOUR: "collections:OrderedDict"})


def test_an_encoder_that_does_not_take_what_it_is_asked_with_is_refused(open_library: OpenLibrary) -> None:
    deaf = ColourEncoder()
    deaf.takes = frozenset({"text"})
    with pytest.raises(InputError, match="takes text, but the models 'colour' are to be asked with image and text"):
        open_library(encoders={COLOUR: deaf})


def test_a_store_that_forgets_takes_the_ledger_along(open_library: OpenLibrary, photos: Path) -> None:
    store = MemoryStore()
    for _ in range(2):
        with open_library(store=store) as library:
            assert library.info()["files"] == 0
            assert len(library.add(photos).added) == 5


def test_encoders_that_need_pictures_of_different_sizes_get_the_larger(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    square, short, whole = Needs(64, square=True), Needs(32), Needs()
    for wanted, expected in (
        ([square], square), ([square, square], square), ([square, short], Needs(64)), ([short, whole], whole),
    ):  # fmt: skip
        routes, encoders = [], {}
        for place, needs in enumerate(wanted):
            encoders[f"number{place}"] = ColourEncoder()
            encoders[f"number{place}"].needs = needs
            routes.append(Route("visual", f"number{place}", frozenset({"text"})))
        with open_library(models=ModelSet("some", tuple(routes)), encoders=encoders, store="memory") as library:
            assert library._parts.pool._needs() == expected


def test_files_may_come_from_a_generator(library: Library, photos: Path) -> None:
    assert len(library.add(photos.glob("*.png")).added) == 4
