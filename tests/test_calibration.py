"""A score keeps what it promises, whatever the collection, the encoder and the kind of question."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seehear.calibration import FEWEST, TRIALS, WORDS, Null, joined, patterns, score

CLIP = Path(__file__).parents[2] / "shared" / "data" / "clip" / "clip_vitb32_openai.npz"
BANK = Path(__file__).parents[1] / "seehear" / "bank.txt"
Array = NDArray[Any]


def world(seed: int, n: int) -> Array:
    """Unit vectors (n, 48) of many topics, some far more common than others, as those of an encoder are."""
    random = np.random.default_rng(seed)
    topics = np.random.default_rng(7).normal(size=(60, 48))
    which = np.minimum(random.geometric(0.06, n) - 1, 59)
    rows = topics[which] + 2.0 * random.normal(size=(n, 48)) + 0.6
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def best_scores(null: Null, questions: Array, things: Array) -> Array:
    tops = (questions @ things.T).max(axis=1)
    return np.array([score(one) for one in null.surprise(tops, len(things))])


def promised(threshold: float) -> float:
    return float(1 - threshold ** (1 / TRIALS))


@pytest.mark.parametrize("count", [10, 30, 100, 1000, 6000])
def test_unrelated_questions_score_as_seldom_as_promised_in_collections_of_every_size(count: int) -> None:
    bank, questions = world(1, 256), world(2, 2000)
    shares = []
    for draw in range(max(1, min(10, 1000 // count))):
        things = world(100 + draw, count)
        scores = best_scores(Null.fit((bank @ things.T).max(axis=1), count), questions, things)
        shares.append([(scores > threshold).mean() for threshold in (0.05, 0.1, 0.25, 0.5)])
    found = np.mean(shares, axis=0)
    for share, threshold in zip(found, (0.05, 0.1, 0.25, 0.5), strict=True):
        assert share == pytest.approx(promised(threshold), abs=0.07)


def test_what_is_there_scores_high() -> None:
    things = world(3, 1000)
    noise = 0.35 * np.random.default_rng(4).normal(size=things.shape) / math.sqrt(things.shape[1])
    null = Null.fit((world(1, 256) @ things.T).max(axis=1), 1000)
    asked = things + noise
    scores = best_scores(null, asked / np.linalg.norm(asked, axis=1, keepdims=True), things)
    assert np.median(scores) > 0.6
    assert (scores > 0.1).mean() > 0.95


def test_a_gumbel_distribution_is_recovered() -> None:
    tops = np.random.default_rng(0).gumbel(0.25, 0.07, 4000)
    null = Null.fit(tops, 500)
    assert null.location == pytest.approx(0.25, abs=0.01)
    assert null.scale == pytest.approx(0.07, rel=0.15)
    assert null.count == 500


def test_scores_do_not_depend_on_the_unit_of_similarity() -> None:
    tops = np.random.default_rng(0).gumbel(0.25, 0.07, 256)
    wide, narrow = Null.fit(tops, 50), Null.fit(0.2 + tops / 7, 50)
    found = np.linspace(0.1, 0.9, 9)
    assert np.allclose(wide.surprise(found, 50), narrow.surprise(0.2 + found / 7, 50))


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_a_bank_that_partly_matches_hides_nothing(share: float) -> None:
    random = np.random.default_rng(0)
    tops = random.gumbel(0.25, 0.07, 256)
    clean = Null.fit(tops, 1000)
    tops[: int(256 * share)] = random.uniform(0.9, 1.0, int(256 * share))
    dirty = Null.fit(tops, 1000)
    assert score(float(dirty.surprise(0.95, 1000))) > 0.95
    assert score(float(dirty.surprise(0.3, 1000))) < 0.03
    assert dirty.location >= clean.location - 0.02  # it errs on the side of low scores
    assert dirty.scale < 2 * clean.scale


def test_a_small_bank_promises_less() -> None:
    random = np.random.default_rng(0)
    passed = []
    for _ in range(300):
        null = Null.fit(random.gumbel(0.3, 0.07, FEWEST + 2), 40)
        passed.append(np.mean([score(one) > 0.1 for one in null.surprise(random.gumbel(0.3, 0.07, 40), 40)]))
    assert np.mean(passed) < promised(0.1) + 0.04


def test_too_small_a_bank_lets_only_the_same_score() -> None:
    for tops in ([], [0.2], [0.2] * (FEWEST - 1)):
        null = Null.fit(tops, 3)
        low, near, same = (score(one) for one in null.surprise([0.7, 0.85, 1.0], 3))
        assert low < near < 0.1
        assert same > 0.7


def test_foreign_contents_promise_less() -> None:
    tops = np.random.default_rng(0).gumbel(0.3, 0.05, 24)
    own, foreign = Null.fit(tops, 100), Null.fit(tops, 100, foreign=True)
    assert foreign.location > own.location + 2 * own.scale
    assert foreign.scale == own.scale


def test_a_null_follows_a_growing_collection() -> None:
    bank, questions, things = world(1, 256), world(2, 2000), world(3, 1000)
    small = Null.fit((bank @ things[:800].T).max(axis=1), 800)
    shifted = best_scores(small, questions, things)
    fitted = best_scores(Null.fit((bank @ things.T).max(axis=1), 1000), questions, things)
    for threshold in (0.02, 0.1, 0.5):
        assert (shifted > threshold).mean() == pytest.approx((fitted > threshold).mean(), abs=0.03)
    assert small.surprise(0.5, 1600) < small.surprise(0.5, 800) < small.surprise(0.5, 400)
    assert small.surprise(0.5, 0) == small.surprise(0.5, 1)  # what is counted may lag behind what is found


@pytest.mark.parametrize("nothing", [0.2, 0.6, 0.95, 1.0])
def test_shares_of_words_are_scored_although_most_of_a_bank_matches_nothing(nothing: float) -> None:
    random = np.random.default_rng(0)
    tops = np.where(random.random(256) < nothing, 0.0, random.uniform(0.05, 0.3, 256))
    null = Null.fit(tops, 80, least=WORDS)
    none, whole = (score(one) for one in null.surprise([0.0, 1.0], 80))
    assert none < 0.01
    assert whole > 0.95
    assert score(float(null.surprise(0.12, 80))) < 0.1


def test_a_collection_in_which_all_is_the_same_is_scored() -> None:
    null = Null.fit(np.full(256, 0.4), 12)
    assert score(float(null.surprise(0.4, 12))) < 0.1 < 0.9 < score(float(null.surprise(0.5, 12)))


def test_scores_are_chances_and_keep_the_order() -> None:
    null = Null(0.25, 0.01, 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = null.surprise(np.linspace(-1, 1, 401), 100)
        scores = [score(one) for one in found]
    assert (np.diff(found) > 0).all()
    assert scores == sorted(scores)
    assert scores[0] == 0.0
    assert 0.999 < scores[-1] <= 1.0
    assert score(-math.inf) == score(-1000.0) == 0.0
    assert score(math.inf) == 1.0
    assert score(math.log(TRIALS)) == pytest.approx(math.exp(-1))


def test_channels_that_agree_raise_a_hit_and_silent_ones_change_nothing() -> None:
    strong, weak, silent = 6.0, 3.0, -8.0
    assert joined([strong]) == strong
    assert joined([strong, silent]) == pytest.approx(strong)
    assert joined([silent, silent]) == pytest.approx(silent)
    assert joined([weak, strong]) == joined([strong, weak]) > strong
    one, other = score(strong), score(weak)
    assert score(joined([strong, weak])) == pytest.approx(one + (1 - one) * other / 2)
    both = joined([40.0, 39.0])  # sure already: a score could not tell any more
    assert 40.0 <= both <= 40.0 + math.log(2) + 1e-6
    for surprise in (-60.0, -3.0, -1.0, 0.0, 2.0, 30.0, 800.0):
        assert surprise <= joined([surprise, surprise]) < surprise + 1.0


def test_a_null_is_kept_as_json() -> None:
    null = Null.fit(np.random.default_rng(0).gumbel(0.25, 0.07, 64).astype(np.float32), 12)
    assert Null.from_json(null.to_json()) == null


@pytest.mark.parametrize("tops", [[0.1, 0.2, math.nan, 0.3, 0.4], [[0.1, 0.2]], 0.3])
def test_what_is_no_row_of_numbers_is_refused(tops: Any) -> None:
    with pytest.raises(ValueError, match="row of finite numbers"):
        Null.fit(tops, 10)


def test_the_bank_is_of_many_forms_and_says_nothing_twice() -> None:
    lines = BANK.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 256 == len({line.casefold().rstrip(".?") for line in lines})
    assert all(line == line.strip() and line.isprintable() for line in lines)
    lengths = [len(line.split()) for line in lines]
    assert sum(n == 1 for n in lengths) >= 40
    assert sum(n >= 8 for n in lengths) >= 60
    assert sum(line.endswith("?") for line in lines) >= 40 <= sum(line.endswith(".") for line in lines)


def test_the_patterns_are_pictures_that_differ() -> None:
    first, again = patterns(), patterns()
    assert len(first) == 24 == len({one.pixels.tobytes() for one in first})
    assert all(one.pixels.shape == (224, 224, 3) and one.pixels.dtype == np.uint8 for one in first)
    assert all((one.pixels == other.pixels).all() for one, other in zip(first, again, strict=True))


@pytest.mark.skipif(not CLIP.is_file(), reason="../shared/data/clip is not here")
def test_scores_of_true_clip_keep_their_promise() -> None:
    with np.load(CLIP, allow_pickle=False) as held:
        images, words = held["image_embeds"], held["text_embeds"]
        names = [name.removeprefix("a ") for name in held["text_prompts"].tolist()]
    images, words = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, words))
    there = ["car", "cat", "dog", "kitten", "puppy", "train"]
    order = np.random.default_rng(0).permutation([n for n, name in enumerate(names) if name not in there])
    null = Null.fit((words[order[:256]] @ images.T).max(axis=1), len(images))
    others = best_scores(null, words[order[256:]], images)
    # Some of the other names do match one of the pictures, or nearly: ships, a bulldog, spectacles.
    for threshold in (0.05, 0.1, 0.25, 0.5):
        assert 0.3 * promised(threshold) < (others > threshold).mean() < promised(threshold) + 0.1
    asked = best_scores(null, words[[names.index(name) for name in there]], images)
    assert asked.min() > 0.5
