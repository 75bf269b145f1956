"""Questions that come at once are embedded together: on a CPU and on a GPU a batch costs far less than its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from seehear.contracts import Encoder
from seehear.types import Content

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 64
"""Contents of a batch, unless one question alone has more."""


@dataclass(slots=True, eq=False)
class _Question:
    contents: Sequence[Content]
    rows: NDArray[np.float32] | None = None
    error: BaseException | None = None
    done: bool = field(default=False)


class Together:
    """Embeds the questions of several threads with one encoder. Nobody waits for company: who comes meanwhile joins."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: list[_Question] = []
        self._guard, self._turn = Lock(), Lock()

    def embed(self, contents: Sequence[Content]) -> NDArray[np.float32]:
        """Embed a question: float32 (len(contents), dim), unit rows. Raises what the encoder raises."""
        mine = _Question(contents)
        with self._guard:
            self._waiting.append(mine)
        with self._turn:
            while not mine.done:  # unless somebody took it along
                self._embed(self._taken())
        if mine.error is not None:
            raise mine.error
        assert mine.rows is not None  # noqa: S101 - it is done
        return mine.rows

    def _taken(self) -> list[_Question]:
        """Those who wait, the first come first."""
        with self._guard:
            self._waiting = [one for one in self._waiting if not one.done]  # an interrupt loses nobody
            size, count = 0, 0
            for question in self._waiting:
                size += len(question.contents)
                if count and size > MOST:
                    break
                count += 1
            return self._waiting[:count]

    def _embed(self, questions: list[_Question]) -> None:
        try:
            rows = self._encoder.embed([content for one in questions for content in one.contents], "query")
        except BaseException as error:
            if len(questions) > 1 and isinstance(error, Exception):
                for one in questions:  # the fault of one is not that of the others
                    self._embed([one])
                return
            for one in questions:
                one.error = error
            rows = np.empty((0, 0), np.float32)
        start = 0
        for one in questions:
            one.rows, start, one.done = rows[start : start + len(one.contents)], start + len(one.contents), True
