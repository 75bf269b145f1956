"""Measure agents end to end: a hundred questions with known answers, asked of an agent of LangChain and of LlamaIndex.

    python cookbook/measure_agents.py --data ../shared/data [--footage FOLDER]

Sixty questions about the three long videos of `footage.py` (what is seen, heard and said, and when), and forty captions
of COCO's photographs, in one library. The scripted model (`scripted.py`) searches, looks or reads, and answers with the
name and the time of what it used. A citation is right if it names the file; its time, if it overlaps the event, and if
it begins within five seconds of it. That is as good as the best hit of a search: the model does not know better.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from agent_tool_calls import AGENTS
from footage import build

from seehear import Library
from seehear.grounding import read_questions

PHOTOGRAPHS, NEAR, SHOWN = 40, 5.0, 4
CITED = re.compile(r"\u201c(?P<name>[^\u201d]+)\u201d(?: at (?P<start>[\d:.]+) to (?P<end>[\d:.]+))?")


@dataclass(frozen=True)
class Asked:
    """A question, and what answers it."""

    words: str
    kind: str
    name: str
    start: float | None = None
    end: float | None = None


def main() -> None:
    """Ask both agents everything, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--footage", type=Path, help="where the videos are, or shall stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder, "library")) as library:
        footage = given.footage or Path(folder, "footage")
        if not (footage / "questions.csv").is_file():
            build(given.data, footage)
        questions = [*about_footage(footage), *about_photographs(given.data / "coco")]
        library.add([*footage.glob("*.mp4"), *(given.data / "coco" / "images").iterdir()])
        print(f"{len(questions)} questions, {library.info()['files']} files")
        for framework, ask in AGENTS.items():
            rows: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
            calls, took = [], []
            for number, one in enumerate(questions):
                started = time.perf_counter()
                run = ask(library, one.words)
                took.append(time.perf_counter() - started)
                calls.append(len(run.calls))
                if number % (len(questions) // SHOWN) == 0:
                    told = "; ".join(f"{name}({', '.join(map(str, given.values()))})" for name, given in run.calls)
                    print(f"  {one.words!r} -> {told} -> {run.answer}")
                for kind in (one.kind, "all"):
                    rows[kind].append(judged(run.answer, one))
            print(f"{framework}: {sum(calls)} calls, median {1000 * statistics.median(took):.0f} ms a question")
            for kind, judgements in rows.items():
                file, overlaps, near = (sum(each) for each in zip(*judgements, strict=True))
                times = "" if kind == "photograph" else f", time overlaps {overlaps}, begins within {NEAR:.0f} s {near}"
                print(f"  {kind:<11}{len(judgements):>4} questions: file right {file}{times}")


def about_footage(footage: Path) -> list[Asked]:
    """The sixty events."""
    kinds = {"visual": "seen", "sound": "heard", "speech": "said"}
    return [
        Asked(one.text, kinds[one.channel or "visual"], Path(moment.source).name, moment.start, moment.end)
        for one in read_questions(footage / "questions.csv")
        for moment in one.moments[:1]  # each is about one event
    ]


def about_photographs(coco: Path) -> list[Asked]:
    """Captions of the first photographs."""
    with (coco / "captions.csv").open(newline="", encoding="utf-8") as file:
        rows = {Path(row["image"]).name: row["caption"] for row in csv.DictReader(file)}
    return [Asked(rows[name], "photograph", name) for name in sorted(rows)[:PHOTOGRAPHS]]


def judged(answer: str, asked: Asked) -> tuple[bool, bool, bool]:
    """Whether the file, a part of the time, and the beginning are right; of a photograph all is the file."""
    cited = CITED.search(answer)
    if not cited or cited["name"] != asked.name:
        return False, False, False
    if asked.start is None or asked.end is None:
        return True, True, True
    start, end = seconds(cited["start"]), seconds(cited["end"])
    return True, start < asked.end and end > asked.start, abs(start - asked.start) <= NEAR


def seconds(written: str | None) -> float:
    """Of 1:02:03.5."""
    total = 0.0
    for part in (written or "0").split(":"):
        total = 60 * total + float(part)
    return total


if __name__ == "__main__":
    main()
