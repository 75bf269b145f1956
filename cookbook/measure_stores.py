"""Measure what Chroma's approximate index loses and gains beside an exact search, on vectors of a real CLIP.

    python cookbook/measure_stores.py --clip clip_vitb32_openai.npz

The file holds `text_embeds`, `image_embeds` and `video_frame_embeds`, (n, 512) float32 each. Both stores are given the
texts and, drawn around them, as many more vectors as `--extra` says; then every picture and video frame asks for its
ten nearest. What is drawn is a text plus noise of even spread, of a length that brings the cosine to the text to 0.8;
with `--drawn pairs` it is a weighted mean of two texts, which stays where texts are. All vectors have length 1.

Overlap: the share of Chroma's answers that are among the exact ten, by id. An answer whose exact similarity is that of
the tenth, to within 1e-6, counts as among them: which of two equal ones comes tenth is nobody's fault.
Latency: the stores take turns, a round of all questions each; the ratio is taken within a round, and the median is
printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.contracts import Store
from seehear.registry import load
from seehear.types import Collection, Segment

Vectors = NDArray[np.float32]

COSINE = 0.8  # of a drawn vector to the text that it was drawn around
TIE = 1e-6
WHERE = Collection("clip", "visual", "image")


def unit(rows: NDArray[Any]) -> Vectors:
    """Scale rows to length 1."""
    scaled: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def around(texts: Vectors, count: int, how: str, seed: int) -> Vectors:
    """Draw vectors around texts (n, dim): (count, dim), unit rows."""
    rng = np.random.default_rng(seed)
    parents = texts[rng.integers(len(texts), size=count)]
    if how == "pairs":
        share = rng.uniform(0.5, 1, size=(count, 1))
        return unit(share * parents + (1 - share) * texts[rng.integers(len(texts), size=count)])
    # cos = 1 / sqrt(1 + length ** 2), for noise at a right angle to the parent; in many dimensions it nearly is.
    length = np.sqrt(1 / COSINE**2 - 1)
    return unit(parents + length * unit(rng.normal(size=parents.shape)))


def ask(store: Store, questions: Vectors, k: int) -> tuple[list[list[str]], NDArray[np.float64]]:
    """Ids of the nearest of each question, and the milliseconds that each took."""
    answers, times = [], []
    for question in questions:
        started = time.perf_counter()
        matches = store.nearest(WHERE, question, k)
        times.append(1000 * (time.perf_counter() - started))
        answers.append([match.id for match in matches])
    return answers, np.array(times)


def overlaps(answers: list[list[str]], questions: Vectors, vectors: Vectors, k: int) -> NDArray[np.float64]:
    """Share of the true k nearest that each answer holds; equal similarities stand in for each other."""
    similarities = questions @ vectors.T
    tenth = np.sort(similarities, axis=1)[:, -k]
    right = [
        sum(float(row[int(name)]) >= least - TIE for name in set(answer))
        for answer, row, least in zip(answers, similarities, tenth, strict=True)
    ]
    return np.array(right) / k


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--extra", type=int, default=20_000, help="vectors drawn around the texts (default: 20,000)")
    parser.add_argument("--drawn", choices=("noise", "pairs"), default="noise", help="how they are drawn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()

    with np.load(given.clip, allow_pickle=False) as clip:
        texts = unit(clip["text_embeds"])
        questions = unit(np.concatenate([clip["image_embeds"], clip["video_frame_embeds"]]))
    drawn = around(texts, given.extra, given.drawn, given.seed)
    vectors = np.concatenate([texts, drawn])
    segments = [Segment(str(n), f"clip/{n}", "image", "visual") for n in range(len(vectors))]
    print(f"{len(texts):,} texts and {len(drawn):,} drawn by {given.drawn}, {len(questions)} questions, k={given.k}")
    if len(drawn):
        nearest_text = float(np.median([(row @ texts.T).max() for row in drawn[:1000]]))
        print(f"a drawn vector's cosine to the text nearest to it: {nearest_text:.3f} (median)")

    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, Store] = {"chroma": load("chroma")(Path(folder)), "exact": load("memory")()}
        for name, store in stores.items():
            started = time.perf_counter()
            store.upsert(WHERE, segments, vectors)
            print(f"{name:<7} upsert {time.perf_counter() - started:8.2f} s")
        first = {name: ask(store, questions, given.k)[0] for name, store in stores.items()}  # and warms them up
        times: dict[str, list[NDArray[np.float64]]] = {name: [] for name in stores}
        for number in range(given.rounds):
            for name in list(stores)[:: 1 if number % 2 else -1]:
                times[name].append(ask(stores[name], questions, given.k)[1])
        for store in stores.values():
            store.close()

    for name, rounds in times.items():
        p50, p99 = np.percentile(np.concatenate(rounds), [50, 99])
        print(f"{name:<7} p50 {p50:8.3f} ms   p99 {p99:8.3f} ms")
    for percent in (50, 99):
        ratios = [
            float(np.percentile(ours, percent) / np.percentile(exact, percent))
            for ours, exact in zip(times["chroma"], times["exact"], strict=True)
        ]
        print(f"chroma / exact, p{percent}: {np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    for name, answers in first.items():
        shares = overlaps(answers, questions, vectors, given.k)
        print(f"{name:<7} overlap with the true {given.k}: mean {shares.mean():.4f}   minimum {shares.min():.4f}")


if __name__ == "__main__":
    main()
