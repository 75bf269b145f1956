"""What a user may say about a file: flat names with plain values, checked before anything is stored or asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from seehear.errors import InputError
from seehear.types import Scalar
from seehear.wording import repeated

INT_MAX = 2**63 - 1
RESERVED = ("_", "$")
"""What names of ours and of filters start with."""
TAKEN = "taken"
"""The name under which a file says when it was taken, ISO 8601; `after` and `before` ask for it."""


def checked(metadata: Mapping[str, Any]) -> dict[str, Scalar]:
    """Bring metadata to what every store keeps; None is left out. Raises InputError that names the key and the cure."""
    if not isinstance(metadata, Mapping):
        raise InputError(f"Metadata is a mapping of names to values, not {type(metadata).__name__}.")
    clean: dict[str, Scalar] = {}
    for key, given in metadata.items():
        if not isinstance(key, str) or not key or key.startswith(RESERVED) or not _is_text(key):
            raise InputError(
                f"{repeated(key)} cannot name metadata: a name is a string that starts with none of {RESERVED}."
            )
        # NumPy's scalars are what people have; stores want Python's.
        scalar = hasattr(given, "item") and getattr(given, "ndim", None) == 0 and given.dtype.kind not in "mM"
        value = given.item() if scalar else given
        if value is None:
            continue
        if isinstance(value, date):
            value = value.isoformat()
        if key == TAKEN and not _is_time(value):
            raise InputError(f"metadata {TAKEN!r} is a time such as 2024-05-03T21:30:00+02:00, not {repeated(value)}")
        whole = isinstance(value, int) and abs(value) <= INT_MAX
        if whole or (isinstance(value, float) and math.isfinite(value)):
            clean[key] = value
        elif isinstance(value, str):
            clean[key] = value.encode("utf-8", "backslashreplace").decode()
        else:
            raise InputError(
                f"metadata {repeated(key)} is {repeated(value)} ({type(value).__name__}): "
                "a value is a string, a finite number of at most 64 bits, true or false, or a date"
            )
    return clean


def _is_text(name: str) -> bool:
    try:
        return "\x00" not in name and bool(name.encode())
    except UnicodeEncodeError:  # half a character
        return False


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False
