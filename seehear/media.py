"""The only place that opens untrusted files: what a file is, its limits, its bytes and those of a transcript beside it.

A file is opened once; what is hashed is what is decoded. Its name says nothing: the type comes from its first bytes.
Only among texts, which have no mark of their own, the name's suffix decides. This module runs in the decoding
processes (`seehear.pool`), so it imports nothing heavy; pictures are decoded by `seehear.picture`, sound by
`seehear.track`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path

from seehear.errors import DamagedMedia, MediaError, MediaNote, MediaTooLarge, UnreadableMedia, UnsupportedMedia
from seehear.types import Source

PICTURE_TYPES = {
    "image/bmp": "BMP",
    "image/gif": "GIF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
}
"""Media type -> Pillow's name of the format. No other of Pillow's formats is ever tried."""
AUDIO_TYPES = {
    "audio/aac": "aac",
    "audio/aiff": "aiff",
    "audio/amr": "amr",
    "audio/basic": "au",
    "audio/flac": "flac",
    "audio/matroska": "matroska",
    "audio/mp4": "mov",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/webm": "matroska",
    "audio/x-caf": "caf",
    "audio/x-ms-asf": "asf",
    "audio/x-msvideo": "avi",
}
"""Media type -> FFmpeg's name of the demuxer. No other of FFmpeg's demuxers is ever tried."""
VIDEO_TYPES = {
    "video/matroska": "matroska",
    "video/mp4": "mov",
    "video/ogg": "ogg",
    "video/webm": "matroska",
    "video/x-ms-asf": "asf",
    "video/x-msvideo": "avi",
}
"""The same of containers that may hold pictures; of one that does not, the type is `audio/...` with the same ending."""
TEXT_TYPES = {
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".srt": "application/x-subrip",
    ".txt": "text/plain",
    ".vtt": "text/vtt",
}
"""Suffix of the name -> media type, of files whose first bytes are text."""
READS = (
    "pictures: JPEG, PNG, WebP, GIF, BMP, TIFF; recordings: WAV, FLAC, MP3, Ogg, M4A, AAC, AIFF, WMA, AMR, AU, CAF, "
    "MP4, MOV, MKV, WebM, AVI; texts: .txt, .md, .srt, .vtt"
)
RECORDINGS = frozenset({
    ".3gp", ".aac", ".aif", ".aiff", ".amr", ".asf", ".au", ".avi", ".caf", ".flac", ".m4a", ".m4b", ".m4v", ".mka",
    ".mkv", ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".ogv", ".opus", ".snd", ".wav", ".wave", ".webm", ".wma", ".wmv",
})  # fmt: skip
"""Suffixes of recordings, beside which a transcript is looked for."""
SIDECARS = (".srt", ".vtt", ".json")
"""Suffixes of transcripts; the first that is there is taken."""
SIDECAR_BYTES = 16 << 20
HEAD = 4096
"""Bytes that a type is told from."""
SETTLED_NS = 2 * 10**9
"""How long ago a folder must have changed for its listing to be kept: a clock's grain is finer."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. The defaults let through what a camera makes."""

    bytes: int = 1 << 36
    pixels: int = 100_000_000
    """Read from the header, before anything is decoded."""
    seconds: float = 60.0
    """Wall time that decoding may take before its process is killed."""


def sniff(head: bytes, name: str = "") -> str | None:
    """Tell the media type from a file's first bytes (4,096, or all), or None if it is of no type that is read."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "image/tiff"
    # "BM" alone would take any text that begins so: the size of the second header must be one that exists.
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return "image/bmp"
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        riff = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
        return riff.get(head[8:12], _text(head, name))
    return _recording(head) or _text(head, name)


def _recording(head: bytes) -> str | None:
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "video/ogg" if b"\x80theora" in head else "audio/ogg"
    if head.startswith(b"\x1aE\xdf\xa3"):  # an element 0x86 names each track's codec, as `A_OPUS` or `V_VP9`
        kind = "audio" if re.search(rb"\x86.A_", head, re.S) and not re.search(rb"\x86.V_", head, re.S) else "video"
        return f"{kind}/webm" if b"webm" in head[:64] else f"{kind}/matroska"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1", b"crx "):  # pictures
            return None
        return "audio/mp4" if brand in (b"M4A ", b"M4B ", b"M4P ") else "video/mp4"
    if head[:1] == b"\0" and head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime before there was a `ftyp`
        return "video/mp4"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if head.startswith(b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel"):
        return "video/x-ms-asf"
    if head.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        return "audio/amr"
    if head.startswith(b".snd\0"):
        return "audio/basic"
    if head.startswith(b"caff\0\1"):
        return "audio/x-caf"
    if head.startswith(b"ID3") and len(head) > 10:
        # The tag's length has seven bits a byte. What is behind it may be FLAC or AAC; a tag with a cover reaches far.
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return _recording(head[10 + size :]) or "audio/mpeg"
    # MP3 and AAC have no mark but the first bits of each frame: a second frame that begins alike has to prove it.
    if head[:2] in (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2"):
        places = (place.start() for place in re.finditer(re.escape(head[:2]), head[24:1800]))
        return "audio/mpeg" if any(head[place + 26] & 12 == head[2] & 12 != 12 for place in places) else None
    if head[:2] in (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9") and len(head) > 7:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return "audio/aac" if head[length : length + 2] == head[:2] and length > 7 else None
    return None


def _text(head: bytes, name: str) -> str | None:
    """Texts have no mark: no NUL proves one (UTF-16 has to begin with its own), and the name says which."""
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    return TEXT_TYPES.get(Path(name).suffix.lower())


@contextmanager
def open_source(path: Path, key: str, limits: Limits, *, hashed: bool = True) -> Iterator[Source]:
    """Open, check, sniff and hash a file, and the transcript beside a recording; unless `hashed`, neither of the two.

    Raises MediaError, whose message does not repeat the file's name; warns MediaNote of a transcript that is no use.
    """
    beside = _beside(path)
    with _open_regular(path) as file:
        status = os.fstat(file.fileno())
        if status.st_size == 0:
            raise DamagedMedia("it is empty (0 bytes); copy it again from where it came")
        if status.st_size > limits.bytes:
            raise MediaTooLarge(f"it has {status.st_size:,} bytes, more than the limit of {limits.bytes:,}")
        try:
            kind = sniff(file.read(HEAD), path.name)
            if kind is None:
                raise UnsupportedMedia(f"its content is nothing that is read ({READS}), whatever its name says")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256") if hashed else None
        except OSError as error:
            raise UnreadableMedia(f"it cannot be read: {error.strerror or error}") from error
        subtitles = _transcript(beside) if hashed and (kind in AUDIO_TYPES or kind in VIDEO_TYPES) else None
        if subtitles and digest:
            digest = hashlib.sha256(digest.digest() + hashlib.sha256(subtitles[1]).digest() + subtitles[0].encode())
        size, changed = _stamp(status, beside)
        yield Source(key, path, kind, digest.hexdigest() if digest else "", size, changed, file, subtitles)


def _open_regular(path: Path) -> BufferedReader:
    """Open a regular file and nothing else; a FIFO without a writer must not make us wait."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise UnreadableMedia("it is not there (any more)") from error
    except PermissionError as error:
        raise UnreadableMedia("you may not read it; change its permissions, or run as a user who may") from error
    except (OSError, ValueError) as error:
        raise UnreadableMedia(
            f"it cannot be opened: {getattr(error, 'strerror', None) or 'its name is none'}"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableMedia("it is not a regular file")
    return os.fdopen(descriptor, "rb")


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and last change (ns since the epoch) of a file and of the transcripts beside it; as of `Source`.

    Raises OSError as `os.stat` does.
    """
    return _stamp(path.stat(), _beside(path))


def is_sidecar(path: Path) -> bool:
    """Whether a file is, by its name, the transcript of a recording beside it."""
    if path.suffix.lower() not in SIDECARS:
        return False
    recordings, _ = _listing(path.parent)
    return not recordings.isdisjoint(_stems(path))


def _stamp(status: os.stat_result, beside: list[Path]) -> tuple[int, int]:
    size, changed = status.st_size, status.st_mtime_ns
    for path in beside:
        with suppress(OSError):
            other = path.stat()
            size, changed = size + other.st_size, max(changed, other.st_mtime_ns)
    return size, changed


def _transcript(beside: list[Path]) -> tuple[str, bytes] | None:
    """Suffix and bytes of the first transcript that counts; one that cannot be read is told, and none is taken."""
    for path in beside:
        try:
            with _open_regular(path) as file:
                if os.fstat(file.fileno()).st_size > SIDECAR_BYTES:
                    raise MediaTooLarge(f"it has more than {SIDECAR_BYTES >> 20} MB")
                written = file.read(SIDECAR_BYTES)
        except (MediaError, OSError) as error:
            warnings.warn(f"{path.name} beside it is no use as its transcript: {error}", MediaNote, stacklevel=3)
            return None
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


def _beside(path: Path) -> list[Path]:
    """Transcripts of a recording by their names: `talk.srt`, `.vtt`, `.json`, then `talk.en.srt` and the like."""
    if path.suffix.lower() not in RECORDINGS:
        return []
    _, sidecars = _listing(path.parent)
    return [path.with_name(name) for name in sidecars.get(path.stem, ())]


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
        changed = folder.stat().st_mtime_ns
        list_ = _listed if time.time_ns() - changed > SETTLED_NS else _listed.__wrapped__
        return list_(folder, changed)
    except OSError:
        return frozenset(), {}


@lru_cache(maxsize=8)
def _listed(folder: Path, changed: int) -> Listing:  # noqa: ARG001  a folder that changed is another one
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
