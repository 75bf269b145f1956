"""What happens to a text on its way into a network: tokens, in parts that fit, filled up as its family wants them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from .families import Family

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Texts:
    """A tokeniser, and how long a text may be."""

    def __init__(self, tokenizer: Any, family: Family, longest: int) -> None:
        self._tokenizer, self._family, self._longest = tokenizer, family, longest
        self._lock = Lock()  # a call may change how the tokeniser cuts and fills up, which another may be using
        (marked,), (bare,) = self._ids(["a"]), self._ids(["a"], add_special_tokens=False)
        at = marked.index(bare[0])
        self._before, self._after = marked[:at], marked[at + len(bare) :]

    def parts(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Token ids of each text, special ones included: all of them, or the fewest equal parts that fit."""
        given = [text.lower() for text in texts] if self._family.lower_case else list(texts)
        found = [[ids] for ids in self._ids(given)]
        long = [place for place, (ids,) in enumerate(found) if len(ids) > self._longest]
        bare = self._ids([given[place] for place in long], add_special_tokens=False) if long else []
        for place, ids in zip(long, bare, strict=True):
            count = -(-len(ids) // max(1, self._longest - len(self._before) - len(self._after)))
            ends = [len(ids) * part // count for part in range(count + 1)]
            found[place] = [[*self._before, *ids[start:end], *self._after] for start, end in pairwise(ends)]
        return found

    def padded(self, rows: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
        """What the network takes: `input_ids` (len(rows), longest), and `attention_mask` where it must be told."""
        width = max(map(len, rows)) if self._family.padding == "longest" else self._longest
        ids = np.full((len(rows), width), self._tokenizer.pad_token_id, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        return {"input_ids": ids, "attention_mask": mask} if self._family.masked else {"input_ids": ids}

    def _ids(self, texts: list[str], **options: Any) -> list[list[int]]:
        with self._lock:
            found = self._tokenizer(texts, padding=False, truncation=False, verbose=False, **options)
        ids: list[list[int]] = found["input_ids"]
        return ids
