"""Recall and rank agree with ir-measures, and intervals know that captions of one picture are not independent."""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, Qrel, ScoredDoc, Success
from numpy.typing import NDArray

from seehear.errors import InputError
from seehear.evaluate import CUTS, image_to_text, read_pairs, text_to_image


def unit(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    rows = rng.normal(size=shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(seed: int) -> tuple[NDArray[np.float32], list[int], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    images = unit(rng, (40, 8))
    owners = rng.permutation(np.repeat(np.arange(40), 3)).tolist()
    texts = images[owners] + rng.normal(size=(120, 8)).astype(np.float32) * 0.6
    return texts / np.linalg.norm(texts, axis=1, keepdims=True), owners, images


@pytest.mark.parametrize("seed", range(3))
def test_text_to_image_agrees_with_ir_measures(seed: int) -> None:
    texts, owners, images = planted(seed)
    ours = text_to_image(texts, owners, images)
    qrels = [Qrel(str(query), str(owner), 1) for query, owner in enumerate(owners)]
    similarities = texts @ images.T
    run = [ScoredDoc(str(q), str(d), float(similarities[q, d])) for q in range(120) for d in range(40)]
    theirs = ir_measures.calc_aggregate([Success @ k for k in CUTS], qrels, run)
    for k in CUTS:
        assert ours.recall[k] == pytest.approx(theirs[Success @ k])
    ranks = [1 / metric.value for metric in ir_measures.iter_calc([RR], qrels, run)]
    assert ours.median_rank == pytest.approx(np.median(ranks))


@pytest.mark.parametrize("seed", range(3))
def test_image_to_text_agrees_with_ir_measures(seed: int) -> None:
    texts, owners, images = planted(seed)
    ours = image_to_text(texts, owners, images)
    qrels = [Qrel(str(owner), str(text), 1) for text, owner in enumerate(owners)]
    similarities = images @ texts.T
    run = [ScoredDoc(str(q), str(d), float(similarities[q, d])) for q in range(40) for d in range(120)]
    theirs = ir_measures.calc_aggregate([Success @ k for k in CUTS], qrels, run)
    for k in CUTS:
        assert ours.recall[k] == pytest.approx(theirs[Success @ k])
    ranks = [1 / metric.value for metric in ir_measures.iter_calc([RR], qrels, run)]
    assert ours.median_rank == pytest.approx(np.median(ranks))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, owners, images = planted(0)
    whole = text_to_image(texts, owners, images), image_to_text(texts, owners, images)
    monkeypatch.setattr("seehear.evaluate.BLOCK", 7)
    assert (text_to_image(texts, owners, images), image_to_text(texts, owners, images)) == whole


def test_a_tie_counts_against_the_answer() -> None:
    images = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert text_to_image(images[:1], [0], images).recall[1] == 0
    assert text_to_image(images[:1], [0], images).median_rank == 2


def test_the_interval_holds_the_recall_and_is_wider_for_fewer_pictures() -> None:
    texts, owners, images = planted(1)
    few = text_to_image(texts, owners, images)
    many = text_to_image(np.tile(texts, (1, 1)), owners, images)
    low, high = few.interval[5]
    assert low < few.recall[5] < high
    assert many.interval == few.interval  # the same seed, the same interval
    # Captions of one picture that all fail or all succeed are worth one question, not fifty.
    same = text_to_image(np.repeat(texts, 50, axis=0), np.repeat(owners, 50).tolist(), images)
    assert same.interval[5][1] - same.interval[5][0] == pytest.approx(high - low, rel=0.05)


def test_pairs_are_read_beside_the_csv_or_in_its_images(tmp_path: Path) -> None:
    csv = tmp_path / "captions.csv"
    csv.write_text('image,caption\na.jpg,"a dog, running"\na.jpg,a cat\n')
    assert read_pairs(csv)[0] == (tmp_path / "a.jpg", "a dog, running")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    assert read_pairs(csv)[1] == (tmp_path / "images" / "a.jpg", "a cat")
    assert read_pairs(csv, tmp_path / "else")[0][0] == tmp_path / "else" / "a.jpg"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "needs the columns"),
        (b"picture,words\na,b\n", "needs the columns image and caption; it has picture, words"),
        (b"image,caption\n", "has no rows"),
        (b"image,caption\na.jpg\n", "line 2"),
        (b"image,caption\na.jpg,x\n,y\n", "line 3"),
        (b"image,caption\n\xff\xfe,x\n", "cannot be read"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(tmp_path: Path, content: bytes | None, words: str) -> None:
    csv = tmp_path / "pairs.csv"
    if content is not None:
        csv.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_pairs(csv)
