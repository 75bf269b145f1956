"""How much two frames of a video differ, as somebody sees it who looks for something new. Measured with OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.errors import MissingExtra

NEW = 14.0
"""Difference from which on a frame shows something new."""
GRID = (64, 36)
"""Width and height to which frames are squashed."""
BLUR = 1.0
"""Standard deviation, in pixels of the grid, of what is smoothed away: noise, grain and the codec's own."""
BLOCK = 4
"""Pixels of the grid along a block."""
TOP = 0.05
"""Share of the blocks that is judged, those that differ most: somebody in an empty room is few of them."""
FLICKER = 6.0
"""Most of a change of the whole frame, in units of CIELAB, that is taken for the exposure's and left out."""
SETTINGS = f"{NEW} {GRID[0]}x{GRID[1]} {BLUR} {BLOCK} {TOP} {FLICKER}"


class Look:
    """What is compared of a frame."""

    def __init__(self, small: NDArray[np.uint8]) -> None:
        """Of a frame squashed to GRID, RGB."""
        cv2 = opencv()
        colours = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        self._colours: NDArray[np.float32] = cv2.GaussianBlur(colours, (0, 0), BLUR)

    def difference(self, other: Look) -> float:
        """How much the most different places differ: a distance in CIELAB, 0 to about 200; a few are visible."""
        change = self._colours - other._colours
        change -= np.median(change, axis=(0, 1)).clip(-FLICKER, FLICKER)
        across, down = GRID[0] // BLOCK, GRID[1] // BLOCK
        blocks = np.linalg.norm(change, axis=2).reshape(down, BLOCK, across, BLOCK).mean(axis=(1, 3)).ravel()
        most = max(1, round(TOP * len(blocks)))
        return float(np.partition(blocks, -most)[-most:].mean())


def opencv() -> Any:
    """OpenCV, which only videos need. Raises MissingExtra."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra(
            'videos need the package cv2, which is not installed: pip install "seehear[video]"'
        ) from error
    return cv2
