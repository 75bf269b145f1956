"""However much a filter lets through, what is found are the true nearest of it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seehear.asked import Asked
from seehear.ledger import Ledger
from seehear.media import Limits
from seehear.pool import Pool
from seehear.records import Entry, Known, Outcome
from seehear.retrieve import Retriever
from seehear.scales import Scales
from seehear.stores.memory import MemoryStore
from seehear.testing import COLOUR, COLOUR_SET, ColourEncoder
from seehear.together import Together
from seehear.types import Collection, Match, Needs, Segment, Text, segment_id, source_name


class Counting(MemoryStore):
    """Notes how it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int | None]] = []

    def nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Match]:
        self.asked.append((k, None if among is None else len(among)))
        return super().nearest(collection, vector, k, among)


@pytest.fixture
def many() -> tuple[Retriever, Counting, NDArray[np.float32]]:
    """A thousand published vectors; `group` is a tenth of them each, `near` the half that is nearest to "red"."""
    encoder, route = ColourEncoder(), COLOUR_SET.routes[0]
    rows = np.random.default_rng(5).normal(size=(1000, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    question = encoder.embed([Text("red")], "query")[0]
    half = float(np.median(rows @ question))
    ledger, store = Ledger(Path(":memory:"), [route]), Counting()
    ledger.add_root("f", Path("/f"))
    names = [segment_id(str(n), "", "visual", 0, "") for n in range(1000)]
    segments = [Segment(name, str(n), "image", "visual") for n, name in enumerate(names)]
    store.upsert(Collection(COLOUR, "visual", "image"), segments, rows)
    ledger.publish(
        Entry(
            Known(
                str(n), "f", b"x", "image", "", 1, 1, 1, "", {"group": n % 10, "near": bool(row @ question > half)}, {}
            ),
            [segment],
            [Outcome(route, "done")],
        )
        for n, (segment, row) in enumerate(zip(segments, rows, strict=True))
    )
    executor = ThreadPoolExecutor(1)
    scales = Scales(ledger, store, {route: encoder})
    nothing = Asked(Pool((), Needs, Limits()))
    retriever = Retriever(ledger, store, {route: Together(encoder)}, ("image",), nothing, None, scales, executor)  # type: ignore
    return retriever, store, rows @ question  # type: ignore


@pytest.mark.parametrize(
    ("where", "passes", "ways"),
    [
        ({"group": {"$lt": 9}}, lambda n, near: n % 10 < 9, [None]),
        ({"group": 3}, lambda n, near: n % 10 == 3, [None]),
        ({"near": False}, lambda n, near: not near, [None, 500]),
        ({"near": False, "group": 3}, lambda n, near: n % 10 == 3 and not near, None),
    ],
)
def test_a_filter_finds_the_true_nearest_however_much_it_lets_through(
    many: tuple[Retriever, Counting, NDArray[np.float32]], where: Any, passes: Any, ways: list[int | None] | None
) -> None:
    retriever, store, similarities = many
    half = float(np.median(similarities))
    held = [n for n in range(1000) if passes(n, similarities[n] > half)]
    best = sorted(held, key=lambda n: -similarities[n])[:10]
    hits = retriever.retrieve("red", where=where, min_score=0)
    assert [hit.id for hit in hits] == [source_name(str(n)) for n in best]
    if ways is not None:
        assert [among for _, among in store.asked] == ways


def test_a_filter_that_little_passes_names_it_to_the_store(
    many: tuple[Retriever, Counting, NDArray[np.float32]],
) -> None:
    retriever, store, _ = many
    (known,) = (one for one in retriever.ledger.sources() if one.key == "77")
    retriever.ledger.describe(known, {"only": True})
    (hit,) = retriever.retrieve("red", where={"only": True}, min_score=0)
    assert hit.id == source_name("77")
    assert [among for _, among in store.asked] == [1]
