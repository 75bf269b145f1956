"""Measure what a filter on metadata costs a question, and whether its answers are right.

    python cookbook/measure_filters.py --clip clip_vitb32_openai.npz

The vectors are those of measure_stores.py: the texts of a real CLIP and others drawn around them, asked with its
pictures and video frames. Each stands for a file with metadata, published in a ledger; the question goes through the
same Retriever that `Library.retrieve` uses, over Chroma, and over the exact store for the truth.

A filter is timed twice: as it is asked for the first time (`new`: the ledger has to look which files it lets through)
and again (`again`: the ledger remembers, until something is added). Filtered and unfiltered questions take turns; a
ratio is of the two medians of one round, and its median over the rounds is printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from measure_stores import TIE, Vectors, around, unit

from seehear.asked import Asked
from seehear.contracts import Store
from seehear.ledger import Ledger
from seehear.media import Limits
from seehear.pool import Pool
from seehear.records import Entry, Known, Outcome
from seehear.registry import load
from seehear.retrieve import Retriever
from seehear.together import Together
from seehear.types import Collection, Content, Metadata, Needs, Route, Segment, Text, segment_id

ROUTE = Route("visual", "given", frozenset({"text"}))
ROOM = Collection("given", "visual", "image")


class Given:
    """An encoder whose vectors are there already: the text is the number of a question."""

    name, takes, needs = "given", frozenset({"text"}), Needs()

    def __init__(self, questions: Vectors) -> None:
        self.questions, self.dim, self.fingerprint = questions, questions.shape[1], dict[str, str]()

    def embed(self, contents: Sequence[Content], role: str) -> Vectors:  # noqa: ARG002 - as the contract has it
        return self.questions[[int(content.text) for content in contents if isinstance(content, Text)]]


def described(count: int, far: set[int]) -> list[Metadata]:
    """Metadata of so many files; `far` are those that lie farthest from the questions."""
    return [
        {
            "nine_tenths": n % 10 != 0, "tenth": n % 10 == 0, "hundredth": n % 100 == 0, "number": n, "far": n in far,
            "taken": f"2024-05-{1 + n % 28:02}T{n % 24:02}:{n % 60:02}:00", "camera": f"model {n % 7}",
        }
        for n in range(count)
    ]  # fmt: skip


def filters(count: int) -> dict[str, dict[str, Any]]:
    """Fields of a question, by what they let through."""
    either = [{"camera": {"$in": ["model 1", "model 2"]}}, {"number": {"$lt": count // 5}}]
    return {
        "90 %": {"where": {"nine_tenths": True}},
        "10 %": {"where": {"tenth": True}},
        "1 %": {"where": {"hundredth": True}},
        "one": {"where": {"number": 4}},
        "1 %, far from the question": {"where": {"far": True}},
        "before 10 PM": {"before": "10 PM"},
        "either and not": {"where": {"$or": either, "$not": {"tenth": True}}, "after": "2024-05-08"},
    }


def asked(retriever: Retriever, count: int, k: int, fields: dict[str, Any], *, new: bool) -> tuple[Any, float]:
    """Answers to all questions, and the median of the milliseconds that each took."""
    answers, times = [], []
    for number in range(count):
        if new:
            retriever.ledger.stamp({"asked": str(number)})  # a change, after which nothing is remembered
        started = time.perf_counter()
        hits = retriever.retrieve(str(number), k, min_score=0, **fields)
        times.append(1000 * (time.perf_counter() - started))
        answers.append({hit.id: hit.evidence[0].similarity for hit in hits})
    return answers, float(np.median(times))


def recall(found: list[dict[str, float]], true: list[dict[str, float]]) -> tuple[float, float]:
    """Mean and least share of the true answers; one as similar as the last true one stands for it."""
    shares = []
    for ours, theirs in zip(found, true, strict=True):
        least = min(theirs.values(), default=1.0)
        shares.append(sum(value >= least - 10 * TIE for value in ours.values()) / max(1, len(theirs)))
    return float(np.mean(shares)), min(shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-k", type=int, default=10)
    given = parser.parse_args()

    with np.load(given.clip, allow_pickle=False) as clip:
        texts = unit(clip["text_embeds"])
        questions = unit(np.concatenate([clip["image_embeds"], clip["video_frame_embeds"]]))
    vectors = np.concatenate([texts, around(texts, max(0, given.files - len(texts)), "noise", 7)])[: given.files]
    far = set(np.argsort((questions @ vectors.T).mean(axis=0))[: max(1, len(vectors) // 100)].tolist())
    names = [f"files/{n}" for n in range(len(vectors))]
    segments = [Segment(segment_id(name, "", "visual", 0, ""), name, "image", "visual") for name in names]
    ledger = Ledger(Path(":memory:"), [ROUTE])
    ledger.add_root("files", Path("/files"))
    ledger.publish(
        Entry(
            Known(s.source, "files", s.id.encode(), "image", s.id, 1, 1, 1, "whole", told, {}),
            [s],
            [Outcome(ROUTE, "done")],
        )
        for s, told in zip(segments, described(len(vectors), far), strict=True)
    )
    print(f"{len(vectors):,} files, {len(questions)} questions, k={given.k}, {given.rounds} rounds")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        stores: dict[str, Store] = {"chroma": load("chroma")(Path(folder)), "exact": load("memory")()}
        over = {}
        for name, store in stores.items():
            store.upsert(ROOM, segments, vectors)
            # What is measured is how rows are found; what they are worth is not asked.
            scales = SimpleNamespace(count=lambda _: 1, rate=lambda *told: [match.similarity for match in told[2]])
            encoders = {ROUTE: Together(Given(questions))}
            nothing = Asked(Pool((), Needs, Limits()))  # no question here is a file
            over[name] = Retriever(ledger, store, encoders, ("image",), nothing, None, scales, executor)  # type: ignore
        ours, n, k = over["chroma"], len(questions), given.k
        asked(ours, n, k, {}, new=False)
        for name, fields in filters(len(vectors)).items():
            true, _ = asked(over["exact"], n, k, fields, new=False)
            times: dict[str, list[float]] = {"plain": [], "new": [], "again": []}
            for _ in range(given.rounds):
                times["plain"].append(asked(ours, n, k, {}, new=False)[1])
                times["new"].append(asked(ours, n, k, fields, new=True)[1])
                found, again = asked(ours, n, k, fields, new=False)
                times["again"].append(again)
            mean, least = recall(found, true)
            plain = np.array(times["plain"])
            ratios = {how: np.array(times[how]) / plain for how in ("again", "new")}
            shown = "; ".join(
                f"{how} {np.median(times[how]):.1f} ms, x {np.median(r):.2f} ({r.min():.2f} to {r.max():.2f})"
                for how, r in ratios.items()
            )
            print(f"{name}: plain {np.median(plain):.1f} ms; {shown}; recall mean {mean:.4f}, minimum {least:.2f}")
        for store in stores.values():
            store.close()


if __name__ == "__main__":
    main()
