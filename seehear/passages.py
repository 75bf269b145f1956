"""Passages that are no files, as a framework holds them: texts with ids and metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seehear.errors import InputError
from seehear.folders import File
from seehear.metadata import checked
from seehear.records import PASSAGES

KEY = "text:"
"""Begins the keys of passages."""
ID_MAX = 1_000
"""Characters of an id."""


def passages(
    texts: Sequence[str], metadatas: Sequence[Mapping[str, Any] | None] | None, ids: Sequence[str] | None
) -> list[File]:
    """Check what was given. An id that is not given follows from the text. Raises InputError."""
    if isinstance(texts, (str, bytes)) or not all(isinstance(text, str) for text in texts):
        raise InputError("Texts are a list of strings.")
    for what, many in (("metadatas", metadatas), ("ids", ids)):
        if many is not None and (isinstance(many, (str, Mapping)) or len(many) != len(texts)):
            raise InputError(f"{what} has one entry per text: {len(texts)} are wanted.")
    found: dict[str, File] = {}
    for place, text in enumerate(texts):
        name = _id(ids[place]) if ids else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if ids and name in found:
            raise InputError(f"The id {name!r} is given twice.")
        given = None if metadatas is None else checked(metadatas[place] or {})
        found[name] = File(KEY + name, PASSAGES, name, Path(), named=True, text=text, given=given)
    return list(found.values())


def _id(given: object) -> str:
    if not isinstance(given, str) or not given or len(given) > ID_MAX:
        raise InputError(f"An id is a string of 1 to {ID_MAX:,} characters, not {given!r:.80}.")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"The id {given!r} holds half a character.") from error
    return given
