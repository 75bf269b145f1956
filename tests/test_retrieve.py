"""Questions and their answers, with a fake encoder that knows colours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seehear import Library, ModelSet, Query
from seehear.errors import QueryError
from seehear.query import parts
from seehear.testing import COLOUR, COLOUR_SET
from seehear.types import Match, Route


@pytest.fixture(autouse=True)
def _filled(library: Library, photos: Path) -> None:
    library.add(photos, metadata=lambda path: {"name": path.stem})


def found(library: Library, query: str | Query, **fields: object) -> list[str]:
    fields = {"min_score": 0, **fields}
    return [Path(hit.source).stem for hit in library.retrieve(query, **fields)]  # type: ignore[arg-type]


def test_words_find_pictures_best_first(library: Library) -> None:
    hits = library.retrieve("something red", k=3)
    assert Path(hits[0].source).stem == "red"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert (hits[0].modality, hits[0].start, hits[0].end) == ("image", None, None)


def test_a_hit_says_why(library: Library) -> None:
    hit = library.retrieve("red", k=1)[0]
    (evidence,) = hit.evidence
    assert (evidence.channel, evidence.encoder, evidence.rank) == ("visual", COLOUR, 1)
    assert (evidence.similarity, evidence.score) == (pytest.approx(1.0), hit.score)


@pytest.mark.parametrize("form", ["path", "string", "bytes", "pil", "array"])
def test_a_picture_finds_itself(library: Library, photos: Path, form: str) -> None:
    path = photos / "blue.png"
    image = Image.open(path)
    forms = {"path": path, "string": str(path), "bytes": path.read_bytes(), "pil": image, "array": np.asarray(image)}
    hits = library.retrieve(Query(image=forms[form]), k=1)
    assert hits[0].source == str(path)
    assert hits[0].evidence[0].similarity > 0.999


def test_the_bytes_of_a_file_leave_nothing_behind_and_are_not_repeated(
    library: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "cwd"))
    assert found(library, Query(plus=[(photos / "blue.png").read_bytes()]), k=1) == ["blue"]
    with pytest.raises(QueryError, match=r"^What was given cannot be the question: "):
        library.retrieve(Query(image=b"no picture"))
    assert list((tmp_path / "cwd").iterdir()) == []


def test_words_and_a_picture_ask_together(library: Library, photos: Path) -> None:
    # Red and green light make yellow.
    assert found(library, Query(text="red", image=photos / "green.png"), k=3)[:3].count("yellow") == 1


def test_more_parts_pull_and_push(library: Library) -> None:
    assert found(library, Query(plus=["red", ("blue", 0.1)]), k=1) == ["red"]
    assert found(library, Query(plus=[("red", 0.1), "blue"]), k=1) == ["blue"]
    assert found(library, Query(text="red", plus=["blue"], minus=["red"]), k=1) == ["blue"]


def test_a_path_in_words_is_words(library: Library, photos: Path) -> None:
    assert found(library, f"red {photos / 'blue.png'}", k=1) == ["red"]


def test_where_modalities_channels_and_min_score_narrow_down(library: Library) -> None:
    assert found(library, "red", where={"name": "green"}) == ["green"]
    assert found(library, "red", modalities={"video"}) == []
    assert found(library, "red", modalities="image", channels=["visual"], k=1) == ["red"]
    assert len(found(library, "red", min_score=0)) == 5
    best = library.retrieve("red", k=1)[0].score
    assert found(library, "red", min_score=best) == ["red"]
    assert found(library, "red", where={"name": "nobody"}) == []


def test_a_retriever_keeps_its_settings(library: Library) -> None:
    retriever = library.retriever(k=2, where={"name": "green"}, min_score=0)
    assert [Path(hit.source).stem for hit in retriever.retrieve("red")] == ["green"]
    assert [Path(hit.source).stem for hit in retriever.retrieve("red", where=None)] == ["green"]
    with pytest.raises(QueryError, match="no field wehre"):
        library.retriever(wehre={"name": "green"})
    assert len(library.retriever(k=2).retrieve("red")) == 2
    assert len(library.retriever(k=2).retrieve("red", k=4)) == 4


def test_what_nothing_matches_gets_no_answer_unless_everything_is_asked_for(library: Library) -> None:
    # Its colour is made of its letters, and is none of those that are there.
    assert found(library, "an unrelated question", min_score=None) == []
    assert len(found(library, "an unrelated question")) == 5


@pytest.mark.parametrize(
    ("query", "fields", "words"),
    [
        ("", {}, "empty"),
        ("  \n", {}, "empty"),
        (Query(), {}, "empty"),
        (Query(minus=["red"]), {}, "empty"),
        (Query(plus=[" "]), {}, "no words"),
        ("red", {"k": 0}, "k is how many"),
        ("red", {"k": -3}, "k is how many"),
        ("red", {"k": True}, "k is how many"),
        ("red", {"k": 2.5}, "k is how many"),
        ("red", {"min_score": 7}, "min_score"),
        ("red", {"channels": {"smell"}}, "channels are some of"),
        ("red", {"channels": set()}, "channels are some of"),
        ("red", {"channels": 5}, "channels are some of"),
        (Query(image=""), {}, "no name"),
        ("red", {"modalities": ["hologram"]}, "modalities are some of"),
        ("red", {"wear": 1}, "no field wear"),
        ("red", {"text": 5}, "words of a question"),
        ("red", {"channels": {"speech"}}, "Nothing here answers"),
        ("x" * 20_000, {}, "at most"),
        (7, {}, "is a string or a Query"),
        (Query(text="red", minus=["red"]), {}, "cancel"),
        (Query(plus="red"), {}, "lists of words"),
        (Query(plus=[("red", -1)]), {}, "weight"),
        (Query(plus=[("red", float("nan"))]), {}, "weight"),
        (Query(image="https://example.org/a.png"), {}, "is a URL"),
        (Query(image="nowhere.png"), {}, "nowhere.png cannot be the question: it is not there"),
        (Query(image=5), {}, "a picture is a path".capitalize()),
        (Query(image=np.zeros((4, 4), np.uint8)), {}, "A picture is a path"),
        (Query(image=np.zeros((0, 4, 3), np.uint8)), {}, "A picture to ask with has"),
    ],
)
def test_questions_that_make_no_sense_say_why(
    library: Library, query: Query, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(QueryError, match=words):
        library.retrieve(query, **fields)  # type: ignore[arg-type]


def test_a_question_that_is_no_picture_says_so(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("words")
    with pytest.raises(QueryError, match=r"notes\.png cannot be the question"):
        library.retrieve(Query(image=path))


def test_strange_words_are_words(library: Library) -> None:
    for words in ("\ud800", "\x00", "🎈" * 50, "'; DROP TABLE segments; --", "a\nb"):
        assert len(library.retrieve(words, k=2, min_score=0)) == 2


def test_a_picture_with_broken_words_about_itself_is_a_question(library: Library, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "odd.png", exif=b"garbage")
    with Image.open(tmp_path / "odd.png") as picture:
        assert found(library, Query(image=picture), k=1) == ["blue"]


def test_a_picture_that_lies_on_its_side_is_turned_as_from_its_file(library: Library, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "side.jpg", exif=exif)
    with Image.open(tmp_path / "side.jpg") as picture:
        asked = parts(Query(image=picture), library.retriever().asked)
    (from_file,) = parts(Query(image=tmp_path / "side.jpg"), library.retriever().asked)
    assert asked[0][0].pixels.shape == from_file[0].pixels.shape == (40, 30, 3)  # type: ignore[union-attr]


def test_no_answer_mixes_two_states_of_a_library(
    open_library: Callable[..., Library], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passage is replaced between the question and the answer: it is found as it is now, and as nothing else."""
    routes = (*COLOUR_SET.routes, Route("text", COLOUR, frozenset({"image", "text"})))
    library = open_library(tmp_path / "both", models=ModelSet("both", routes))
    store = library._parts.store
    library.add_texts(["red"], ids=["note"])
    library.retrieve(Query(image=photos / "red.png"))
    nearest, replaced = store.nearest, []

    def changing(*given: Any) -> list[Match]:
        rows = nearest(*given)
        if not replaced:
            replaced.append(True)
            library.add_texts(["red and blue"], ids=["note"])
        return rows

    monkeypatch.setattr(store, "nearest", changing)
    hits = library.retrieve(Query(image=photos / "red.png"), k=10, min_score=0)
    assert [hit.text for hit in hits if hit.source == "note"] == ["red and blue"]


def test_a_library_that_never_stands_still_is_answered_all_the_same(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, asked = library._parts.ledger, []

    def counters() -> dict[str, int]:
        asked.append(True)
        return {"changes": len(asked)}

    monkeypatch.setattr(ledger, "counters", counters)
    assert len(library.retrieve("red", k=3, min_score=0)) == 3
