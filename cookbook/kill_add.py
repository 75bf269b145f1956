"""Kill `add` again and again in the middle of its work, and look for what was lost, doubled or left over.

    python cookbook/kill_add.py FOLDER --files 300 --kills 10

A process adds the files to a library that is thrown away, to tell how long that takes. Then one after the other adds
them to the same library; each is killed at a random moment after its first batch goes to the encoder (SIGKILL, its
decoding processes too), and the last is let finish. One that gets through too early waits at its last file for that.

Each forces to disk which files it was told are done: the next must find those (else they are lost). In the end every
file must be there, once, and find itself first, behind none but those that score the same; the store must hold the
rows that the ledger knows and no other (orphans); one more `add` must embed nothing. Otherwise the exit status is 1.
Small batches (`--batch`) give more different moments; `--models colour` takes the fake encoder. Not for Windows.
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
from seehear.registry import build, load
from seehear.types import Route

FAKE = Route("visual", "seehear.testing:ColourEncoder", frozenset({"text", "image"}))
MODELS = {**SETS, "colour": ModelSet("colour", (FAKE,))}
TIE = 1e-5  # of two scores that count as the same


def add(files: list[str], library: str, log: str, models: str, batch: int, hold: bool) -> None:
    """Be a process that adds files, and writes down what becomes of them."""
    ingest.BATCH = batch
    file = os.open(log, os.O_WRONLY | os.O_CREAT)

    def note(kind: str, what: Any) -> None:
        os.write(file, json.dumps([kind, what]).encode() + b"\n")
        os.fsync(file)

    def done(number: int, total: int, path: str) -> None:
        note("done", path)
        if hold and number == total:
            note("embedded", 0)
            signal.pause()

    def embed(really: Any, contents: list[Any], role: str) -> Any:
        if role == "document":
            note("embedded", len(contents))
        return really(contents, role)

    encoders = {route.encoder: build(route.encoder) for route in MODELS[models].routes}
    for encoder in encoders.values():
        encoder.embed = partial(embed, encoder.embed)
    with Library.open(library, models=MODELS[models], encoders=encoders) as opened:
        note("found", held(opened))
        note("added", opened.add(files, progress=done).added)


def held(library: Library) -> list[str]:
    """Paths of the files that are in a library."""
    info = library.info()
    return [str(Path(info["folders"][root], below)) for root, _, below in (s.partition("/") for s in info["sources"])]


def start(**job: Any) -> subprocess.Popen[bytes]:
    """Start a process that adds, and return when it is about to embed its first batch."""
    process = subprocess.Popen([sys.executable, __file__, "--child", json.dumps(job), "-"], start_new_session=True)
    while process.poll() is None and not noted(job["log"], "embedded"):
        time.sleep(0.005)
    return process


def noted(log: str, kind: str) -> list[Any]:
    """What a process wrote down; a line that its death cut off does not count."""
    lines = Path(log).read_bytes().split(b"\n")[:-1] if Path(log).exists() else []
    return [what for name, what in map(json.loads, lines) if name == kind]


def faults(folder: str, models: ModelSet, content: dict[str, str]) -> dict[str, int]:
    """Count what is wrong with a library that should hold just these files."""
    wrong, copies = 0, Counter(content.values())
    with Library.open(folder, models=models) as library:
        paths, segments = held(library), library.info()["segments"]
        for path in content:
            hits = library.retrieve(Query(image=path), k=2 + copies[content[path]], min_score=0)
            mine = [hit.evidence[0].similarity for hit in hits if hit.source == path]
            wrong += len(mine) != 1 or mine[0] <= 0.999 or hits[0].evidence[0].similarity - mine[0] > TIE
        again = library.add(list(content)).embedded
    ledger, store = Ledger(Path(folder) / LEDGER, models.routes), load("chroma")(Path(folder) / "chroma")
    known = {name for source in ledger.sources() for ids in ledger.segment_ids(source.key).values() for name in ids}
    rows = [name for collection in ledger.counts() for name in store.ids(collection)]
    count = sum(store.count(collection) for collection in ledger.counts())
    ledger.close()
    store.close()
    return {
        "missing": len(set(content).difference(paths)) + len(known.difference(rows)),
        "duplicated": len(paths) - len(set(paths)) + abs(segments - len(paths)),
        "orphaned": max(count, len(rows)) - len(known.intersection(rows)),
        "wrongly found": wrong,
        "embedded again": again,
    }


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
    with tempfile.TemporaryDirectory() as work:
        return measure(files, given.kills, random.Random(given.seed), work, models=given.models, batch=given.batch)


def measure(files: list[str], kills: int, rng: random.Random, work: str, **job: Any) -> int:
    """Kill, continue, look; returns the exit status."""
    log = f"{work}/whole.log"
    process = start(**job, files=files, library=f"{work}/whole", log=log, hold=False)
    started = time.monotonic()
    process.wait()
    seconds = time.monotonic() - started
    (files,) = noted(log, "added")
    content = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files}
    print(f"{len(files)} files ({len(set(content.values()))} different), embedded in {seconds:.1f} s without a kill")

    told, lost, library = set[str](), set[str](), f"{work}/library"
    before, embedded, redone = set[str](), 0, list[int]()
    for left in range(kills, -1, -1):
        log = f"{work}/{left}.log"
        process = start(**job, files=files, library=library, log=log, hold=left > 0)
        if left:
            # An even share of what there is to do for each, on average, so that the last ones find work too.
            time.sleep(rng.uniform(0, (1 - len(told) / len(files)) * min(0.9, 2 / (left + 1)) * seconds))
            os.killpg(process.pid, signal.SIGKILL)
        if process.wait() != (-signal.SIGKILL if left else 0):
            raise SystemExit(f"add ended by itself, with status {process.returncode}; see above")
        (found,) = noted(log, "found")
        lost |= told.difference(found)
        told.update(noted(log, "done"))
        if left < kills:
            redone.append(embedded - len({content[path] for path in found} - before))
        before, embedded = {content[path] for path in found}, sum(noted(log, "embedded"))
        print(f"found {len(found):4} files done, embedded {embedded:4}, then {'was killed' if left else 'ended'}")
    print(f"done again per restart: median {statistics.median(redone or [0]):g}, most {max(redone, default=0)}")
    wrong = {"lost": len(lost), **faults(library, MODELS[job["models"]], content)}
    print(", ".join(f"{name} {count}" for name, count in wrong.items()))
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
