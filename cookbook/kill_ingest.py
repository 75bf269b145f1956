"""Kill the ingest of pictures, recordings and videos again and again, and look for what was lost, doubled or left over.

    python cookbook/kill_ingest.py PICTURES --files 300 --kills 100 --models colour --batch 8
    python cookbook/kill_ingest.py PICTURES SOUNDS SPEECH VIDEOS --files 60 --kills 10 --models mini
    python cookbook/kill_ingest.py PICTURES SOUNDS SPEECH VIDEOS --files 60 --kills 0 --per-stage 6 --models colour

Files of the folders that are given are copied into one that changes before each round: some become others, go, move,
are copied, come. A process syncs it into a library and is killed (SIGKILL, its decoding processes too): `--kills` times
at a random moment, `--per-stage` times in each stage (or in those of `--stages`) before, during or after a call of it,
or inside of its transaction (`killed_process.py` has the moments). The next one opens what is left, tells what is
there, asks for files by a picture, a window of sound and a sentence of their own, and syncs on. The last is let finish.

Files that a process was told are done are forced to disk as acknowledged, and compared with what the next one sees:

lost        acknowledged, as it still is on disk, and not in the library, not whole, or not found by its own contents
duplicated  held twice, found twice, or at two places after it moved
orphaned    a row of the store that neither the ledger's files nor its list of garbage knows
wrong       of a file that changed or went, what it neither was nor is, or what it was before that was acknowledged;
            segments or vectors that are not those of its content (cosine below 0.9999); others that are found before it

In the end the library must be what another makes of the same folder at once, segment by segment, `verify` must be good,
no garbage be left, and one more sync embed nothing. Otherwise, or if anything is counted, the exit status is 1.

Contents embedded, and stretches of speech listened to, once more are counted for the kill that made it necessary.
Small batches (`--batch`) give more different moments; `--models colour` takes fakes. Not for Windows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from changing_folder import ChangingFolder, digest
from killed_process import DECODING, MODELS, STAGES, noted
from library_state import State

from seehear import batches
from seehear.media import HEAD, sniff

CHILD = Path(__file__).with_name("killed_process.py")
FAULTS = ("lost", "duplicated", "orphaned", "wrong")
PROBES = 40  # files that are asked for after a kill; in the end all are
TRIES = 5  # of a kill at a moment that does not come
SHOWN = 5  # sentences about faults of a kind
MOVING = ("decode", "upsert", "publish")  # stages that what moves or is copied goes through too
NOBODY: dict[str, Any] = {"moment": None, "number": 0, "delay": None, "probes": [], "last": ""}


@dataclass
class Run:
    """One process, and what was wrong with what it left."""

    stage: str
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    again: int = 0
    """Contents that had to be embedded once more after it."""
    heard: int = 0
    """Stretches of speech that had to be listened to once more after it."""


class Killing:
    """A library, a folder that changes, and processes that are killed."""

    def __init__(self, work: Path, groups: Sequence[Sequence[Path]], given: argparse.Namespace) -> None:
        self.work, self.given, self.rng = work, given, random.Random(given.seed)
        self.runs: list[Run] = []
        self.done: dict[str, int] = {}
        """What was embedded or listened to, by name, and in which run last."""
        self.recent: list[str] = []
        """What the last process acknowledged."""
        pool = work / "pool"
        for number, group in enumerate(groups):
            (pool / str(number)).mkdir(parents=True)
            for path in group:
                shutil.copyfile(path, pool / str(number) / f"{digest(path)}{path.suffix}")
        self.whole = self._catalogue(pool)
        self.models = {one.content: one for one in self.whole.files if not one.failed}
        good = [[path for path in below.iterdir() if path.stem in self.models] for below in sorted(pool.iterdir())]
        (work / "media").mkdir()
        self.folder = ChangingFolder(work / "media", [sorted(group) for group in good], self.rng)
        self.folder.fill(given.files)

    def _catalogue(self, pool: Path) -> State:
        """Take in all contents without a kill: what each becomes, and how long that takes."""
        log = self._start("catalogue", folder=str(pool), last="state")
        state = State.read(f"{log}.left.npz")
        if any(state.missing(one) for one in state.files):
            raise SystemExit("vectors are missing of a library that nobody killed")
        ((calls, seconds),), ((self.first, took),) = noted(log, "calls"), noted(log, "took")
        self.calls, self.files, self.pace = calls, len(state.files), (took - self.first) / len(state.files)
        self.seconds = {what: all_ / calls[f"before {what}"] for what, all_ in seconds.items()} | {"decode": DECODING}
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(one.modality for one in state.files).items())
        print(f"{self.files} contents ({kinds}) in {took:.1f} s without a kill", flush=True)
        return state

    def kill(self, stage: str, moment: str | None) -> None:
        """Let one process after another begin until one is killed."""
        for attempt in range(TRIES):
            fresh = self._change()
            if moment is None:
                number, delay = 0, self.rng.uniform(0, self.first + self.pace * self.folder.pending())
            else:
                reach = self.calls.get(moment, 0) * fresh // self.files
                reach += (self.folder.pending() - fresh) // 2 if stage in MOVING else 0
                number = max(1, self.rng.randint(1, max(2, reach)) // 4**attempt)
                delay = self.rng.uniform(0, self.seconds.get(moment.partition(" ")[2], 0))
            log = self._round(stage, moment=moment, number=number, delay=delay)
            if not noted(log, "calls"):
                self.runs[-1].kills = 1
                return
        raise SystemExit(f"{TRIES} processes ended without a moment {moment!r}")

    def end(self) -> list[str]:
        """Let a process finish; what is wrong with what it leaves."""
        self._change()
        log = self._round("end", last="proof")
        left, once = State.read(f"{log}.left.npz"), State.read(f"{log}.once.npz")
        self._judge(self.runs[-1], log, left, settled=True)
        files = {one.key: one for one in once.files}
        wrong = [told for one in left.files if one.key in files and (told := left.differs(one, once, files[one.key]))]
        ids, at_once = ({(one.key, *one.ids()) for one in state.files} for state in (left, once))
        for key, *segments in sorted(ids ^ at_once):
            wrong.append(f"{key} with {len(segments)} segments is in one library only")
        (verified,), (again,) = noted(log, "verified"), noted(log, "again")
        wrong += [f"verify: {verified}"] if verified else []
        wrong += [f"garbage: {len(left.garbage)}"] if left.garbage else []
        wrong += [f"one more sync embedded, added, changed, moved {again}"] if any(again) else []
        vectors = sum(map(len, left.rows.values()))
        print(f"in the end {len(left.files)} files, {vectors} vectors; made at once, {len(once.files)} files")
        return wrong

    def _change(self) -> int:
        """Change the folder; how many contents are new to the library."""
        if self.runs:
            self.folder.change(self.given.churn)
        # What went may have to be embedded again when it comes back, whoever was killed.
        left = self.folder.left
        self.done = {name: run for name, run in self.done.items() if name.partition(" ")[0] not in left}
        return self.folder.fresh()

    def _round(self, stage: str, **job: Any) -> str:
        """Let a process sync; look at what it found, and at what it did. Returns its log."""
        held = self.folder.acknowledged()
        recent = sorted(set(held).intersection(self.recent))[: PROBES // 2]
        probes = list(dict.fromkeys(recent + self.rng.sample(held, min(len(held), PROBES - len(recent)))))
        log = self._start(str(len(self.runs)), folder=str(self.folder.folder), probes=probes, **job)
        found = State.read(f"{log}.found.npz")
        if self.runs:
            self._judge(self.runs[-1], log, found)
        self.runs.append(Run(stage))
        embedded = list(chain.from_iterable(noted(log, "embedded")))
        for name in embedded + noted(log, "heard"):
            if (before := self.done.get(name)) is not None and before < len(self.runs) - 1:
                self.runs[before].again += name in embedded
                self.runs[before].heard += name not in embedded
            self.done[name] = len(self.runs) - 1
        # Of a long file it is also told how far it is.
        self.recent = [path for path in noted(log, "done") if path in self.folder.allowed]
        self.folder.acknowledge(self.recent, noted(log, "moved"))
        print(
            f"{len(self.runs):3} {job.get('moment') or stage:17} found {len(found.files):4} files, asked for "
            f"{len(noted(log, 'probed')):3}; {len(embedded):4} embedded, {len(self.recent):4} acknowledged, "
            f"{self.folder.pending():4} left",
            flush=True,
        )
        return log

    def _judge(self, run: Run, log: str, found: State, *, settled: bool = False) -> None:
        """Compare what the process after a run found with what may be there."""
        lost, doubled, wrong = self.folder.observe({one.path: one.content for one in found.files})
        for one in found.files:
            if one.failed or found.missing(one):
                lost.append(f"{one.path} lacks {len(found.missing(one))} vectors {one.failed}")
            elif one.content in self.models and (told := found.differs(one, self.whole, self.models[one.content])):
                wrong.append(f"{one.path} {told}")
        for kind, told in noted(log, "misfound"):
            {"lost": lost, "duplicated": doubled, "wrong": wrong}[kind].append(told)
        doubled += found.doubled()
        for kind, sentences in zip(FAULTS, (lost, doubled, found.orphans(settled=settled), wrong), strict=True):
            run.faults[kind] += len(sentences)
            for sentence in sentences[:SHOWN]:
                print(f"    {kind}: {sentence}")

    def _start(self, name: str, **job: Any) -> str:
        """Run a process, and kill it when it asks for that. Returns its log. Exits when it fails."""
        log = str(self.work / name)
        library = str(self.work / ("catalogue.library" if name == "catalogue" else "library"))
        fixed = {"log": log, "library": library, "batch": self.given.batch, "models": self.given.models}
        told = json.dumps({**NOBODY, **fixed, **job})
        command = [sys.executable, str(CHILD), told]
        with subprocess.Popen(
            command, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                if line.startswith("kill "):
                    time.sleep(float(line.split()[1]))
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"a process ended by itself, with status {process.returncode}; see above")
        return log


def table(runs: Sequence[Run]) -> str:
    """The counts of each stage, and of all."""
    stages = list(dict.fromkeys(run.stage for run in runs))
    lines = [f"{'':11}kills  {'  '.join(FAULTS)}   embedded again   listened to again (median, most, for a kill)"]
    for stage in [*stages, "all"]:
        those = [run for run in runs if stage in (run.stage, "all")]
        counts = "  ".join(f"{sum(run.faults[kind] for run in those):{len(kind)}}" for kind in FAULTS)
        again, heard = ([getattr(run, what) for run in those if run.kills] or [0] for what in ("again", "heard"))
        done = "   ".join(f"{statistics.median(figures):8g} {max(figures):5}" for figures in (again, heard))
        lines.append(f"{stage:11}{sum(run.kills for run in those):5}  {counts}   {done}")
    return "\n".join(lines)


def media(folder: Path, most: int) -> list[Path]:
    """Pictures, recordings and videos of a folder and those below it; of the same bytes one."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if len(found) == most:
            break
        with path.open("rb") as file:
            known = sniff(file.read(HEAD))
        if known:
            found.setdefault(digest(path), path)
    return list(found.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folders", type=Path, nargs="+", help="each with files of a kind; those of folders below it too"
    )
    parser.add_argument("--files", type=int, default=60, help="in the folder at the beginning, evenly from each")
    parser.add_argument("--kills", type=int, default=10, help="at random moments")
    parser.add_argument("--per-stage", type=int, default=0, help="kills in each stage")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--churn", type=float, default=0.1, help="share of the files to which each change happens")
    parser.add_argument("--models", choices=MODELS, default="mini")
    parser.add_argument("--batch", type=int, default=batches.BATCH, help="contents at a time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    groups = [media(folder, max(4, 2 * given.files // len(given.folders))) for folder in given.folders]
    with tempfile.TemporaryDirectory() as work:
        killing = Killing(Path(os.path.realpath(work)), groups, given)
        for _ in range(given.kills):
            killing.kill("random", None)
        for number in range(given.per_stage):
            for stage in given.stages:
                killing.kill(stage, STAGES[stage][number % len(STAGES[stage])])
        wrong = killing.end()
    print(table(killing.runs))
    print("\n".join(wrong) or "the same as made at once, verified, no garbage, nothing to do for one more sync")
    return 1 if wrong or any(sum(run.faults.values()) for run in killing.runs) else 0


if __name__ == "__main__":
    sys.exit(main())
