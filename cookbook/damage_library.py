"""Damage every file of a library in turn, ask it again, repair it, and ask once more.

    python cookbook/damage_library.py FOLDER --models colour                  # every file, every damage
    python cookbook/damage_library.py FOLDER --models colour --faults 2 --cases 200
    python cookbook/damage_library.py FOLDER --models colour --killed --cases 200

A library is made of the media in a folder and of some passages that are no files, asked questions, and closed. Then
one of its files loses a byte, half of it, or all, has one bit turned at some seeded places, or is deleted. A child
process opens the library and asks again; another opens it with `repair=True`, runs `verify(repair=True)`, asks,
verifies, closes, opens it as usual and asks again. Chroma may crash whoever opens a damaged index, so whatever opens a
library is a child.

Printed for each case, and counted: what asking came to, and what the repair came to.
same        the ids, times, words and scores of the ten best of each question are what they were
...Error    one of seehear's errors, by name
WRONG       they are not, and nobody said anything
TRACEBACK   any other error; CRASH and HANG are what they say
repaired    afterwards the answers are the same and `verify` finds nothing
The exit status is 1 where a TRACEBACK, CRASH or HANG was seen; of single damage also where an answer was WRONG, or was
not repaired. `--faults 2` damages two files at once, `--killed` a library whose process was killed in the middle of
`add`, `--rot` turns bits as a bad disk does, without another time of the file: wrong answers are only counted there, as
nothing tells what the files should be. Not for Windows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from seehear import Library, ModelSet, Query
from seehear.errors import SeehearError
from seehear.media import sniff
from seehear.presets import READ, SETS
from seehear.types import Route

FAKE = "seehear.testing:ColourEncoder"
WORDS, SEEN, HEARD = frozenset({"text"}), frozenset({"text", "image"}), frozenset({"text", "audio"})
COLOUR = ModelSet(
    "colour",
    (Route("visual", FAKE, SEEN), Route("sound", FAKE, HEARD), *(Route(words, FAKE, WORDS) for words in READ)),
    ("image", "audio", "text", "video"),
    "seehear.testing:LoudnessTranscriber",
)
MODELS = {**SETS, "colour": COLOUR}
CHANNELS = ("visual", "sound", "speech", "text")
NOUNS = ("bridge", "invoice", "harbour", "lamp", "parrot", "orchard", "violin", "glacier", "kettle", "staircase")
PATIENCE = 600  # seconds that a child may take
K, MORE = 10, 30  # answers that are compared; that are asked for beyond, as they may tie with the last
CLOSE = 1e-4  # scores that count as the same: an encoder may add in another order
Answers = Sequence[Sequence[Any]]
Fault = tuple[Path, str, bytes | None]  # file of the library, what becomes of it, its bytes
SPAWN = multiprocessing.get_context("forkserver")  # a child of its own for each case, without importing everything anew


@dataclass(frozen=True)
class Job:
    """What every child has to know."""

    library: Path
    media: Path
    models: str
    passages: int

    def open(self, *, repair: bool = False) -> Library:
        """Open it as it was made."""
        return Library.open(self.library, models=MODELS[self.models], repair=repair)


def passages(count: int) -> tuple[list[str], list[dict[str, int]]]:
    """Passages that all differ, of few words; metadata of each."""
    rng = random.Random(11)
    texts = [f"The {rng.choice(NOUNS)} and the {rng.choice(NOUNS)} of page {number}." for number in range(count)]
    return texts, [{"page": number} for number in range(count)]


def answers(job: Job, library: Library) -> Answers:
    """The ten best of several questions: in words, in each channel alone, with a picture, among some files."""
    pictures = (path for path in files(job.media) if path.suffix in (".png", ".jpg"))
    asked: list[tuple[Any, dict[str, Any]]] = [("red", {}), ("the kettle of page 7", {}), ("as loud as 50", {})]
    asked += [("the harbour in blue", {"channels": {channel}}) for channel in CHANNELS]
    asked += [(Query(image=path), {}) for path in islice(pictures, 2)]
    asked += [("a lamp", {"where": {"page": {"$lt": 20}}}), ("green", {"modalities": {"video"}, "per_source": 2})]
    found = []
    for question, bounds in asked:
        hits = library.retrieve(question, k=K + MORE, min_score=0, **bounds)
        found.append([([hit.source, hit.modality, hit.start, hit.end, hit.text, sorted(hit.metadata), hit.how,
                        hashlib.sha256(hit.thumbnail).hexdigest()[:8]], hit.score) for hit in hits])  # fmt: skip
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def files(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def make(job: Job) -> Answers:
    """Make the library, ask, and close it."""
    with job.open() as library:
        if failed := library.add(job.media, metadata={"album": "damaged"}).failed:
            raise ValueError(f"{failed[0].path}: {failed[0].reason}")
        library.add_texts(*passages(job.passages))
        return answers(job, library)


def die(job: Job) -> None:
    """Be killed in the middle of adding to it: the media are there, and most of the passages."""
    (texts, pages), most = passages(job.passages), job.passages * 9 // 10
    library = job.open()
    library.add(job.media, metadata={"album": "damaged"})
    library.add_texts(texts[:most], pages[:most])
    library.add_texts(texts[most:], pages[most:], progress=lambda n, of, _: n > of // 2 and os.kill(os.getpid(), 9))


def ask(job: Job) -> Answers:
    """Open it and ask."""
    with job.open() as library:
        return answers(job, library)


def repair(job: Job) -> tuple[Answers, bool, int]:
    """Put it right: what it answers, then and opened once more; whether all is there; what was embedded again."""
    with job.open(repair=True) as library:
        first = library.verify(repair=True)
        found, second = answers(job, library), library.verify()
    again = ask(job)
    return again if not difference(found, again) else [], first.good and second.good, first.embedded


def child(role: Callable[[Job], Any], job: Job, pipe: Any) -> None:
    """Do one of these, and tell what came of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # whatever Rust says about its own panics
    logging.disable()
    try:
        pipe.send(("done", role(job)))
    except SeehearError as error:
        pipe.send((type(error).__name__, str(error)))
    except BaseException as error:  # that is what is looked for
        pipe.send(("TRACEBACK", repr(error)))


def run(role: Callable[[Job], Any], job: Job) -> tuple[str, Any]:
    """Let a child do one of these: `done` and the result, or the kind of what went wrong and its text."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=child, args=(role, job, theirs))
    process.start()
    theirs.close()
    told: tuple[str, Any] = "CRASH", ""
    with suppress(EOFError):
        told = ours.recv() if ours.poll(PATIENCE) else ("HANG", "")
    process.join(10)
    if process.is_alive():
        process.kill()
        told = "HANG", f"after {told[0]}"
    process.join()
    return ("CRASH", f"exit status {process.exitcode}") if process.exitcode and told[0] != "HANG" else told


def damages(path: Path, flips: int, rng: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """What may become of a file: a name, and its bytes; None where it is gone."""
    whole = path.read_bytes()
    if whole:
        yield "-1", whole[:-1]
        if len(whole) > 1:
            yield "half", whole[: len(whole) // 2]
            yield "zero", b""
    for _ in range(flips if whole else 0):
        place, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        yield f"bit {place}:{bit}", whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
    yield "gone", None


def inflict(job: Job, kept: Path, faults: Sequence[Fault], rot: bool) -> None:
    """Put the library back as it was, but for some of its files."""
    shutil.rmtree(job.library, ignore_errors=True)
    shutil.copytree(kept, job.library)
    for below, _, content in faults:
        path, status = job.library / below, (kept / below).stat()
        if content is None:
            path.unlink()
            continue
        path.write_bytes(content)
        if rot:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cases(kept: Path, given: argparse.Namespace) -> list[list[Fault]]:
    """All single damages, or as many as are wanted of them; or pairs, of files of different names."""
    rng = random.Random(given.seed)
    paths = [path for path in files(kept) if given.file in str(path.relative_to(kept))]
    single = [
        [(path.relative_to(kept), how, content)]
        for path in paths
        for how, content in damages(path, given.flips, rng)
        if not given.rot or how.startswith("bit")
    ]
    if given.faults == 1:
        return single if given.cases is None else rng.sample(single, min(given.cases, len(single)))
    named: dict[str, list[Fault]] = {}
    for (fault,) in single:
        named.setdefault(fault[0].name, []).append(fault)
    return [[rng.choice(named[name]) for name in rng.sample(sorted(named), 2)] for _ in range(given.cases or 100)]


def difference(before: Answers, found: Answers) -> str:
    """The first of the ten best of a question that is another, or scores otherwise; nothing if there is none.

    Those that score the same may come in any order, and any of them in the last place.
    """
    for number, (was, now) in enumerate(zip_longest(before, found, fillvalue=())):
        if [pair for pair in zip_longest(was[:K], now[:K]) if None in pair or abs(pair[0][1] - pair[1][1]) > CLOSE]:
            return f"question {number}: scores {[one[1] for one in was[:K]]} then, {[one[1] for one in now[:K]]} now"
        last = was[K - 1][1] + CLOSE if len(was) > K else -1.0
        for first, other, when in ((was, now, "then"), (now, was, "now")):
            scores = {json.dumps(what): score for what, score in other}
            for what, score in first[:K]:
                if score > last and abs(scores.get(json.dumps(what), -1.0) - score) > CLOSE:
                    return f"question {number}: {what} {score} only {when}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures, recordings, videos, texts")
    parser.add_argument("--models", choices=MODELS, default="mini")
    parser.add_argument("--passages", type=int, default=1200, help="that are no files (default: 1200)")
    parser.add_argument("--flips", type=int, default=3, help="bits of each file that are turned, one by one")
    parser.add_argument("--faults", type=int, choices=(1, 2), default=1, help="files that are damaged at a time")
    parser.add_argument("--cases", type=int, help="only so many cases, drawn at random")
    parser.add_argument("--file", default="", help="only files of the library with this in their names")
    parser.add_argument("--killed", action="store_true", help="damage a library that was not closed")
    parser.add_argument("--rot", action="store_true", help="turn bits alone, and leave the times of files as they were")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    SPAWN.set_forkserver_preload(["__main__", "seehear.library", "seehear.stores.chroma", "seehear.testing"])
    with tempfile.TemporaryDirectory() as work:
        media = Path(work, "media")
        media.mkdir()
        for path in files(given.folder):
            if sniff(path.read_bytes()[:32]) or path.suffix in (".txt", ".md", ".srt"):
                shutil.copy2(path, media / path.name)
        return measure(Job(Path(work, "library"), media, given.models, given.passages), Path(work, "kept"), given)


def measure(job: Job, kept: Path, given: argparse.Namespace) -> int:
    """Make it, damage it, ask, repair, ask; returns the exit status."""
    told, before = run(die if given.killed else make, job)
    if told != ("CRASH" if given.killed else "done"):
        raise SystemExit(f"the library could not be made: {told} {before}")
    shutil.copytree(job.library, kept)
    told, now = run(ask, job)
    if told != "done" or (not given.killed and difference(before, now)):
        raise SystemExit(f"the library does not answer as it did before anything was damaged: {told} {now}")
    before = now
    print(f"{len(files(job.media))} files and {job.passages} passages; {len(before)} questions, "
          f"{sum(len(one[:K]) for one in before)} answers; the library has {len(files(kept))} files")  # fmt: skip
    asked, mended = Counter[str](), Counter[str]()
    started = time.monotonic()
    for faults in cases(kept, given):
        inflict(job, kept, faults, given.rot)
        told, found = run(ask, job)
        other = difference(before, found) if told == "done" else str(found)
        answer = told if told != "done" else "WRONG" if other else "same"
        asked[answer] += 1
        line = " and ".join(f"{below} {how}" for below, how, _ in faults) + f": {answer}"
        line += f" ({other})" if answer.isupper() else ""
        if answer == "same":
            inflict(job, kept, faults, given.rot)
        told, found = run(repair, job)
        other = difference(before, found[0]) if told == "done" else str(found)
        state = told if told != "done" else "WRONG" if other else "repaired" if found[1] else "NOT GOOD"
        mended[state] += 1
        line += f"; {state} ({other or f'{found[2]} embedded again'})"
        print(line, flush=True)
    print(f"{asked.total()} cases in {time.monotonic() - started:.0f} s")
    print("asked:   ", ", ".join(f"{name} {count}" for name, count in sorted(asked.items())))
    print("repaired:", ", ".join(f"{name} {count}" for name, count in sorted(mended.items())))
    bad = {"TRACEBACK", "CRASH", "HANG"} & {*asked, *mended}
    lenient = given.killed or given.rot or given.faults > 1
    return 1 if bad or (not lenient and (asked["WRONG"] or set(mended) - {"repaired"})) else 0


if __name__ == "__main__":
    sys.exit(main())
