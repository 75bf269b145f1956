"""Pictures that stand for the shots of a video: every frame is looked at, and cuts are found by PySceneDetect."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from seehear.errors import MissingExtra
from seehear.frames import Film
from seehear.still import Still
from seehear.types import Needs

from . import difference
from .difference import GRID, NEW, Look, opencv
from .views import LASTS, PULSE, THUMBNAIL, View, view_of

PART = (2.0, 10.0)
"""Seconds that a part of a shot lasts, at least and at most; parts that show nothing new are one."""
SHORTEST = 0.5
"""Seconds that a shot lasts at least."""
EVERY = 0.5
"""Seconds between the frames of a shot that may become its picture; two that show something new begin a part."""
MIDDLE = 0.25
"""How far from its middle a picture may be, in lengths of the shot, to be a sharper one."""
SIZE = (128, 72)
"""Width and height to which frames are squashed for finding cuts."""
WIDTH = 2
"""Frames before and behind a cut that are compared with it."""
RATIO = 3.0
"""How many times as much as between those the picture changes at a cut."""
LEAST = 15.0
"""How much it changes at least: the mean of hue, saturation and brightness, each 0 to 255."""
SHOTS = (
    f"shots {PART} {SHORTEST} {EVERY} {MIDDLE} {SIZE} {WIDTH} {RATIO} {LEAST}, "
    f"{difference.SETTINGS}, {THUMBNAIL} {LASTS}"
)
"""Everything that decides the choice."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A shot, or a part of a long one, by the frame that stands for it."""

    view: View
    look: Look
    sharpness: float
    cut: bool
    """Whether it begins with a cut."""


def one_a_shot(reading: Film, needs: Needs) -> Iterator[View | None]:
    """A picture of each shot, and another of each part of it that shows something new."""
    kept: _Part | None = None
    for part in _parts(reading, needs):
        if part is None:
            yield None
        elif (
            kept and not part.cut and part.view.end - kept.view.start <= LASTS and part.look.difference(kept.look) < NEW
        ):
            kept = replace(kept, view=replace(kept.view, end=part.view.end))
        else:
            if kept:
                yield kept.view
            kept = part
    if kept:
        yield kept.view


def _parts(reading: Film, needs: Needs) -> Iterator[_Part | None]:
    """Shots and parts of shots, in order; of each a few frames are held until its middle is known."""
    start = alive = 0.0
    cut = True
    frames: list[_Part] = []
    for still, new in _marked(reading):
        if still.time >= alive + PULSE:
            alive = still.time
            yield None
        if new and frames and still.time >= start + SHORTEST:
            yield _middle(frames, start, still.time, cut=cut)
            frames, cut = [], True
        if frames and still.time < frames[-1].view.start + EVERY:
            continue
        start = start if frames else still.time
        view = view_of(still, needs)
        frames.append(_Part(view, Look(still.small(*GRID)), _sharpness(view), cut=False))
        place = _changed(frames)
        if place:
            begun = frames[place].view.start
            yield _middle(frames[:place], start, begun, cut=cut)
            frames, start, cut = frames[place:], begun, False
    if frames:
        yield _middle(frames, start, max(reading.end, start), cut=cut)


def _changed(frames: list[_Part]) -> int:
    """Which of a shot's frames begins another part: the last but one if both show something new. 0 if none does."""
    place = len(frames) - 2
    lasted = frames[place].view.start - frames[0].view.start
    if place < 1 or lasted < PART[0]:
        return 0
    both = all(frame.look.difference(frames[0].look) >= NEW for frame in frames[place:])
    return place if both or lasted >= PART[1] else 0


def _middle(frames: list[_Part], start: float, end: float, *, cut: bool) -> _Part:
    """The part that the sharpest of the frames near its middle stands for."""
    middle = (start + end) / 2
    near = [frame for frame in frames if abs(frame.view.start - middle) <= MIDDLE * (end - start)]
    nearest = min(frames, key=lambda frame: abs(frame.view.start - middle))
    best = max(near, key=lambda frame: frame.sharpness, default=nearest)
    return replace(best, view=replace(best.view, start=start, end=end), cut=cut)


def _marked(reading: Film) -> Iterator[tuple[Still, bool]]:
    """Each frame, and whether there is a cut before it.

    The detector is told numbers of frames and no times: what it makes of times is not needed.
    """
    try:
        from scenedetect import FrameTimecode  # type: ignore[import-untyped]
        from scenedetect.detectors import AdaptiveDetector  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra(
            'shots are found by the package scenedetect, which is not installed: pip install "seehear[video]"'
        ) from error
    detector = AdaptiveDetector(RATIO, min_scene_len=1, window_width=WIDTH, min_content_val=LEAST)
    cv2 = opencv()
    waiting: deque[Still] = deque()
    for number, still in enumerate(reading.every()):
        waiting.append(still)
        small = cv2.cvtColor(still.small(*SIZE, rough=True), cv2.COLOR_RGB2BGR)
        cuts = detector.process_frame(FrameTimecode(number, 25.0), small)
        if len(waiting) > WIDTH:  # it finds a cut so many frames later
            yield waiting.popleft(), number - WIDTH in [each.frame_num for each in cuts]
    yield from ((still, False) for still in waiting)


def _sharpness(view: View) -> float:
    cv2 = opencv()
    return float(cv2.Laplacian(cv2.cvtColor(view.picture.pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
