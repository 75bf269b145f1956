"""Measure what it costs that files are decoded in processes that are confined.

    python cookbook/measure_sandbox.py FOLDER... [--files 300] [--pairs 5] [--models mini]

Each round takes the same files into fresh libraries in three ways, in an order that is drawn anew: as `Library.add`
does it; in the same processes, not confined; and in the process of the library itself, with no other. Printed are the
seconds of each, and of the first over the two others the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from seehear import Library, decoder, worker
from seehear.decoder import Event, Finished, Job
from seehear.errors import MediaError
from seehear.pool import Pool
from seehear.registry import load

OPEN = "import os, sys; from seehear import worker; out = os.fdopen(os.dup(1), 'wb'); os.dup2(2, 1)\n"
UNCONFINED = [*decoder.COMMAND[:2], "-c", OPEN + "worker.serve(sys.stdin.buffer, out)"]
"""What starts a decoding process that keeps all its rights."""
WAYS = ("confined", "not confined", "no process")


def alone(pool: Pool, jobs: Iterable[Job]) -> Generator[Event]:
    """In the place of `Pool.run`: decode here, one file after another."""
    limits, needs = pool.limits, pool._needs()
    modalities = [load(name)(limits) for name in pool._setup["modalities"]]
    for job in jobs:
        error: MediaError | None = None
        try:
            for message, payload in worker._messages(job.request(), modalities, needs, limits):
                yield from _event(job, message, payload)
        except MediaError as raised:
            error = raised
        yield Finished(job, error)


def _event(job: Job, message: dict[str, Any], payload: memoryview | None) -> Iterator[Event]:
    if message.pop("event") != "alive":
        told = io.BytesIO(b"" if payload is None else len(payload).to_bytes(4, "big") + payload.tobytes())
        yield decoder._event(job, message, decoder._content(message, told))


def taken(files: list[Path], models: str, way: str) -> float:
    """Seconds of adding files to a new library whose models are loaded."""
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder) / "library", models=models) as library:
        pool = library._parts.pool
        decoder.COMMAND = UNCONFINED if way == "not confined" else COMMAND
        if way == "no process":
            pool.run = partial(alone, pool)  # type: ignore[method-assign]
        library.add(files[:2])  # models are loaded, and a process is there
        started = time.perf_counter()
        report = library.add(files[2:])
        seconds = time.perf_counter() - started
        if len(report.added) < 0.9 * len(files[2:]):
            raise SystemExit(f"only {len(report.added)} of {len(files[2:])} files were added: {report.failed[:3]}")
        return seconds


COMMAND = list(decoder.COMMAND)


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--models", default="mini")
    given = parser.parse_args()
    for folder in given.folders:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        drawn = random.Random(0).sample(files, min(given.files, len(files)))
        rounds: list[dict[str, float]] = []
        for number in range(given.pairs):
            ways = random.Random(number).sample(WAYS, len(WAYS))
            rounds.append({way: taken(drawn, given.models, way) for way in ways})
        for way in WAYS:
            ratio = statistics.median(one["confined"] / one[way] for one in rounds)
            seconds = ", ".join(f"{one[way]:.1f}" for one in rounds)
            print(f"{folder.name}: {len(drawn)} files, {way}: {seconds} s; confined over it: {ratio:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
