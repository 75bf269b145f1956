"""Everything that seehear raises on purpose. A message names what was wrong, and what to do about it.

SeehearError
├── InputError                the caller's mistake: an argument, a path that is not there
│   └── QueryError            a question that cannot be asked
├── MediaError                a file that cannot be used
│   ├── UnsupportedMedia      its content is of no type that is read
│   ├── DamagedMedia          its content is broken, or cut short
│   ├── MediaTooLarge         it claims more than the limits allow
│   ├── UnreadableMedia       the system does not let us read it
│   └── DecoderDied           it killed, or stalled, the process that decoded it
├── EncoderError              weights that are missing, or are not what they should be
├── MissingExtra              a package of an extra is not installed (also an ImportError)
└── LibraryError
    ├── LibraryInUse          another process holds it
    ├── LibraryDamaged        its files are not what was written
    └── ModelMismatch         it was made with other models

MediaNote is no error but a warning: a file is odd, and is taken in; MissingPart, a kind of it: only in part.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from seehear.wording import shortened, shown

if TYPE_CHECKING:
    from seehear.types import Channel


LONGEST = 1_500
"""Characters of a message: of a longer one, which repeats what is very long, the middle is left out."""


class SeehearError(Exception):
    """Root of all errors that seehear raises on purpose."""

    def __str__(self) -> str:
        """The message, fit for a terminal and a log whatever names it repeats; `args` holds it as it is."""
        return shortened(shown(super().__str__()), LONGEST)


class InputError(SeehearError):
    """An argument that makes no sense, or a path that is not there."""


class QueryError(InputError):
    """A question that cannot be asked: empty, not answerable by the models, or cancelling to nothing."""


class MediaError(SeehearError):
    """A file that cannot be used. The message does not repeat the file's name: whoever reports it does."""


class MediaNote(UserWarning):
    """Something odd about a file that can be used: a modality warns, and the report of `add` repeats it."""

    def __str__(self) -> str:
        """The note, fit for a terminal and a log; `args` holds it as it is."""
        return shortened(shown(super().__str__()), LONGEST)


class MissingPart(MediaNote):
    """What a file has for some channels is missing, at least in part; for the others it is good, and it is taken in."""

    def __init__(self, message: str, channels: tuple[Channel, ...]) -> None:
        super().__init__(message)
        self.channels = channels


def note(message: str) -> None:
    """Say what is odd about a file that can be used."""
    warnings.warn(message, MediaNote, stacklevel=3)


class UnsupportedMedia(MediaError):
    """The content is of no type that is read, whatever the name says."""


class DamagedMedia(MediaError):
    """The content is broken or cut short."""


class MediaTooLarge(MediaError):
    """The file claims more bytes, pixels or frames than the limits allow."""


class UnreadableMedia(MediaError):
    """The system does not let us read the file."""


class DecoderDied(MediaError):
    """The file killed or stalled the process that decoded it."""


class EncoderError(SeehearError):
    """Weights are missing, or are not what they should be."""


class MissingExtra(SeehearError, ImportError):
    """A package of an optional extra is not installed; the message is the line that installs it."""


class LibraryError(SeehearError):
    """A library that cannot be used as it is."""


class LibraryInUse(LibraryError):
    """Another process holds the library."""


class LibraryDamaged(LibraryError):
    """The library's files are not what was written."""


class ModelMismatch(LibraryError):
    """The library was made with other models."""
