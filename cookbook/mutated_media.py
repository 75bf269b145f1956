"""Add thousands of mutated media files to a library, among good ones, and say what became of them.

    python cookbook/mutated_media.py [--files 2000] [--seed 1] [--models mini] [--workers 2] [--folder KEPT]

Small files of 13 formats (`seed_media.py`) are mutated in nine ways (`mutants.py`), put into four folders with a good
file between each forty, and added to a new library, a folder at a time. All that is done in a child process. Printed:

mutants     by format and kind: how many; how many have a type that is read (`seehear.media.sniff`); how many were
            opened, which is the event with which a decoding process begins to decode
outcome     added, partly added, refused by type of error; decoders that died; errors that no code of ours foresaw
            ("it cannot be decoded (...)"), each with a file that shows it
wanted 0    parent deaths, hangs, batches aborted, good files lost. A hang is a file for which the parent waited on the
            decoding process for more than 10 s, all its waits added up; a batch is aborted when `add` raises. A good
            file must have the same segments, by id, as in a library of good files only, with all their vectors, and
            answer a question that is put to it alone
memory      the most resident memory of the parent, of the largest decoding process, and of all at once; and by how much
            that is above the models' own, which is the most that the parent has while each model works on a batch as
            large as `add` makes them. Sampled every 20 ms from /proc (Linux); then the files that took their decoding
            process to most, by the peak that the kernel keeps (VmHWM)
hits        of files that were taken in: pictures, frames, clips and transcripts that were had, and the errors

The exit status is 1 unless all that is wanted is so.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import mutants
import numpy as np
import seed_media
from damage_library import COLOUR
from watched_decoding import Watch, memory, sampled

from seehear import Library
from seehear.batches import BATCH
from seehear.errors import DecoderDied, SeehearError
from seehear.media import sniff
from seehear.presets import SETS
from seehear.types import Content, Picture, Text, Waveform

MODELS = {**SETS, "colour": COLOUR}
FOLDERS = ("a", "b", "c", "d")
EVERY = 40  # mutants from one good file to the next
SLOW = 10.0  # seconds
MEMORY = 512  # MB
UNFORESEEN = re.compile(r"it cannot be decoded \((\w+)")


# The files


def make(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Write mutants and good files into `folder/media`, the good ones also into `folder/good`; say what they are."""
    for name in FOLDERS:
        (folder / "media" / name).mkdir(parents=True)
        (folder / "good" / name).mkdir(parents=True)
    told: dict[str, Any] = {"mutants": {}, "good": []}
    kinds = [(name, number) for name, made in seed_media.seeds().items() for number in range(len(made))]
    for number, (name, kind, data) in enumerate(mutants.mutants(count, seed)):
        place = f"{FOLDERS[number * len(FOLDERS) // _most(count)]}/{number:05}"
        (folder / "media" / f"{place}-{kind}.{name}").write_bytes(data)
        told["mutants"][f"{place}-{kind}.{name}"] = (name, kind)
        if number % EVERY == 0:
            told["good"].append(_good(folder, place, *kinds[number // EVERY % len(kinds)], number))
    return told


def _most(count: int) -> int:
    one = len(mutants.FORMATS) * len(mutants.MUTATIONS)
    return -(-count // one) * one


def _good(folder: Path, place: str, name: str, variant: int, number: int) -> str:
    """A file of some kind that is like no other, and of every other recording a transcript beside it."""
    file = f"{place}-good.{name}"
    made = next(list(several)[variant] for one, several in seed_media.seeds(number + 10).items() if one == name)
    for copy in (folder / "media" / file, folder / "good" / file):
        copy.write_bytes(made)
        if name in ("wav", "mp3", "flac") and number // EVERY % 2:
            copy.with_suffix(".srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\nNumber {number} is good.\n")
    return file


# In the child


def opened(folder: Path, models: str, workers: int) -> Library:
    """A library whose models are loaded and have answered a question each."""
    library = Library.open(folder, models=MODELS[models])
    library._parts.pool.workers = workers or library._parts.pool.workers
    for encoder in library._parts.encoders.values():
        for kind, content in largest(encoder.needs.pixels or 224, encoder.needs.rate, encoder.needs.window).items():
            if kind in encoder.takes:
                encoder.embed([content], "query")
    if library._parts.transcriber:
        library._parts.transcriber.transcribe(Waveform(seed_media.wave(3, 5.0, 16_000), 16_000), "en")
    library.retrieve("a red disc")
    return library


def largest(pixels: int, rate: int | None, seconds: float) -> dict[str, Content]:
    """Of each kind a content that is as large as encoders get them."""
    sound = Waveform(seed_media.wave(1, seconds, rate or 16_000), rate or 16_000)
    still = Picture(np.asarray(seed_media.picture(1, (pixels, pixels))))
    return {"image": still, "audio": sound, "text": Text("a word of many " * 100)}


def at_work(library: Library) -> float:
    """The most memory, MB, that this process has while each model works on a batch as large as `add` makes them."""
    with sampled() as most:
        for encoder in library._parts.encoders.values():
            needs = encoder.needs
            for kind, content in largest(needs.pixels or 224, needs.rate, needs.window).items():
                if kind in encoder.takes:
                    encoder.embed([content] * BATCH, "document")
    return most["parent"]


def segments(library: Library, good: list[str]) -> dict[str, list[str]]:
    """Ids of the segments of each good file."""
    scenes = library._parts.ledger.scenes
    return {name: sorted(scenes.ids(name)) for name in good}


def reference(folder: Path, models: str, workers: int) -> dict[str, Any]:
    """What a library of the good files alone has of them."""
    good = json.loads((folder / "files.json").read_text())["good"]
    with opened(folder / "reference", models, workers) as library:
        library.add([folder / "good" / name for name in FOLDERS])
        return segments(library, good)


def measured(folder: Path, models: str, workers: int, hits: int) -> dict[str, Any]:
    """Add everything, and look at what can be found."""
    told = json.loads((folder / "files.json").read_text())
    wanted = json.loads((folder / "reference.json").read_text())
    watch, aborted, unfound = Watch(), [], []
    taken: set[str] = set()
    with opened(folder / "library", models, workers) as library:
        asked, own = memory("self"), at_work(library)
        with watch.watching(), sampled() as most:
            began = time.monotonic()
            reports = []
            for name in FOLDERS:
                try:
                    reports.append(library.add(folder / "media" / name, metadata=lambda path: {"file": path.name}))
                except Exception:
                    aborted.append(traceback.format_exc())
            seconds = time.monotonic() - began
            taken = {one[len(str(folder / "media")) + 1 :] for report in reports for one in report.added}
            parts = {one.path[len(str(folder / "media")) + 1 :] for report in reports for one in report.partial}
            library._parts.pool.close()
        missing = library.verify().missing
        have = segments(library, told["good"])
        for name in told["good"]:
            found = library.retrieve("a red disc", k=1, min_score=0, where={"file": Path(name).name})
            if have[name] != wanted[name] or not have[name] or not found:
                why = watch.files.get(name, {}).get("why", "never decoded")
                unfound.append(f"{name}: {len(have[name])} of {len(wanted[name])} segments, {len(found)} hits; {why}")
        chosen = sorted((taken | parts) & told["mutants"].keys())
        looked = look(library, folder, chosen[:: max(1, len(chosen) // hits)] if hits else [])
    return {
        "seconds": seconds, "files": watch.files, "printed": watch.printed, "aborted": aborted, "lost": unfound,
        "missing": [str(one) for one in missing], "memory": {**most, "asked": asked, "own": own}, "hits": looked,
        "added": sorted(taken & told["mutants"].keys()), "partial": sorted(parts & told["mutants"].keys()),
    }  # fmt: skip


def look(library: Library, folder: Path, names: list[str]) -> dict[str, Any]:
    """Open accepted files as hits: how many of each kind could be, what errors there were, and the longest time."""
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    longest = 0.0
    for name in names:
        for hit in library.retrieve("a red disc", k=2, min_score=0, where={"file": Path(name).name}):
            ways = {"image": ("picture",), "video": ("frames", "clip", "transcript"), "audio": ("clip", "transcript")}
            for way in ways.get(hit.modality, ()):
                began = time.monotonic()
                try:
                    getattr(hit, way)(*([folder / "clip.mp4"] if way == "clip" else []))
                    counted[way] += 1
                except SeehearError as error:
                    counted[f"{way}: {type(error).__name__}"] += 1
                    if type(error) is SeehearError or UNFORESEEN.search(str(error)):
                        wrong.append(f"{name}: {way}: {error}")
                except Exception:
                    wrong.append(f"{name}: {way}: {traceback.format_exc()}")
                longest = max(longest, time.monotonic() - began)
    return {"counted": counted, "wrong": wrong, "longest": longest}


# The report


def show(told: dict[str, Any], found: dict[str, Any], folder: Path) -> bool:
    """Print what was found; whether all is as it should be."""
    files, names = found["files"], told["mutants"]
    sniffed = {name for name in names if sniff((folder / "media" / name).read_bytes()[:4096], name)}
    reached = {name for name in names if files.get(name, {}).get("opened")}
    kinds = list(dict.fromkeys(kind for _, kind in names.values()))
    print(f"{'':8}" + "".join(f"{kind:>13}" for kind in kinds) + f"{'all':>9}{'sniffed':>9}{'opened':>9}")
    for form in (*mutants.FORMATS, "all"):
        mine = [name for name, (one, _) in names.items() if form in (one, "all")]
        counts = Counter(names[name][1] for name in mine)
        last = f"{len(mine):9}{len(sniffed.intersection(mine)):9}{len(reached.intersection(mine)):9}"
        print(f"{form:8}" + "".join(f"{counts[kind]:13}" for kind in kinds) + last)
    errors = Counter(files[name]["error"] for name in names if name in files)
    whole, part = len(found["added"]), len(found["partial"])
    refused = ", ".join(f"{error} {n}" for error, n in errors.most_common() if error)
    print(f"outcome: added {whole}, partly {part}, refused {sum(n for e, n in errors.items() if e)} ({refused})")
    print(f"time: {found['seconds']:.0f} s; of one file at most {max(f['seconds'] for f in files.values()):.1f} s")
    _examples(
        "decoders that died", [f"{n}: {files[n]['why']}" for n in names if files[n]["error"] == DecoderDied.__name__]
    )
    unforeseen = [f"{name}: {files[name]['why']}" for name in names if UNFORESEEN.search(files[name]["why"])]
    _examples("errors unforeseen", unforeseen)
    _examples("lines that decoding processes printed", found["printed"])
    _examples("vectors missing", found["missing"])
    slow = [f"{name}: {file['seconds']:.1f} s" for name, file in files.items() if file["seconds"] > SLOW]
    counts = {"hangs": slow, "batches aborted": found["aborted"], "good files lost": found["lost"]}
    print(f"parent deaths: 0; of {len(told['good'])} good files")
    for what, which in counts.items():
        _examples(what, which)
    most, looked = found["memory"], found["hits"]
    together = max(0.0, most["all"] - most["own"])
    print(f"memory, MB: models that have answered {most['asked']:.0f}, at work {most['own']:.0f}; then the parent "
          f"{most['parent']:.0f}, the largest decoding process {most['child']:.0f}, all {most['all']:.0f}: "
          f"{together:.0f} above the models' own (wanted: {MEMORY})")  # fmt: skip
    most_of = sorted(((file.get("peak", 0.0), name) for name, file in files.items()), reverse=True)[:5]
    print("  largest: " + ", ".join(f"{name} {peak:.0f}" for peak, name in most_of))
    print(f"hits: {', '.join(f'{what} {n}' for what, n in sorted(looked['counted'].items()))}; "
          f"at most {looked['longest']:.1f} s")  # fmt: skip
    _examples("hits with an error that is none of ours", looked["wrong"])
    print(f"opened {len(reached)} of {len(names)}: {len(reached) / len(names):.0%} (wanted: 50%)")
    good = not (any(counts.values()) or found["missing"] or looked["wrong"] or unforeseen)
    return good and together <= MEMORY and 2 * len(reached) >= len(names)


def _examples(what: str, which: list[str]) -> None:
    print(f"{what}: {len(which)}")
    for one in which[:20]:
        print("  " + one.strip().replace("\n", "\n  "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", choices=MODELS, default="mini")
    parser.add_argument("--workers", type=int, default=0, help="decoding processes; as the library has it if 0")
    parser.add_argument("--hits", type=int, default=300, help="files that are opened as hits, about")
    parser.add_argument("--folder", type=Path, help="keep all files there; it must not exist")
    parser.add_argument("--part", choices=("reference", "measured"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        more = (given.hits,) if given.part == "measured" else ()
        found = (measured if given.part == "measured" else reference)(given.folder, given.models, given.workers, *more)
        (given.folder / f"{given.part}.json").write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = (given.folder or Path(made)).resolve()
        told = make(folder, given.files, given.seed)
        (folder / "files.json").write_text(json.dumps(told))
        for part in ("reference", "measured"):
            options = [f"--{name}={getattr(given, name)}" for name in ("models", "workers", "hits")]
            done = subprocess.run(
                [sys.executable, __file__, f"--part={part}", f"--folder={folder}", *options], check=False
            )
            if done.returncode:
                raise SystemExit(f"parent deaths: 1 (exit status {done.returncode} of the part {part})")
        if not show(told, json.loads((folder / "measured.json").read_text()), folder):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
