"""Texts: passages of about a paragraph, each with the place where it stands in its file.

Passages end where sentences, paragraphs or sections end (the library semantic-text-splitter), overlap a little so that
no sentence stands without what leads to it, and are short enough that an encoder reads all of them. A file is read in
parts, so its size costs time and no memory; subtitles, which are small, are read whole.
"""

from __future__ import annotations

import codecs
import json
import re
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from seehear.errors import DamagedMedia, EncoderError, MediaNote, MediaTooLarge
from seehear.media import Limits
from seehear.types import Content, Needs, Segment, Source, Text, segment_id

from .subtitles import cues

TOKENS = 200
"""Of a passage at most, special ones included; less where an encoder reads less."""
OVERLAP = 0.15
"""Of a passage at most, which the next one repeats."""
CHARACTERS = 4
"""That count as a token where no tokeniser is named."""
WIDEST = 10
"""Characters a token at most: some tokenisers make one token of a word however long, and none of a million spaces."""
WINDOW = 1 << 14
"""Characters that are cut at a time. The time to cut grows with the square of them in a text without sentences."""
GAP = re.compile(r"\s{100,}")
"""Ends a passage, whatever follows."""
BLOCK = 1 << 16
"""Bytes that are read at a time."""
SUBTITLES = 1 << 24
"""Bytes of a subtitle file at most: the subtitles of a day of talk have a tenth of that."""
SUFFIXES = {"application/x-subrip": ".srt", "text/vtt": ".vtt"}

Cut = Callable[[str], list[tuple[int, str]]]
"""Cuts a text into passages, each with the number of characters before it."""


class TextModality:
    """Cuts a text file into passages, in the text channel; those of subtitles keep their times instead of places."""

    name = "text"
    types = frozenset({"text/plain", "text/markdown", *SUFFIXES})
    settings = f"at most {TOKENS} tokens, {OVERLAP:.0%} of them shared, 1"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def segments(self, source: Source, needs: Needs) -> Iterator[tuple[Segment, Content] | None]:
        """Yield the passages of a file in order. Raises MediaError; warns MediaNote.

        The text of a segment is what stands in the decoded file from `offset` characters on (its byte order mark is
        not counted), exactly. Raises EncoderError when `needs.tokenizer` is no tokeniser.
        """
        if source.type in SUFFIXES:
            pieces = _timed(source, cutter(False, needs))
        else:
            pieces = _placed(source, cutter(source.type == "text/markdown", needs))
        ordinal = 0
        for piece in pieces:
            if piece is None:
                yield None
                continue
            text, offset, start, end = piece
            name = segment_id(source.key, source.content, "text", ordinal, self.settings)
            yield Segment(name, source.key, "text", "text", start, end, text, offset), Text(text)
            ordinal += 1
        if not ordinal:
            raise DamagedMedia("there are no words in it")


Piece = tuple[str, int | None, float | None, float | None]
"""A passage, the characters before it, its start and its end in seconds."""


def _placed(source: Source, cut: Cut) -> Iterator[Piece | None]:
    for passage in passages(_characters(source, encoding(source)), cut):
        yield passage and (passage[1], passage[0], None, None)


def _timed(source: Source, cut: Cut) -> Iterator[Piece | None]:
    """Passages of subtitles: lines that follow each other, from when the first is shown until when the last is."""
    if source.size > SUBTITLES:
        raise MediaTooLarge(f"it has {source.size:,} bytes, more than the limit of {SUBTITLES:,} for subtitles")
    source.file.seek(0)
    lines = cues(source.file.read(SUBTITLES), SUFFIXES[source.type])
    ends, total = [], 0
    for line in lines:
        total += len(line.text) + 1
        ends.append(total)  # one beyond the line break that is put behind it
    for passage in passages(iter([line.text + "\n" for line in lines]), cut):
        if passage is None:
            yield None
            continue
        offset, text = passage
        said = lines[bisect_right(ends, offset) : bisect_left(ends, offset + len(text)) + 1]
        yield text, None, min(line.start for line in said), max(line.end for line in said)


def passages(parts: Iterator[str], cut: Cut) -> Iterator[tuple[int, str] | None]:
    """Cut a text that comes in parts: passages, each with the characters before it; None where there was nothing.

    Windows are cut one after another. The last passage of a window may go on beyond it: the next one begins there.
    """
    held, before = "", 0
    for part in chain(parts, [None]):
        held += part or ""
        while len(held) > WINDOW or (part is None and held):
            window = held[:WINDOW]
            found = [(at + offset, text) for at, part in _stretches(window) for offset, text in cut(part)]
            done = len(window)
            if done < len(held) and found and found[-1][0] > 0:
                done, _ = found.pop()
            visible = [(before + offset, text) for offset, text in found if _visible(text)]
            yield from visible or (None,)
            held, before = held[done:], before + done


def _stretches(window: str) -> Iterator[tuple[int, str]]:
    """What stands between large gaps, and where: to cut a window of spaces and line breaks takes seconds."""
    at = 0
    for gap in GAP.finditer(window):
        if gap.start() > at:
            yield at, window[at : gap.start()]
        at = gap.end()
    if at < len(window):
        yield at, window[at:]


def _visible(text: str) -> bool:
    return any(one.isprintable() and not one.isspace() for one in text)


def encoding(source: Source) -> str:
    """Name the codec of a text: by its byte order mark, or UTF-8, or Windows-1252. Warns MediaNote if it is neither."""
    source.file.seek(0)
    if source.file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    source.file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := source.file.read(BLOCK):
            decoder.decode(block)  # a letter that the end of the file cuts in two is no error
    except UnicodeDecodeError:
        warnings.warn(
            MediaNote("it is not UTF-8 and was read as Windows-1252: letters may be wrong; save it as UTF-8"),
            stacklevel=2,
        )
        return "cp1252"
    return "utf-8-sig"


def _characters(source: Source, codec: str) -> Iterator[str]:
    """The text of a file, in parts."""
    decoder = codecs.getincrementaldecoder(codec)("replace")
    source.file.seek(0)
    while block := source.file.read(BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


@lru_cache(maxsize=8)
def cutter(markdown: bool, needs: Needs) -> Cut:
    """How texts are cut for the encoders of a library. Raises EncoderError for a tokeniser that is none."""
    kind: Any = MarkdownSplitter if markdown else TextSplitter
    tokens = min(needs.tokens or TOKENS, TOKENS)
    widest = (CHARACTERS if needs.tokenizer is None else WIDEST) * tokens
    narrow: Any = kind(widest, int(OVERLAP * widest))
    if needs.tokenizer is None:
        found: Cut = narrow.chunk_indices
        return found
    counted, special = tokenizer(needs.tokenizer)
    room = max(1, tokens - special)
    try:
        splitter = kind.from_huggingface_tokenizer_str(counted, room, int(OVERLAP * room))
    except Exception as error:  # of the Rust library's own
        raise EncoderError(f"the tokeniser {needs.tokenizer} cannot be used ({error}): get its model again") from error

    def cut(text: str) -> list[tuple[int, str]]:
        pieces: list[tuple[int, str]] = []
        for offset, piece in splitter.chunk_indices(text):
            parts = [(0, piece)] if len(piece) <= widest else narrow.chunk_indices(piece)
            pieces += [(offset + within, part) for within, part in parts]
        return pieces

    return cut


def tokenizer(path: str) -> tuple[str, int]:
    """A tokenizer.json that counts all tokens of a text, and how many special ones its model adds to each."""
    try:
        said = json.loads(Path(path).read_bytes())
        # What cuts texts off and fills them up: with it every text would have as many tokens as the next.
        said |= {"truncation": None, "padding": None}
        return json.dumps(said), max(2, _special(said.get("post_processor") or {}))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise EncoderError(f"the tokeniser {path} cannot be read ({error}): get its model again") from error


def _special(processor: dict[str, Any]) -> int:
    """Special tokens that a post-processor of a tokenizer.json adds; the splitter does not count them."""
    if processor.get("type") == "Sequence":
        return sum(_special(one) for one in processor["processors"])
    return sum("SpecialToken" in one for one in processor.get("single", ()))
