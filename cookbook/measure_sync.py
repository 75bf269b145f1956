"""Measure what keeping a library true costs: a sync with nothing to do, a folder that was moved, other models.

    python cookbook/measure_sync.py --part noop PICTURES OTHERS --files 5000
    python cookbook/measure_sync.py --part moved PICTURES OTHERS --files 1000
    python cookbook/measure_sync.py --part migrate PICTURES OTHERS --files 1000

OTHERS are folders of recordings, videos and texts; files of folders below are taken too. Copies of some of them are
worked on, in a folder that is thrown away. The exit status is 1 where something is not as it should be. `--models
colour` takes the fake encoder.

noop     The wall time of the first `sync` of pictures; that of one with nothing to do, the median of several, over it;
         then the same with one broken picture to a hundred good ones, ten texts and ten of the others among them.
moved    What is embedded again, and how long `sync` takes, when a folder is renamed inside of the one that was added;
         when that is moved (`relocate`); when it is moved together with the library, which then finds it by itself; and
         when it is copied elsewhere, with new times.
migrate  Of the items a tenth are passages and a twentieth are of the others. A process migrates the library
         (`killed_migration.py`) and is killed at two random moments (SIGKILL), others around the switch, at work on
         copies of what it left. All the time a thread asks: the answers must be those of the old models and, from one
         question on, those of a library that was made with the new ones. What is left must be the one or the other,
         with the same files, ids, vectors, outcomes and top 10. In the end: the contents that were embedded, by those
         that were killed and by the last, over those that are needed. Not for Windows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from killed_migration import QUESTIONS, TURNED, alike, answers, killed, left, opened, same, sets, state

from seehear import Library, batches
from seehear.media import sniff
from seehear.scales import sentences
from seehear.types import Report

LONG_AGO = 1_600_000_000  # seconds since the epoch: times of change that can be trusted
SHARE = 0.05  # of the items, that are neither pictures nor passages
OUTCOMES = ("added", "changed", "moved", "removed", "unchanged", "partial", "failed", "ignored")


def material(given: argparse.Namespace, folder: Path, pictures: int, others: int) -> Path:
    """Copy pictures of the first folder, and as many files of each other that there are `others` in all."""
    rng = random.Random(given.seed)
    for number, source in enumerate(given.folders):
        every = sorted(path for path in source.rglob("*") if path.is_file() and sniff(path.read_bytes()[:4096]))
        count = pictures if number == 0 else -(-others // (len(given.folders) - 1))
        for place, path in enumerate(rng.sample(every, min(count, len(every)))):
            target = folder / f"part{place % 10}" / f"{number}-{place:05}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return aged(folder)


def aged(folder: Path) -> Path:
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def timed(library: Library, folder: Path) -> tuple[Report, float]:
    started = time.perf_counter()
    report = library.sync(folder)
    return report, time.perf_counter() - started


def shown(report: Report) -> str:
    counts = [f"{len(getattr(report, name))} {name}" for name in OUTCOMES if getattr(report, name)]
    return f"{', '.join(counts)}; embedded {report.embedded}"


def noop(given: argparse.Namespace, work: Path) -> int:
    """Print what a sync costs that has nothing to do."""
    folder = material(given, work / "media", given.files, 0)
    with Library.open(work / "library", models=sets(given.models)[0]) as library:
        report, first = timed(library, folder)
        print(f"first   {first:9.3f} s: {shown(report)}", flush=True)
        wrong = nothing(library, folder, given.runs, first)
        mix = folder / "mix"
        mix.mkdir()
        for number, path in enumerate(sorted((work / "media").glob("part*/*"))[: given.files // 100]):
            (mix / f"broken{number}{path.suffix}").write_bytes(path.read_bytes()[:900])
        for number, sentence in enumerate(sentences()[:10]):
            (mix / f"text{number}.md").write_text(sentence)
        if len(given.folders) > 1:
            for path in sorted(material(given, work / "others", 0, 10).rglob("*.*")):
                shutil.copyfile(path, mix / path.name)
        aged(folder)
        print(f"more    {shown(library.sync(folder))}", flush=True)
        return wrong + nothing(library, folder, given.runs, first)


def nothing(library: Library, folder: Path, runs: int, first: float) -> int:
    """Print what so many syncs cost that have nothing to do; returns how many did something."""
    reports, seconds = zip(*(timed(library, folder) for _ in range(runs)), strict=True)
    middle = statistics.median(seconds)
    share = f"{middle / first:.4f} of the first; {min(seconds):.3f} to {max(seconds):.3f} s in {runs} runs"
    print(f"no-op   {middle:9.3f} s: {share}; {shown(reports[0])}", flush=True)
    return sum(any((one.embedded, one.added, one.changed, one.moved, one.removed)) for one in reports)


def moved(given: argparse.Namespace, work: Path) -> int:
    """Print what is done again when files are somewhere else."""
    home, models, wrong = work / "home", sets(given.models)[0], 0
    folder = material(given, home / "media", given.files - int(given.files * SHARE), int(given.files * SHARE))

    def look(what: str, library: Library, folder: Path) -> None:
        nonlocal wrong
        report, seconds = timed(library, folder)
        print(f"{what:<32}{seconds:9.3f} s: {shown(report)}", flush=True)
        wrong += bool(report.embedded or report.added or report.changed or report.removed or report.failed)

    with Library.open(home / "library", models=models) as library:
        print(f"first   {shown(library.add(folder, metadata=lambda path: {'name': path.name}))}", flush=True)
        look("nothing to do", library, folder)
        (folder / "part0").rename(folder / "renamed")
        look("a folder renamed inside", library, folder)
        folder = folder.rename(work / "elsewhere")
        library.relocate(home / "media", folder)
        look("moved, and relocated", library, folder)
        folder = folder.rename(home / "media")
        library.relocate(work / "elsewhere", folder)
    home = home.rename(work / "another")
    with Library.open(home / "library", models=models) as library:
        look("moved together with the library", library, home / "media")
        shutil.copytree(home / "media", work / "copy", copy_function=shutil.copyfile)
        shutil.rmtree(home / "media")
        library.relocate(home / "media", work / "copy")
        look("copied elsewhere, with new times", library, work / "copy")
        files = state(library)[0]
        kept = sum(what[1].get("name") == key.rpartition("/")[2] for key, what in files.items())
        print(f"metadata of {kept} of {len(files)} files is kept")
        return wrong + (kept != len(files)) + (not library.verify().good)


def migrate(given: argparse.Namespace, work: Path) -> int:
    """Print what came of migrations that were killed."""
    rng, passages = random.Random(given.seed), given.files // 10
    others = int(given.files * SHARE) if len(given.folders) > 1 else 0
    folder = material(given, work / "media", given.files - passages - others, others)
    texts = [f"{sentences()[number % len(sentences())]} ({number})" for number in range(passages)]
    states, asked, counted = [], [], Counter[str]()
    for name, new in (("library", False), ("scratch", True)):
        counted.clear()
        with opened(work / name, given.models, new, counted.update) as (library, _):
            library.add(folder)
            library.add_texts(texts)
            states.append(state(library))
            asked.append([answers(library, one) for one in QUESTIONS])
    needed, embedded, wrong = counted[TURNED], 0, 0
    (work / "answers.json").write_text(json.dumps(asked))
    print(f"{len(states[0][0])} items, {len(states[0][1])} vectors; {needed} contents have to be embedded", flush=True)

    def run(name: str, stop: float | None) -> Counter[str]:
        """Migrate one, until it is stopped, and see what is left."""
        nonlocal wrong
        told = killed(work, name, given.models, given.batch, stop)
        new = left(work / name) == "new"
        with opened(work / name, given.models, new) as (library, _):
            good = same([answers(library, one) for one in QUESTIONS], asked[new]) and alike(state(library), states[new])
        wrong += told["other"] + told["error"] + told["stays"] + (not good)
        print(
            f"{name:<8} {'killed' if told['killed'] else 'ended '}, {told[TURNED]:4} embedded, {told['stays']} by the "
            f"encoder that stays; asked meanwhile: {told['old']} answers of the old models, {told['new']} of the new, "
            f"{told['other']} others, {told['error']} errors; then {'new' if new else 'old'}: "
            f"{'all as it should be' if good else 'WRONG'}",
            flush=True,
        )
        return told

    for low, high in ((0.1, 0.4), (0.5, 0.8)):
        embedded += run("library", max(0, rng.uniform(low, high) * needed - embedded))[TURNED]
    for number in range(given.switches):
        shutil.copytree(work / "library", work / f"copy{number}")
    embedded += run("library", None)[TURNED]
    for number in range(given.switches):
        run(f"copy{number}", -rng.uniform(0, given.around))
        run(f"copy{number}", None)
    for path in (*sorted(work.glob("copy*")), work / "library"):
        with opened(path, given.models, True) as (library, _):
            good = library.verify().good and not list(path.glob("next*"))
        print(f"{path.name:<8} {'good' if good else 'NOT GOOD'}, {size(path) / size(work / 'scratch'):.2f} of the size")
        wrong += not good
    print(f"embedded by all, with two kills: {embedded} of {needed}: {embedded / max(1, needed):.3f}")
    return wrong


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


PARTS: dict[str, Any] = {"noop": noop, "moved": moved, "migrate": migrate}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--files", type=int, default=1000, help="pictures, or items in all")
    parser.add_argument("--models", choices=("mini", "colour"), default="mini")
    parser.add_argument("--runs", type=int, default=7, help="of a sync that has nothing to do")
    parser.add_argument("--switches", type=int, default=5, help="kills around the switch")
    parser.add_argument("--around", type=float, default=0.5, help="seconds in which these fall")
    parser.add_argument("--batch", type=int, default=batches.BATCH, help="contents that are embedded at a time")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        print(f"{given.part}: {given.files} files, models {given.models}, load {os.getloadavg()[0]:.1f}", flush=True)
        return int(bool(PARTS[given.part](given, Path(work).resolve())))


if __name__ == "__main__":
    sys.exit(main())
