"""Videos: pictures that stand for stretches of them, and their sound, which is cut as that of recordings is.

There are two ways of choosing the pictures. Both keep what differs from what was kept before.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image

from seehear.errors import MediaError, MediaTooLarge, MissingPart, UnsupportedMedia, note
from seehear.frames import LONGEST, Film, film, has_pictures, has_sound
from seehear.media import VIDEO_TYPES, Limits
from seehear.picture import shrink
from seehear.types import Channel, Content, Needs, Scalar, Segment, Source

from .audio import SOUND, Cutter, Piece, heard
from .difference import opencv
from .shots import SHOTS, one_a_shot
from .tags import described
from .views import KEY_FRAMES, THUMBNAIL, Choose, View, among_key_frames

QUALITY = 75
"""Of a thumbnail as a JPEG."""


class VideoModality:
    """Cuts a video into segments of the channels visual, sound and speech; its pictures are chosen among key frames."""

    name = "video"
    types = frozenset(VIDEO_TYPES)
    settings = f"{KEY_FRAMES}, {QUALITY}, {SOUND}"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def choose(self, reading: Film, needs: Needs) -> Iterator[View | None]:
        """Views of a video in order, each of which ends where the next begins; None while there is nothing new."""
        return among_key_frames(reading, needs)

    def segments(self, source: Source, needs: Needs) -> Iterator[tuple[Segment, Content] | None]:
        """Yield what is seen, then what is heard and said; None while nothing is.

        What is seen are pictures, each of which stands for the time until the next one; the last until the end.
        Raises MediaError where nothing is to be had, MissingExtra; warns MediaNote, and MissingPart where only
        pictures or only sound can be had.
        """
        yield from _segments(source, needs, self.limits, self.settings, self.choose)


class ShotsModality(VideoModality):
    """The same, but every frame is looked at, and a picture stands for a shot, or for a part of a long one."""

    settings = f"{SHOTS}, {QUALITY}, {SOUND}"

    def choose(self, reading: Film, needs: Needs) -> Iterator[View | None]:
        """Views of its shots."""
        return one_a_shot(reading, needs)


def _segments(source: Source, needs: Needs, limits: Limits, settings: str, choose: Choose) -> Iterator[Piece | None]:
    seen, listened = Cutter(source, "video", settings), Cutter(source, "video", settings)
    unseen: MediaError | None = None
    if needs.pictures:
        opencv()  # if it is missing, then let that be known before the work
        try:
            yield from _seen(source, needs, limits, seen, choose)
        except MediaTooLarge:
            raise
        except MediaError as error:
            unseen = error
    if not needs.rate and not needs.speech:
        if unseen:
            raise unseen
        return
    try:
        yield from heard(source, needs, listened, limits)
    except MediaError as error:
        if unseen or not seen.counts:
            raise unseen or error from None
        if not isinstance(error, UnsupportedMedia) or has_sound(source, limits):
            lost: list[Channel] = ["sound"] if needs.rate else []
            lost += ["speech"] if needs.speech and not listened.transcript else []
            _miss(f"its sound is missing: {error}", *lost)
    if unseen and (not isinstance(unseen, UnsupportedMedia) or has_pictures(source, limits)):
        _miss(f"its pictures are missing: {unseen}", "visual")


def _seen(source: Source, needs: Needs, limits: Limits, cutter: Cutter, choose: Choose) -> Iterator[Piece | None]:
    """The views of a video as segments; the first and the last also tell what is known of the whole."""
    held: View | None = None
    told: dict[str, Scalar] = {}
    with film(source, limits) as reading:
        for view in choose(reading, needs):
            if view is None:
                yield None
                continue
            if held:
                yield _segment(cutter, held, told)
                told = {}
            else:
                width, height = view.size
                told = {"width": width, "height": height, **described(reading.tags)}
            held = view
    if held:
        yield _segment(cutter, held, {**told, "duration": round(reading.end, 3)})
    if reading.whole and reading.end:
        note(
            f"{min(1.0, reading.whole / reading.end):.0%} of it lies between key frames more than {LONGEST:g} s apart "
            "and was decoded whole"
        )


def _segment(cutter: Cutter, view: View, told: dict[str, Scalar]) -> Piece:
    segment, content = cutter.cut("visual", view.start, view.end, view.picture)
    file = io.BytesIO()
    shrink(Image.fromarray(view.shown.pixels), Needs(pixels=THUMBNAIL)).save(file, "JPEG", quality=QUALITY)
    return replace(segment, metadata=told, thumbnail=file.getvalue()), content


def _miss(message: str, *channels: Channel) -> None:
    warnings.warn(MissingPart(message, channels), stacklevel=3)
