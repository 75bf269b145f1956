"""Measure what `Library.add` costs beside the sum of its parts, what adding again costs, and its memory.

    python cookbook/measure_ingest.py FOLDER --files 1000

Three parts, each in a fresh process whose encoder has embedded a batch before; files of the same bytes count once.
cpu     CPU seconds of this process and its children, one thread per library of numbers. The whole: open a new library,
        add, close. Its parts, in this process: read, check, hash and decode the same files; embed them in batches as
        `add` does; open a new Chroma, upsert the same vectors and metadata in calls of that size, close. They take
        turns; the ratio is that within a pair, and its median.
again   Wall time of adding the same files once more over that of the first time, and how many were embedded.
memory  Greatest resident memory during `add`, of this process and its decoding processes, above that of this process
        after one tiny picture was added. Pages that processes share count for each of them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

import numpy as np

from seehear import Library, Limits, ModelSet
from seehear.batches import BATCH
from seehear.media import open_source, sniff
from seehear.picture import read_picture
from seehear.presets import SETS
from seehear.registry import build
from seehear.stores.chroma import HNSW
from seehear.types import Picture, Route, segment_id

FAKE = Route("visual", "seehear.testing:ColourEncoder", frozenset({"text", "image"}))
MODELS = {**SETS, "colour": ModelSet("colour", (FAKE,))}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Seconds = dict[str, float]


@contextmanager
def opened(models: ModelSet, encoder: Any) -> Iterator[Library]:
    """A new library that is thrown away."""
    given = {models.routes[0].encoder: encoder}
    with tempfile.TemporaryDirectory() as folder, Library.open(f"{folder}/new", models=models, encoders=given) as new:
        yield new


def used() -> float:
    """CPU seconds of this process, and of its children that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def whole(files: list[Path], models: ModelSet, encoder: Any) -> Seconds:
    started = used()
    with opened(models, encoder) as library:
        report = library.add(files)
    if report.embedded != len(files):
        raise SystemExit(f"not every file was embedded; failed were: {report.failed}")
    return {"add": used() - started}


def parts(files: list[Path], encoder: Any) -> Seconds:
    """Do what `add` cannot do without, and nothing else."""
    import chromadb
    from chromadb.config import Settings

    seconds, limits = {"decode": 0.0, "embed": 0.0}, Limits()
    batches: list[dict[str, Any]] = []
    for start in range(0, len(files), BATCH):
        pictures, ids, metadatas = [], [], []
        started = used()
        for path in files[start : start + BATCH]:
            with open_source(path, path.name, limits) as source:
                pictures.append(read_picture(source, encoder.needs, limits))
            ids.append(segment_id(path.name, source.content, "visual", 0, "whole"))
            metadatas.append({"_source": f"{path.parent.name}/{path.name}"})
        decoded = used()
        batches.append({"ids": ids, "embeddings": encoder.embed(pictures, "document"), "metadatas": metadatas})
        seconds["decode"] += decoded - started
        seconds["embed"] += used() - decoded
    started = used()
    with tempfile.TemporaryDirectory() as folder:
        client: Any = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
        collection = client.create_collection("vectors", embedding_function=None, configuration={"hnsw": HNSW})
        for batch in batches:
            collection.upsert(**batch)
        client.close()
    return {**seconds, "chroma": used() - started}


def cpu(files: list[Path], models: ModelSet, encoder: Any, pairs: int) -> None:
    """Print the ratio of the whole to its parts, and what each of them costs."""
    whole(files[:2], models, encoder)  # what is imported for the first time
    parts(files[:2], encoder)
    measured: list[Seconds] = []
    for number in range(pairs):
        first = parts(files, encoder) if number % 2 else {}
        measured.append(first | whole(files, models, encoder))
        measured[-1] |= first or parts(files, encoder)
    for name in ("decode", "embed", "chroma", "add"):
        each = [1000 * seconds[name] / len(files) for seconds in measured]
        print(f"{name:<6} {statistics.median(each):8.2f} CPU s per 1,000 files ({min(each):.2f} to {max(each):.2f})")
    ratios = [seconds["add"] / (sum(seconds.values()) - seconds["add"]) for seconds in measured]
    print(f"add over the sum of its parts: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def again(files: list[Path], models: ModelSet, encoder: Any) -> None:
    """Print what it costs to add what is known already."""
    with opened(models, encoder) as library:
        first, second = library.add(files), library.add(files)
    share = second.seconds / first.seconds
    print(f"added again: {second.embedded} embedded, in {second.seconds:.3f} s: {share:.4f} of the first time")


@contextmanager
def watched() -> Iterator[list[tuple[int, int]]]:
    """Sample the resident memory of this process and of its children, in bytes."""
    import psutil  # type: ignore[import-untyped]

    me, ended, samples = psutil.Process(), threading.Event(), []

    def watch() -> None:
        while not ended.wait(0.02):
            children = 0
            for child in me.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    children += child.memory_info().rss
            samples.append((me.memory_info().rss, children))

    samples.append((me.memory_info().rss, 0))
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    yield samples
    ended.set()
    watching.join()


def memory(files: list[Path], models: ModelSet, encoder: Any) -> None:
    """Print how much memory `add` takes beside what the models take."""
    from PIL import Image

    with opened(models, encoder) as library, tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (8, 8)).save(f"{folder}/tiny.png")
        library.add(f"{folder}/tiny.png")
        with watched() as samples:
            library.add(files)
    before = samples[0][0] / 1e6
    total, mine, children = (max(sizes) / 1e6 for sizes in (map(sum, samples), *zip(*samples, strict=True)))
    print(f"memory of add: {total - before:.0f} MB above the {before:.0f} MB of before")
    print(f"(of this process at most {mine - before:.0f}, of the decoding processes {children:.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures; those of folders below it too")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--models", choices=MODELS, default="mini")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--part", choices=("cpu", "again", "memory"), help="only this one, in this process")
    given = parser.parse_args()
    if not given.part:
        for part in ("cpu", "again", "memory"):
            environment = {**os.environ, **(ONE_THREAD if part == "cpu" else {})}
            subprocess.run([sys.executable, *sys.argv, "--part", part], env=environment, check=True)
        return
    found = [path for path in sorted(given.folder.rglob("*")) if path.is_file() and sniff(path.read_bytes()[:32])]
    files = list({hashlib.sha256(path.read_bytes()).digest(): path for path in found}.values())[: given.files]
    models = MODELS[given.models]
    encoder = build(models.routes[0].encoder)
    grey = Picture(np.full((encoder.needs.pixels, encoder.needs.pixels, 3), 128, np.uint8))
    encoder.embed([grey] * BATCH, "document")
    if given.part == "cpu":
        print(f"{len(files)} files, models {given.models}, {given.pairs} pairs")
        cpu(files, models, encoder, given.pairs)
    else:
        (again if given.part == "again" else memory)(files, models, encoder)


if __name__ == "__main__":
    main()
