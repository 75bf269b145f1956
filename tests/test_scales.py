"""Scales are measured on what a library holds, kept, and measured anew as it grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from seehear import Library
from seehear.scales import BANK, Scales, sentences
from seehear.testing import COLOUR, COLOUR_SET, ColourEncoder
from seehear.types import Collection, Match, Route, Segment

OpenLibrary = Callable[..., Library]
SEEN = Collection(COLOUR, "visual", "image")
READ = Collection(COLOUR, "text", "text")
Rows = NDArray[np.float32]


def grown(
    library: Library,
    n: int,
    seed: int = 0,
    collection: Collection = SEEN,
    rows: Rows | None = None,
    copies: int = 1,
    windows: int = 1,
) -> None:
    """Let the ledger and the store hold n random things, each under `copies` names; `windows` of them are one file."""
    from seehear.records import Entry, Known, Outcome

    if rows is None:
        rows = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    rows = np.repeat(rows / np.linalg.norm(rows, axis=1, keepdims=True), copies, axis=0)
    modality, channel = collection.modality, collection.channel
    names = [f"{channel}{k}" for k in range(n * copies)]
    segments = [Segment(name, f"f/{name}", modality, channel) for name in names]
    library._parts.store.upsert(collection, segments, rows)
    route = Route(channel, collection.encoder, frozenset({"text", "image"}))
    library._parts.ledger.publish(
        Entry(
            Known(s.source, "f", b"x", modality, str(k // copies // windows), 1, 1, 1, "", {}, {}),
            [s],
            [Outcome(route, "done")],
        )
        for k, s in enumerate(segments)
    )


def test_a_scale_is_kept_shifted_and_measured_anew(library: Library, encoder: ColourEncoder) -> None:
    scales = Scales(library._parts.ledger, library._parts.store, {COLOUR_SET.routes[0]: encoder})
    grown(library, 100)
    scales.refresh()
    first = library._parts.ledger.kept.get(f"null {COLOUR} visual image text")
    grown(library, 110)
    scales.refresh()
    assert library._parts.ledger.kept.get(f"null {COLOUR} visual image text") == first
    grown(library, 200)
    scales.refresh()
    assert library._parts.ledger.kept.get(f"null {COLOUR} visual image text") != first


def test_the_best_of_an_unrelated_question_keeps_its_worth_while_the_library_grows(library: Library) -> None:
    scales = library._parts.scales
    worth = []
    for n in (30, 300, 3000):
        grown(library, n)
        scales.refresh()
        rows = np.random.default_rng(9).normal(size=(40, 8)).astype(np.float32)
        tops = [library._parts.store.nearest(SEEN, row, 1) for row in rows]
        worth.append(float(np.median([scales.rate(SEEN, frozenset({"image"}), top)[0] for top in tops])))
    assert max(worth) - min(worth) < 1.5


def test_what_was_kept_serves_the_next_process_without_the_encoder(library: Library, encoder: ColourEncoder) -> None:
    grown(library, 50)
    library._parts.scales.refresh()
    another = Scales(library._parts.ledger, library._parts.store, {})
    assert another.rate(SEEN, frozenset({"text"}), [Match("visual1", 0.9)]) == library._parts.scales.rate(
        SEEN, frozenset({"text"}), [Match("visual1", 0.9)]
    )


def test_a_picture_that_is_asked_of_itself_does_not_count(library: Library) -> None:
    grown(library, 20)
    library._parts.scales.refresh()
    (surprise,) = library._parts.scales.rate(SEEN, frozenset({"image"}), [Match("visual1", 1.0)])
    assert surprise > 1.0


def test_nothing_found_is_rated_nothing(library: Library) -> None:
    assert library._parts.scales.rate(SEEN, frozenset({"text"}), []) == []


def test_the_bank_is_of_many_different_sentences() -> None:
    assert len(set(sentences())) == len(sentences()) >= BANK


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_library_of_a_few_things_has_scores_too(library: Library, n: int) -> None:
    grown(library, n)
    library._parts.scales.refresh()
    for kind in ("text", "image"):
        assert np.isfinite(library._parts.scales.rate(SEEN, frozenset({kind}), [Match("visual0", 0.5)])).all()  # type: ignore[arg-type]


def test_copies_of_a_picture_do_not_make_it_an_everyday_one(library: Library) -> None:
    worth = []
    for copies in (1, 2):
        grown(library, 40, copies=copies)
        scales = Scales(library._parts.ledger, library._parts.store, library._parts.encoders)
        library._parts.ledger.kept.drop()
        (surprise,) = scales.rate(SEEN, frozenset({"image"}), [Match("visual1", 1.0)])
        worth.append(surprise)
    assert worth[1] == pytest.approx(worth[0], rel=0.35)
    assert worth[1] > 2


def test_a_scale_is_measured_anew_when_there_is_more_to_ask_with(library: Library) -> None:
    scales = library._parts.scales
    grown(library, 50, collection=READ)
    before = scales.rate(READ, frozenset({"image"}), [Match("text1", 0.9)])
    grown(library, 60, seed=1)
    scales.refresh()
    after = scales.rate(READ, frozenset({"image"}), [Match("text1", 0.9)])
    assert before != after
    assert scales._nulls[READ, "image"].bank == 60


def test_pictures_that_are_what_the_texts_are_about_still_find_them(library: Library) -> None:
    rows = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)
    grown(library, 60, rows=rows)
    grown(library, 60, rows=rows + np.random.default_rng(3).normal(scale=0.02, size=rows.shape), collection=READ)
    library._parts.scales.refresh()
    (surprise,) = library._parts.scales.rate(READ, frozenset({"image"}), [Match("text1", 0.999)])
    foreign = library._parts.scales._nulls[READ, "image"]
    assert foreign.location < 0.95  # with the pictures alone it were 0.99: each finds its own text
    assert surprise > 1


def test_windows_of_one_recording_do_not_make_each_other_everyday_sounds(library: Library) -> None:
    files = np.repeat(np.random.default_rng(4).normal(size=(30, 8)), 6, axis=0)
    rows = (files + np.random.default_rng(5).normal(scale=0.1, size=files.shape)).astype(np.float32)
    grown(library, len(rows), rows=rows, windows=6)
    library._parts.scales.refresh()
    (surprise,) = library._parts.scales.rate(SEEN, frozenset({"image"}), [Match("visual1", 0.99)])
    assert surprise > 2
