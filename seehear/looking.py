"""What a decoding process does when a file is to be looked at again: pictures of it, or a clip (`seehear.viewing`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Any

from seehear.errors import UnreadableMedia
from seehear.media import Limits, open_source
from seehear.types import Needs, Picture, Source


def looked(
    path: Path, job: dict[str, Any], limits: Limits, out: BufferedRandom | None, alive: Callable[[], object]
) -> Iterator[Picture]:
    """Pictures at some times, or the one that the file is; or write a stretch of it to `out`, and yield nothing.

    Raises MediaError, and SeehearError where nothing can be written.
    """
    look = job["look"]
    with _unchanged(path, job, limits) as source:
        if out is not None:
            from seehear.clip import cut

            cut(source, look["start"], look["end"], out, limits, alive)
        elif look["times"] is None:
            from seehear.picture import read_picture

            yield read_picture(source, Needs(look["pixels"]), limits)
        else:
            from seehear.frames import at

            yield from at(source, look["times"], Needs(look["pixels"]), limits)


@contextmanager
def _unchanged(path: Path, job: dict[str, Any], limits: Limits) -> Iterator[Source]:
    """The file, if it is still what it was: another picture must not be shown under this hit's name.

    One whose time has changed is read once more, whole, to see whether its bytes have.
    """
    stamp, changed = job["look"]["stamp"], True
    with open_source(path, job["key"], limits, hashed=False, within=job["within"]) as source:
        if stamp is None or [source.size, source.mtime_ns] == stamp[:2]:
            changed = False
            yield source
    if changed:
        with open_source(path, job["key"], limits, within=job["within"]) as source:
            if source.content != stamp[2]:
                raise UnreadableMedia("it, or a transcript beside it, has changed since it was added; add it again")
            yield source
