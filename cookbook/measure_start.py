"""Measure how long it takes to start: the import, and a question asked by a process of its own.

    python cookbook/measure_start.py --library DIR

Import: `python -X importtime -c "import seehear"`, the median of its figures for seehear with all that it imports, and
which of the heavy packages came along (none should).

Search: wall time of `seehear search WORDS --library DIR` as a whole process, the median of the runs. Where it goes is
seen in other processes, which do the same one thing after the other and read the clock in between. The heavy packages
that a search imports are found out first, and then imported by themselves just before they would have been. The first
embedding loads the weights; embedding the same words again is what embedding takes. Files are in the system's cache.

A library that was made with the fake encoder, as a set named `colour`, can be measured too.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

HEAVY = ("chromadb", "cv2", "safetensors", "tokenizers", "torch", "transformers")
FAKE = "seehear.testing:ColourEncoder"


def know_colour() -> None:
    """Let this process know the set `colour` by its name, as it knows `mini`."""
    from seehear import ModelSet, presets
    from seehear.types import Route

    fake = ModelSet("colour", (Route("visual", FAKE, frozenset({"text", "image"})),))
    vars(presets)["SETS"] = {**presets.SETS, "colour": fake}


def search(words: str, library: str) -> None:
    """Do what the command does."""
    know_colour()
    from seehear.cli import main

    sys.exit(main(["search", words, "--library", library]))


def steps(words: str, library: str, began: float, heavy: list[str]) -> None:
    """Do what the command does, step by step; print the seconds of each, and the heavy packages that came in."""
    seconds = {"start the interpreter": time.time() - began}
    last = time.perf_counter()

    def mark(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[step] = seconds.get(step, 0.0) + now - last
        last = now

    import seehear.cli  # noqa: F401

    mark("import seehear.cli")
    know_colour()
    from seehear.library import Library
    from seehear.retrieve import SPARE
    from seehear.types import Collection, Text

    mark("import seehear.library")
    import_module("chromadb")
    mark("import chromadb")
    with Library.open(library, create=False) as opened:
        retriever = opened.retriever(k=5)
        mark("open the library")
        for package in heavy:
            import_module(package)
            mark(f"import {package}")
        route, encoder = next((r, e) for r, e in retriever.encoders.items() if "text" in r.answers)
        encoder.embed([Text(words)])
        mark("load the weights")
        (vector,) = encoder.embed([Text(words)])
        mark("embed the words")
        seconds["load the weights"] -= seconds["embed the words"]  # the first time did both
        collection = Collection(route.encoder, route.channel, retriever.modalities[0])
        matches = retriever.store.nearest(collection, vector, retriever.k + SPARE)
        mark("find the nearest")
        from rich.console import Console

        from seehear.fusion import fuse
        from seehear.hits import Hits

        surprises = retriever.scales.rate(collection, frozenset({"text"}), matches)
        found = retriever.resolved(matches, surprises)
        Console(stderr=True).print(Hits(fuse({collection: found}, retriever.k)[: retriever.k]))
        mark("resolve and print")
    mark("close the library")
    print(json.dumps([seconds, [name for name in HEAVY[1:] if name in sys.modules]]))


def timed(*arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run an interpreter to its end: its wall time, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments} failed:\n{done.stderr}")
    return time.perf_counter() - started, done


def measure_import(runs: int) -> None:
    took, heavy = [], set[str]()
    for _ in range(runs):
        told = timed("-X", "importtime", "-c", "import seehear")[1].stderr
        lines = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)", told)
        took += [int(microseconds) / 1e6 for microseconds, name in lines if name == "seehear"]
        heavy |= {name.partition(".")[0] for _, name in lines}.intersection(HEAVY)
    print(f"import seehear: {statistics.median(took):.4f} s; heavy packages: {', '.join(sorted(heavy)) or 'none'}")


def measure_search(words: str, library: str, runs: int) -> None:
    from seehear.folders import LEDGER
    from seehear.ledger import Ledger

    ledger = Ledger(Path(library, LEDGER), ())
    fake = ledger.passport()["models"] == "colour"
    ledger.close()

    def whole() -> float:
        if fake:
            return timed(__file__, words, "--library", library, "--child", "{}")[0]
        return timed("-m", "seehear.cli", "search", words, "--library", library)[0]

    def stepwise(heavy: list[str]) -> tuple[dict[str, float], list[str]]:
        job = json.dumps({"began": time.time(), "heavy": heavy})
        wall, done = timed(__file__, words, "--library", library, "--child", job)
        seconds, heavy = json.loads(done.stdout)
        return {**seconds, "end the interpreter": wall - sum(seconds.values())}, heavy

    whole()  # warms the system's cache
    heavy = stepwise([])[1]
    pairs = [(whole(), stepwise(heavy)[0]) for _ in range(runs)]
    took = [seconds for seconds, _ in pairs]
    print(f"seehear search: {statistics.median(took):.3f} s ({min(took):.3f} to {max(took):.3f})")
    for step in pairs[0][1]:
        print(f"  {step:<24} {statistics.median(seconds[step] for _, seconds in pairs):7.3f} s")
    ratios = [sum(seconds.values()) / took for took, seconds in pairs]
    print(f"  all steps over the whole: {statistics.median(ratios):.2f}")
    print(f"  never imported: {', '.join(name for name in HEAVY[1:] if name not in heavy)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="?", default="a dog on a beach")
    parser.add_argument("--library", required=True, help="folder of a library that holds pictures")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        steps(given.words, given.library, **given.child)
    elif given.child is not None:
        search(given.words, given.library)
    else:
        measure_import(given.runs)
        measure_search(given.words, given.library, given.runs)


if __name__ == "__main__":
    main()
