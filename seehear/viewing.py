"""Looking at a file again, for a hit: its picture, frames of a moment, a clip; in a process that may die of it.

Such a process is one of `seehear.decoder`'s. The last that showed a picture waits for the next one that is asked for.
"""

from __future__ import annotations

import atexit
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from seehear.decoder import Decoder, Job
from seehear.errors import DamagedMedia, InputError, SeehearError
from seehear.media import Limits
from seehear.types import Content, Needs, Picture, Stamp

AT_ONCE = 8
"""Pictures of a video that are asked for at once: they have to be in memory together."""
LONGEST, SHORTEST = 3600.0, 0.001
"""Seconds that a clip may have."""
FURTHEST = 1e8
"""Seconds at which a clip may end; no recording is so long."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that was added, to be looked at if it is still what it was."""

    path: Path
    limits: Limits
    stamp: Stamp | None
    """What it was; None if nobody knows."""

    def picture(self, pixels: int | None) -> Picture:
        """What is in a picture file: upright, the short side at most `pixels`. Raises MediaError."""
        return self._pictures(None, pixels)[0]

    def frames(self, times: Sequence[float], pixels: int | None) -> list[Picture]:
        """The pictures of a video at some seconds, in their order. Raises MediaError."""
        parts = [times[first : first + AT_ONCE] for first in range(0, len(times), AT_ONCE)]
        return [picture for part in parts for picture in self._pictures(part, pixels)]

    def clip(self, start: float, end: float, out: Path) -> Path:
        """Write what is seen and heard from one second to another; return `out`. Raises InputError, SeehearError.

        What is at `out`, which ends in `.mp4`, is replaced once the clip is whole.
        """
        with placed(self.path, start, end, out) as part:
            decoder = Decoder(self._setup(out=os.fsencode(part).hex()))
            try:
                list(decoder.ask(self._request({"start": start, "end": end}), self.limits.seconds, _nothing))
            finally:
                decoder.kill()
        return out

    def _pictures(self, times: Sequence[float] | None, pixels: int | None) -> list[Picture]:
        setup = self._setup()
        decoder = _waiting.take(setup) or Decoder(setup)
        try:
            request = self._request({"times": times, "pixels": pixels})
            found = list(decoder.ask(request, self.limits.seconds, _picture))
            if len(found) != (1 if times is None else len(times)):
                raise DamagedMedia("not all of its pictures can be had")
        except SeehearError:
            _waiting.give(decoder)  # unless it died, the file is at fault
            raise
        except BaseException:
            decoder.kill()  # nobody knows what it has still to say
            raise
        _waiting.give(decoder)
        return found

    def _setup(self, **more: Any) -> dict[str, Any]:
        return {"modalities": [], "limits": asdict(self.limits), "needs": asdict(Needs()), **more}

    def _request(self, look: Mapping[str, Any]) -> dict[str, Any]:
        root = self.path.parent if self.stamp is None else self.stamp[3]
        job = Job(self.path.name, self.path, within=[str(root)])
        return {**job.request(), "look": {**look, "stamp": self.stamp}}


def _picture(_: object, content: Content | None) -> Picture:
    if not isinstance(content, Picture):
        raise TypeError("it is no picture")
    return content


def _nothing(*_: object) -> None:
    """A sign of life is all that comes of a clip."""


class _Waiting:
    """At most one process that has nothing to do."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._decoder: Decoder | None = None
        atexit.register(self.end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def take(self, setup: Mapping[str, Any]) -> Decoder | None:
        """The one that waits, if it was set up in the same way."""
        with self._lock:
            decoder, self._decoder = self._decoder, None
        if decoder is not None and (decoder.setup != setup or not decoder.ready):
            decoder.kill()
            return None
        return decoder

    def give(self, decoder: Decoder) -> None:
        """Let a process wait; another that does is ended."""
        if decoder.alive:
            with self._lock:
                decoder, self._decoder = self._decoder or decoder, decoder
                waits = decoder is self._decoder
            if not waits:
                decoder.kill()

    def end(self) -> None:
        """End the one that waits."""
        with self._lock:
            decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.kill()

    def _forget(self) -> None:
        """In a fork it is our parent's."""
        if self._decoder is not None:
            self._decoder.abandon()
        self._lock, self._decoder = Lock(), None


_waiting = _Waiting()


@contextmanager
def placed(source: Path, start: float, end: float, out: Path) -> Iterator[Path]:
    """An empty file beside `out`, which takes its place if all goes well. Raises InputError, SeehearError."""
    _check(source, start, end, out)
    part = out.with_name(f".seehear-{uuid.uuid4().hex}.part")
    try:
        part.touch(exist_ok=False)
        yield part
        part.replace(out)
    except OSError as error:
        raise SeehearError(f"{out} cannot be written: {error.strerror or error}") from error
    except SeehearError as error:
        if type(error) is SeehearError:  # what goes wrong in reading is a MediaError
            raise SeehearError(f"{out} cannot be written: {error}") from error
        raise
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _check(source: Path, start: float, end: float, out: Path) -> None:
    if not 0 <= start < end < FURTHEST or end - start < SHORTEST:
        raise InputError(f"a clip is from a second, 0 or more, until a later one, and not from {start} to {end}")
    if end - start > LONGEST:
        raise InputError(f"a clip has at most {LONGEST:,.0f} s, and not {end - start:,.1f}; cut several")
    if out.suffix.lower() != ".mp4":
        raise InputError(f"a clip is an MP4: let {out.name!r} end in .mp4")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file")
    with suppress(OSError):
        if out.samefile(source):
            raise InputError(f"{out} is the file that the clip is cut from; give the clip another name")
