"""Pictures: decoded upright, on white, and no larger than they are needed.

Runs in the decoding processes (`seehear.pool`), so it imports nothing heavier than Pillow and NumPy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from seehear.errors import DamagedMedia, MediaError, MediaNote, MediaTooLarge, UnsupportedMedia
from seehear.media import PICTURE_TYPES, Limits, too_much_memory
from seehear.types import Needs, Picture, Source

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientations, and what turns each upright."""
DRAFT = 672
"""Least short side, in pixels, that a JPEG is decoded to before it is scaled to a smaller one."""
LARGE, STRIP = 16_000_000, 4_000_000
"""Pixels from which on a picture becomes smaller in strips, and those of a strip, about."""
GAP = 3
"""Times as large as it is to be that a picture is at least after that: more makes no difference to be seen."""
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Modes of more than 8 bits, all of them grey."""
LONGEST_SIDE = 1_000_000
"""Pixels; to keep 60 million rows in order takes more memory than what is in them."""
SCANS = 100
"""Times that a progressive JPEG is drawn over at most; encoders do it ten times or so."""
LONGEST = 8
"""Most that a picture's long side may be of the wanted short side: a 1 x 60,000 strip must not become gigabytes."""


def read_picture(source: Source, needs: Needs, limits: Limits) -> Picture:
    """Decode the first frame of a picture: upright, on white, RGB uint8 (height, width, 3).

    It becomes as small as `needs` asks for; what is smaller already stays. Raises DamagedMedia or MediaTooLarge.
    """
    with opened_picture(source, limits) as image:
        return decoded(image, needs)


def decoded(image: ImageFile.ImageFile, needs: Needs) -> Picture:
    """Decode a picture whose header is read, as `read_picture` does. Raises whatever Pillow's decoders do."""
    if needs.pixels is not None and image.format == "JPEG":
        # libjpeg decodes at 1/2, 1/4 or 1/8 almost for free; from this size on it is hard to tell in a vector.
        image.draft(None, fit(*image.size, max(2 * needs.pixels, DRAFT)))
    image.load()
    turn = UPRIGHT.get(orientation(image))
    small = _in_strips(image, needs) or shrink(on_white(image), needs)
    return Picture(np.asarray(small if turn is None else small.transpose(turn)))


def orientation(image: Image.Image) -> int:
    """How a picture has to be turned, as EXIF tells it: 1 to 8; 1, which is not at all, where it says nothing sane."""
    try:
        told = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow's reader raises whatever a broken block makes it; the picture may be good
        return 1
    return told if isinstance(told, int) and told in UPRIGHT else 1


@contextmanager
def opened_picture(source: Source, limits: Limits) -> Iterator[ImageFile.ImageFile]:
    """A picture whose header is read and no pixel of it decoded; what goes wrong inside is a MediaError too."""
    source.file.seek(0)
    if source.type not in PICTURE_TYPES:
        raise UnsupportedMedia(f"it is no picture but {source.type}")
    with warnings.catch_warnings():
        # Pillow warns at a limit of its own; ours is checked below, before a pixel is decoded.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MediaNote)
        try:
            with Image.open(source.file, formats=[PICTURE_TYPES[source.type]]) as image:
                width, height = image.size
                if width * height > limits.pixels:
                    raise MediaTooLarge(
                        f"it claims {width} x {height} = {width * height / 1e6:,.0f} megapixels, more than the limit "
                        f"of {limits.pixels / 1e6:,.0f}; scale it down, or raise Limits(pixels=...) or --limit pixels=N"
                    )
                if max(width, height) > LONGEST_SIDE:
                    raise MediaTooLarge(f"it claims {width} x {height} pixels, of a side more than {LONGEST_SIDE:,}")
                if image.info.get("progressive") and (scans := _scans(source.file)) > SCANS:
                    raise MediaTooLarge(f"it is drawn {scans:,} times over, more than the limit of {SCANS}")
                yield image
        except Image.DecompressionBombError as error:
            raise MediaTooLarge(f"it is too large to decode: {error}") from error
        except MediaError:
            raise
        except MemoryError as error:
            raise MediaTooLarge(too_much_memory(limits)) from error
        except UnidentifiedImageError as error:  # whose text names our file object
            raise DamagedMedia("it is damaged or cut short (nothing can be made of its header)") from error
        except Exception as error:  # Pillow's decoders raise whatever a broken file makes them
            raise DamagedMedia(f"it is damaged or cut short ({error or type(error).__name__})") from error


def _scans(file: BinaryIO) -> int:
    """How often a JPEG is drawn over, about: each time is as dear as the first."""
    place, count, last = file.tell(), 0, b""
    file.seek(0)
    while block := file.read(1 << 20):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:]
    file.seek(place)
    return count


def upright(image: Image.Image) -> Image.Image:
    """A picture as it is to be looked at."""
    turn = UPRIGHT.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _in_strips(image: Image.Image, needs: Needs) -> Image.Image | None:
    """Bring a large picture to RGB and to the size that is needed; None of one that is not much larger than that.

    A second copy of 100 megapixels is not made: strips become smaller by a whole factor, and then, all together, what
    they should be. It is Pillow's own way for `reducing_gap`.
    """
    width, height = image.size
    if needs.pixels is None or width * height < LARGE:
        return None
    size = _size(image, needs)
    factor = min(width // size[0], height // size[1]) // GAP
    if factor < 2:
        return None
    grey, high = image.mode in DEEP, max(1, STRIP // (width * factor)) * factor
    top = float(np.nan_to_num(image.getextrema()[1])) if grey else None
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for row in range(0, height, high):
        strip = image.crop((0, row, width, min(height, row + high)))
        small.paste(on_white(strip, top).reduce(factor), (0, row // factor))
    return small.resize(size, Image.Resampling.BICUBIC, (0, 0, width / factor, height / factor))


def on_white(image: ImageFile.ImageFile | Image.Image, top: float | None = None) -> Image.Image:
    """Bring any mode to RGB: transparency onto white, palettes and CMYK resolved, 16 bits to 8.

    `top` is the largest deep grey value where the picture is but a part.
    """
    if image.mode in DEEP:
        return Image.fromarray(_eight_bits(np.asarray(image), top)).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(deep: NDArray[np.generic], top: float | None) -> NDArray[np.uint8]:
    """Scale deep grey values to 0..255 by the range that they are likely to have: 0..1, 0..255 or 0..65535."""
    values = np.nan_to_num(deep.astype(np.float32))
    top = float(values.max(initial=0.0)) if top is None else top
    full = 65535.0 if top > 255 or deep.dtype.kind != "f" else 255.0 if top > 1 else 1.0
    scaled: NDArray[np.float32] = np.clip(values / full, 0, 1) * 255
    return np.rint(scaled).astype(np.uint8)


def shrink(image: Image.Image, needs: Needs) -> Image.Image:
    """Scale a picture down to the size that is needed, in one step; smaller pictures stay as they are."""
    size = _size(image, needs)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _size(image: Image.Image, needs: Needs) -> tuple[int, int]:
    """Width and height that are needed."""
    pixels = needs.pixels
    if pixels is None or max(image.size) <= pixels:
        return image.size
    return (pixels, pixels) if needs.square else fit(*image.size, pixels)


def fit(width: int, height: int, pixels: int) -> tuple[int, int]:
    short, most = min(width, height), LONGEST * pixels
    side = max(1, min(short, pixels, most * short // max(width, height)))
    # Rounded down, as CLIP's own preprocessing does it: with one pixel more it would cut out another square.
    return min(most, side * width // short), min(most, side * height // short)
