"""What a video file says about itself: when and where it was taken, with what.

All of it is untrusted: what makes no sense is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime

from seehear.types import Scalar

LONGEST = 200
"""Characters that are kept of a name."""
YEARS = (1900, 2100)
"""Between which a video was taken."""
UNSET = frozenset({"1904-01-01", "1970-01-01", "2001-01-01"})
"""Days on which the clocks of containers begin: what is said where nobody knows."""
TAKEN = ("com.apple.quicktime.creationdate", "creation_time")
"""Names of the time, the best first: the first has a zone, the second is in UTC."""
MAKE = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
MODEL = ("com.apple.quicktime.model", "com.android.model", "model")
PLACE = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
_PLACE = re.compile(r"([+-]\d{1,6}(?:\.\d+)?)([+-]\d{1,7}(?:\.\d+)?)")
"""ISO 6709: latitude and longitude; an altitude may stand behind."""


def described(tags: Mapping[str, str]) -> dict[str, Scalar]:
    """If a file says so `taken`, `camera`, `latitude` and `longitude`; `tags` have FFmpeg's names."""
    named = {name.lower(): _text(value) for name, value in tags.items()}
    latitude, longitude = _place(named)
    found: dict[str, Scalar | None] = {
        "taken": _taken(named),
        "camera": _camera(named),
        "latitude": latitude,
        "longitude": longitude,
    }
    return {name: value for name, value in found.items() if value is not None}


def _taken(named: Mapping[str, str]) -> str | None:
    """When it was taken, ISO 8601, with its zone."""
    for name in TAKEN:
        try:
            moment = datetime.fromisoformat(named.get(name, ""))
        except ValueError:
            continue
        if YEARS[0] <= moment.year <= YEARS[1] and moment.date().isoformat() not in UNSET:
            return moment.isoformat()
    return None


def _camera(named: Mapping[str, str]) -> str | None:
    make, model = _first(named, MAKE), _first(named, MODEL)
    return (model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()) or None


def _place(named: Mapping[str, str]) -> tuple[float, float] | tuple[None, None]:
    """Latitude and longitude, decimal degrees; half a place is none."""
    told = _PLACE.match(_first(named, PLACE))
    if not told:
        return None, None
    latitude, longitude = _degrees(told[1], 2), _degrees(told[2], 3)
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    return latitude, longitude


def _degrees(written: str, digits: int) -> float:
    """Degrees of `digits` digits before the point; two more are minutes, and two more seconds."""
    value = abs(float(written))
    whole = written[1:].partition(".")[0]
    if len(whole) > digits:
        step = 100 ** ((len(whole) - digits + 1) // 2)
        degrees, rest = divmod(value, step)
        minutes, seconds = divmod(rest, 100) if step == 10_000 else (rest, 0.0)
        value = degrees + minutes / 60 + seconds / 3600
    return round(math.copysign(value, -1 if written[0] == "-" else 1), 7)


def _first(named: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((named[name] for name in names if named.get(name)), "")


def _text(value: str) -> str:
    """A tag as clean text: no control characters, not too long."""
    return "".join(c for c in value[: 4 * LONGEST] if c.isprintable())[:LONGEST].strip()
