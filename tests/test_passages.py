"""Passages that are no files: added with ids, replaced, described, removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seehear import Library, ModelSet
from seehear.errors import InputError
from seehear.testing import COLOUR, ColourEncoder
from seehear.types import Route, source_name

SET = ModelSet("read", (Route("text", COLOUR, frozenset({"text", "image"})),), ("image", "text"))
OpenLibrary = Callable[..., Library]


@pytest.fixture
def library(open_library: OpenLibrary) -> Library:
    return open_library(models=SET)


def test_a_passage_is_found_by_its_id_with_its_text_and_metadata(library: Library) -> None:
    report = library.add_texts(["a red door", "a blue door"], [{"year": 2024}, None], ["a/b//c", "d"])
    assert (report.added, report.embedded, report.failed) == (["a/b//c", "d"], 2, [])
    hit = library.retrieve("red", k=1, min_score=0)[0]
    assert (hit.source, hit.modality, hit.text, hit.metadata) == ("a/b//c", "text", "a red door", {"year": 2024})
    assert (hit.id, hit.start) == (f"{source_name('text:a/b//c')}#char=0,10", None)


def test_an_id_follows_from_the_text_where_none_is_given(library: Library) -> None:
    first = library.add_texts(["red", "blue", "red"]).added
    assert len(first) == 2
    assert library.add_texts(["blue", "red"]).unchanged == first[::-1]


def test_the_same_id_is_replaced_and_new_metadata_costs_no_embedding(library: Library, encoder: ColourEncoder) -> None:
    library.add_texts(["red"], ids=["x"])
    library.add_texts(["blue"], ids=["x"])
    assert [hit.text for hit in library.retrieve("blue", min_score=0)] == ["blue"]
    encoder.embedded.clear()
    assert library.add_texts(["blue"], [{"by": "ann"}], ["x"]).changed == ["x"]
    assert encoder.embedded == []
    assert library.retrieve("blue", where={"by": "ann"}, min_score=0)[0].source == "x"


def test_removing_by_id_leaves_the_others(library: Library) -> None:
    library.add_texts(["red", "blue"], ids=["x", "y"])
    assert library.remove(["x"]) == ["text:x"]
    assert [hit.source for hit in library.retrieve("red", min_score=0)] == ["y"]
    with pytest.raises(InputError, match="Not in this library: x"):
        library.remove("x")
    assert library._parts.ledger.words.nearest(next(iter(library._parts.ledger.counts())), "red", 1) == []


def test_a_passage_without_words_is_reported_and_stops_no_other(library: Library) -> None:
    report = library.add_texts(["red", " \n", ""], ids=["x", "y", "z"])
    assert report.added == ["x"]
    assert [problem.path for problem in report.failed] == ["y", "z"]


def test_passages_survive_reopening(open_library: OpenLibrary) -> None:
    with open_library(models=SET) as library:
        library.add_texts(["a red door"], ids=["x"])
    with open_library(models=SET) as library:
        assert library.retrieve("red", min_score=0)[0].source == "x"
        assert library.info()["sources"] == ["text:x"]


@pytest.mark.parametrize(
    ("texts", "metadatas", "ids", "words"),
    [
        ("red", None, None, "list of strings"),
        ([1], None, None, "list of strings"),
        (["red"], [], None, "metadatas has one entry per text"),
        (["red"], {"a": 1}, None, "metadatas has one entry per text"),
        (["red"], None, "x", "ids has one entry per text"),
        (["red", "blue"], None, ["x", "x"], "given twice"),
        (["red"], None, [""], "An id is a string"),
        (["red"], None, ["x" * 2000], "An id is a string"),
        (["red"], None, ["\ud800"], "half a character"),
        (["red"], [{"a": [1]}], None, "a"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_added(
    library: Library, texts: Any, metadatas: Any, ids: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        library.add_texts(texts, metadatas, ids)
    assert library.info()["files"] == 0


def test_a_set_that_reads_no_texts_says_so(open_library: OpenLibrary) -> None:
    with pytest.raises(InputError, match="read no texts"):
        open_library(models=ModelSet("seen", SET.routes, ("image",))).add_texts(["red"])
