"""Measure a library of many things: how long it takes to make, to open, to ask and to verify, and how large it is.

    python cookbook/measure_large.py --items 200000

The files are there, of a few bytes each, and nothing of them is decoded: what `add` embeds is the number of each. The
encoder makes of it a vector of 384 numbers that lies in one of 200 clusters, each of 24 dimensions. Everything else is
done as always, so the rate of `add` is that of looking at files, storing vectors and writing the ledger. After it the
scales are measured, for which every vector is read.

Other processes then open the library, one after the other, with the files in the system's cache; importing Chroma is
part of that. The first asks: a question is the vector of a stored file with noise of even spread, of a length that
brings their cosine to 0.8. Recall is the share of its ten answers that are among the exact ten, by similarity. The
second verifies. The third is killed, so that the fourth has to look at everything before it opens what is left.

Disk is told over the raw vectors, 4 bytes a number. Memory is resident: before the library is opened, with the encoder,
and what each step adds to that; of `verify` also the most that there was. For Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear import Library, ModelSet
from seehear.backup import BACKUP
from seehear.decoder import Event, Finished, Job, Opened, Piece
from seehear.folders import LEDGER
from seehear.media import stamp
from seehear.types import Content, Kind, Needs, Role, Route, Segment, Text, segment_id

DIM, CLUSTERS, INTRINSIC = 384, 200, 24
COSINE = 0.8  # of a question to the vector that it was drawn around
TIE = 1e-6
K = 10
SETTINGS = "whole"  # how pictures are cut
NAME = "clustered"
MODELS = ModelSet(NAME, (Route("visual", NAME, frozenset({"text"})),), ("image",))


class Clustered:
    """Numbers, and questions about numbers, become vectors of few dimensions in clusters. No weights."""

    name, dim, needs = NAME, DIM, Needs()
    takes: frozenset[Kind] = frozenset({"text"})
    fingerprint: Mapping[str, str] = {"weights": "drawn"}

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.centres = unit(rng.normal(size=(CLUSTERS, DIM)))
        # A step of the usual length in all of a cluster's own directions is as long as the way to its centre.
        spread = np.sqrt(DIM * INTRINSIC)
        self.bases = (rng.normal(size=(CLUSTERS, INTRINSIC, DIM)) / spread).astype(np.float32)

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:  # noqa: ARG002 - as the contract has it
        """Embed "item 7", "like item 7", or anything else, which is like nothing that is stored."""
        return np.array([self._row(one.text) for one in contents if isinstance(one, Text)], np.float32).reshape(-1, DIM)

    def _row(self, text: str) -> NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        known = re.fullmatch(r"(like )?item (\d+)", text)
        rng = np.random.default_rng([7, int(known[2])] if known else [8, seed])
        cluster = int(rng.integers(CLUSTERS))
        row = unit(self.centres[cluster] + rng.normal(size=INTRINSIC) @ self.bases[cluster])
        if known and not known[1]:
            return row
        noise = unit(np.random.default_rng(seed).normal(size=DIM))
        return unit(row + np.sqrt(1 / COSINE**2 - 1) * noise)


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    scaled: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def opened(library: Path) -> Library:
    return Library.open(library, models=MODELS, encoders={NAME: Clustered()})


def number(source: str) -> int:
    """Which item a file is."""
    return int(Path(source).stem)


def read(jobs: Iterable[Job]) -> Iterator[Event]:
    """Do what the decoding processes do, less the decoding: the content of a file is its number."""
    for job in jobs:
        size, mtime_ns = stamp(job.path)
        content = hashlib.sha256(job.path.read_bytes()).hexdigest()
        yield Opened(job, "image", content, size, mtime_ns, SETTINGS)
        name = segment_id(job.key, content, "visual", 0, SETTINGS)
        yield Piece(job, Segment(name, job.key, "image", "visual"), Text(f"item {number(job.key)}"))
        yield Finished(job)


def make(library: Path, photos: Path, items: int) -> None:
    """Make the files, and the library of them."""
    for n in range(items):
        path = photos / f"{n // 1000:04}" / f"{n:07}.jpg"
        if n % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % n)
    with opened(library) as made:
        vars(made._parts.pool)["run"] = read
        started = time.perf_counter()
        report = made.add(photos)
        seconds = time.perf_counter() - started
        assert len(report.added) == items, report.failed[:3]  # noqa: S101 - else nothing that follows means anything
        print(f"add      {report.seconds:9.1f} s, {items / report.seconds:,.0f} items/s")
        print(f"scales   {seconds - report.seconds:9.1f} s")
        started = time.perf_counter()
    print(f"close    {time.perf_counter() - started:9.1f} s", flush=True)


def ask(library: Path, questions: list[int]) -> dict[str, Any]:
    """Open a library and ask. Returns seconds, bytes, and the numbers of the answers."""
    memory, seconds, answers = [resident()], [], []
    started = time.perf_counter()
    with opened(library) as held:
        seconds.append(time.perf_counter() - started)
        memory.append(resident())
        for question in questions:
            started = time.perf_counter()
            hits = held.retrieve(f"like item {question}", K, min_score=0)
            seconds.append(time.perf_counter() - started)
            answers.append([number(hit.source) for hit in hits])
            if len(answers) in (1, len(questions)):
                memory.append(resident())
    return {"seconds": seconds, "memory": memory, "answers": answers}


def verify(library: Path, questions: list[int]) -> dict[str, Any]:  # noqa: ARG001 - as its sister
    """Open a library and verify it. Returns seconds, bytes, and what is wrong."""
    with opened(library) as held:
        memory, told = resident(), held.verify()
    wrong = {
        "missing": len(told.missing),
        "orphans": told.orphans,
        "gone": len(told.gone),
        "changed": len(told.changed),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kB, on Linux
    return {"seconds": told.seconds, "memory": [memory, peak], "vectors": told.vectors, "wrong": wrong}


def die(library: Path, questions: list[int]) -> dict[str, Any]:  # noqa: ARG001 - as its sister
    """Open a library, and be killed."""
    opened(library)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def resident() -> int:
    """Bytes of this process that are in memory."""
    import psutil  # type: ignore[import-untyped]

    size: int = psutil.Process().memory_info().rss
    return size


def apart(step: str, library: Path, questions: list[int]) -> dict[str, Any]:
    """Let another process do a step; what it told, if it lived."""
    command = [sys.executable, __file__, "--child", step, "--library", str(library)]
    done = subprocess.run(command, input=json.dumps(questions), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{step} ended with status {done.returncode}; see above")
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    return found


def recall(answers: list[list[int]], questions: list[int], items: int) -> NDArray[np.float64]:
    """Share of the exact ten that each answer holds; equal similarities stand in for each other."""
    encoder, block = Clustered(), 10_000
    asked = encoder.embed([Text(f"like item {n}") for n in questions], "query")
    best = np.full((len(asked), K), -2.0, np.float32)
    for start in range(0, items, block):
        rows = encoder.embed([Text(f"item {n}") for n in range(start, min(items, start + block))], "document")
        best = np.sort(np.concatenate([best, asked @ rows.T], axis=1), axis=1)[:, -K:]
    rights = []
    for row, answer, tenth in zip(asked, answers, best[:, 0], strict=True):
        found = encoder.embed([Text(f"item {n}") for n in set(answer)], "document")
        rights.append((found @ row >= tenth - TIE).sum() / min(K, items))
    return np.array(rights)


def disk(library: Path, items: int) -> None:
    """Print what the parts take, over the raw vectors."""
    parts = {"Chroma's index": 0, "Chroma's SQLite": 0, "the ledger": 0, "its backup": 0}
    for path in library.rglob("*"):
        named = {"chroma.sqlite3": "Chroma's SQLite", LEDGER: "the ledger", BACKUP: "its backup"}
        parts[named.get(path.name, "Chroma's index")] += path.stat().st_size if path.is_file() else 0
    chroma = {"Chroma": parts["Chroma's index"] + parts["Chroma's SQLite"]}
    for name, size in (parts | chroma | {"all": sum(parts.values())}).items():
        raw = size / (items * DIM * 4)
        print(f"disk     {size / 1e6:9.1f} MB, {size / items:6.0f} bytes per item, {raw:.3f} of the raw: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make all of it there, or measure what is there")
    parser.add_argument("--child", choices=("ask", "verify", "die"), help=argparse.SUPPRESS)
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        step = {"ask": ask, "verify": verify, "die": die}[given.child]
        print(json.dumps(step(given.library, json.load(sys.stdin))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = given.keep or Path(temporary)
        library = work / "library"
        print(f"{given.items:,} items of {DIM} numbers, {given.questions} questions; {busy()}", flush=True)
        if not library.exists():
            make(library, work / "photos", given.items)
        disk(library, given.items)
        measure(library, given.items, given.questions)
        print(busy())


def busy() -> str:
    return f"load of the machine {os.getloadavg()[0]:.1f}"


def measure(library: Path, items: int, count: int) -> None:
    """Ask and verify a library, and print what came of it."""
    questions = np.random.default_rng(1).integers(items, size=count).tolist()
    told = apart("ask", library, questions)
    opening, first, *others = told["seconds"]
    p50, p99 = 1000 * np.percentile(others, [50, 99])
    before, *after = [size / 1e6 for size in told["memory"]]
    print(f"open     {opening:9.2f} s\nfirst    {first:9.2f} s")
    print(f"question {p50:9.1f} ms p50, {p99:.1f} ms p99")
    steps = zip(("opened", "first question", "all questions"), after, strict=False)
    print(f"memory   {before:9.0f} MB before; " + ", ".join(f"{size - before:+.0f} {step}" for step, size in steps))
    shares = recall(told["answers"], questions, items)
    print(f"recall   {shares.mean():9.4f} mean, {shares.min():.2f} minimum", flush=True)
    told = apart("verify", library, [])
    less, peak = [size / 1e6 for size in told["memory"]]
    wrong = ", ".join(f"{name} {count}" for name, count in told["wrong"].items())
    print(f"verify   {told['seconds']:9.2f} s, {less:.0f} MB before, {peak:.0f} MB at most")
    print(f"verified {told['vectors']:9,} vectors: {wrong}", flush=True)
    apart("die", library, [])
    print(f"killed   {apart('ask', library, [])['seconds'][0]:9.2f} s to open")


if __name__ == "__main__":
    main()
