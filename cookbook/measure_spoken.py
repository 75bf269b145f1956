"""Measure spoken questions: does a spoken caption find its photograph as well as the typed one?

    python cookbook/measure_spoken.py --data ../shared/data

The 80 spoken captions of Flickr8k are asked of a library of their photographs and of the 1,000 that are held out for
validation; no step of training saw any of them. `min_score=0`: what is measured is the order.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from build_mini import captioned, split, spoken

from seehear import Library, Query

CUTS = (1, 5, 10)


def main() -> None:
    """Print recall of typed and of spoken questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--others", type=int, default=1000, help="photographs beside those that are asked for")
    given = parser.parse_args()
    speech, photographs = given.data / "speech", given.data / "flickr8k"
    with (speech / "spoken_captions.csv").open(newline="", encoding="utf-8") as file:
        asked = [(speech / row["audio"], row["image"], row["text"]) for row in csv.DictReader(file)]
    held_out, _ = split(captioned(photographs), spoken(speech))
    named = {image for _, image, _ in asked}
    others = [path for path, _ in held_out if path.name not in named][: given.others]
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder) / "library", models="mini") as library:
        library.add([*(photographs / "images" / image for image in sorted(named)), *others])
        typed = [_rank(library.retrieve(text, k=10, min_score=0), image) for _, image, text in asked]
        started = time.perf_counter()
        answers = [(library.retrieve(Query(voice=path), k=10, min_score=0), image) for path, image, _ in asked]
        took = (time.perf_counter() - started) / len(asked)
    _show("typed", typed)
    _show("spoken", [_rank(hits, image) for hits, image in answers])
    print(f"among {len(named) + len(others)} photographs; a spoken question takes {took:.2f} s")


def _rank(hits: Sequence[object], image: str) -> int:
    places = [place for place, hit in enumerate(hits, 1) if Path(hit.source).name == image]  # type: ignore[attr-defined]
    return places[0] if places else 10**6


def _show(name: str, ranks: Sequence[int]) -> None:
    told = " / ".join(f"{100 * sum(rank <= cut for rank in ranks) / len(ranks):.1f}" for cut in CUTS)
    print(f"{name:<8} recall@{'/'.join(map(str, CUTS))}: {told}   ({len(ranks)} questions)")


if __name__ == "__main__":
    main()
