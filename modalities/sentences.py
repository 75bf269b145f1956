"""From words with times to passages of about a sentence: what is found, shown and cited of what was said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seehear.types import Passage, Word

ENDS = (".", "?", "!", "…", "。", "？", "！", "．", "｡", "؟", "।")  # noqa: RUF001
COMMAS = (",", ";", ":", "，", "、", "；", "：", "،")  # noqa: RUF001
CLOSING = "\"'”’»)]}」』）"  # noqa: RUF001
"""What may follow the end of a sentence and still belongs to it."""
TITLES = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "e.g.", "i.e.", "no."})
"""Words with a full stop after which a sentence goes on."""
GAP = 1.0
"""Seconds without a word that end a passage."""
LONGEST = 250
"""Characters of a passage: about what an embedding of a sentence still tells apart."""


def passages(words: Sequence[Word], seconds: float, language: str | None) -> list[Passage]:
    """Group words at the ends of sentences and at pauses; a long sentence is cut, after a comma if there is one.

    The words are as Whisper gives them, with the space before each as part of it. Times come out as floats within 0 to
    `seconds`, in order and never reversed; a passage starts with its first word and ends with its last.
    """
    found = []
    for group in _groups(_in_order(words, seconds)):
        said = "".join(word.text for word in group).strip()
        if any(letter.isalnum() for letter in said):
            bare = tuple(Word(word.text.strip(), word.start, word.end) for word in group)
            found.append(Passage(bare[0].start, max(word.end for word in bare), said, bare, language))
    return found


def _in_order(words: Sequence[Word], seconds: float) -> Iterator[Word]:
    """The same words, with times that a reader can rely on."""
    last = 0.0
    for word in words:
        if word.text.strip():
            last = min(max(float(word.start), last), seconds)
            yield Word(word.text, last, min(max(float(word.end), last), seconds))


def _groups(words: Iterator[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (word.start - group[-1].end > GAP or _ends(group, word)):
            yield group
            group = []
        elif group and len("".join(one.text for one in group) + word.text) > LONGEST:
            cut = _comma(group)
            yield group[:cut]
            group = group[cut:]
        group.append(word)
    if group:
        yield group


def _ends(group: Sequence[Word], following: Word) -> bool:
    """Whether a sentence ends before a word: a full stop that a small letter follows is that of an abbreviation."""
    last = group[-1].text.strip().rstrip(CLOSING)
    if not last.endswith(ENDS):
        return False
    initial = len(last) == 2 and last[0].isupper()  # J. Smith
    stop = last.endswith(".") and not last.endswith("..")
    return not (stop and (initial or last.lower() in TITLES or following.text.strip()[:1].islower()))


def _comma(group: Sequence[Word]) -> int:
    """Where to cut a sentence that is too long: behind the last comma of its second half, or at its end."""
    for place in range(len(group), len(group) // 2, -1):
        if group[place - 1].text.strip().endswith(COMMAS):
            return place
    return len(group)
