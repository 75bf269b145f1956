"""Pictures that move, for `footage.py`: films that run for ever, clips there and back, a camera over a photograph.

All of one size. A clip or photograph becomes a function of the seconds since it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
from PIL import Image

WIDTH, HEIGHT = 640, 360
RATE = 15.0  # pictures of a clip that are kept of a second
ZOOM = 0.85  # of a photograph's width that is left at the end

Player = Callable[[float], Image.Image]


class Reel:
    """A film from its beginning, again and again; it is asked for later and later times."""

    def __init__(self, path: Path) -> None:
        """Open nothing before the first picture is wanted."""
        self._path = path
        self._frames = self._run()
        self._next = next(self._frames)
        self._now = self._next

    def at(self, seconds: float) -> Image.Image:
        """The picture that is shown after so many seconds."""
        while self._next[0] <= seconds:
            self._now, self._next = self._next, next(self._frames)
        return fitted(self._now[1].to_image())

    def _run(self) -> Iterator[tuple[float, av.VideoFrame]]:
        begun = 0.0
        while True:
            last = 0.0
            with av.open(str(self._path)) as container:
                for frame in container.decode(video=0):
                    last = begun + frame.time
                    yield last, frame
            begun = last + 0.04


def player(path: Path, seconds: float) -> Player:
    """What plays a clip or a photograph for so many seconds."""
    return there_and_back(path, seconds) if path.suffix == ".mp4" else camera(path, seconds)


def there_and_back(path: Path, seconds: float) -> Player:
    """A clip forwards, then backwards, and so on: without a jump."""
    kept: list[Image.Image] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time > seconds:
                break
            if frame.time * RATE >= len(kept):
                kept.append(fitted(frame.to_image()))
    rate = len(kept) / min(seconds, frame.time + 0.04)

    def play(time: float) -> Image.Image:
        place = int(time * rate) % max(1, 2 * len(kept) - 2)
        return kept[min(place, 2 * len(kept) - 2 - place)]

    return play


def camera(path: Path, seconds: float) -> Player:
    """A camera that comes nearer to a photograph, and goes from its top to its bottom."""
    with Image.open(path) as opened:
        photograph = opened.convert("RGB")
    if photograph.width == photograph.height:  # Flickr8k's, squashed
        photograph = photograph.resize((WIDTH, WIDTH * 3 // 4), Image.Resampling.BICUBIC)

    def play(time: float) -> Image.Image:
        done = min(max(0.0, time / seconds), 1.0)
        width = photograph.width * (1 - (1 - ZOOM) * done)
        height = min(width * HEIGHT / WIDTH, photograph.height)
        left, top = (photograph.width - width) / 2, (photograph.height - height) * done
        box = (left, top, left + width, top + height)
        return photograph.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)

    return play


def fitted(picture: Image.Image) -> Image.Image:
    """A picture in a frame of the common size; what is far from that shape gets black at its sides."""
    if abs(picture.width / picture.height - WIDTH / HEIGHT) < 0.1:
        return picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    frame = Image.new("RGB", (WIDTH, HEIGHT))
    width = round(picture.width * HEIGHT / picture.height)
    frame.paste(picture.resize((width, HEIGHT), Image.Resampling.BILINEAR), ((WIDTH - width) // 2, 0))
    return frame
