"""Transcripts that somebody wrote already: SubRip, WebVTT, Whisper's JSON, as passages of about a sentence.

The files are written by hand as often as not: what has no sane time is left out, and one note says how much.
"""

from __future__ import annotations

import html
import json
import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from seehear.errors import note
from seehear.types import Passage, Word

CUES = 50_000
"""Most entries that are read; twelve hours of talk have some twenty thousand."""
LATEST = 100 * 3600.0
"""Seconds after which no entry is believed."""
SECONDS = 30.0
"""Seconds of a passage at most."""
CHARACTERS = 300
"""Characters of a passage at most."""
SHORTEST = 0.5
"""Seconds that an entry lasts at least, whatever it claims."""
PAUSE = 2.0
"""Seconds of silence that end a passage whatever its punctuation."""
_TIMING = re.compile(r"\s*+(\S*?)\s*-->\s*(\S*)")
_TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?")
_TAG = re.compile(r"<[^<>]*>|\{[^{}]*\}")
_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019\xbb)\]]*$")


def cues(data: bytes, suffix: str) -> list[Passage]:
    """Passages of a `.srt`, `.vtt` or Whisper's `.json`, in order; seconds from the start. Warns MediaNote."""
    text = decoded(data)
    return passages(_whisper(text) if suffix == ".json" else _timed(text))


def decoded(data: bytes) -> str:
    """Text of any likely encoding: UTF-8, UTF-16 where it says so, else Windows-1252. Warns MediaNote of the last."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        note("the transcript is not UTF-8 and was read as Windows-1252: letters may be wrong; save it as UTF-8")
        return data.decode("cp1252", "replace")


def passages(found: Iterable[Passage]) -> list[Passage]:
    """Clean entries, bring them into order, and join those that are pieces of one sentence. Warns MediaNote."""
    kept: list[Passage] = []
    swapped = dropped = 0
    for number, cue in enumerate(found):
        if number == CUES:
            note(f"of the transcript the first {CUES:,} entries are read")
            break
        start, end = min(cue.start, cue.end), max(cue.start, cue.end)
        if not (math.isfinite(cue.start + cue.end) and start >= 0 and end <= LATEST):
            dropped += 1
            continue
        swapped += start != cue.start
        kept.append(replace(cue, start=start, end=max(end, start + SHORTEST)))
    if dropped or swapped:
        said = [f"{dropped:,} without a sane time are left out"] * bool(dropped)
        said += [f"of {swapped:,} start and end are swapped"] * bool(swapped)
        note(f"of the entries of the transcript {' and '.join(said)}")
    return list(_joined(_plain(sorted(kept, key=lambda cue: cue.start))))


def _timed(text: str) -> Iterator[Passage]:
    """Entries of SubRip and WebVTT, which differ in what is passed over here; NaN for a time that is none."""
    lines: list[str] | None = None  # of the entry that is read; None before its times
    start = end = numbered = 0.0
    for line in (*text.splitlines(), ""):
        timing = _TIMING.match(line)
        if line.strip() and not timing:
            if lines is not None:
                lines.append(line)
            elif numbered:  # a number, and then no times
                numbered += 1
            else:
                numbered = line.strip().isdecimal()
            continue
        if lines is not None:
            if timing and lines and lines[-1].strip().isdecimal():
                lines.pop()  # the next entry's number, without an empty line before it
            yield Passage(start, end, "\n".join(lines))
        elif numbered > 1:
            yield Passage(math.nan, math.nan, "")
        lines, numbered = None, 0
        if timing:
            lines, start, end = [], _seconds(timing[1]), _seconds(timing[2])


def _seconds(written: str) -> float:
    found = _TIME.fullmatch(written)
    if not found:
        return math.nan
    hours, minutes, seconds, part = (each or "0" for each in found.groups())
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(part.ljust(3, "0")) / 1000


def _whisper(text: str) -> Iterator[Passage]:
    """Segments of the JSON that Whisper's programs write, with words where they have times."""
    try:
        written = json.loads(text)
        language = written.get("language")
        for each in written["segments"]:
            text, words = each.get("text"), tuple(_words(each.get("words")))
            text = _whole(text) if isinstance(text, str) else ""  # an entry that says nothing is left out
            named = language if isinstance(language, str) and len(language) == 2 else None
            yield Passage(_number(each.get("start")), _number(each.get("end")), text, words, named)
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        note("the transcript is damaged")


def _words(written: Any) -> Iterator[Word]:
    for each in written if isinstance(written, list) else ():
        if isinstance(each, dict):
            start, end = _number(each.get("start")), _number(each.get("end"))
            text = each.get("word", each.get("text"))
            text = _whole(text).strip() if isinstance(text, str) else ""
            if text and 0 <= start <= end <= LATEST:
                yield Word(text, start, end)


def _whole(text: str) -> str:
    """A text without half letters, which JSON can name and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < LATEST * 2 else math.nan


def _plain(found: Iterable[Passage]) -> Iterator[Passage]:
    """Entries without tags, and without a line that stood there in the entry before, as in captions that roll."""
    last = ""
    for cue in found:
        bare = _unescaped(_TAG.sub("", cue.text.replace("\\N", "\n").replace("\\n", "\n")))
        lines = [" ".join(line.split()) for line in bare.splitlines()]
        text = " ".join(line for line in lines if line and line != last)
        last = next((line for line in reversed(lines) if line), last)
        if len(text) <= CHARACTERS or cue.words:
            yield from [replace(cue, text=text)] if text else []
            continue
        place = 0
        for piece in textwrap.wrap(text, CHARACTERS):  # no time is known inside: as if all were said equally fast
            begun, place = place, min(len(text), place + len(piece) + 1)
            start, end = (cue.start + (cue.end - cue.start) * each / len(text) for each in (begun, place))
            yield replace(cue, start=start, end=end, text=piece)


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a letter by its number, which has thousands of digits
        return text


def _joined(found: Iterable[Passage]) -> Iterator[Passage]:
    held: Passage | None = None
    for cue in found:
        if held is None:
            held = cue
        elif (
            _END.search(held.text)
            or cue.start - held.end > PAUSE
            or max(cue.end, held.end) - held.start > SECONDS
            or len(held.text) + 1 + len(cue.text) > CHARACTERS
        ):
            yield held
            held = cue
        else:
            text, end, words = f"{held.text} {cue.text}", max(held.end, cue.end), held.words + cue.words
            held = replace(held, text=text, end=end, words=words)
    if held is not None:
        yield held
