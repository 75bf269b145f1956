"""Two writers and four readers of one library, its vectors on a Chroma server: count errors, torn and stale answers.

    python cookbook/measure_server.py --seconds 60

The server is `chroma run`, on a free port of this machine; everybody is a process of his own. Writers add, change,
remove and move pictures, texts and passages of their own, one or four at a time, as fast as they can; now and then they
bring back what was there before. Readers ask for one of these things after the other, most of the time for one that is
being changed, and half of the time with a filter that lets nothing else through. `versioned_things.py` has the things.

Errors are exceptions anywhere, and what could not be taken in. An answer is torn if it has two versions or two places
of one thing, not all parts of a text, or a vector of another version than the ledger. It is stale if it shows what was
replaced or removed before the question began, or lacks what was there by then; what a writer has in hand meanwhile may
be shown as it was or as it will be. In the end everything is asked for once more, and `verify` counts what is missing
or left over in the store.

Printed are writes and questions with their times, how long writers waited for their turns, and the counts. The exit
status is 1 if one of them is not 0. Not for Windows.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from versioned_things import (
    MODELS,
    NAME,
    PASSAGE,
    PICTURE,
    TEXT,
    Log,
    State,
    Story,
    Versions,
    draw,
    faults,
    kind,
    write,
)

from seehear import Library
from seehear.place import Place
from seehear.types import Report

K = 12
SOON = 0.02  # seconds between two looks
Wrong = list[tuple[str, str]]
"""What is wrong: "error", "torn" or "stale", and in what."""


class Writer:
    """Changes things of its own, and says so before and after."""

    def __init__(self, library: Library, number: int, work: Path, items: int) -> None:
        self.library, self.rng, self.log = library, random.Random(number), Log(work / f"{number}.log")
        self.folder = work / f"w{number}"
        self.folder.mkdir()
        self.now: dict[str, State] = {f"w{number}i{n}": None for n in range(items)}
        self.last = dict.fromkeys(self.now, 0)
        for what in (PICTURE, TEXT, PASSAGE):
            self.do({name: self._next(name) for name in self.now if kind(name) == what})

    def step(self) -> Wrong:
        """Change one thing, or some of a kind at once."""
        what, many = self.rng.randrange(3), self.rng.choice((1, 1, 1, 4))
        names = [name for name in self.now if kind(name) == what]
        self.do({name: self._next(name) for name in self.rng.sample(names, min(many, len(names)))})
        return []

    def do(self, new: dict[str, State]) -> None:
        """Bring things of a kind to another state. Raises RuntimeError if they are not taken in."""
        self.log.tell(new, done=False)
        old, self.now = self.now, self.now | new
        take = self._passages if kind(next(iter(new))) == PASSAGE else self._files
        report = take(old, new)
        if report and (report.failed or report.partial):
            raise RuntimeError(f"not taken in: {report.failed + report.partial}")
        self.log.tell(new, done=True)

    def _passages(self, old: dict[str, State], new: dict[str, State]) -> Report | None:
        there = {name: state[1] for name, state in new.items() if state}
        if gone := [name for name in new if old[name] and not new[name]]:
            self.library.remove(gone)
        if not there:
            return None
        texts = [write(name, version) for name, version in there.items()]
        return self.library.add_texts(texts, [{"item": n, "version": v} for n, v in there.items()], list(there))

    def _files(self, old: dict[str, State], new: dict[str, State]) -> Report | None:
        about = {state[0]: {"item": name, "version": state[1]} for name, state in self.now.items() if state}
        moved = False
        for name, state in new.items():
            was = old[name]
            if was and not state:
                Path(was[0]).unlink()
            if was and state and was[0] != state[0]:
                Path(was[0]).rename(state[0])
                moved = True
            if state and (not was or was[1] != state[1]):
                if kind(name) == PICTURE:
                    draw(name, state[1]).save(state[0])
                else:
                    Path(state[0]).write_text(write(name, state[1]))
        (name, state), *more = new.items()
        if more or moved:
            return self.library.sync(self.folder, metadata=lambda path: about[str(path)])
        if state:
            return self.library.add(state[0], metadata=about[state[0]])
        if was := old[name]:
            self.library.remove(was[0])
        return None

    def _next(self, name: str) -> State:
        state, way = self.now[name], self.rng.random()
        if state and way < 0.2:
            return None
        if state and way < 0.35 and kind(name) != PASSAGE:
            return self._place(name), state[1]
        if state and way < 0.45 and state[1] > 1:
            return state[0], state[1] - 1
        self.last[name] += 1
        return state[0] if state else self._place(name), self.last[name]

    def _place(self, name: str) -> str:
        if kind(name) == PASSAGE:
            return name
        return str(self.folder / f"{name}-{self.rng.randrange(1000)}{'.png' if kind(name) == PICTURE else '.txt'}")


class Reader:
    """Asks for one thing after the other, and looks at what it gets."""

    def __init__(self, library: Library, number: int, work: Path, writers: int) -> None:
        self.library, self.rng = library, random.Random(1000 + number)
        self.story = Story([work / f"{writer}.log" for writer in range(writers)])

    def step(self) -> Wrong:
        """Ask for anything, most of the time for what somebody is changing."""
        self.story.begin()
        busy = self.story.busy() if self.rng.random() < 0.7 else []
        return self._ask(self.rng.choice(busy or list(self.story.may)), alone=self.rng.random() < 0.5)

    def every(self) -> Wrong:
        """Ask for everything, while nobody changes anything."""
        self.story.begin()
        return [wrong for name in self.story.may for wrong in self._ask(name, alone=False)]

    def _ask(self, name: str, *, alone: bool) -> Wrong:
        hits = self.library.retrieve(name, k=K, min_score=0, where={"item": name} if alone else None)
        self.story.follow()
        return list(faults(hits, name, self.story.may))


def opened(work: Path, store: str | None = None) -> Library:
    return Library.open(work / "library", models=MODELS, encoders={NAME: Versions()}, store=store)


def play(part: str, number: int, folder: str, store: str, items: int, writers: int) -> None:
    """Be a writer or a reader until it is enough, and print what came of it."""
    work, waits, times, wrong = Path(folder), timed_turns(), list[float](), Wrong()
    # Who comes later need not say where the vectors are: the library remembers.
    with opened(work, store if part == "writer" else None) as library:
        player = Writer(library, number, work, items) if part == "writer" else Reader(library, number, work, writers)
        waits.clear()
        (work / f"{part}{number}.ready").touch()
        while not (go := work / "go").exists():
            time.sleep(SOON)
        end = float(go.read_text())
        while (started := time.time()) < end:
            try:
                wrong += player.step()
            except Exception as error:
                wrong.append(("error", f"{part} {number}: {error!r}"))
            times.append(time.time() - started)
    print(json.dumps([times, waits if part == "writer" else [], wrong]))


def timed_turns() -> list[float]:
    """Note from now on how long this process waits for each of its turns, in seconds."""
    waits: list[float] = []
    turn: Callable[..., Any] = Place.turn

    @contextmanager
    def timed(place: Place, **options: bool) -> Iterator[bool]:
        started = time.perf_counter()
        with turn(place, **options) as ours:
            waits.append(time.perf_counter() - started)
            yield ours

    Place.turn = timed  # type: ignore[method-assign,assignment]
    return waits


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A Chroma server; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chroma = str(Path(sysconfig.get_path("scripts"), "chroma"))
    command = [chroma, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(SOON)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--items", type=int, default=36, help="things of each writer (default: 36)")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        play(**given.child)
        return 0
    with tempfile.TemporaryDirectory() as folder, served(Path(folder).resolve() / "server") as store:
        return measure(Path(folder).resolve(), store, given.seconds, given.writers, given.readers, given.items)


def measure(work: Path, store: str, seconds: float, writers: int, readers: int, items: int) -> int:
    """Let everybody play, and print what came of it; returns the exit status."""
    wrong = Wrong()
    players = started(work, writers, readers, store=store, items=items)
    try:
        (work / "soon").write_text(str(time.time() + seconds))
        (work / "soon").rename(work / "go")
        told = [(part, player.communicate()[0], player.returncode) for part, player in players]
    finally:
        for _, player in players:
            player.kill()
            player.wait()
    for which, what in (("writer", "writes"), ("reader", "questions")):
        wrong += [("error", f"a {part} ended with {status}") for part, _, status in told if part == which and status]
        every = [json.loads(line) for part, line, status in told if part == which and not status]
        times, waits, mine = ([one for player in every for one in player[n]] for n in range(3))
        wrong += [(how, why) for how, why in mine]
        print(f"{len(every)} {which}s, {len(times):,} {what} in {seconds:g} s: {spread(times)}")
        if waits:
            print(f"  waited for their turns {spread(waits)}")
    with opened(work) as library:
        wrong += Reader(library, 0, work, writers).every()
        found = library.verify()
    for how, why in wrong[:20]:
        print(f"{how}: {why}")
    counts = {name: sum(how == name for how, _ in wrong) for name in ("error", "torn", "stale")}
    counts |= {"missing": sum(found.missing.values()), "left over": found.orphans}
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    return 1 if any(counts.values()) else 0


def started(work: Path, writers: int, readers: int, **common: Any) -> list[tuple[str, subprocess.Popen[str]]]:
    """Start everybody: readers once the writers have made something to ask for."""
    players: list[tuple[str, subprocess.Popen[str]]] = []
    for part, many in (("writer", writers), ("reader", readers)):
        for number in range(many):
            child = {"part": part, "number": number, "folder": str(work), "writers": writers, **common}
            command = [sys.executable, __file__, "--child", json.dumps(child)]
            players.append((part, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)))
        while len(list(work.glob("*.ready"))) < len(players):
            if any(player.poll() is not None for _, player in players):
                for _, player in players:
                    player.kill()
                raise SystemExit("one of them ended by itself; see above")
            time.sleep(SOON)
    return players


def spread(times: Sequence[float]) -> str:
    """How long something took, in milliseconds."""
    if not times:
        return "never"
    middle, most = np.percentile(times, [50, 99]) * 1000
    return f"p50 {middle:.0f} ms, p99 {most:.0f} ms, at most {max(times) * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
