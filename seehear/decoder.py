"""The parent's end of a decoding process: it is started, given one file after another, and tells what it finds.

It is a plain interpreter that is talked to through pipes, so that no script of the user's is imported again and no
thread or lock of ours is inherited; what comes back is JSON, pixels and samples, never a pickle.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np

from seehear import errors
from seehear.errors import DecoderDied, MediaError, SeehearError, UnreadableMedia
from seehear.types import Channel, Content, Modality, Picture, Segment, Text, Waveform, Word
from seehear.wording import shown
from seehear.worker import LATE, receive, send

T = TypeVar("T")
BROKEN = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What reading makes of an answer that is none."""
COMMAND = [sys.executable, "-P", "-m", "seehear.worker"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be decoded."""

    key: str
    path: Path
    unless: Sequence[str] = ()
    """Content hashes that are known already: if the file has one of them, it is not decoded."""
    text: str | None = None
    """A passage that is no file; `path` then means nothing."""
    within: Sequence[str] | None = None
    """Folders out of which no link may lead."""

    def request(self) -> dict[str, Any]:
        """What a process is told of it."""
        told = {"key": self.key, "path": os.fsencode(self.path).hex(), "within": self.within}
        return {**told, "unless": list(self.unless), "text": self.text}


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


class Decoder:
    """The parent's end of one decoding process."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.setup = setup
        # -P and absolute entries only: a json.py beside the user's pictures must not be imported.
        path = os.pathsep.join(entry for entry in sys.path if Path(entry).is_absolute())
        self._process = subprocess.Popen(  # noqa: S603 - ours
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Threads of a library for matrices, which has nothing to do here, would only take memory.
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._in, self._out = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self.alive = True
        send(self._in, setup)

    def decode(self, job: Job, seconds: float) -> Iterator[Event]:
        """Stream the events of one file; the last is always Finished."""
        try:
            yield from self.ask(job.request(), seconds, partial(_event, job))
            yield Finished(job)
        except SeehearError as error:
            yield Finished(job, error if isinstance(error, MediaError) else UnreadableMedia(str(error)))

    def ask(
        self, request: Mapping[str, Any], seconds: float, made: Callable[[dict[str, Any], Content | None], T]
    ) -> Iterator[T]:
        """Stream what is `made` of the messages that answer a request, each with what it brings along.

        Raises the error that ends the answer, or DecoderDied. What a process sends is checked like anything that is
        not trusted.
        """
        try:
            send(self._in, request)
            while True:
                message = json.loads(receive(self._out))
                event = message.pop("event")
                if event == "finished":
                    name, words = message["error"], str(message["message"])
                    break
                if event == "confined":
                    _warn(str(message["lacks"]))
                elif event != "alive":
                    yield made(message, _content(message, self._out))
        except BROKEN as error:
            raise DecoderDied(self._death(error, seconds)) from error
        if name is not None:
            kind = vars(errors).get(str(name))
            if not isinstance(kind, type) or not issubclass(kind, SeehearError):
                kind = MediaError
            raise kind(words)

    def _death(self, error: Exception, seconds: float) -> str:
        """Why it ended, in words."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            code = 0  # it lives, and talks nonsense
        self.kill()
        if code == LATE:
            return f"decoding it took longer than {seconds:g} s, so it was stopped"
        if code < 0 and -code == getattr(signal, "SIGXCPU", 0):
            return "decoding it took longer than the longest recording may last, so it was stopped"
        if code < 0:
            names = {one.value: one.name for one in signal.Signals}
            return f"it crashed the process that decoded it ({names.get(-code, f'signal {-code}')})"
        return f"the process that decoded it ended unexpectedly ({error or type(error).__name__})"

    @property
    def ready(self) -> bool:
        """Whether it can be asked: nobody has ended it, neither we nor the system."""
        return self.alive and self._process.poll() is None

    def abandon(self) -> None:
        """In a fork: let go of what is our parent's."""
        self._process.returncode = 0
        for pipe in (self._in, self._out):
            pipe.close()

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


def _event(job: Job, message: dict[str, Any], content: Content | None) -> Event:
    if "segment" in message:
        told = message["segment"]
        words = tuple(Word(**{**word, "text": _whole(word["text"])}) for word in told.pop("words"))
        told["text"] = _whole(told["text"])
        thumbnail = base64.b64decode(told.pop("thumbnail"))
        if content is None or told["source"] != job.key:
            raise ValueError("there is nothing to embed, or it is of another file")
        return Piece(job, Segment(**told, words=words, thumbnail=thumbnail), content)
    if "message" in message:
        return Note(job, str(message["message"]), tuple(message["channels"]))
    return Opened(job, **message)


def _whole(text: str) -> str:
    """A text without half letters, which JSON can name and neither a ledger nor an encoder can hold."""
    return text.encode("utf-8", "replace").decode()


@lru_cache
def _warn(lacks: str) -> None:
    """Say once that a process may do more than it should."""
    if lacks:
        log.warning("Processes that decode files are confined only in part: %s. See SECURITY.md.", shown(lacks))


def _content(message: dict[str, Any], out: IO[bytes]) -> Content | None:
    """What a message brings along, if anything."""
    if "text" in message:
        return Text(_whole(message["text"]))
    if "rate" in message:
        return Waveform(np.frombuffer(receive(out), dtype=np.float32), int(message["rate"]))
    if "shape" not in message:
        return None
    shape = tuple(message["shape"])
    return Picture(np.frombuffer(receive(out), dtype=np.uint8).reshape(shape))
