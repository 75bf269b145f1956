"""Words as words: names, numbers and rare words find their passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from seehear.database import Database
from seehear.types import Collection
from seehear.words import NAME, Words

READ, SAID = Collection(NAME, "text", "text"), Collection(NAME, "speech", "text")
PASSAGES = (
    "Invoice 4711 was sent to Kowalski in March.",
    "The treaty of Westphalia ended the war in 1648.",
    "A café near the station serves coffee all day.",
    "The dog and the cat sleep in the sun all day.",
    *(f"The weather of day {n} was much like that of the day before." for n in range(30)),
)


@pytest.fixture
def file() -> Database:
    database = Database(Path(":memory:"))
    with database.transaction() as db:
        db.execute(
            "INSERT INTO sources VALUES ('k', '', x'00', 'text', 'c', 0, 0, 0, 's', '{}', '{}', NULL, NULL, 'n')"
        )
        db.executemany(
            "INSERT INTO segments (id, source, channel, ordinal, text, words) VALUES (?, 'k', 'text', ?, ?, '')",
            [(str(n), n, text) for n, text in enumerate(PASSAGES)],
        )
    return database


def first(file: Database, question: str) -> str | None:
    found = Words(file).nearest(READ, question, 3)
    return found[0].id if found else None


@pytest.mark.parametrize(
    ("question", "place"),
    [("kowalski", "0"), ("what is invoice 4711 about?", "0"), ("1648", "1"), ("CAFE", "2"), ("the dog's", "3")],
)
def test_names_numbers_and_rare_words_are_found(file: Database, question: str, place: str) -> None:
    assert first(file, question.replace("'s", "")) == place


def test_the_similarity_is_the_share_of_the_question_that_is_there(file: Database) -> None:
    words = Words(file)
    whole, half, none = (words.nearest(READ, q, 1) for q in ("Kowalski", "Kowalski zygote", "zygote quark"))
    assert whole[0].similarity > 0.85
    assert 0.2 < half[0].similarity < 0.6
    assert none == []


def test_a_common_word_among_unknown_ones_is_no_answer(file: Database) -> None:
    found = Words(file).nearest(READ, "the quark of the zygote", 1)
    assert not found or found[0].similarity < 0.1


def test_only_the_channel_and_the_ids_that_are_asked_for_are_searched(file: Database) -> None:
    words = Words(file)
    assert words.nearest(SAID, "Kowalski", 3) == []
    assert [match.id for match in words.nearest(READ, "day", 9, ["2", "3", "nobody"])] in (["2", "3"], ["3", "2"])
    assert words.nearest(READ, "day", 9, []) == []


@pytest.mark.parametrize(
    "question", ['"', 'a" OR "b', "NEAR(", "* ^ -", "text: dog", "\x00", "\ud800", "(" * 500, "🎈"]
)
def test_nothing_in_a_question_is_syntax(file: Database, question: str) -> None:
    for match in Words(file).nearest(READ, question, 5):
        assert 0 <= match.similarity <= 1


def test_what_is_deleted_is_no_longer_found(file: Database) -> None:
    with file.transaction() as db:
        db.execute("DELETE FROM segments WHERE id = '0'")
    assert first(file, "Kowalski") is None
    assert file.all("INSERT INTO passages (passages) VALUES ('integrity-check')") == []
