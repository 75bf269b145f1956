"""The only place that opens untrusted files: what a file is, its limits, its bytes and those of a transcript beside it.

A file is opened once; what is hashed is what is decoded, and if it changes in between, it is not taken. Its name says
nothing: the type comes from its first bytes. Only among texts, which have no mark of their own, the name's suffix
decides. This module runs in the decoding processes (`seehear.pool`), so it imports nothing heavy; pictures are decoded
by `seehear.picture`, sound by `seehear.track`.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from seehear.errors import DamagedMedia, InputError, MediaNote, MediaTooLarge, UnreadableMedia, UnsupportedMedia
from seehear.handle import CHANGED, Folders, Handle
from seehear.sidecar import beside, transcript
from seehear.types import Source
from seehear.wording import repeated

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
HEAD = 4096
"""Bytes that a type is told from."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost, and where files to ask with may lie. The defaults let through what a camera makes."""

    bytes: int = 1 << 36
    pixels: int = 100_000_000
    """Of a picture. Read from the header, before anything is decoded."""
    duration: float = 12 * 3600.0
    """Seconds that a recording may last, and those of a processor that decoding it may take."""
    frames: int = 5_000_000
    """Most pictures of a video; 12 hours at 100 a second have fewer."""
    streams: int = 64
    """Most tracks of a recording or a video."""
    seconds: float = 60.0
    """Wall time that may go by without anything new before the process that decodes is killed."""
    memory: int = 1 << 30
    """Bytes that a process that decodes may take beyond those with which it begins; on Linux."""
    roots: tuple[str, ...] | None = None
    """Folders that files to ask with have to be in; without, the application decides whose paths it passes on."""

    def __post_init__(self) -> None:
        """Make paths of folders whole. Raises InputError for what is no limit."""
        for name in ("bytes", "pixels", "duration", "frames", "streams", "seconds", "memory"):
            value, most = getattr(self, name), 1e9 if name in ("duration", "seconds") else 1 << 60
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
                raise InputError(f"{name} of Limits is a number above 0, at most {most:,.0f}, not {repeated(value)}.")
        if isinstance(self.roots, (str, bytes, os.PathLike)):  # its letters would be folders, "/" among them
            raise InputError("roots of Limits are several folders: roots=(folder,).")
        if self.roots is not None:  # who decodes may be elsewhere
            object.__setattr__(self, "roots", tuple(str(Path(os.fsdecode(one)).absolute()) for one in self.roots))


def too_much_memory(limits: Limits) -> str:
    """What is wrong with a file that a process could not decode."""
    most = f"{int(limits.memory) >> 20:,} MB"
    return f"decoding it takes more memory than the limit of {most}; raise Limits(memory=...) or --limit memory=N"


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
def open_source(
    path: Path, key: str, limits: Limits, *, hashed: bool = True, within: Folders | None = None
) -> Iterator[Source]:
    """Open, check, sniff and hash a file, and the transcript beside a recording; unless `hashed`, neither of the two.

    Links may not lead out of the folders `within`. At the end both must still be what they were: what was read is then
    what was hashed. Raises MediaError, whose message does not repeat the file's name, UnreadableMedia for what changed;
    warns MediaNote of a transcript that is no use.
    """
    with Handle(path, within) as file:
        size, changed = _stamp(file.status, beside(path))  # before they are read, so that a later change shows
        if file.status.st_size == 0:
            raise DamagedMedia("it is empty (0 bytes); copy it again from where it came")
        if file.status.st_size > limits.bytes:
            raise MediaTooLarge(f"it has {file.status.st_size:,} bytes, more than the limit of {limits.bytes:,}")
        try:
            kind = sniff(file.read(HEAD), path.name)
            if kind is None:
                raise UnsupportedMedia(f"its content is nothing that is read ({READS}), whatever its name says")
            source = Source(key, path, kind, "", size, changed, file)
            if hashed:
                subtitles = None
                try:
                    subtitles = _subtitles(source, within)
                except MediaNote as note:
                    warnings.warn(note, stacklevel=3)
                source = replace(source, content=_digest(file, subtitles), subtitles=subtitles)
        except OSError as error:
            raise UnreadableMedia(f"it cannot be read: {error.strerror or error}") from error
        file.check()  # of what still grows nothing need be decoded
        try:
            yield source
        except Exception as error:  # half of the old and half of the new bytes may lead to any
            _prove(source, file, again=not isinstance(error, (UnsupportedMedia, MediaTooLarge)))
            raise
        _prove(source, file, again=not file.tells(changed))


def _prove(source: Source, file: Handle, *, again: bool) -> None:
    """Raise UnreadableMedia unless a file and the transcript beside it are what they were; `again` reads them anew."""
    file.check()
    if _stamp(file.status, beside(source.path)) != (source.size, source.mtime_ns):
        raise UnreadableMedia(CHANGED)
    if not again or not source.content:
        return
    subtitles = None
    try:
        with suppress(MediaNote):  # it was told before
            subtitles = _subtitles(source, file.within)
        same = _digest(file, subtitles) == source.content
    except OSError as error:
        raise UnreadableMedia(f"it cannot be read any more: {error.strerror or error}") from error
    if not same:
        raise UnreadableMedia(CHANGED)


def _subtitles(source: Source, within: Folders | None) -> tuple[str, bytes] | None:
    """The transcript beside a recording. Raises MediaNote for one that is no use."""
    recording = source.type in AUDIO_TYPES or source.type in VIDEO_TYPES
    return transcript(beside(source.path), within) if recording else None


def _digest(file: Handle, subtitles: tuple[str, bytes] | None) -> str:
    """SHA-256 of a file, and of the transcript beside it."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")
    if subtitles:
        digest = hashlib.sha256(digest.digest() + hashlib.sha256(subtitles[1]).digest() + subtitles[0].encode())
    return digest.hexdigest()


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and last change (ns since the epoch) of a file and of the transcripts beside it; as of `Source`.

    Raises OSError as `os.stat` does.
    """
    return _stamp(path.stat(), beside(path))


def _stamp(status: os.stat_result, sidecars: list[Path]) -> tuple[int, int]:
    size, changed = status.st_size, status.st_mtime_ns
    for path in sidecars:
        with suppress(OSError):
            other = path.stat()
            size, changed = size + other.st_size, max(changed, other.st_mtime_ns)
    return size, changed
