"""Pictures that stand for a video, chosen among its key frames: none is like the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from seehear.frames import CLOSEST, LONGEST, SPACING, Film
from seehear.still import Still
from seehear.types import Needs, Picture

from . import difference
from .difference import GRID, NEW, Look

PULSE = 2.0
"""Seconds of video that are read at most without a sign of life."""
THUMBNAIL = 180
"""Short side of a thumbnail, in pixels."""
LASTS = 60.0
"""Seconds that a picture stands for at most, also where nothing new is seen: a moment is no longer."""
KEY_FRAMES = f"key frames {LONGEST} {SPACING} {CLOSEST}, {difference.SETTINGS}, {THUMBNAIL} {LASTS}"
"""Everything that decides the choice."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture that stands for a stretch of a video."""

    start: float
    end: float
    picture: Picture
    shown: Picture
    """The same, not squashed, at least as large as a thumbnail: one is made of it."""
    size: tuple[int, int]
    """Of the video: width and height, upright, in pixels."""


Choose = Callable[[Film, Needs], Iterator[View | None]]
"""A way of choosing: views in order, each ends where the next begins; None while there is nothing new."""


def among_key_frames(reading: Film, needs: Needs) -> Iterator[View | None]:
    """Key frames that differ from the last one that was kept."""
    kept: View | None = None
    look: Look | None = None
    alive = 0.0
    for still in reading.keyframes():
        now = Look(still.small(*GRID))
        if kept is None or look is None or now.difference(look) >= NEW or still.time >= kept.start + LASTS:
            if kept:
                yield replace(kept, end=still.time)
            kept, look, alive = view_of(still, needs), now, still.time
        elif still.time >= alive + PULSE:
            alive = still.time
            yield None
    if kept:
        yield replace(kept, end=max(reading.end, kept.start))


def view_of(still: Still, needs: Needs) -> View:
    """A frame as a view of no length yet."""
    picture = still.picture(needs)
    # To make it anew from a large frame costs more than all the rest.
    suits = needs.pixels is not None and THUMBNAIL <= needs.pixels <= 4 * THUMBNAIL and not needs.square
    shown = picture if suits else still.picture(Needs(pixels=THUMBNAIL))
    return View(still.time, still.time, picture, shown, still.size)
