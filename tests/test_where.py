"""Every filter means what it says, and what makes no sense is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seehear.errors import QueryError
from seehear.ledger import Ledger
from seehear.records import Entry, Known, Outcome
from seehear.types import Collection, Metadata, Route, Segment
from seehear.where import DEEPEST, TERMS, condition

ROUTE = Route("visual", "colour", frozenset({"text"}))
VISUAL = Collection("colour", "visual", "image")
FILES: dict[str, Metadata] = {
    "a": {"year": 2022, "by": "ann", "flag": True},
    "b": {"year": 2023.5, "by": "bob", "flag": False},
    "c": {"year": 2024, "by": "ann"},
    "d": {"by": "7", "odd name 'with\" quotes": 1},
    "e": {},
    "f": {"year": 1, "flag": 1},
}


def filled(files: dict[str, Metadata]) -> Ledger:
    ledger = Ledger(Path(":memory:"), [ROUTE])
    ledger.add_root("photos", Path("/photos"))
    ledger.publish(
        Entry(
            Known(key, "photos", key.encode(), "image", key, 1, 1, 1, "whole", told, {}),
            [Segment(key, key, "image", "visual")],
            [Outcome(ROUTE, "done")],
        )
        for key, told in files.items()
    )
    return ledger


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return filled(FILES)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"by": "ann"}, "ac"),
        ({"by": {"$eq": "ann"}}, "ac"),
        ({"year": 2022.0}, "a"),
        ({"flag": True}, "a"),
        ({"flag": 1}, "f"),
        ({"by": "7"}, "d"),
        ({"by": "ann", "year": 2024}, "c"),
        ({"by": {"$in": ["bob", "7", 7]}}, "bd"),
        ({"year": {"$gte": 2022, "$lt": 2024}}, "ab"),
        ({"year": {"$gt": 2022}}, "bc"),
        ({"year": {"$lte": 2022}}, "af"),
        ({"year": {"$exists": True}}, "abcf"),
        ({"year": {"$exists": False}}, "de"),
        ({"nobody has it": {"$exists": False}}, "abcdef"),
        ({"$not": {"by": "ann"}}, "bdef"),
        ({"$not": {"by": "ann", "year": 2024}}, "abdef"),
        ({"$or": [{"by": "bob"}, {"year": 2024}]}, "bc"),
        ({"$and": [{"by": "ann"}, {"$not": {"year": 2024}}]}, "a"),
        ({"by": "ann", "$or": [{"year": 2022}, {"year": 1}]}, "a"),
        ({"odd name 'with\" quotes": 1}, "d"),
        ({"by": "ann' OR 1=1 --"}, ""),
        ({"by": {"$ne": "ann"}}, "bdef"),
        ({"by": {"$nin": ["ann", "7"]}}, "bef"),
        ({"by": {"$ne": 5}}, "abcdef"),
    ],
)
def test_a_filter_lets_through_what_it_says(ledger: Ledger, where: dict[str, Any], expected: str) -> None:
    assert "".join(sorted(ledger.selection.ids(VISUAL, condition(where)))) == expected


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({}, "a filter is a mapping"),
        ([], "a filter is a mapping"),
        ("by=ann", "a filter is a mapping"),
        ({"by": {}}, "says nothing"),
        ({"by": {"$regex": "ann"}}, r"no operator '\$regex'. Known are \$eq"),
        ({"by": {"$nin": "ann"}}, r"\$nin takes a list"),
        ({"by": {"$ne": None}}, r"Everything differs from None; ask .*'\$exists': True"),
        ({"by": {"like": "a%"}}, "no operator 'like'"),
        ({"$nor": [{"by": "ann"}]}, r"no \$nor. A filter is joined by"),
        ({"$or": []}, r"\$or takes a list"),
        ({"$and": {"by": "ann"}}, r"\$and takes a list"),
        ({"$not": ["by"]}, "a filter is a mapping"),
        ({"by": {"$in": "ann"}}, r"\$in takes a list"),
        ({"by": {"$in": []}}, r"\$in takes a list"),
        ({"by": ["ann"]}, "a value is a string"),
        ({"by": None}, "Nothing equals None"),
        ({"by": {"$exists": 1}}, r"\$exists is true or false"),
        ({"year": {"$gte": "2022"}}, "compares numbers, not '2022'. Dates are asked for with after"),
        ({"year": {"$gte": True}}, "compares numbers"),
        ({"year": {"$gte": float("nan")}}, "a value is a string, a finite number"),
        ({"_source": "x"}, "cannot name metadata"),
        ({"\udcff": "x"}, "cannot name metadata"),
        ({1: "x"}, "cannot name metadata"),
        ({"by": {"$in": [str(n) for n in range(1001)]}}, "1,001 values"),
    ],
)
def test_a_filter_that_makes_no_sense_says_why(where: Any, words: str) -> None:
    with pytest.raises(QueryError, match=f"(?i){words}"):
        condition(where)


def test_a_filter_without_end_is_refused_and_the_largest_that_is_not_works(ledger: Ledger) -> None:
    where: dict[str, Any] = {"by": "ann"}
    for _ in range(DEEPEST):
        where = (
            {"by": "ann", "$and": [{"by": "ann"}, {"$not": {"$not": where}}][:2]} if _ % 2 else {"$or": [where, where]}
        )
    with pytest.raises(QueryError, match=r"nested deeper|terms; at most"):
        condition({"$not": {"$not": where}})
    widest = {"$or": [{"by": {"$exists": True}}] * TERMS}
    assert len(ledger.selection.ids(VISUAL, condition(widest))) == 4
    assert ledger.selection.passing(list("abcdef"), condition(widest)) == set("abcd")
    with pytest.raises(QueryError, match=f"{TERMS + 1} terms; at most {TERMS}"):
        condition({"$or": [{"by": "x"}] * (TERMS + 1)})
    deepest: dict[str, Any] = {"by": "ann"}
    for _ in range(DEEPEST):
        deepest = {"by": "ann", "$and": [{"by": "ann"}, deepest]}
    assert ledger.selection.ids(VISUAL, condition(deepest)) == ["a", "c"]


def test_a_name_that_no_file_has_is_an_error_that_names_those_that_are(ledger: Ledger) -> None:
    with pytest.raises(QueryError, match=r"No file here has the metadata 'yaer'. Known are by, flag, odd.*, year"):
        ledger.selection.ids(VISUAL, condition({"$or": [{"by": "ann"}, {"yaer": 2024}]}))


def test_a_type_that_no_file_has_is_an_error_that_says_which_it_is(ledger: Ledger) -> None:
    with pytest.raises(QueryError, match="'by' is text in every file here; a number matches none"):
        ledger.selection.ids(VISUAL, condition({"by": {"$lt": 5}}))
    with pytest.raises(QueryError, match="'year' is number in every file here; a text matches none"):
        ledger.selection.ids(VISUAL, condition({"year": "2024"}))


def test_nothing_is_unknown_to_a_library_without_files() -> None:
    assert filled({}).selection.ids(VISUAL, condition({"by": "ann"})) == []


def test_an_answer_is_remembered_until_something_changes(ledger: Ledger) -> None:
    ledger = filled(FILES)
    asked = condition({"by": "ann"})
    first = ledger.selection.ids(VISUAL, asked)
    assert ledger.selection.ids(VISUAL, asked) is first
    ledger.remove(["a"])
    assert ledger.selection.ids(VISUAL, asked) == ["c"]
    (known,) = (one for one in ledger.sources() if one.key == "e")
    ledger.describe(known, {"by": "ann"})
    assert set(ledger.selection.ids(VISUAL, asked)) == {"c", "e"}


def test_only_what_is_stored_in_a_collection_is_let_through(ledger: Ledger) -> None:
    asked = condition({"by": "ann"})
    assert ledger.selection.ids(Collection("other", "visual", "image"), asked) == []
    assert ledger.selection.ids(Collection("colour", "visual", "video"), asked) == []


VALUES = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, -1.0]), st.sampled_from(["x", "1", ""]))
NAMES = st.sampled_from(["m", "n"])
LEAVES = st.one_of(
    st.dictionaries(NAMES, VALUES, min_size=1),
    st.builds(lambda n, v: {n: {"$in": v}}, NAMES, st.lists(VALUES, min_size=1, max_size=3)),
    st.builds(lambda n, o, v: {n: {o: v}}, NAMES, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.integers(-2, 2)),
    st.builds(lambda n, v: {n: {"$exists": v}}, NAMES, st.booleans()),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one: {"$not": one}, inner),
        st.builds(lambda word, many: {word: many}, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1)),
    ),
    max_leaves=6,
)
RANGE = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


def agrees(told: Metadata, where: Any) -> bool:
    """The language again, over one file's metadata: what the translation is held against."""

    def same(held: Any, value: Any) -> bool:
        return isinstance(held, bool) is isinstance(value, bool) and held == value

    def holds(name: str, asked: Any) -> bool:
        if name == "$not":
            return not agrees(told, asked)
        if name in ("$and", "$or"):
            return (all if name == "$and" else any)(agrees(told, one) for one in asked)
        if not isinstance(asked, dict):
            return name in told and same(told[name], asked)
        ((operator, value),) = asked.items()
        if operator == "$exists":
            return (name in told) is value
        if operator == "$in":
            return name in told and any(same(told[name], one) for one in value)
        number = name in told and isinstance(told[name], (int, float)) and not isinstance(told[name], bool)
        return number and RANGE[operator](told[name], value)

    return all(holds(name, asked) for name, asked in where.items())


@settings(max_examples=300, deadline=None)
@given(FILTERS, st.lists(st.dictionaries(NAMES, VALUES), max_size=6))
def test_any_filter_agrees_with_its_meaning(where: Any, told: list[Metadata]) -> None:
    # One file has every name with every type, so that nothing is unknown.
    complete: list[Metadata] = [{"m": value, "n": value} for value in (True, 99, "zz")]
    files = {str(place): one for place, one in enumerate(told + complete)}
    expected = sorted(key for key, one in files.items() if agrees(one, where))
    assert sorted(filled(files).selection.ids(VISUAL, condition(where))) == expected
