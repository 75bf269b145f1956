"""Kill `add` again and again in the middle of its work, and look for what was lost, doubled or left over.

    python cookbook/kill_add.py FOLDER --files 300 --kills 10

A first process adds the files to a library that is thrown away: it tells how long that takes, and what can be read at all.
Then one process after the other opens the same library and adds all files; each is killed at a random moment after the
first batch goes to the encoder (SIGKILL, its decoding processes too), and the last is let finish. One that gets through
too early waits at its last file for its death. Each writes down, and forces to disk, which files it was told are done.

In the end each of those must be in the library (else it is lost), and every other file too, once; each must find itself
first with a score above 0.999, behind none but those that score the same; the store must hold the rows that the ledger
knows and no other (orphans); and one more `add` must find nothing to embed. The exit status is 1 otherwise.

Files are published by the batch, so smaller batches than the library's own (`--batch`) give more different moments.
`--models colour` takes the fake encoder, to be quick. Runs where there are process groups: not on Windows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from seehear import Library, ModelSet, Query, ingest
from seehear.folders import LEDGER
from seehear.ledger import Ledger
from seehear.media import sniff
from seehear.presets import SETS
from seehear.registry import load
from seehear.types import Route

FAKE = Route("visual", "seehear.testing:ColourEncoder", frozenset({"text", "image"}))
MODELS = {**SETS, "colour": ModelSet("colour", (FAKE,))}
TIE = 1e-5  # of two scores that count as the same


def add(files: list[str], library: str, log: str, models: str, batch: int, hold: bool) -> None:
    """Be a process that adds files, and writes down what becomes of them."""
    ingest.BATCH = batch
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(kind: str, what: Any) -> None:
        os.write(file, json.dumps([kind, what]).encode() + b"\n")
        os.fsync(file)

    def done(number: int, total: int, path: str) -> None:
        note("done", path)
        if hold and number == total:
            print("held", flush=True)
            signal.pause()

    def embed(really: Any, contents: list[Any], role: str) -> Any:
        note("embedded", len(contents))
        print("embedding", flush=True)
        return really(contents, role)

    encoders = {route.encoder: load(route.encoder)() for route in MODELS[models].routes}
    for encoder in encoders.values():
        encoder.embed = partial(embed, encoder.embed)
    with Library.open(library, models=MODELS[models], encoders=encoders) as opened:
        note("found", held(opened))
        note("added", opened.add(files, progress=done).added)


def held(library: Library) -> list[str]:
    """Paths of the files that are in a library."""
    info = library.info()
    return [str(Path(info["folders"][root], below)) for root, _, below in (s.partition("/") for s in info["sources"])]


def start(**job: Any) -> subprocess.Popen[str]:
    """Start a process that adds, and return when it is about to embed its first batch."""
    command = [sys.executable, __file__, "--child", json.dumps(job), "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    if not process.stdout or not process.stdout.readline():
        raise SystemExit("a process that adds ended too early; see above")
    return process


def noted(log: Path, kind: str) -> list[Any]:
    lines = log.read_text().splitlines(keepends=True)
    return [what for name, what in (json.loads(line) for line in lines if line.endswith("\n")) if name == kind]


def faults(folder: Path, models: ModelSet, content: dict[str, str], told: set[str]) -> dict[str, int]:
    """Count what is wrong with a library that should hold just these files."""
    copies = Counter(content.values())

    def misfound(path: str) -> bool:
        hits = library.retrieve(Query(image=path), k=2 + copies[content[path]])
        mine = [hit.score for hit in hits if hit.source == path]
        return len(mine) != 1 or mine[0] <= 0.999 or hits[0].score - mine[0] > TIE

    with Library.open(folder, models=models) as library:
        paths, segments = held(library), library.info()["segments"]
        wrong = sum(map(misfound, content))
        again = library.add(list(content)).embedded
    ledger, store = Ledger(folder / LEDGER, models.routes), load("chroma")(folder / "chroma")
    known = {name for source in ledger.sources() for ids in ledger.segment_ids(source.key).values() for name in ids}
    rows = {collection: set(store.ids(collection)) for collection in ledger.counts()}
    counts = sum(store.count(collection) for collection in rows)
    ledger.close()
    store.close()
    return {
        "lost": len(told.difference(paths)),
        "missing": len(set(content).difference(paths)),
        "duplicated": len(paths) - len(set(paths)) + abs(segments - len(paths)),
        "orphaned": counts - sum(len(ids & known) for ids in rows.values()),
        "without vector": sum(len(known - ids) for ids in rows.values()),
        "wrongly found": wrong,
        "embedded again": again,
    }


def measure(given: argparse.Namespace, work: Path, files: list[str]) -> int:
    """Kill, continue, look; returns the exit status."""
    rng = random.Random(given.seed)
    job = {"models": given.models, "batch": given.batch, "library": str(work / "library")}
    process = start(**{**job, "library": str(work / "whole")}, files=files, log=str(work / "whole.log"), hold=False)
    started = time.monotonic()
    process.wait()
    seconds = time.monotonic() - started
    files = noted(work / "whole.log", "added")[0]
    content = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files}
    print(f"{len(files)} files ({len(set(content.values()))} different), embedded in {seconds:.1f} s without a kill")

    told: set[str] = set()
    found: list[set[str]] = []  # contents that each process found in the library
    embedded: list[int] = []
    for left in range(given.kills, -1, -1):
        log = work / f"{left}.log"
        process = start(**job, files=files, log=str(log), hold=left > 0)
        if left:
            # An even share of what there is to do for each, on average, so that the last ones find work too.
            time.sleep(rng.uniform(0, (1 - len(told) / len(files)) * min(0.9, 2 / (left + 1)) * seconds))
            os.killpg(process.pid, signal.SIGKILL)
        if process.wait() != (-signal.SIGKILL if left else 0):
            raise SystemExit(f"add ended by itself, with status {process.returncode}; see above")
        told.update(noted(log, "done"))
        found.append({content[path] for path in noted(log, "found")[0]})
        embedded.append(sum(noted(log, "embedded")))
    found.append(set(content.values()))

    redone = [number - len(after - before) for number, before, after in zip(embedded, found, found[1:], strict=False)]
    for number, before, lost in zip(embedded, found, redone, strict=False):
        print(f"found {len(before):4} files, embedded {number:4}, of which {lost:3} had to be done again")
    print(f"redone per restart: median {statistics.median(redone):g}, most {max(redone)}")
    wrong = faults(work / "library", MODELS[given.models], content, told)
    print(", ".join(f"{name} {count}" for name, count in wrong.items()))
    return 1 if any(wrong.values()) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures; those of folders below it too")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--models", choices=MODELS, default="mini")
    parser.add_argument("--batch", type=int, default=ingest.BATCH, help=f"files at a time (default: {ingest.BATCH})")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        add(**given.child)
        return 0
    every = sorted(path for path in given.folder.rglob("*") if path.is_file())
    files = [os.path.realpath(path) for path in every if sniff(path.read_bytes()[:32])][: given.files]
    with tempfile.TemporaryDirectory() as name:
        return measure(given, Path(name), files)


if __name__ == "__main__":
    sys.exit(main())
