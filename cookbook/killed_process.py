"""The process that `kill_ingest.py` kills: it opens a library, tells what is in it, and syncs a folder into it.

What becomes of each file is written down, and forced to disk before the library goes on: that is the acknowledgement.
Functions of the library are wrapped, so that the process, and those that decode for it, can be killed at a certain call
of one. To be killed while a call runs, it asks its parent on standard output, who need not wait for any lock of Python.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, get_args

from library_state import State, misfound, questions

from seehear import Library, ModelSet, batches
from seehear.decoder import Finished, Job, Opened
from seehear.presets import EVERY, SETS
from seehear.testing import COLOUR
from seehear.types import Channel, Route

FAKE = tuple(Route(channel, COLOUR, frozenset({"text", "image", "audio"})) for channel in get_args(Channel))
MODELS = {**SETS, "colour": ModelSet("colour", FAKE, EVERY, "seehear.testing:LoudnessTranscriber")}
STAGES = {
    "decode": ("before decode", "during decode", "after decode"),
    "transcribe": (
        *("before transcribe", "during transcribe", "after transcribe"),
        *("before keep", "inside keep", "after keep"),
    ),
    "embed": ("before embed", "during embed", "after embed"),
    "upsert": ("before upsert", "during upsert", "after upsert"),
    "publish": ("before publish", "during publish", "inside publish", "after publish"),
    "delete": ("before delete", "during delete", "after delete", "inside sweep", "after sweep"),
    "close": ("during backup", "after backup", "during close", "after close", "during seal", "after seal"),
}
"""Moments in which a process is killed. Inside of is before a transaction is committed."""
DECODING = 0.05  # seconds


class Notes:
    """What a process tells its parent, line by line; a line that its death cut off does not count."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, kind: str, what: Any, *, forced: bool = False) -> None:
        os.write(self._file, json.dumps([kind, what]).encode() + b"\n")
        if forced:
            os.fsync(self._file)


def noted(path: str, kind: str) -> list[Any]:
    """What a process wrote down of a kind."""
    lines = Path(path).read_bytes().split(b"\n")[:-1] if Path(path).exists() else []
    return [what for name, what in map(json.loads, lines) if name == kind]


class Trap:
    """Lets this process be killed at the n-th time that it comes by a moment."""

    def __init__(self, moment: str | None, number: int, delay: float | None) -> None:
        """`delay` is in seconds, of a moment that lasts; without a moment it counts from the first file on.

        Without a delay either nobody is killed.
        """
        self.moment, self.left, self.delay = moment, number, delay
        self.armed = False
        self.calls: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.began = self.ready = 0.0
        """When the first file was taken, and when the first was decoded."""
        self._lock = threading.Lock()
        self._inside = ""

    def reach(self, moment: str, how: Callable[[], None]) -> bool:
        """Come by; whether this was the time."""
        with self._lock:
            if not self.armed:
                return False
            self.calls[moment] += 1
            self.left -= moment == self.moment
            due = moment == self.moment and self.left == 0
        if due:
            how()
        return due

    def ask(self) -> None:
        """Ask the parent to kill us in a while."""
        print("kill", self.delay, flush=True)

    def hook(self, owner: Any, name: str, what: str) -> None:
        """Wrap a function: before it is called, while it runs, inside of its transaction, after it."""
        really = getattr(owner, name)

        def call(*args: Any, **named: Any) -> Any:
            self.reach(f"before {what}", die)
            doomed = self.reach(f"during {what}", self.ask)
            started, self._inside = time.perf_counter(), what
            answer = really(*args, **named)
            self._inside = ""
            self.seconds[what] += (time.perf_counter() - started) * self.armed
            if doomed:
                die()
            self.reach(f"after {what}", die)
            return answer

        vars(owner)[name] = call

    def hook_all(self, library: Library) -> None:
        """Wrap what a library does."""
        parts, custody = library._parts, library._custody
        ledger, decode, transaction = parts.ledger, parts.pool.run, parts.ledger.file.transaction
        for encoder in set(parts.encoders.values()):
            self._hook_encoder(encoder)
        if parts.transcriber is not None:
            self.hook(parts.transcriber, "transcribe", "transcribe")
        self.hook(ledger.transcripts, "put", "keep")
        self.hook(parts.store, "upsert", "upsert")
        self.hook(ledger, "publish", "publish")
        self.hook(parts.store, "delete", "delete")
        self.hook(ledger.garbage, "swept", "sweep")
        self.hook(custody, "back_up", "backup")
        self.hook(parts.store, "close", "close")
        self.hook(custody, "close", "seal")

        @contextmanager
        def committed(*, counted: bool = False) -> Iterator[Any]:
            with transaction(counted=counted) as db:
                yield db
                self.reach(f"inside {self._inside}", die)

        def run(jobs: Iterator[Job]) -> Iterator[Any]:
            def drawn() -> Iterator[Job]:
                for job in jobs:
                    self.reach("before decode", die)
                    if self.armed and self.calls["before decode"] == 1:
                        self.began = time.perf_counter()
                        if self.moment is None and self.delay is not None:
                            self.ask()
                    yield job

            with closing(decode(drawn())) as events:
                for event in events:
                    if isinstance(event, Opened):
                        self.reach("during decode", self.ask)
                    elif isinstance(event, Finished):
                        self.ready = self.ready or time.perf_counter() * self.armed
                        self.reach("after decode", die)
                    yield event

        vars(ledger.file)["transaction"] = committed
        vars(parts.pool)["run"] = run

    def _hook_encoder(self, encoder: Any) -> None:
        question = encoder.embed
        self.hook(encoder, "embed", "embed")
        document = encoder.embed
        vars(encoder)["embed"] = lambda contents, role: (document if role == "document" else question)(contents, role)


def die() -> None:
    """Be killed, with those that decode."""
    os.killpg(0, signal.SIGKILL)
    time.sleep(60)  # the kernel need not be done with it at once


def live(job: dict[str, Any]) -> None:
    """Be that process. What it writes lies beside its log."""
    note = Notes(job["log"])
    batches.BATCH = job["batch"]
    trap = Trap(job["moment"], job["number"], job["delay"])
    library = Library.open(job["library"], models=MODELS[job["models"]])
    look(library, note, job["log"] + ".found.npz", job["probes"])
    watch(library, note)
    trap.hook_all(library)
    trap.armed = True
    sync(library, job["folder"], note)
    note("took", [trap.ready - trap.began, time.perf_counter() - trap.began])
    if job["moment"] is None and job["delay"] is not None:
        sys.stdin.read()  # until the parent kills us, or is killed
    if job["last"] == "state":
        State.of(library).write(job["log"] + ".left.npz")
    library.close()
    note("calls", [trap.calls, trap.seconds])
    if job["last"] == "proof":
        prove(job, note)


def sync(library: Library, folder: str, note: Notes) -> Any:
    """Sync, and acknowledge each file."""

    def done(_: int, __: int, path: str) -> None:
        note("done", path, forced=True)

    class Moved(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told = getattr(record, "seehear", {})
            if told.get("outcome") == "moved":
                note("moved", [told["was"], told["path"]], forced=True)

    log, handler = logging.getLogger("seehear.ingest"), Moved()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    report = library.sync(folder, progress=done)
    log.removeHandler(handler)
    return report


def watch(library: Library, note: Notes) -> None:
    """Write down what is embedded and listened to: by the content of its file, and where in it."""
    put, names = batches.Batches.put, dict[int, str]()

    def named(self: Any, draft: Any, segment: Any, content: Any) -> None:
        names[id(content)] = f"{draft.opened.content} {segment.channel} {len(draft.segments)}"
        put(self, draft, segment, content)

    batches.Batches.put = named  # type: ignore[method-assign]
    for encoder in set(library._parts.encoders.values()):
        _note_embedded(encoder, names, note)
    transcripts = library._parts.ledger.transcripts
    get = transcripts.get

    def heard(content: str, stretch: str) -> Any:
        if (found := get(content, stretch)) is None:
            note("heard", f"{content} {stretch}")
        return found

    vars(transcripts)["get"] = heard


def _note_embedded(encoder: Any, names: dict[int, str], note: Notes) -> None:
    embed = encoder.embed

    def noting(contents: Any, role: str) -> Any:
        if role == "document":
            note("embedded", [names[id(content)] for content in contents])
        return embed(contents, role)

    vars(encoder)["embed"] = noting


def look(library: Library, note: Notes, seen: str, probes: list[str] | None) -> None:
    """Write down what a library holds, and how some files, or all, are found."""
    state = State.of(library)
    state.write(seen)
    files = {one.path: one for one in state.files}
    for path in files if probes is None else probes:
        if path in files and Path(path).exists():  # otherwise the state tells
            for channel, query in questions(library, files[path]):
                if wrong := misfound(library, files, files[path], channel, query):
                    note("misfound", [wrong[0], f"{path} by its {channel}: {wrong[1]}"])
            note("probed", path)


def prove(job: dict[str, Any], note: Notes) -> None:
    """Look at a library that nobody killed any more, and make another of the same folder."""
    models = MODELS[job["models"]]
    with Library.open(job["library"], models=models) as library:
        look(library, note, job["log"] + ".left.npz", None)
        found = library.verify()
        note("verified", "" if found.good else repr(found))
        report = sync(library, job["folder"], note)
        note("again", [report.embedded, len(report.added), len(report.changed), len(report.moved)])
    with Library.open(job["library"] + "-at-once", models=models) as library:
        sync(library, job["folder"], note)
        State.of(library).write(job["log"] + ".once.npz")


if __name__ == "__main__":
    live(json.loads(sys.argv[1]))
