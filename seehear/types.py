"""The vocabulary: what travels between the rooms of seehear. Imports nothing of ours and nothing heavy.

What travels is frozen. Seconds are floats from the start of the file; a still picture has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Modality = Literal["text", "image", "audio", "video"]
"""What a file is."""
Channel = Literal["text", "visual", "sound", "speech"]
"""What a segment is about: read, seen, heard, said."""
Kind = Literal["text", "image", "audio"]
"""What an encoder can be given, and what a query can be made of."""
Role = Literal["query", "document"]
"""Whether a vector asks, or is to be found."""
Scalar = str | int | float | bool
"""A metadata value that every store can keep and filter."""
Metadata = Mapping[str, Scalar]
"""What a user says about a file."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words, given to an encoder."""

    kind: ClassVar[Kind] = "text"
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture, given to an encoder: RGB, uint8, (height, width, 3)."""

    kind: ClassVar[Kind] = "image"
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """A stretch of sound, given to an encoder or a transcriber: float32 mono, (samples,), -1 to 1."""

    kind: ClassVar[Kind] = "audio"
    samples: NDArray[np.float32]
    rate: int
    """Samples per second, Hz."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


Content = Text | Picture | Waveform


@dataclass(frozen=True, slots=True)
class Needs:
    """What the encoders of a library want contents to be; what comes out of a file is already of this size."""

    pixels: int | None = None
    """Short side of a picture in pixels; None leaves pictures as they are."""
    square: bool = False
    """Both sides become so long, for a network that squashes its pictures: then they are resized once, here."""
    rate: int | None = None
    """Hz of the sound that an encoder takes; None where no encoder hears."""
    window: float = 10.0
    """Seconds of sound that it takes at most, all of which it looks at."""
    speech: bool = False
    """Whether there is a transcriber, so that stretches of speech are wanted (at 16 kHz, whatever `rate` says)."""
    tokens: int | None = None
    """Longest passage of text, in tokens of `tokenizer`, special ones included; None where nothing is said."""
    tokenizer: str | None = None
    """A tokenizer.json to count tokens with; None counts four characters as one."""
    pictures: bool = True
    """Whether anybody looks at the pictures of videos."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that has been opened, sniffed and hashed: what a modality is given."""

    key: str
    """Name in the library: the added folder's name, then the path below it, with forward slashes."""
    path: Path
    """Where the file is now."""
    type: str
    """Media type by content, such as `image/jpeg`."""
    content: str
    """SHA-256 of the bytes, hexadecimal."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change, nanoseconds since the epoch."""
    file: BinaryIO
    """The open file; whoever reads it seeks first."""
    subtitles: tuple[str, bytes] | None = None
    """Of a recording with a transcript beside it: that file's suffix (`.srt`, `.vtt`, `.json`) and its bytes."""


Stamp = tuple[int, int, str, str]
"""What a file was when it was read: its `size`, `mtime_ns` and `content`; and the folder that was added."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was said, and when: seconds from the start of the file."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Passage:
    """About a sentence that was said: seconds from the start of what was given to the transcriber."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    """Empty where the transcriber does not time words."""
    language: str | None = None
    """ISO 639-1, such as `en`; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The unit that is stored and found: a picture, a passage, a stretch of sound or video."""

    id: str
    source: str
    """Key of the file."""
    modality: Modality
    channel: Channel
    start: float | None = None
    end: float | None = None
    text: str = ""
    """What is read or said in it."""
    offset: int | None = None
    """Of a passage of a text file: characters before it."""
    words: tuple[Word, ...] = ()
    """What was said, word by word, where that is known."""
    metadata: Metadata = field(default_factory=dict)
    """What the file says about itself; what the segments of one file say is joined."""
    thumbnail: bytes = field(default=b"", repr=False)
    """Of a stretch of video: the picture that stands for it, as a small JPEG."""


def segment_id(key: str, content: str, channel: Channel, ordinal: int, settings: str) -> str:
    """Name a segment by what it is made of, so that two workers agree on it without talking."""
    parts = "\x1f".join((key, content, channel, str(ordinal), settings))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def source_name(key: str) -> str:
    """Name a file in sixteen hexadecimal digits: links and language models get them instead of a stranger's words."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Route:
    """A row of a model set: which encoder serves a channel, and which kinds of query it answers."""

    channel: Channel
    encoder: str
    answers: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class Collection:
    """One space of the store: what may be ranked together, and the unit of calibration."""

    encoder: str
    channel: Channel
    modality: Modality


@dataclass(frozen=True, slots=True)
class Match:
    """What a store answers: a segment's id and its cosine similarity to the question, -1 to 1."""

    id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Query:
    """A question. A string is words, never a path and never syntax; only `image`, `audio` and `voice` take paths.

    Pictures may be a path, a PIL image, or an array (height, width, 3) of uint8; sounds a path or a `Waveform`; both
    may be the bytes of a file.
    """

    text: str | None = None
    image: Any = None
    audio: Any = None
    """A sound, to find what sounds like it."""
    voice: Any = None
    """A spoken question: it is written down, and then is words."""
    plus: Sequence[Any] = ()
    """More parts: words, pictures, sounds (`Path` or `Waveform`), or pairs (part, weight)."""
    minus: Sequence[Any] = ()
    """Parts to move away from, given likewise."""
    channels: frozenset[Channel] | None = None
    """Only these channels; None is all."""
    modalities: frozenset[Modality] | None = None
    """Only files of these modalities; None is all."""
    where: Mapping[str, Any] | None = None
    """Only files whose metadata is so; the language is described in `seehear.where`."""
    after: datetime | date | time | str | None = None
    """Only what was taken from then on: a time, a date, or a clock time on any day (`time(22)`, "10 PM")."""
    before: datetime | date | time | str | None = None
    """Only what was taken until just before then. Times without a zone are the camera's own clock's."""
    per_source: int | None = None
    """Most hits, such as moments of one video, that one file may fill; None is any number."""
    min_score: float | None = None
    """Leave out hits that score less, 0 to 1. None leaves out whole collections that have nothing to say to the
    question (`seehear.calibration.MIN_SCORE`), and no single hit; 0 leaves out nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a hit is a hit: one segment, found by one encoder."""

    segment: str
    channel: Channel
    encoder: str
    rank: int
    """Place in the encoder's own list, from 1."""
    similarity: float
    """Cosine, -1 to 1, or of `bm25` the share of the question's words; comparable only within one collection."""
    score: float
    """What the similarity is worth, 0 to 1; comparable everywhere (`seehear.calibration`)."""
    start: float | None = None
    end: float | None = None
    text: str = ""
    """What is read or said there."""
    words: tuple[Word, ...] = ()
    """The same word by word, with times, where they are known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be taken in (whole), and why."""

    path: str
    reason: str


@dataclass(slots=True)
class Report:
    """What became of each file of an `add`; paths are as the library shows them."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Files that were there and are others now, or of which something else was said."""
    moved: list[tuple[str, str]] = field(default_factory=list)
    """Where a file was, and where it is now; of `sync` only."""
    removed: list[str] = field(default_factory=list)
    """Files that are gone, and forgotten; of `sync` only."""
    unchanged: list[str] = field(default_factory=list)
    partial: list[Problem] = field(default_factory=list)
    failed: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    """Files that were taken in whole, and what is odd about them."""
    ignored: list[str] = field(default_factory=list)
    """Files of a folder that are of no type that seehear reads."""
    embedded: int = 0
    """Contents that went through an encoder; what was known already costs none."""
    seconds: float = 0.0
