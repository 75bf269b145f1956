"""Words of strangers, made fit to be looked at: in a terminal, on a page, in a log, in the message of an error."""

from __future__ import annotations

import reprlib
from datetime import date, time
from numbers import Number
from pathlib import PurePath
from unicodedata import category

QUOTED = 200
"""Characters of a passage that are shown."""
GIVEN = 100
"""Characters of an argument that an error repeats."""
MARKS = 6
"""Accents and the like on one letter; no script needs more, and a thousand of them cover the lines above."""
UNSEEN = frozenset(
    [*map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x16FE4, 0x1D159))]
    + [chr(c) for low, high in ((0x180B, 0x1810), (0xFE00, 0xFE0F), (0xE0100, 0xE01F0)) for c in range(low, high)]
)
"""What Python calls printable and nobody sees: words can hide in it. The selector of emoji, U+FE0F, may stay."""


PLAIN = (Number, date, time, PurePath, type, type(None), type(...))
"""What is written down as it is; of anything else its class."""


def shown(text: str) -> str:
    """Make untrusted text fit to be looked at: no control, direction or undecodable characters, no towers of accents.

    Spaces of any width become plain ones, as in the names that some systems give to screenshots.
    """
    if text.isascii() and text.isprintable():
        return text
    found, marks = [], 0
    for c in text:
        kind = category(c)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks <= MARKS:
            found.append(" " if kind == "Zs" else c if c.isprintable() and c not in UNSEEN else "\ufffd")
    return "".join(found)


def quoted(text: str) -> str:
    """The beginning of a text, on one line, in quotation marks, fit to be looked at."""
    line = shown(" ".join(text.split()))
    return f"\u201c{line[: QUOTED - 1]}\u2026\u201d" if len(line) > QUOTED else f"\u201c{line}\u201d"


def shortened(line: str, most: int) -> str:
    """A line of at most so many characters: of a longer one the beginning and the end."""
    if len(line) <= most:
        return line
    half = (most - 1) // 2
    return f"{line[: most - 1 - half]}\u2026{line[-half:]}"


def repeated(value: object) -> str:
    """An argument as code would write it, for a sentence that says what is wrong with it: capped, and never failing."""
    try:
        written = _WRITER.repr(value)
    except Exception:  # whoever wrote its class may have thought of no such value, Python itself of none so deep
        written = f"a {type(value).__name__}"
    return shortened(shown(" ".join(written.split())), GIVEN)


class _Writer(reprlib.Repr):
    """Looks at no more of a value than is shown, and into no object that may hold a filter within a filter."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = GIVEN

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        return repr(x) if x.bit_length() < 8 * GIVEN else "a number of very many digits"

    def repr_bytes(self, x: bytes, level: int) -> str:  # noqa: ARG002
        return repr(x[:GIVEN])

    def repr_instance(self, x: object, level: int) -> str:  # noqa: ARG002
        return repr(x) if isinstance(x, PLAIN) else f"a {type(x).__name__}"


_WRITER = _Writer()
