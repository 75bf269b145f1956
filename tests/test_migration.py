"""`migrate`: the old models answer until the new ones have everything; whoever is killed goes on; nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from recordings import tone, write
from spoken import spoken

from seehear import Library, ModelSet
from seehear.database import Database
from seehear.era import Era
from seehear.errors import EncoderError, InputError, ModelMismatch
from seehear.testing import COLOUR, ColourEncoder, LoudnessTranscriber
from seehear.types import Collection, Content, Passage, Report, Role, Route, Waveform

OpenLibrary = Callable[..., Library]
Migrate = Callable[..., Report]
Scratch = Callable[..., Library]
ALL = frozenset({"text", "image", "audio"})
SHADE, THIRD = "shade", "third"
LONG_AGO = 1_700_000_000


class Shade(ColourEncoder):
    """Other vectors of the same colours. Fails, or waits, where it is told to."""

    fingerprint: Mapping[str, str] = MappingProxyType({"weights": "none", "preprocessing": "shade"})

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = lambda: None
        """Called before anything is embedded."""

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if role == "document":
            self.before()
        rows = super().embed(contents, role) * np.linspace(1, 3, self.dim, dtype=np.float32)
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def models(name: str, **encoders: str) -> ModelSet:
    """A set with an encoder for each channel."""
    heard = ("audio",) if {"sound", "speech"} & encoders.keys() else ()
    routes = tuple(Route(channel, encoder, ALL) for channel, encoder in encoders.items())  # type: ignore[arg-type]
    return ModelSet(name, routes, ("image", "text", *heard))


OLD, NEW = models("old", visual=COLOUR, text=COLOUR), models("new", visual=SHADE, text=COLOUR)
"""Words stay with their encoder."""
TALKS = models("talks", visual=COLOUR, sound=COLOUR, speech=COLOUR, text=COLOUR)
HEARD = models("heard", visual=SHADE, sound=SHADE, speech=COLOUR, text=COLOUR)
"""The same for recordings."""
SEEN = models("seen", visual=COLOUR)
"""For whoever is about pictures alone."""
PICTURES, WINDOWS = 5, 2
"""Contents of the test's folders that are no words: pictures that differ, and windows of sound."""


@pytest.fixture
def transcriber() -> LoudnessTranscriber:
    return LoudnessTranscriber()


@pytest.fixture
def shade() -> Shade:
    return Shade()


@pytest.fixture
def library(open_library: OpenLibrary) -> Library:
    return open_library(models=OLD)


@pytest.fixture
def talks(open_library: OpenLibrary, transcriber: LoudnessTranscriber) -> Library:
    return open_library(models=TALKS, transcriber=transcriber)


@pytest.fixture
def folder(photos: Path) -> Path:
    """Pictures, two of them the same, and texts."""
    (photos / "twin.png").write_bytes((photos / "red.png").read_bytes())
    for colour in ("red", "green", "white"):
        (photos / f"{colour}.txt").write_text(f"About {colour} things.")
    age(photos)
    return photos


@pytest.fixture
def mixed(folder: Path) -> Path:
    """The same, and recordings with something said in one of them, and in the other by a transcript beside it."""
    voice = spoken("My name is John. I live in New York.")
    write(folder / "high.wav", voice.samples, rate=voice.rate)
    write(folder / "low.wav", tone(4.0, 16_000), rate=16_000)
    (folder / "low.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nIt is a green wave.\n")
    age(folder)
    return folder


def age(folder: Path) -> None:
    """Let files be old enough for their times to be trusted."""
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def state(library: Library) -> dict[str, Any]:
    """Files with what is known and said of them, segments and vectors: all that two libraries may share."""
    parts, files = library._parts, {}
    for known in parts.ledger.sources():
        outcomes = [(one.route.channel, one.route.encoder, one.status) for one in parts.ledger.outcomes(known.key)]
        segments = [(one.id, one.channel, one.text, one.start) for one in parts.ledger.segments(known.key)]
        files[known.key] = (known.content, known.given, known.found, outcomes, sorted(segments))
    rows: dict[tuple[str, str, str], Any] = {}
    for place in parts.collections():
        held = parts.store.get(place, sorted(parts.store.ids(place)))
        rows |= {(place.channel, place.modality, name): row.round(5).tolist() for name, row in held.items()}
    return {"files": files, "rows": rows}


def asked(library: Library) -> list[list[tuple[str, float]]]:
    """What some questions find in each channel, best first; what is equally similar by its name."""
    found = []
    for channel in dict.fromkeys(route.channel for route in library.models.routes):
        for question in ("red", "a green wave"):
            hits = library.retrieve(question, k=50, min_score=0, channels={channel})
            pairs = [(hit.source, round(hit.evidence[0].similarity, 4)) for hit in hits]
            found.append(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
    return found


def held(library: Library) -> set[str]:
    """Names of the collections that Chroma has."""
    client: Any = library._parts.store.store._client  # type: ignore[attr-defined]
    return {collection.name for collection in client.list_collections()}


def fill(library: Library, folder: Path) -> None:
    library.add(folder, metadata=lambda path: {"named": path.stem})
    library.add_texts(["a red door", "a blue door"], [{"year": 2024}, None], ["x", "y"])


@pytest.fixture
def migrate(shade: Shade, encoder: ColourEncoder, transcriber: LoudnessTranscriber) -> Migrate:
    """Migrate a library, to NEW if nothing else is said."""

    def run(library: Library, wanted: ModelSet = NEW, **options: Any) -> Report:
        names = {route.encoder for route in wanted.routes}
        known = {COLOUR: encoder, SHADE: shade, **options.pop("encoders", {})}
        given = {name: known[name] for name in names if name in known}
        return library.migrate(wanted, encoders=given, **({"transcriber": transcriber} | options))

    return run


@pytest.fixture
def scratch(open_library: OpenLibrary, tmp_path: Path) -> Scratch:
    """A library that is made from the beginning."""

    def make(folder: Path, wanted: ModelSet = NEW) -> Library:
        known = {COLOUR: ColourEncoder(), SHADE: Shade()}
        encoders = {route.encoder: known[route.encoder] for route in wanted.routes}
        given = {"models": wanted, "encoders": encoders, "transcriber": LoudnessTranscriber(), "store": "memory"}
        made = open_library(tmp_path / "scratch", **given)
        fill(made, folder)
        return made

    return make


def test_a_library_with_new_models_is_what_it_would_be_from_the_beginning(
    talks: Library, mixed: Path, migrate: Migrate, scratch: Scratch
) -> None:
    fill(talks, mixed)
    report = migrate(talks, HEARD)
    assert (report.failed, report.partial, report.unchanged) == ([], [], [])
    files = [str(path) for path in mixed.rglob("*") if path.is_file() and path.suffix != ".srt"]
    assert sorted(report.added) == sorted(["x", "y", *files])
    assert talks.models == HEARD
    other = scratch(mixed, HEARD)
    assert (state(talks), asked(talks)) == (state(other), asked(other))
    assert talks.verify().good
    assert not list(talks.path.glob("next*"))


def test_what_stays_is_neither_embedded_nor_heard_again(
    talks: Library, mixed: Path, encoder: ColourEncoder, transcriber: LoudnessTranscriber, migrate: Migrate
) -> None:
    fill(talks, mixed)
    (mixed / "moved").mkdir()
    for name in ("high.wav", "low.wav", "low.srt", "red.txt"):  # what was moved is no exception
        (mixed / name).rename(mixed / "moved" / name)
    assert len(talks.sync(mixed).moved) == 3
    heard = len(transcriber.transcribed)
    assert heard
    encoder.embedded.clear()
    report = migrate(talks, HEARD)
    assert (report.embedded, encoder.embedded, len(transcriber.transcribed)) == (PICTURES + WINDOWS, [], heard)


def test_everything_stays_where_only_the_name_of_the_set_is_new(
    library: Library, folder: Path, migrate: Migrate
) -> None:
    fill(library, folder)
    before = state(library)
    report = migrate(library, replace(OLD, name="other"))
    assert (report.embedded, report.failed, library.models.name) == (0, [], "other")
    assert state(library) == before


def test_an_encoder_of_the_same_name_with_other_weights_is_another(
    library: Library, folder: Path, migrate: Migrate
) -> None:
    fill(library, folder)
    other = Shade()
    report = migrate(library, replace(OLD, name="other"), encoders={COLOUR: other})
    assert (report.failed, len(report.added)) == ([], 9 + 2)
    assert report.embedded == len(other.embedded) == PICTURES + 3 + 2
    assert library.info()["encoders"][COLOUR] == dict(Shade.fingerprint)
    assert library.verify().good


def test_the_old_models_answer_until_all_is_done(
    library: Library, folder: Path, migrate: Migrate, shade: Shade
) -> None:
    fill(library, folder)
    before, during = asked(library), []
    shade.before = lambda: during.append((asked(library), library.models.name))
    migrate(library)
    assert during
    assert all(one == (before, "old") for one in during)
    assert asked(library)[:2] != before[:2]


def test_no_question_fails_while_the_models_change(library: Library, folder: Path, migrate: Migrate) -> None:
    fill(library, folder)
    ended, errors, answered = threading.Event(), list[Exception](), list[str]()

    def ask() -> None:
        while not ended.is_set():
            try:
                answered.append(library.retrieve("red", k=1, min_score=0)[0].source)
            except Exception as error:
                errors.append(error)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for wanted in (NEW, OLD):
            migrate(library, wanted)
            assert library.models == wanted
    finally:
        ended.set()
        for thread in asking:
            thread.join()
    assert errors == []
    assert answered


def test_a_retriever_that_was_made_before_says_so(library: Library, folder: Path, migrate: Migrate) -> None:
    fill(library, folder)
    retriever = library.retriever()
    migrate(library)
    with pytest.raises(ModelMismatch, match="has other models by now: open it again, or make the retriever anew"):
        retriever.retrieve("red")
    assert library.retrieve("red")


def test_what_waits_for_the_end_of_a_migration_uses_the_new_models(
    library: Library, folder: Path, migrate: Migrate, shade: Shade, tmp_path: Path
) -> None:
    fill(library, folder)
    Image.new("RGB", (9, 9), "black").save(tmp_path / "black.png")
    begun = threading.Event()
    adding = threading.Thread(target=lambda: (begun.set(), library.add(tmp_path / "black.png")))

    def add() -> None:
        if not begun.is_set():
            adding.start()
            begun.wait()

    shade.before = add
    migrate(library)
    adding.join()
    assert str(tmp_path / "black.png") in {hit.source for hit in library.retrieve("green", k=50, min_score=0)}
    assert library.verify().good


def test_whoever_holds_a_library_that_another_process_gave_other_models_changes_nothing(
    library: Library, folder: Path
) -> None:
    fill(library, folder)
    before = state(library)
    with closing(Database(library.path / "ledger.sqlite")) as other, other.transaction() as db:
        db.execute("INSERT OR REPLACE INTO counters VALUES ('era', 1)")
    for change in (
        lambda: library.add(folder),
        lambda: library.sync(folder),
        lambda: library.remove("x"),
        lambda: library.verify(),
        lambda: library.add_texts(["z"]),
        lambda: library.relocate(folder, folder.parent),
    ):
        with pytest.raises(ModelMismatch, match="has other models by now: open it again"):
            change()
    assert state(library) == before


# Files that are not there any more.


def test_where_files_are_gone_nothing_is_switched_and_they_are_named(
    library: Library, folder: Path, migrate: Migrate
) -> None:
    fill(library, folder)
    before = asked(library)
    (folder / "blue.png").unlink()
    for _ in range(2):
        report = migrate(library)
        assert [Path(problem.path).name for problem in report.failed] == ["blue.png"]
        assert "No such file" in report.failed[0].reason
        assert (library.models, asked(library)) == (OLD, before)
    assert report.embedded == 0


def test_without_the_files_that_are_gone_what_can_be_kept_of_them_is(
    talks: Library, mixed: Path, migrate: Migrate
) -> None:
    fill(talks, mixed)
    (mixed / "blue.png").unlink()
    (mixed / "high.wav").unlink()
    migrate(talks, HEARD)
    report = migrate(talks, HEARD, drop_missing=True)
    assert (talks.models, report.embedded, len(report.failed)) == (HEARD, 0, 2)
    assert {"photos/blue.png", "photos/high.wav"} <= {*talks.info()["sources"]}
    problems = {one["path"]: one["reason"] for one in talks.info()["problems"]}
    assert problems.keys() == {"photos/blue.png", "photos/high.wav"}
    assert "the new models could not look at it" in problems["photos/blue.png"]
    spoken_words = talks.retrieve("loud", k=50, channels={"speech"}, min_score=0)
    assert "high.wav" in {Path(hit.source).name for hit in spoken_words}
    assert talks.verify().good


def test_what_is_gone_is_no_loss_where_its_words_and_vectors_are_all_there_is(
    talks: Library, mixed: Path, migrate: Migrate, scratch: Scratch
) -> None:
    wanted = models("words", visual=COLOUR, sound=COLOUR, speech=SHADE, text=SHADE)
    fill(talks, mixed)
    other = scratch(mixed, wanted)
    for name in ("blue.png", "low.wav", "low.srt", "red.txt", "high.wav"):
        (mixed / name).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seehear.scales.Scales.refresh", stop)
        with pytest.raises(EncoderError, match="stopped"):
            migrate(talks, wanted)
    report = migrate(talks, wanted)  # what was kept the first time is no loss the second time
    assert (report.failed, talks.models) == ([], wanted)
    assert state(talks) == state(other)


def stop(*_: object) -> None:
    raise EncoderError("stopped")


def test_a_file_that_was_kept_and_comes_back_is_read_whole(
    open_library: OpenLibrary, mixed: Path, migrate: Migrate, transcriber: LoudnessTranscriber
) -> None:
    library = open_library(models=models("quiet", visual=COLOUR, speech=COLOUR, text=COLOUR), transcriber=transcriber)
    fill(library, mixed)
    away = [(mixed / name).rename(mixed.parent / name) for name in ("low.wav", "low.srt")]
    migrate(library, TALKS)
    assert library.models == TALKS
    assert library.retrieve("a green wave", channels={"speech"}, min_score=0)
    for path in away:
        path.rename(mixed / path.name)
    report = library.sync(mixed)
    assert [Path(one).name for one in report.changed] == ["low.wav"]
    sounds = library.retrieve("red", k=9, channels={"sound"}, min_score=0)
    assert {Path(hit.source).name for hit in sounds} == {"low.wav", "high.wav"}


def test_what_had_failed_before_holds_up_nothing(library: Library, folder: Path, migrate: Migrate) -> None:
    for name in ("bad.png", "gone.png"):
        (folder / name).write_bytes((folder / "red.png").read_bytes()[:60])
    age(folder)
    fill(library, folder)
    (folder / "gone.png").unlink()
    report = migrate(library)
    assert sorted(Path(problem.path).name for problem in report.failed) == ["bad.png", "gone.png"]
    assert not [one for one in report.added if one.endswith(("bad.png", "gone.png"))]
    assert library.models == NEW
    assert {one["path"] for one in library.info()["problems"]} == {"photos/bad.png", "photos/gone.png"}


def test_passages_that_the_new_models_cannot_read_are_not_thrown_away(
    library: Library, folder: Path, migrate: Migrate
) -> None:
    library.add_texts(["a red door"], ids=["x"])
    library.add(folder / "red.png")
    report = migrate(library, SEEN)
    assert [problem.path for problem in report.failed] == ["x"]
    assert library.models == OLD
    assert library.retrieve("a red door", k=1)[0].source == "x"
    report = migrate(library, SEEN, drop_missing=True)
    assert library.models == SEEN


def test_a_passage_that_an_encoder_fails_on_costs_itself(library: Library, migrate: Migrate, shade: Shade) -> None:
    wanted = models("words", visual=COLOUR, text=SHADE)
    library.add_texts(["a red door"], ids=["x"])

    def fail() -> None:
        raise RuntimeError("out of memory")

    shade.before = fail
    (problem,) = migrate(library, wanted).failed
    assert (problem.path, "out of memory" in problem.reason, library.models) == ("x", True, OLD)
    shade.before = lambda: None
    assert (migrate(library, wanted).failed, library.models) == ([], wanted)


class Absent(LoudnessTranscriber):
    """A transcriber whose package is not installed."""

    fingerprint: Mapping[str, str] = MappingProxyType({"weights": "absent"})

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        raise EncoderError("no weights")


def test_speech_that_nobody_could_write_down_again_holds_up_the_switch(
    talks: Library, tmp_path: Path, migrate: Migrate
) -> None:
    voice = spoken("My name is John. I live in New York.")
    talks.add(write(tmp_path / "talk.wav", voice.samples, rate=voice.rate))
    (problem,) = migrate(talks, HEARD, transcriber=Absent()).partial
    assert "no weights" in problem.reason
    assert talks.models == TALKS
    assert talks.retrieve("loud", channels={"speech"}, min_score=0)
    assert migrate(talks, HEARD, transcriber=Absent(), drop_missing=True).partial
    assert talks.models == HEARD


# One that is not finished.


def stopped(
    library: Library, migrate: Migrate, shade: Shade, wanted: ModelSet = NEW, after: int = 2, **options: Any
) -> None:
    """Begin a migration, and let it fail."""
    calls = []

    def fail() -> None:
        calls.append(1)
        if len(calls) > after:
            raise EncoderError("stopped")

    shade.before = fail
    with pytest.raises(EncoderError, match="stopped"):
        migrate(library, wanted, **options)
    shade.before = lambda: None


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of one, and queues to match."""
    monkeypatch.setattr("seehear.batches.BATCH", 1)
    monkeypatch.setattr("seehear.pool.WAITING", 1)


@pytest.mark.usefixtures("small")
def test_whoever_is_stopped_goes_on_where_he_was(
    library: Library, folder: Path, migrate: Migrate, shade: Shade, scratch: Scratch
) -> None:
    fill(library, folder)
    before = asked(library)
    stopped(library, migrate, shade)
    assert (library.models, asked(library)) == (OLD, before)
    assert library.verify().good
    report = migrate(library)
    assert len(report.unchanged) > 0
    assert len(shade.embedded) <= PICTURES + 1  # one was on its way
    assert state(library) == state(scratch(folder))


@pytest.mark.usefixtures("small")
def test_what_happens_between_two_runs_is_not_missed(
    library: Library, folder: Path, migrate: Migrate, shade: Shade, scratch: Scratch
) -> None:
    fill(library, folder)
    stopped(library, migrate, shade)
    Image.new("RGB", (9, 9), "black").save(folder / "black.png")
    Image.new("RGB", (9, 9), "white").save(folder / "blue.png")
    (folder / "red.txt").unlink()
    (folder / "green.png").rename(folder / "verde.png")
    age(folder)
    library.sync(folder)
    library.remove(["y", folder / "white.txt"])
    (folder / "white.txt").unlink()
    library.add_texts(["a green door", "a white door"], ids=["x", "z"])
    library.add(folder, metadata=lambda path: {"named": path.stem, "again": True})
    assert migrate(library).failed == []
    other = scratch(folder)
    other.add(folder, metadata=lambda path: {"named": path.stem, "again": True})
    other.remove("y")
    other.add_texts(["a green door", "a white door"], [{"year": 2024}, {}], ids=["x", "z"])
    library.add_texts(["a green door"], [{"year": 2024}], ids=["x"])
    assert state(library) == state(other)


@pytest.mark.usefixtures("small")
def test_a_folder_that_was_moved_between_two_runs_is_found(
    library: Library, folder: Path, migrate: Migrate, shade: Shade
) -> None:
    fill(library, folder)
    stopped(library, migrate, shade)
    moved = folder.rename(folder.parent / "moved")
    library.relocate(folder, moved)
    report = migrate(library)
    assert (report.failed, library.models, len(report.unchanged) > 0) == ([], NEW, True)
    assert library.info()["folders"] == {"photos": str(moved)}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("finished", [False, True])
def test_of_a_wish_that_was_given_up_nothing_stays(
    library: Library, folder: Path, migrate: Migrate, shade: Shade, scratch: Scratch, finished: bool
) -> None:
    fill(library, folder)
    if finished:  # but for the files that are gone
        (folder / "red.png").rename(folder / ".red.png")
        migrate(library, models("other", visual=THIRD, text=COLOUR), encoders={THIRD: Shade()})
        (folder / ".red.png").rename(folder / "red.png")
    else:
        stopped(library, migrate, shade, models("other", visual=THIRD, text=SHADE), encoders={THIRD: shade})
    shade.embedded.clear()
    assert migrate(library).failed == []
    assert not [name for name in held(library) if THIRD in name]
    assert state(library) == state(scratch(folder))


@pytest.mark.usefixtures("small")
def test_a_set_of_the_same_name_and_other_encoders_is_another_wish(
    library: Library, folder: Path, migrate: Migrate, shade: Shade, scratch: Scratch
) -> None:
    fill(library, folder)
    stopped(library, migrate, shade, models("new", visual=SHADE, text=COLOUR))
    assert migrate(library).failed == []
    assert state(library) == state(scratch(folder))


@pytest.mark.usefixtures("small")
def test_other_weights_under_the_same_name_begin_anew(
    library: Library, folder: Path, migrate: Migrate, shade: Shade
) -> None:
    fill(library, folder)
    stopped(library, migrate, shade)
    other = Shade()
    other.fingerprint = {"weights": "others"}
    assert migrate(library, encoders={SHADE: other}).failed == []
    assert len(other.embedded) == PICTURES
    assert library.info()["encoders"][SHADE] == {"weights": "others"}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("spoil", ["ledger", "vectors"])
def test_what_was_begun_and_is_no_use_any_more_is_made_anew(
    library: Library, folder: Path, migrate: Migrate, shade: Shade, scratch: Scratch, spoil: str
) -> None:
    fill(library, folder)
    stopped(library, migrate, shade)
    if spoil == "ledger":
        (library.path / "next.sqlite").write_bytes(b"no database" * 500)
        for name in ("next.sqlite-wal", "next.sqlite-shm"):
            (library.path / name).unlink(missing_ok=True)
    else:  # as after a repair of the store
        Era(library._parts.store.store, 1).drop(Collection(SHADE, "visual", "image"))
    assert migrate(library).failed == []
    assert state(library) == state(scratch(folder))


def test_what_does_not_begin_leaves_everything_as_it_was(library: Library, folder: Path, migrate: Migrate) -> None:
    fill(library, folder)
    before = asked(library)
    for wanted, options, error, words in (
        ("nonsense", {}, InputError, "no model set 'nonsense'"),
        (NEW, {"encoders": {"nobody": ColourEncoder()}}, InputError, "have no encoder 'nobody'"),
        (NEW, {}, InputError, "There is no 'shade'"),
        (NEW, {"encoders": {SHADE: Shade()}, "frames": "best"}, InputError, "keyframes or shots"),
    ):
        with pytest.raises(error, match=words):
            library.migrate(wanted, **options)
        assert (library.models, asked(library)) == (OLD, before)
    assert migrate(library).failed == []


def test_a_library_that_forgets_has_nothing_to_migrate(open_library: OpenLibrary, photos: Path) -> None:
    library = open_library(store="memory")
    library.add(photos)
    with pytest.raises(InputError, match="forgets everything at its end has nothing to migrate"):
        library.migrate(SEEN)
    assert library.retrieve("red")
    assert not (library.path / "next.sqlite").exists()


def test_a_library_without_files_can_be_migrated(library: Library, migrate: Migrate) -> None:
    report = migrate(library)
    assert (report.added, report.failed, library.models) == ([], [], NEW)


# After the switch.


def test_the_new_models_are_those_of_the_library_from_then_on(
    library: Library, folder: Path, migrate: Migrate, open_library: OpenLibrary, shade: Shade, encoder: ColourEncoder
) -> None:
    fill(library, folder)
    migrate(library)
    wanted, names = asked(library), held(library)
    with closing(sqlite3.connect(library.path / "backup.sqlite")) as backup:
        assert backup.execute("SELECT value FROM passport WHERE key = 'models'").fetchall() == [("new",)]
    library.close()
    with pytest.raises(ModelMismatch, match="made with the models 'new', not 'old'"):
        open_library(models=OLD)
    both = {COLOUR: encoder, SHADE: shade}
    with open_library(models=NEW, encoders=both) as again:
        assert asked(again) == wanted
        assert held(again) == names
        assert len(again.sync(folder).unchanged) == 9
        Image.new("RGB", (9, 9), "black").save(folder / "black.png")
        assert again.sync(folder).embedded == 1
        assert again.verify().good


def test_how_frames_are_chosen_is_remembered(open_library: OpenLibrary, encoder: ColourEncoder) -> None:
    watching = replace(OLD, modalities=("image", "text", "video"))
    with open_library(models=watching, frames="shots") as library:
        library.add_texts(["a red door"], ids=["x"])
        library.migrate(replace(watching, name="other"), encoders={COLOUR: encoder})
        assert "shots" in library._parts.models.modalities


@pytest.mark.usefixtures("small")
def test_many_migrations_leave_one_set_of_vectors(library: Library, folder: Path, migrate: Migrate) -> None:
    fill(library, folder)
    count = len(held(library))
    for wanted in (NEW, OLD, NEW):
        assert migrate(library, wanted).failed == []
        assert len(held(library)) == count
    assert library.verify().good


# Killed.

MOMENTS = ("embedding", "switched", "dropping")
MORE = ("following", "begun", "carrying", "measured", "switching", "dropped")
CHILD = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location(sys.argv[1], sys.argv[2])
module = module_from_spec(spec)
sys.modules[sys.argv[1]] = module
spec.loader.exec_module(module)
module.die(*sys.argv[3:])
"""


def die(folder: str, moment: str) -> None:
    """Be a process that migrates a library, and ends at a moment as if it were killed."""
    from seehear import assembly, batches, migration
    from seehear.ledger import Ledger
    from seehear.scales import Scales

    batches.BATCH = 1

    def at(owner: Any, name: str, which: Callable[..., bool] = lambda *_: True, *, after: bool = False) -> None:
        really = getattr(owner, name)

        def instead(*given: Any, **named: Any) -> Any:
            if not which(*given):
                return really(*given, **named)
            if after:
                really(*given, **named)
            os._exit(9)

        setattr(owner, name, instead)

    shade = Shade()
    encoders = {COLOUR: ColourEncoder(), SHADE: shade}
    with Library.open(
        folder, models=OLD, encoders={COLOUR: encoders[COLOUR]}, transcriber=LoudnessTranscriber()
    ) as one:
        if moment == "following":
            at(Database, "with_other", lambda *given: given[2] == migration._FOLLOW)
        elif moment == "begun":
            at(Ledger, "stamp", lambda *given: "migration" in given[1], after=True)
        elif moment == "embedding":
            shade.before = lambda: os._exit(9) if len(shade.embedded) == 3 else None
        elif moment == "carrying":
            at(migration.Migration, "_carry", lambda *given: given[1].key == "text:y", after=True)
        elif moment == "measured":
            at(Scales, "refresh", after=True)
        elif moment in ("switching", "switched"):
            at(Database, "with_other", lambda *given: given[2] == migration._SWITCH, after=moment == "switched")
        elif moment == "dropping":
            drop = Era.drop
            dropped: list[int] = []

            def second(era: Era, place: Collection) -> None:
                if era.number == 0:
                    dropped.append(1)
                    if len(dropped) > 2:
                        os._exit(9)
                drop(era, place)

            Era.drop = second  # type: ignore[method-assign]
        else:
            at(assembly, "drop", after=True)
        one.migrate(NEW, encoders=encoders)


@pytest.mark.parametrize("moment", [*MOMENTS, *(pytest.param(one, marks=pytest.mark.slow) for one in MORE)])
def test_a_process_that_is_killed_loses_nothing(
    library: Library, folder: Path, open_library: OpenLibrary, scratch: Scratch, moment: str
) -> None:
    fill(library, folder)
    was, before, count = state(library), asked(library), len(held(library))
    library.close()
    arguments = [sys.executable, "-c", CHILD, __name__, __file__, str(library.path), moment]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(arguments, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    other = scratch(folder)
    switched = moment in ("switched", "dropping", "dropped")
    both = {COLOUR: ColourEncoder(), SHADE: Shade()}
    given = {"models": NEW, "encoders": both} if switched else {"models": OLD, "encoders": {COLOUR: both[COLOUR]}}
    with open_library(library.path, **given) as again:
        if not switched:
            assert (state(again), asked(again)) == (was, before)
            assert again.verify().good
            shade = Shade()
            report = again.migrate(NEW, encoders={**both, SHADE: shade})
            assert report.failed == []
            most = {"following": PICTURES, "begun": PICTURES, "embedding": 3}
            assert len(shade.embedded) <= most.get(moment, 0)
        assert (state(again), asked(again)) == (state(other), asked(other))
        assert len(held(again)) == count
        assert again.verify().good
        assert not list(library.path.glob("next*"))
