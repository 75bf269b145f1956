"""From words to passages: where sentences end, how long they get, and that times can be relied on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seehear.modalities.sentences import GAP, LONGEST, passages
from seehear.types import Passage, Word


def read(text: str, *, pace: float = 0.4, gaps: dict[int, float] | None = None) -> list[Passage]:
    """Passages of a text that is spoken a word every `pace` seconds, with pauses before some words."""
    words, now = [], 0.0
    for place, word in enumerate(text.split()):
        now += (gaps or {}).get(place, 0.0)
        words.append(Word(f" {word}", now, now + pace))
        now += pace
    return passages(words, now, "en")


def texts(found: list[Passage]) -> list[str]:
    return [passage.text for passage in found]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rains. Take a coat! Will you?", ["It rains.", "Take a coat!", "Will you?"]),
        ("He said “Stop.” Then he left.", ["He said “Stop.”", "Then he left."]),
        ("Mr. Smith met Dr. Jones and J. Doe.", ["Mr. Smith met Dr. Jones and J. Doe."]),
        ("It costs 3.50 euros, e.g. at the U.S. border.", ["It costs 3.50 euros, e.g. at the U.S. border."]),
        ("Well... I see.", ["Well...", "I see."]),
        ("approx. two hours later", ["approx. two hours later"]),
        ("no stop at all", ["no stop at all"]),
    ],
)
def test_a_passage_ends_where_a_sentence_does(text: str, sentences: list[str]) -> None:
    assert texts(read(text)) == sentences


def test_sentences_without_spaces_end_at_their_own_marks() -> None:
    said = ("今日は", "晴れ。", "明日", "は", "？", "雨！")  # noqa: RUF001
    words = [Word(text, n / 2, n / 2 + 0.5) for n, text in enumerate(said)]
    assert texts(passages(words, 3.0, "ja")) == ["今日は晴れ。", "明日は？", "雨！"]  # noqa: RUF001


def test_a_pause_ends_a_passage() -> None:
    assert texts(read("one two three", gaps={2: GAP + 0.1})) == ["one two", "three"]
    assert texts(read("one two three", gaps={2: GAP - 0.1})) == ["one two three"]


def test_a_long_sentence_is_cut_after_a_comma_or_between_words() -> None:
    said = " ".join(["word"] * 40 + ["then,"] + ["word"] * 30)
    assert [len(text.split()) for text in texts(read(said))] == [41, 30]
    without = texts(read("word " * 200))
    assert max(map(len, without)) <= LONGEST
    assert " ".join(without).split() == ["word"] * 200


def test_passages_hold_their_words_and_span_them() -> None:
    first, second = read("It rains. Take a coat!")
    assert [word.text for word in first.words] == ["It", "rains."]
    assert (first.start, first.end, first.language) == (0.0, 0.8, "en")
    assert (second.start, second.end) == (second.words[0].start, second.words[-1].end)


def test_times_are_floats_in_order_within_the_stretch() -> None:
    words = [Word(" one", -0.5, 1.0), Word(" two", np.float64(1.8), 1.2), Word(" three", 1.5, 99.0), Word(" ", 0, 9)]
    (found,) = passages(words, 4.0, None)
    assert found.text == "one two three"
    assert [(word.start, word.end) for word in found.words] == [(0.0, 1.0), (1.8, 1.8), (1.8, 4.0)]
    assert all(type(time) is float for word in found.words for time in (word.start, word.end))
    assert all(math.isfinite(time) for time in (found.start, found.end))


def test_marks_without_words_are_no_passage() -> None:
    assert passages([Word(" .", 0, 1), Word(" ...", 1, 2)], 2.0, "en") == []
    assert passages([], 2.0, "en") == []
