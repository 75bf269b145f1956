"""A frame of a video as a picture: upright, its pixels square, its colours right, and no larger than it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from seehear.picture import fit
from seehear.types import Needs, Picture

ASPECTS = (Fraction(1, 4), Fraction(4))
"""Shapes that a pixel may have, width by height; what else is claimed is not believed."""
HD = 576
"""Most lines of a picture that is BT.601 where the video does not say; one with more is BT.709, as in players."""
_SMOOTH = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
Converters = dict[tuple[int, int, Interpolation], VideoReformatter]
_UNTOLD = 2
"""AVCOL_SPC_UNSPECIFIED."""


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One frame, and when it is shown; nothing is converted before it is asked for."""

    time: float
    """Seconds from the start of the file."""
    frame: av.VideoFrame
    aspect: Fraction
    """Width of a pixel by its height."""
    converters: Converters = field(default_factory=dict)
    """What converts to a size and in a way, kept from one frame to the next: to set it up takes time."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, upright, in square pixels."""
        aspect = self.aspect if ASPECTS[0] <= self.aspect <= ASPECTS[1] else Fraction(1)
        width, height = self.frame.width, self.frame.height
        if aspect > 1:
            width = round(width * aspect)
        else:
            height = round(height / aspect)
        return (height, width) if self._turns % 2 else (width, height)

    def picture(self, needs: Needs) -> Picture:
        """The frame at the size that `needs` asks for, as `seehear.picture.shrink` makes it; RGB uint8."""
        pixels, size = needs.pixels, self.size
        if pixels is not None and max(size) > pixels:
            size = (pixels, pixels) if needs.square else fit(*size, pixels)
        across, down = size[::-1] if self._turns % 2 else size
        return Picture(np.ascontiguousarray(np.rot90(self._scaled(across, down), self._turns)))

    def small(self, width: int, height: int, *, rough: bool = False) -> NDArray[np.uint8]:
        """The frame squashed to a size, (height, width, 3), to be compared with others: cheap, and not upright.

        A `rough` one is made of single pixels here and there, for next to nothing.
        """
        return self._converted(self.frame, width, height, Interpolation.FAST_BILINEAR if rough else Interpolation.AREA)

    @property
    def _turns(self) -> int:
        """Quarters of a turn, counter-clockwise, that bring it upright."""
        try:
            return round(self.frame.rotation / 90) % 4
        except (ValueError, OverflowError):  # a matrix that is none
            return 0

    def _scaled(self, width: int, height: int) -> NDArray[np.uint8]:
        frame = self.frame
        if frame.interlaced_frame and frame.height > 1:
            # Every other line was filmed later, and FFmpeg scales the two halves apart: what moves would have a comb.
            lines = self._converted(frame, frame.width, frame.height, _SMOOTH).astype(np.uint16)
            even, odd = lines[: len(lines) // 2 * 2 : 2], lines[1::2]
            frame = av.VideoFrame.from_ndarray(((even + odd + 1) // 2).astype(np.uint8), "rgb24")
        return self._converted(frame, width, height, _SMOOTH)

    def _converted(self, frame: av.VideoFrame, width: int, height: int, how: Interpolation) -> NDArray[np.uint8]:
        """Colours and size in one step."""
        standard = frame.colorspace
        if standard == _UNTOLD:
            standard = Colorspace.ITU709 if frame.height > HD else Colorspace.ITU601
        full = ColorRange.JPEG
        rgb = self.converters.setdefault((width, height, how), VideoReformatter()).reformat(
            frame, width, height, "rgb24", src_colorspace=standard, interpolation=how, dst_color_range=full, threads=1
        )
        return np.asarray(rgb.to_ndarray(), np.uint8)
