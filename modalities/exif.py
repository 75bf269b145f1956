"""What a picture file says about itself: when and where it was taken, with what, and how large it is.

Tags and their forms are those of Exif 2.32 (CIPA DC-008). All of it is untrusted: what makes no sense is left out,
with a note where somebody would miss it.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from seehear.errors import note
from seehear.picture import orientation
from seehear.types import Scalar

LONGEST = 200
"""Characters that are kept of a name."""
SIDEWAYS = (5, 6, 7, 8)
"""Orientations whose stored width is the upright height."""
_UNSET = re.compile(r"[\s:0]*")
"""What cameras write whose clock was never set."""


def described(image: Image.Image, size: tuple[int, int]) -> dict[str, Scalar]:
    """`width` and `height`, upright, in pixels; if the file says so `taken`, `camera`, `latitude`, `longitude`.

    `size` is the picture's own; an image that was decoded smaller has lost it.
    """
    width, height = size
    try:
        exif = image.getexif()
        shot, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception as error:  # Pillow's reader raises whatever a broken block makes it
        note(f"its EXIF data cannot be read ({error or type(error).__name__})")
        return {"width": width, "height": height}
    if orientation(image) in SIDEWAYS:
        width, height = height, width
    found: dict[str, Scalar | None] = {
        "width": width,
        "height": height,
        "taken": _taken(shot),
        "camera": _camera(exif),
        "latitude": _degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "N", "S", 90),
        "longitude": _degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "E", "W", 180),
    }
    if found["latitude"] is None or found["longitude"] is None:
        found["latitude"] = found["longitude"] = None  # half a place is none
    return {name: value for name, value in found.items() if value is not None}


def _taken(shot: Any) -> str | None:
    """When it was taken, ISO 8601, with its zone if the file has one."""
    for tag, zone in (
        (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
        (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    ):
        written = _text(shot.get(tag))
        if _UNSET.fullmatch(written):
            continue
        try:
            moment = datetime.strptime(written, "%Y:%m:%d %H:%M:%S")  # its zone comes next, if at all
        except ValueError:
            note(f"it says that it was taken at {written!r}, which is no time; its metadata has no 'taken'")
            return None
        offset = _text(shot.get(zone)).replace("Z", "+00:00")
        try:
            return datetime.fromisoformat(f"{moment.isoformat()}{offset}").isoformat()
        except ValueError:
            note(f"the zone of the time when it was taken, {offset!r}, is none; the time is kept without one")
            return moment.isoformat()
    return None


def _camera(exif: Any) -> str | None:
    make, model = _text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model))
    return (model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()) or None


def _degrees(place: Any, tag: int, reference: int, positive: str, negative: str, most: int) -> float | None:
    """Decimal degrees from degrees, minutes and seconds."""
    parts, side = place.get(tag), _text(place.get(reference)).upper()
    if not isinstance(parts, tuple) or len(parts) != 3 or side not in (positive, negative):
        return None
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
        value = degrees + minutes / 60 + seconds / 3600
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(value) or not 0 <= value <= most:
        return None
    return round(-value if side == negative else value, 7)


def _text(value: Any) -> str:
    """A tag as clean text: bytes decoded, no control characters, not too long."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "".join(c for c in value if c.isprintable())[:LONGEST].strip() if isinstance(value, str) else ""
