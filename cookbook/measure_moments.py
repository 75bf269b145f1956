"""Measure moments: do questions about long videos find the place that answers, and how exactly?

    python cookbook/measure_moments.py --data ../shared/data [--footage FOLDER] [--part moments|clips|selection]

The footage of `footage.py`, sixty events in three videos, is made, or taken from FOLDER if it is there already. Each
question is asked of all of it, of all channels at once, with `min_score=0` (what is measured is the order), for both
ways of choosing frames. Beside them "one frame a second, best frame wins": every frame of a second is embedded by the
same encoder and is an answer of one second, or, which is kinder, from 2.5 s before it to 2.5 s after it, or 4 s (events
last 8.5 s on average, which nobody else is told), those left out that are that near to a better one. It is deaf:
`visual` is its row.

Then the sixteen short clips among themselves, asked for with their captions: the rank of the right file.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from footage import build
from numpy.typing import NDArray

from seehear import Hit, Library, ModelSet
from seehear.frames import Film
from seehear.grounding import CUTS, OVERLAPS, Grounding, Mean, Question, grounding, read_questions
from seehear.modalities.encoders.mini import Mini, squared
from seehear.modalities.video import VideoModality
from seehear.modalities.views import View, view_of
from seehear.presets import SETS
from seehear.types import Channel, Needs, Picture, Text

WAYS = ("keyframes", "shots")
HALVES = (0.0, 2.5, 4.0)  # seconds of an answer of the baseline before and after its frame
BATCH = 64
Array = NDArray[Any]
Retrieve = Callable[[str], Sequence[Hit]]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--footage", type=Path, help="where the videos are, or shall stay")
    parser.add_argument("--part", choices=("moments", "clips", "selection"), action="append")
    given = parser.parse_args()
    parts = given.part or ["moments", "clips"]
    with tempfile.TemporaryDirectory() as folder:
        footage = given.footage or Path(folder) / "footage"
        if set(parts) != {"clips"} and not (footage / "questions.csv").is_file():
            started = time.process_time()
            build(given.data, footage)
            print(f"built the footage in {time.process_time() - started:.0f} s of CPU")
        if "moments" in parts:
            moments(footage, Path(folder))
        if "selection" in parts:
            selection(footage, Path(folder))
        if "clips" in parts:
            clips(given.data / "videos", Path(folder))


def moments(footage: Path, work: Path) -> None:
    """Questions about the footage, for both ways of choosing frames and for the baseline."""
    questions = read_questions(footage / "questions.csv")
    kinds = joined(footage / "questions.csv")
    about = {question.text: {question.channel} for question in questions}
    films = sorted(footage.glob("*.mp4"))
    for way in WAYS:
        with Library.open(work / way, models="mini", frames=way) as library:
            started = time.perf_counter()
            report = library.add(films)
            print(f"\n{way}: {len(report.added)} videos in {time.perf_counter() - started:.0f} s")
            for problem in (*report.partial, *report.failed, *report.notes):
                print(f"  {problem.path}: {problem.reason}")
            show(f"{way}, all channels", lambda q: library.retrieve(q, k=5, min_score=0), questions, kinds)
            show(f"{way}, as it answers by default", lambda q: library.retrieve(q, k=5), questions, kinds)
            alone = partial(only, library, about)
            show(f"{way}, only the channel that is asked about", alone, questions, kinds)
    started = time.perf_counter()
    baseline = Baseline(films)
    print(f"\none frame a second: {len(baseline.frames)} frames in {time.perf_counter() - started:.0f} s")
    for half in HALVES:
        show(f"one frame a second, {2 * half or 1:.0f} s each", partial(baseline.retrieve, half), questions, kinds)


def only(library: Library, about: Mapping[str, set[Channel | None]], question: str) -> Sequence[Hit]:
    """The answers of the one channel that a question is about."""
    return library.retrieve(question, k=max(CUTS), min_score=0, channels=about[question])


def selection(footage: Path, work: Path) -> None:
    """Recall with and without the selection of frames that differ."""
    questions = [one for one in read_questions(footage / "questions.csv") if one.channel == "visual"]
    kinds = joined(footage / "questions.csv")
    films = sorted(footage.glob("*.mp4"))
    seen = tuple(route for route in SETS["mini"].routes if route.channel == "visual")
    for name, modality in (("frames that differ", "video"), ("every frame", "measure_moments:EveryFrame")):
        models = ModelSet(name, seen, (modality,))
        with Library.open(work / name, models=models) as library:
            report = library.add(films)
            show(
                f"{name}, {report.embedded} pictures", lambda q: library.retrieve(q, k=5, min_score=0), questions, kinds
            )


class EveryFrame(VideoModality):
    """Keeps every frame that is looked at; decoding processes find it by its name."""

    settings = "every frame"

    def choose(self, reading: Film, needs: Needs) -> Iterator[View]:
        """Views of all of them."""
        kept: View | None = None
        for still in reading.keyframes():
            if kept:
                yield replace(kept, end=still.time)
            kept = view_of(still, needs)
        if kept:
            yield replace(kept, end=max(reading.end, kept.start))


def clips(folder: Path, work: Path) -> None:
    """Captions of the sixteen clips, and the ranks of their files."""
    films = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    asked = [(caption, film["file"]) for film in films for caption in film["captions"]]
    for way in WAYS:
        with Library.open(work / f"clips-{way}", models="mini", frames=way) as library:
            library.add([folder / film["file"] for film in films])
            ranks = []
            for caption, right in asked:
                hits = library.retrieve(caption, k=100, modalities={"video"}, min_score=0)
                names = list(dict.fromkeys(Path(hit.source).name for hit in hits))
                ranks.append(names.index(right) + 1 if right in names else len(films) + 1)
        told = ", ".join(f"recall@{k} {sum(rank <= k for rank in ranks)} of {len(ranks)}" for k in CUTS)
        wrong = [f"{caption!r} at {rank}" for (caption, _), rank in zip(asked, ranks, strict=True) if rank > 1]
        print(f"\ntext -> video on {len(films)} clips, {way}: {told}")
        print(*(f"  {one}" for one in wrong), sep="\n")


def joined(path: Path) -> set[str]:
    """The questions about events without a cut, which overlap others."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["question"].strip() for row in csv.DictReader(file) if row["how"] != "cut"}


def show(title: str, retrieve: Retrieve, questions: Sequence[Question], joined: set[str]) -> None:
    """Ask each question once, and print a row for each channel, for the events with cuts and without, and for all."""
    answers = {question.text: retrieve(question.text) for question in questions}
    cuts = "".join(f"{f'R@{k} IoU {least}':>12}" for least in OVERLAPS for k in CUTS)
    print(f"\n{title}\n{'':<20}{'n':>3}{cuts}{'1st in 5 s':>12}{'5 in 5 s':>10}{'mean IoU':>10}   (%)")
    rows = {
        "visual": [q for q in questions if q.channel == "visual"],
        "sound": [q for q in questions if q.channel == "sound"],
        "speech": [q for q in questions if q.channel == "speech"],
        "cut in, alone": [q for q in questions if q.text not in joined],
        "no cut, overlapping": [q for q in questions if q.text in joined],
        "all": questions,
    }
    for name, asked in rows.items():
        if asked:
            print(f"{name:<20}{len(asked):>3}{told(grounding(answers.__getitem__, asked))}")
    found = grounding(answers.__getitem__, questions)
    told_of = {"R@1 IoU 0.5": found.recall[1][0.5], "R@5 IoU 0.5": found.recall[5][0.5], "1st in 5 s": found.near[1]}
    print(f"{'':<23} 95 %: " + ", ".join(f"{name} {interval(mean)}" for name, mean in told_of.items()))


def told(found: Grounding) -> str:
    """The cells of a row, in per cent."""
    recall = "".join(f"{100 * found.recall[k][least].value:>12.0f}" for least in OVERLAPS for k in CUTS)
    near = f"{100 * found.near[1].value:>12.0f}{100 * found.near[5].value:>10.0f}"
    return f"{recall}{near}{100 * found.mean_iou.value:>10.0f}"


def interval(mean: Mean) -> str:
    """From where to where a mean may lie, in per cent."""
    return f"{100 * mean.interval[0]:.0f}-{100 * mean.interval[1]:.0f}"


class Baseline:
    """One frame a second, best frame wins."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Decode and embed."""
        self._mini = Mini()
        self.frames: list[tuple[Path, float]] = []
        rows: list[Array] = []
        for path in paths:
            batch: list[Picture] = []
            for second, picture in each_second(path):
                self.frames.append((path, second))
                batch.append(picture)
                if len(batch) == BATCH:
                    rows.append(self._mini.embed(batch, "document"))
                    batch = []
            if batch:
                rows.append(self._mini.embed(batch, "document"))
        self._vectors = np.concatenate(rows)

    def retrieve(self, half: float, question: str) -> list[Hit]:
        """The five best frames as hits, widened by `half` seconds to both sides, or of a second where that is 0."""
        similarities = self._vectors @ self._mini.embed([Text(question)], "query")[0]
        kept: list[int] = []
        for place in np.argsort(-similarities).tolist():
            path, second = self.frames[place]
            if not any(self.frames[one][0] == path and abs(self.frames[one][1] - second) <= half for one in kept):
                kept.append(place)
            if len(kept) == max(CUTS):
                break
        return [self._hit(place, half, float(similarities[place])) for place in kept]

    def _hit(self, place: int, half: float, score: float) -> Hit:
        path, second = self.frames[place]
        start, end = (max(0.0, second - half), second + half) if half else (second, second + 1.0)
        return Hit(f"{path}#{second}", str(path), "video", start, end, score, "", {}, ())


def each_second(path: Path) -> Iterator[tuple[float, Picture]]:
    """The first picture of every second, and when it is shown."""
    following = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= following:
                yield frame.time, Picture(squared(frame.to_ndarray(format="rgb24")))
                following = float(int(frame.time) + 1)


if __name__ == "__main__":
    main()
