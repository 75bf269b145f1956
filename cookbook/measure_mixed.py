"""Measure one list over everything: pictures, sounds, speech and passages in one library.

    python cookbook/measure_mixed.py --data ../shared/data

Photographs are of Flickr8k (held out), sounds of UrbanSound8K fold 10 and ESC-10 fold 4, speech the spoken captions
of other photographs, passages captions of COCO. Fifty questions a kind are asked of all of it: recall@5 of the joined
list, of the right channel alone, and of reciprocal rank fusion (Cormack et al., SIGIR 2009) of the channels' lists.
Then the questions of `not_there.txt`, whose every other line is the half on which `MIN_SCORE` was chosen. At last the
same on true CLIP vectors, asked with the names of things, few of which are in the pictures.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from build_mini import captioned, split, spoken
from measure_sounds import PARAPHRASES, held_out, listed

from seehear import Hit, Library
from seehear.calibration import MIN_SCORE, Null, score

ASKED, K, RRF = 50, 5, 60
LEVELS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.9)
CHANNELS = ("visual", "sound", "speech", "text")
Question = tuple[str, set[str]]
"""Words, and the names of what answers them."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photographs", type=int, default=500)
    parser.add_argument("--sounds", type=int, default=300)
    given = parser.parse_args()
    absent = Path(__file__).with_name("not_there.txt").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder) / "library", models="mini") as library:
        questions = filled(library, given.data, given.photographs, given.sounds)
        print("kind       right channel alone   joined   joined, default threshold   reciprocal rank   (recall@5, %)")
        for channel, asked in questions.items():
            alone, joined, cut, ranked = 100 * np.mean([tried(library, channel, one) for one in asked], axis=0)
            print(f"{channel:<8} {alone:>21.0f} {joined:>8.0f} {cut:>27.0f} {ranked:>17.0f}")
        for name, half in (("chosen on", absent[::2]), ("reported", absent[1::2])):
            nothing = np.mean([not library.retrieve(question) for question in half])
            print(f"not there, {name}: {100 * nothing:.0f} % of {len(half)} questions return nothing")
        print("not there: share of best scores above t, by channel; promised: what the score says")
        print("t        " + "".join(f"{level:>7.2f}" for level in LEVELS))
        print("promised " + "".join(f"{1 - level**0.1:>7.3f}" for level in LEVELS))
        for channel in CHANNELS:
            best = [of_best(library.retrieve(q, k=1, channels={channel}, min_score=0)) for q in absent]
            print(f"{channel:<9}" + "".join(f"{np.mean(np.array(best) > level):>7.3f}" for level in LEVELS))
    clip(given.data / "clip" / "clip_vitb32_openai.npz")


def filled(library: Library, data: Path, photographs: int, sounds: int) -> dict[str, list[Question]]:
    """Fill the library; the questions of each channel, with the names of their answers."""
    pairs = captioned(data / "flickr8k")
    named = spoken(data / "speech")
    texts = {path.name: captions for path, captions in pairs}
    seen = [pair for pair in split(pairs, named)[0] if pair[0].name not in named][:photographs]
    heard = [clip for clip in listed(data) if held_out(clip)]
    step = max(1, len(heard) // sounds)
    heard = heard[::step]
    with (data / "speech" / "spoken_captions.csv").open(newline="", encoding="utf-8") as file:
        said = [(Path(row["audio"]).name, row["image"], row["text"]) for row in csv.DictReader(file)]
    read: dict[str, list[str]] = defaultdict(list)
    with (data / "coco" / "captions.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            read[row["image"]].append(row["caption"])
    files = [*(path for path, _ in seen), *(data / clip["file"] for clip in heard)]
    library.add([*files, *(data / "speech" / "spoken_captions" / name for name, _, _ in said)])
    library.add_texts([captions[0] for captions in read.values()], ids=list(read))
    classes: dict[str, set[str]] = defaultdict(set)
    for one in heard:
        classes[one["label"]].add(Path(one["file"]).name)
    by_ear = [(words, classes[label]) for label in sorted(classes) for words in PARAPHRASES[label]]
    return {
        "visual": [(captions[2], {path.name}) for path, captions in seen[:ASKED]],
        "sound": by_ear[:: max(1, len(by_ear) // ASKED)][:ASKED],
        "speech": [
            (next(other for other in texts[image] if other.strip(" .") != text.strip(" .")), {name})
            for name, image, text in said[:ASKED]
        ],
        "text": [(captions[1], {name}) for name, captions in list(read.items())[:ASKED]],
    }


def tried(library: Library, channel: str, question: Question) -> tuple[bool, bool, bool, bool]:
    """Whether an answer is among the first five: of the right channel, of all, of all by default, of all by rank."""
    words, right = question
    lists = {one: library.retrieve(words, k=50, channels={one}, min_score=0) for one in CHANNELS}
    points: dict[str, float] = defaultdict(float)
    for hits in lists.values():
        for rank, hit in enumerate(hits, 1):
            points[hit.id] += 1 / (RRF + rank)
    by_id = {hit.id: hit for hits in lists.values() for hit in hits}
    ranked = [by_id[name] for name in sorted(points, key=lambda name: -points[name])]
    answers = (lists[channel], library.retrieve(words, k=K, min_score=0), library.retrieve(words, k=K), ranked)
    alone, joined, cut, by_rank = (found(hits, right) for hits in answers)
    return alone, joined, cut, by_rank


def found(hits: Iterable[Hit], right: set[str]) -> bool:
    """Whether one of the first five is right."""
    return any(Path(hit.source).name in right for hit in list(hits)[:K])


def of_best(hits: Sequence[Hit]) -> float:
    """The best score, 0 where nothing is found."""
    return hits[0].score if hits else 0.0


def clip(path: Path) -> None:
    """The same promise on true CLIP vectors: pictures asked with the names of things."""
    with np.load(path, allow_pickle=False) as held:
        texts, pictures = (held[name].astype(np.float32) for name in ("text_embeds", "image_embeds"))
    texts, pictures = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (texts, pictures))
    order = np.random.default_rng(0).permutation(len(texts))
    bank, asked = texts[order[:256]], texts[order[256:]]
    null = Null.fit((bank @ pictures.T).max(axis=1), len(pictures))
    best = [score(float(one)) for one in null.surprise((asked @ pictures.T).max(axis=1), len(pictures))]
    print(f"true CLIP, {len(pictures)} pictures, {len(asked)} names of things, some of which are there:")
    print("CLIP     " + "".join(f"{np.mean(np.array(best) > level):>7.3f}" for level in LEVELS))
    print(f"         {100 * np.mean(np.array(best) < MIN_SCORE):.0f} % of the names return nothing")


if __name__ == "__main__":
    main()
