"""Questions that come at once share a batch, and each gets its own rows, or its own error."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seehear.testing import ColourEncoder
from seehear.together import MOST, Together
from seehear.types import Content, Role, Text


class Slow(ColourEncoder):
    """Notes its batches; the first lasts until it is told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.begun, self.go = Event(), Event()

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        assert role == "query"
        words = [content.text for content in contents if isinstance(content, Text)]
        self.batches.append(words)
        if not self.begun.is_set():
            self.begun.set()
            assert self.go.wait(10)
        if "wrong" in words:
            raise ValueError("wrong")
        return super().embed(contents, role)


def asked(*questions: Sequence[str]) -> tuple[Slow, list[Future[Any]]]:
    """The first question is being embedded when the others come; then all go on."""
    slow = Slow()
    together = Together(slow)
    with ThreadPoolExecutor(len(questions)) as threads:
        given = [[Text(word) for word in question] for question in questions]
        answers = [threads.submit(together.embed, given[0])]
        assert slow.begun.wait(10)
        for n, question in enumerate(given[1:], 1):
            answers.append(threads.submit(together.embed, question))
            while len(together._waiting) < n:
                pass
        slow.go.set()
    return slow, answers


def test_who_comes_meanwhile_is_embedded_in_one_batch() -> None:
    slow, answers = asked(["red"], ["blue", "green"], ["white"])
    assert slow.batches == [["red"], ["blue", "green", "white"]]
    single = ColourEncoder()
    for words, answer in zip((["red"], ["blue", "green"], ["white"]), answers, strict=True):
        np.testing.assert_allclose(answer.result(), single.embed([Text(word) for word in words], "query"), atol=1e-6)


def test_the_fault_of_one_is_not_that_of_the_others() -> None:
    _, answers = asked(["red"], ["blue"], ["wrong"], ["white"])
    with pytest.raises(ValueError, match="wrong"):
        answers[2].result()
    for place in (0, 1, 3):
        assert answers[place].result().shape == (1, ColourEncoder().dim)


def test_a_batch_has_an_end() -> None:
    slow, answers = asked(["red"], ["blue"] * MOST, ["green"] * (2 * MOST), ["white"])
    assert [len(batch) for batch in slow.batches] == [1, MOST, 2 * MOST, 1]
    assert [len(answer.result()) for answer in answers] == [1, MOST, 2 * MOST, 1]


def test_alone_nobody_waits() -> None:
    assert Together(ColourEncoder()).embed([Text("red")]).shape == (1, ColourEncoder().dim)
