"""Transcripts beside recordings: which belong to which, by their names, and what is in them."""

from __future__ import annotations

import json
import os
import re
import time
from functools import lru_cache
from pathlib import Path

from seehear.errors import MediaError, MediaNote, MediaTooLarge
from seehear.handle import GRAIN, Folders, Handle, recent

RECORDINGS = frozenset({
    ".3gp", ".aac", ".aif", ".aiff", ".amr", ".asf", ".au", ".avi", ".caf", ".flac", ".m4a", ".m4b", ".m4v", ".mka",
    ".mkv", ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".ogv", ".opus", ".snd", ".wav", ".wave", ".webm", ".wma", ".wmv",
})  # fmt: skip
"""Suffixes of recordings, beside which a transcript is looked for."""
SIDECARS = (".srt", ".vtt", ".json")
"""Suffixes of transcripts; the first that is there is taken."""
SIDECAR_BYTES = 16 << 20
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def beside(path: Path) -> list[Path]:
    """Transcripts of a recording by their names: `talk.srt`, `.vtt`, `.json`, then `talk.en.srt` and the like."""
    if path.suffix.lower() not in RECORDINGS:
        return []
    _, sidecars = _listing(path.parent)
    return [path.with_name(name) for name in sidecars.get(path.stem, ())]


def is_sidecar(path: Path) -> bool:
    """Whether a file is, by its name, the transcript of a recording beside it."""
    if path.suffix.lower() not in SIDECARS:
        return False
    recordings, _ = _listing(path.parent)
    return not recordings.isdisjoint(_stems(path))


def transcript(paths: list[Path], within: Folders | None = None) -> tuple[str, bytes] | None:
    """Suffix and bytes of the first transcript that counts; links may not lead out of the folders `within`.

    Raises MediaNote, and takes none of the others, where one cannot be read.
    """
    for path in paths:
        try:
            with Handle(path, within) as file:
                if file.status.st_size > SIDECAR_BYTES:
                    raise MediaTooLarge(f"it has more than {SIDECAR_BYTES >> 20} MB")
                written = file.read(SIDECAR_BYTES)
        except (MediaError, OSError) as error:
            raise MediaNote(f"{path.name} beside it is no use as its transcript: {error}") from error
        if path.suffix.lower() != ".json" or _whisper(written):
            return path.suffix.lower(), written
    return None


def _whisper(written: bytes) -> bool:
    """Whether a JSON file is a transcript that Whisper wrote, and not one of the many other things."""
    try:
        read = json.loads(written)
    except (ValueError, RecursionError):
        return False
    segments = read.get("segments") if isinstance(read, dict) else None
    needed = {"start", "end", "text"}
    return isinstance(segments, list) and all(isinstance(each, dict) and needed <= each.keys() for each in segments)


def _stems(path: Path) -> list[str]:
    """Stems of the recordings that a transcript may belong to; a language may stand behind: `talk.en.srt`."""
    before, dot, behind = path.stem.rpartition(".")
    named = dot and path.suffix.lower() != ".json" and _LANGUAGE.fullmatch(behind)
    return [path.stem, before] if named else [path.stem]


Listing = tuple[frozenset[str], dict[str, list[str]]]
"""Stems of a folder's recordings, and by stem the names of their transcripts, best first."""


def _listing(folder: Path) -> Listing:
    """List a folder once and not for each of its files, unless it has just changed or may not be listed."""
    try:
        status = folder.stat()
        changed = status.st_mtime_ns, status.st_ctime_ns
        settled = not recent(max(changed), time.time_ns()) or time.monotonic() - _seen(folder, changed) > GRAIN / 1e9
        return _listed(folder, changed) if settled else _listed.__wrapped__(folder, changed)
    except OSError:
        return frozenset(), {}


@lru_cache(maxsize=8)
def _seen(folder: Path, changed: tuple[int, int]) -> float:  # noqa: ARG001
    """When a folder was first seen as it is, seconds: if the clock is wrong, it is never long ago that it changed."""
    return time.monotonic()


@lru_cache(maxsize=8)
def _listed(folder: Path, changed: tuple[int, int]) -> Listing:  # noqa: ARG001  a folder that changed is another one
    recordings: set[str] = set()
    sidecars: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = Path(entry.name)
            if name.suffix.lower() in RECORDINGS:
                recordings.add(name.stem)
            elif name.suffix.lower() in SIDECARS:
                sidecars.append(name)
    found: dict[str, list[tuple[int, int, str]]] = {}
    for name in sidecars:
        for place, stem in enumerate(_stems(name)):
            if stem in recordings:
                found.setdefault(stem, []).append((place, SIDECARS.index(name.suffix.lower()), name.name))
    return frozenset(recordings), {stem: [name for *_, name in sorted(names)] for stem, names in found.items()}
