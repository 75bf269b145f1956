"""A bounded pool of restartable decoding processes: the sandbox and the parallelism at once.

Each process takes one file at a time and streams back what it finds. A file that kills or stalls its process costs that
file, not the run. Processes are plain interpreters that are talked to through pipes, so that no script of the user's is
imported again and no thread or lock of ours is inherited; what comes back is JSON, pixels and samples, never a pickle.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from seehear import errors
from seehear.errors import DecoderDied, MediaError
from seehear.media import Limits
from seehear.registry import load
from seehear.types import Channel, Content, Modality, Needs, Picture, Segment, Text, Waveform, Word
from seehear.worker import LATE, receive, send

WAITING = 64
"""Events that may wait for the encoder: beyond this the processes pause."""
PATIENCE = 0.5
"""Seconds that the caller has to have waited for events, all in all, before one more process is started."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be decoded."""

    key: str
    path: Path
    unless: Sequence[str] = ()
    """Content hashes that are known already: if the file has one of them, it is not decoded."""
    text: str | None = None
    """A passage that is no file; `path` then means nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """First event of a readable file: what it is."""

    job: Job
    modality: Modality
    content: str
    size: int
    mtime_ns: int
    settings: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment of a file, with what there is to embed."""

    job: Job
    segment: Segment
    content: Content


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd about a file that is otherwise whole, or what of it is missing."""

    job: Job
    message: str
    channels: tuple[Channel, ...] = ()
    """Those that lack something; none where the file is whole."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Last event of every file."""

    job: Job
    error: MediaError | None = None


Event = Opened | Piece | Note | Finished


class Pool:
    """Decodes files in other processes, as many as it takes to keep the caller busy; they stay until `close`."""

    def __init__(
        self, modalities: Iterable[str], needs: Callable[[], Needs], limits: Limits, *, workers: int | None = None
    ) -> None:
        """Start nothing; `needs` is asked when the first process is."""
        self.limits = limits
        self.workers = workers or min(4, os.cpu_count() or 1)
        names = list(modalities)
        self.settings = {load(name).name: load(name).settings for name in names}
        """How each modality cuts its files."""
        self._setup = {"modalities": names, "limits": asdict(limits)}
        self._needs = needs
        self._idle: list[_Decoder] = []
        self._lock = threading.Lock()

    def run(self, jobs: Iterable[Job]) -> Generator[Event]:
        """Decode files, overlapped with whatever the caller does between events.

        Events of one file come in order; those of several files are mixed. `jobs` is drawn from other threads.
        """
        run = _Run(iter(jobs))
        threads, ended, waited = [self._start(run)], 0, 0.0
        try:
            while ended < len(threads):
                # Another process costs a quarter of a second to start: it must be missed before it comes.
                if waited > PATIENCE and len(threads) < self.workers:
                    threads.append(self._start(run))
                    waited = 0.0
                asked = time.monotonic()
                try:
                    event = run.events.get(timeout=PATIENCE if len(threads) < self.workers else None)
                except queue.Empty:
                    continue
                finally:
                    waited += time.monotonic() - asked
                if event is None:
                    ended += 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event
        finally:
            run.stopped.set()
            while ended < len(threads):
                for decoder in tuple(run.decoding):
                    decoder.interrupt()
                ended += run.events.get() is None

    def _start(self, run: _Run) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        thread.start()
        return thread

    def _work(self, run: _Run) -> None:
        """Body of a thread: lend one process, and feed it one file after another."""
        decoder: _Decoder | None = None
        try:
            while (job := run.next()) is not None:
                decoder = decoder or self._lend()
                run.decoding.add(decoder)
                for event in decoder.decode(job, self.limits.seconds):
                    run.events.put(event)
                    if run.stopped.is_set():
                        break
                run.decoding.discard(decoder)
                if run.stopped.is_set() or not decoder.alive:
                    decoder.kill()
                    decoder = None
        except BaseException as error:
            if decoder is not None:
                decoder.kill()  # nobody knows what it has still to say
                decoder = None
            run.events.put(error)
        finally:
            if decoder is not None:
                with self._lock:
                    self._idle.append(decoder)
            run.events.put(None)

    def _lend(self) -> _Decoder:
        setup = {**self._setup, "needs": asdict(self._needs())}
        with self._lock:
            while self._idle:
                decoder = self._idle.pop()
                if decoder.setup == setup:
                    return decoder
                decoder.kill()  # it was started before it was known what size pictures should have
        return _Decoder(setup)

    def close(self) -> None:
        """End the processes; may be called twice."""
        with self._lock:
            while self._idle:
                self._idle.pop().kill()


class _Run:
    """One call of `Pool.run`: where jobs come from and where events go."""

    def __init__(self, jobs: Iterator[Job]) -> None:
        self.events: queue.Queue[Event | BaseException | None] = queue.Queue(WAITING)
        self.stopped = threading.Event()
        self.decoding: set[_Decoder] = set()
        """Processes at work, to be ended when nobody wants to wait for them."""
        self._jobs = jobs
        self._lock = threading.Lock()

    def next(self) -> Job | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._jobs, None)


class _Decoder:
    """The parent's end of one decoding process."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.setup = setup
        # -P and absolute entries only: a json.py beside the user's pictures must not be imported.
        path = os.pathsep.join(entry for entry in sys.path if Path(entry).is_absolute())
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "seehear.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._in, self._out = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self.alive = True
        send(self._in, setup)

    def decode(self, job: Job, seconds: float) -> Iterator[Event]:
        """Stream the events of one file; the last is always Finished."""
        try:
            path = os.fsencode(job.path).hex()
            send(self._in, {"key": job.key, "path": path, "unless": list(job.unless), "text": job.text})
            while True:
                if (event := _event(job, self._out)) is None:
                    continue
                yield event
                if isinstance(event, Finished):
                    return
        except (EOFError, OSError, ValueError, TypeError, KeyError) as error:
            try:
                code = self._process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                code = 0  # it lives, and talks nonsense
            self.kill()
            if code == LATE:
                why = f"decoding it took longer than {seconds:g} s, so it was stopped"
            elif code < 0:
                why = f"it crashed the process that decoded it ({signal.Signals(-code).name})"
            else:
                why = f"the process that decoded it ended unexpectedly ({error or type(error).__name__})"
            yield Finished(job, DecoderDied(why))

    def interrupt(self) -> None:
        """End the process from another thread; whoever waits for it sees its pipe close."""
        self._process.kill()

    def kill(self) -> None:
        """End the process and close its pipes, from the thread that uses it."""
        self.alive = False
        self._process.kill()
        self._process.wait()
        for pipe in (self._in, self._out):
            try:
                pipe.close()
            except OSError:
                continue  # what was still unsent has nobody to go to


def _event(job: Job, out: IO[bytes]) -> Event | None:
    """Read one event; None is a sign of life. What a process sends is checked like anything that is not trusted."""
    message = json.loads(receive(out))
    match message.pop("event"):
        case "opened":
            return Opened(job, **message)
        case "piece":
            told = message["segment"]
            words = tuple(Word(**word) for word in told.pop("words"))
            thumbnail = base64.b64decode(told.pop("thumbnail"))
            return Piece(job, Segment(**told, words=words, thumbnail=thumbnail), _content(message, out))
        case "alive":
            return None
        case "note":
            return Note(job, str(message["message"]), tuple(message["channels"]))
        case _:
            if message["error"] is None:
                return Finished(job)
            kind = getattr(errors, str(message["error"]), MediaError)
            return Finished(job, kind(message["message"]))


def _content(message: dict[str, Any], out: IO[bytes]) -> Content:
    if "text" in message:
        return Text(message["text"])
    if "rate" in message:
        return Waveform(np.frombuffer(receive(out), dtype=np.float32), int(message["rate"]))
    shape = tuple(message["shape"])
    return Picture(np.frombuffer(receive(out), dtype=np.uint8).reshape(shape))
