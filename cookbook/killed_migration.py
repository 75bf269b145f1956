"""A process that gives a library other models, asks it all the time, and is killed; and what two libraries share.

For `measure_sync.py`. What is seen and heard gets another encoder, words stay with theirs. The process writes down what
it embeds, with which encoder, and whose answers it was given: those of the old models, those of the new, or others.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear import Library, ModelSet, batches
from seehear.passport import remembered
from seehear.presets import EVERY, SETS
from seehear.registry import build
from seehear.scales import Scales, sentences
from seehear.types import Content, Kind, Role, Route

FAKE, TURNED, STAYS = "seehear.testing:ColourEncoder", "turned", "stays"
KINDS: frozenset[Kind] = frozenset({"text", "image", "audio"})
CHANNELS = ("visual", "sound", "speech", "text")
TIE = 1e-4  # of two scores that count as the same
QUESTIONS = sentences()[:8]


class Turned:
    """An encoder that says what it embeds; by the name TURNED, another one, with other vectors."""

    def __init__(self, encoder: Any, name: str, told: Callable[[dict[str, int]], object]) -> None:
        self.name, self.dim, self.takes, self.needs = name, encoder.dim, encoder.takes, encoder.needs
        self.fingerprint = {**encoder.fingerprint, **({"turned": "yes"} if name == TURNED else {})}
        self._encoder, self._told = encoder, told

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if role == "document":
            self._told({TURNED if self.name == TURNED else STAYS: len(contents)})
        rows: NDArray[np.float32] = self._encoder.embed(contents, role)
        if self.name != TURNED:
            return rows
        weighed = rows * np.linspace(1, 3, self.dim, dtype=np.float32)
        return np.asarray(weighed / np.linalg.norm(weighed, axis=1, keepdims=True), np.float32)


def sets(models: str) -> tuple[ModelSet, ModelSet]:
    """The old models and the new ones."""
    name = FAKE if models == "colour" else models
    writer = "seehear.testing:LoudnessTranscriber" if models == "colour" else SETS[models].transcriber
    old = [Route(channel, name, KINDS) for channel in CHANNELS]  # type: ignore[arg-type]
    new = [Route(one.channel, TURNED, KINDS) if one.channel in ("visual", "sound") else one for one in old]
    return ModelSet("old", tuple(old), EVERY, writer), ModelSet("new", tuple(new), EVERY, writer)


@contextmanager
def opened(
    folder: Path, models: str, new: bool, told: Callable[[dict[str, int]], object] = lambda _: None
) -> Iterator[tuple[Library, dict[str, Any]]]:
    """Open a library with its old models or its new ones; the encoders of both. `told` hears what they embed."""
    spec = FAKE if models == "colour" else models
    both = {name: Turned(build(spec), name, told) for name in (TURNED, spec)}
    wanted = sets(models)[new]
    given = {route.encoder: both[route.encoder] for route in wanted.routes}
    with Library.open(folder, models=wanted, encoders=given) as library:
        yield library, both


def left(folder: Path) -> str:
    """Name of the models that a library has."""
    return remembered(folder)["models"]


def migrate(work: str, name: str, models: str, batch: int) -> None:
    """Be a process that migrates a library, asks it all the time, and writes down what becomes of that."""
    batches.BATCH = batch
    log = os.open(f"{work}/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    expected, ended = json.loads(Path(work, "answers.json").read_text()), threading.Event()
    refresh, folder = Scales.refresh, Path(work, name)

    def note(counts: dict[str, int]) -> None:
        os.write(log, json.dumps(counts).encode() + b"\n")

    def measured(scales: Scales) -> None:
        refresh(scales)
        note({"measured": 1})

    def ask(library: Library) -> None:
        now = "old"
        for number in cycle(range(len(QUESTIONS))):
            if ended.is_set():
                return
            try:
                answer = [answers(library, QUESTIONS[number])]
                right = {
                    which: same(answer, [rows[number]]) for which, rows in zip(("old", "new"), expected, strict=True)
                }
                now = now if right[now] or now == "new" else "new"
                note({now if right[now] else "other": 1})
            except Exception as error:
                print(repr(error), file=sys.stderr)
                note({"error": 1})

    Scales.refresh = measured  # type: ignore[method-assign]
    with opened(folder, models, left(folder) == "new", note) as (library, both):
        asking = threading.Thread(target=ask, args=(library,))
        asking.start()
        if library.models.name == "old":
            library.migrate(sets(models)[1], encoders=both)
        time.sleep(0.2)
        ended.set()
        asking.join()


def killed(work: Path, name: str, models: str, batch: int, stop: float | None) -> Counter[str]:
    """Let a process migrate a library; what it noted.

    It is killed when it has embedded more than `stop` contents, or, if that is negative, so many seconds after it began
    to switch.
    """
    (work / "log").unlink(missing_ok=True)
    job = json.dumps([str(work), name, models, batch])
    process = subprocess.Popen([sys.executable, __file__, job], start_new_session=True)
    while stop is not None and process.poll() is None:
        told = noted(work / "log")
        if stop >= 0 and told[TURNED] > stop:
            break
        if stop < 0 and told["measured"]:
            time.sleep(-stop)
            break
        time.sleep(0.002)
    if stop is not None and process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    if process.wait() not in (0, -signal.SIGKILL):
        raise SystemExit(f"migrate ended with status {process.returncode}; see above")
    return noted(work / "log") + Counter({"killed": int(process.returncode != 0)})


def noted(log: Path) -> Counter[str]:
    """What a process wrote down; a line that its death cut off does not count."""
    counts = Counter[str]()
    for line in log.read_bytes().split(b"\n")[:-1] if log.exists() else ():
        counts.update(json.loads(line))
    return counts


def answers(library: Library, question: str) -> list[tuple[str, float]]:
    """The top 10 of a question: ids and scores."""
    return [(hit.id, hit.score) for hit in library.retrieve(question, k=10, min_score=0)]


def same(some: Any, others: Any) -> bool:
    """Whether answers to several questions are the same; those that score the same stand in for each other."""
    for one, other in zip(some, others, strict=True):
        scores = [score for _, score in one], [score for _, score in other]
        if len(one) != len(other) or not np.allclose(*scores, atol=TIE):
            return False
        sure = {name for name, score in one if one and score > one[-1][1] + TIE}
        if not sure <= {name for name, _ in other}:
            return False
    return True


def state(library: Library) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Files with their bytes, metadata, outcomes and segments; and vectors by collection and id."""
    parts, files, rows = library._parts, {}, {}
    for known in parts.ledger.sources():
        outcomes = [(one.route.channel, one.route.encoder, one.status) for one in parts.ledger.outcomes(known.key)]
        segments = [(one.id, one.channel, one.text, one.start, one.end) for one in parts.ledger.segments(known.key)]
        files[known.key] = known.content, known.given, known.found, outcomes, sorted(segments)
    for place in parts.collections():
        held = parts.store.get(place, list(parts.store.ids(place)))
        rows |= {f"{place.channel} {place.encoder} {name}": row for name, row in held.items()}
    return files, rows


def alike(one: Any, other: Any) -> bool:
    """Whether two libraries hold the same."""
    (files, rows), (theirs, others) = one, other
    if files != theirs or rows.keys() != others.keys():
        return False
    return all(np.allclose(row, others[name], atol=1e-4) for name, row in rows.items())


if __name__ == "__main__":
    migrate(*json.loads(sys.argv[1]))
