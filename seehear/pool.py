"""A bounded pool of restartable decoding processes: the sandbox and the parallelism at once.

Each process takes one file at a time and streams back what it finds. A file that kills or stalls its process costs that
file, not the run.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict

from seehear.decoder import Decoder, Event, Job
from seehear.media import Limits
from seehear.registry import load
from seehear.types import Needs

WAITING = 64
"""Events that may wait for the encoder: beyond this the processes pause."""
PATIENCE = 0.5
"""Seconds that the caller has to have waited for events, all in all, before one more process is started."""


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
        self._idle: list[Decoder] = []
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
        decoder: Decoder | None = None
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

    def _lend(self) -> Decoder:
        setup = {**self._setup, "needs": asdict(self._needs())}
        with self._lock:
            while self._idle:
                decoder = self._idle.pop()
                if decoder.setup == setup and decoder.ready:
                    return decoder
                decoder.kill()  # it was started before it was known what size pictures should have
        return Decoder(setup)

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
        self.decoding: set[Decoder] = set()
        """Processes at work, to be ended when nobody wants to wait for them."""
        self._jobs = jobs
        self._lock = threading.Lock()

    def next(self) -> Job | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._jobs, None)
