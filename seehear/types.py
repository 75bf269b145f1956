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
Kind = Literal["text", "image"]
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


Content = Text | Picture


@dataclass(frozen=True, slots=True)
class Needs:
    """What the encoders of a library want contents to be; what comes out of a file is already of this size."""

    pixels: int | None = None
    """Short side of a picture in pixels; None leaves pictures as they are."""
    square: bool = False
    """Both sides become so long, for a network that squashes its pictures: then they are resized once, here."""


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
    metadata: Metadata = field(default_factory=dict)


def segment_id(key: str, content: str, channel: Channel, ordinal: int, settings: str) -> str:
    """Name a segment by what it is made of, so that two workers agree on it without talking."""
    parts = "\x1f".join((key, content, channel, str(ordinal), settings))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
    """A question. A string is words, never a path and never syntax; only `image` takes a path.

    Pictures may be a path, a PIL image, or an array (height, width, 3) of uint8.
    """

    text: str | None = None
    image: Any = None
    plus: Sequence[Any] = ()
    """More parts: words, pictures, or pairs (part, weight)."""
    minus: Sequence[Any] = ()
    """Parts to move away from: words, pictures, or pairs (part, weight)."""
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
    min_score: float = 0.0
    """Leave out hits that score less, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a hit is a hit: one segment, found by one encoder."""

    segment: str
    channel: Channel
    encoder: str
    rank: int
    """Place in the encoder's own list, from 1."""
    similarity: float
    """Cosine, -1 to 1; comparable only within one collection."""
    score: float
    """The similarity as a score, 0 to 1."""
    start: float | None = None
    end: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be taken in (whole), and why."""

    path: str
    reason: str


@dataclass(slots=True)
class Report:
    """What became of each file of an `add`; paths are as the library shows them."""

    added: list[str] = field(default_factory=list)
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
