"""Transcripts as they are written by hand, by programs, and by nobody in his right mind."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seehear.errors import MediaNote
from seehear.modalities.subtitles import CHARACTERS, CUES, SECONDS, cues, passages
from seehear.types import Passage, Word


def srt(*entries: tuple[str, str]) -> bytes:
    return "\n".join(f"{number}\n{times}\n{text}\n" for number, (times, text) in enumerate(entries, 1)).encode()


def said(data: bytes, suffix: str = ".srt") -> list[tuple[float, float, str]]:
    return [(cue.start, cue.end, cue.text) for cue in cues(data, suffix)]


def test_subrip_is_read() -> None:
    data = srt(("00:00:01,000 --> 00:00:02,500", "Hello there."), ("01:02:03,004 --> 01:02:04,005", "Two\nlines."))
    assert said(data) == [(1.0, 2.5, "Hello there."), (3723.004, 3724.005, "Two lines.")]


def test_webvtt_is_read_without_its_notes_and_styles() -> None:
    data = (
        b"WEBVTT - title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE nobody\nsays this\n\nintro\n"
        b"00:01.000 --> 00:02.000 align:start position:0%\n<v Bob>Hi &lt;there&gt;, <00:01.500><c.yellow>friend</c>.\n"
    )
    assert said(data, ".vtt") == [(1.0, 2.0, "Hi <there>, friend.")]


def test_tags_are_removed() -> None:
    assert said(srt(("00:00:01,000 --> 00:00:02,000", r"{\an8}<i>Tom &amp; Ann</i>\N<font color=red>run</font>."))) == [
        (1.0, 2.0, "Tom & Ann run.")
    ]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_end_of_line_will_do(newline: bytes) -> None:
    data = srt(("00:00:01,000 --> 00:00:02,000", "One."), ("00:00:03,000 --> 00:00:04,000", "Two."))
    assert said(data.replace(b"\n", newline)) == [(1.0, 2.0, "One."), (3.0, 4.0, "Two.")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_read_however_it_is_written(encoding: str) -> None:
    data = srt(("00:00:01,000 --> 00:00:02,000", "Où est le café à Zürich ?")).decode().encode(encoding)
    assert said(data) == [(1.0, 2.0, "Où est le café à Zürich ?")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_anything_else_is_windows_1252_and_noted(encoding: str) -> None:
    data = srt(("00:00:01,000 --> 00:00:02,000", "Où est le café à Zürich ?")).decode().encode(encoding)
    with pytest.warns(MediaNote, match="the transcript is not UTF-8.*Windows-1252.*save it as UTF-8"):
        assert said(data) == [(1.0, 2.0, "Où est le café à Zürich ?")]


def test_entries_without_an_empty_line_between_them_are_told_apart() -> None:
    data = b"1\n00:00:01,000 --> 00:00:02,000\nOne.\n2\n00:00:03,000 --> 00:00:04,000\nTwo.\n"
    assert said(data) == [(1.0, 2.0, "One."), (3.0, 4.0, "Two.")]


def test_pieces_of_a_sentence_are_joined() -> None:
    data = srt(
        ("00:00:01,000 --> 00:00:02,000", "When the sun"),
        ("00:00:02,100 --> 00:00:03,000", "goes down,"),
        ("00:00:03,000 --> 00:00:04,000", "we sing."),
        ("00:00:04,000 --> 00:00:05,000", "Then we sleep"),
        ("00:00:09,000 --> 00:00:10,000", "until noon"),
    )
    assert said(data) == [
        (1.0, 4.0, "When the sun goes down, we sing."),
        (4.0, 5.0, "Then we sleep"),
        (9.0, 10.0, "until noon"),
    ]


def test_a_passage_stays_short_where_nobody_writes_full_stops() -> None:
    entries = [(f"00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900", f"word{n}") for n in range(400)]
    found = said(srt(*entries))
    assert " ".join(text for *_, text in found) == " ".join(f"word{n}" for n in range(400))
    assert max(end - start for start, end, _ in found) <= SECONDS
    assert max(len(text) for *_, text in found) <= CHARACTERS
    assert len(found) < 30


def test_a_very_long_entry_is_divided_over_its_time() -> None:
    words = " ".join(f"word{n:03}" for n in range(100))
    found = said(srt(("00:00:10,000 --> 00:00:20,000", words)))
    assert " ".join(text for *_, text in found) == words
    assert (found[0][0], found[-1][1]) == (10.0, 20.0)
    assert [start for start, *_ in found[1:]] == pytest.approx([end for _, end, _ in found[:-1]])
    assert max(len(text) for *_, text in found) <= CHARACTERS


def test_captions_that_roll_say_each_line_once() -> None:
    data = srt(
        ("00:00:01,000 --> 00:00:03,000", "we choose"),
        ("00:00:03,000 --> 00:00:05,000", "we choose\nto go"),
        ("00:00:05,000 --> 00:00:07,000", "to go\nto the moon."),
    )
    assert said(data) == [(1.0, 7.0, "we choose to go to the moon.")]


def test_times_that_overlap_are_kept_in_order() -> None:
    data = srt(("00:00:03,000 --> 00:00:06,000", "Second."), ("00:00:01,000 --> 00:00:09,000", "First."))
    assert said(data) == [(1.0, 9.0, "First."), (3.0, 6.0, "Second.")]


def test_times_that_make_no_sense_are_counted_in_one_note() -> None:
    data = srt(
        ("00:00:05,000 --> 00:00:03,000", "Reversed."),
        ("00:00:06,000 -->", "No end."),
        ("--> 00:00:07,000", "No start."),
        ("-00:00:01,000 --> 00:00:08,000", "Negative."),
        ("9999:00:00,000 --> 9999:00:01,000", "Absurd."),
        ("no times at all", "Nowhere."),
        ("00:00:10,000 --> 00:00:11,000", "Good."),
    )
    with pytest.warns(MediaNote) as notes:
        found = said(data)
    assert found == [(3.0, 5.0, "Reversed."), (10.0, 11.0, "Good.")]
    (note,) = notes
    assert str(note.message) == (
        "of the entries of the transcript 5 without a sane time are left out and of 1 start and end are swapped"
    )


def test_whispers_json_is_read_with_its_words() -> None:
    words = [
        {"word": " Hello", "start": 0.1, "end": 0.4, "probability": 0.9},
        {"word": " you.", "start": 0.5, "end": 0.9},
    ]
    segments = [
        {"start": 0.0, "end": 1.0, "text": " Hello you.", "words": words},
        {"start": 1.0, "end": 2, "text": " Bye.", "words": [{"word": "Bye.", "start": None, "end": 2}, 7]},
    ]
    first, second = cues(json.dumps({"language": "en", "segments": segments}).encode(), ".json")
    assert first == Passage(0.0, 1.0, "Hello you.", (Word("Hello", 0.1, 0.4), Word("you.", 0.5, 0.9)), "en")
    assert second == Passage(1.0, 2.0, "Bye.", (), "en")


@pytest.mark.parametrize("text", [None, 5, {}, ["Lost."]])
def test_a_segment_of_whisper_without_words_is_left_out(text: object) -> None:
    """Null, above all: it must not be read as the word None."""
    words = [{"word": text, "start": 3.0, "end": 3.5}, {"word": "Kept.", "start": 3.5, "end": 4.0}]
    segments = [
        {"start": 1.0, "end": 2.0, "text": text}, {"start": 2.0, "end": 3.0},
        {"start": 3.0, "end": 4.0, "text": "Kept.", "words": words},
    ]  # fmt: skip
    (cue,) = cues(json.dumps({"segments": segments}).encode(), ".json")
    assert cue == Passage(3.0, 4.0, "Kept.", (Word("Kept.", 3.5, 4.0),))


@pytest.mark.parametrize("start", [None, "1.0", float("nan"), float("inf"), 10**400, -1, [1]])
def test_a_segment_of_whisper_without_a_time_is_left_out(start: object) -> None:
    segments = [{"start": start, "end": 2.0, "text": "Lost."}, {"start": 3.0, "end": 4.0, "text": "Kept."}]
    with pytest.warns(MediaNote, match="1 without a sane time"):
        assert said(json.dumps({"segments": segments}).encode(), ".json") == [(3.0, 4.0, "Kept.")]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"segments": [3]}', b"[" * 100_000])
def test_json_that_is_none_of_whispers_gives_nothing_and_a_note(data: bytes) -> None:
    with pytest.warns(MediaNote, match="damaged"):
        assert cues(data, ".json") == []


def test_more_entries_than_anybody_says_are_cut_off_and_noted() -> None:
    data = b"".join(b"0:1 --> 0:2\na.\n\n" for _ in range(CUES + 1))
    started = time.process_time()
    with pytest.warns(MediaNote, match=f"the first {CUES:,} entries"):
        found = cues(data, ".srt")
    assert len(found) <= CUES
    assert time.process_time() - started < 10


def test_entries_that_say_nothing_are_left_out() -> None:
    assert passages([Passage(0, 1, ""), Passage(1, 2, "<i> </i>"), Passage(2, 3, "Yes.")]) == [Passage(2, 3, "Yes.")]


@pytest.mark.filterwarnings("ignore::seehear.errors.MediaNote")
@given(st.binary(max_size=300), st.sampled_from([".srt", ".vtt", ".json"]))
def test_no_bytes_are_too_strange(data: bytes, suffix: str) -> None:
    for start in (b"", b"1\n00:00:01,000 --> 00:00:02,000\n", b'{"segments": [{"start": 1, "end": 2, "text": "a"}'):
        for cue in cues(start + data, suffix):
            assert 0 <= cue.start <= cue.end
            assert cue.text


def test_half_letters_and_letters_by_numbers_without_end_are_no_obstacle() -> None:
    said = [{"start": 0, "end": 1, "text": "half \ud800 a", "words": [{"word": "\udfffa", "start": 0, "end": 1}]}]
    whisper = json.dumps({"segments": said}).encode()
    (found,) = cues(whisper, ".json")
    assert (found.text, found.words[0].text) == ("half ? a", "?a")
    found = cues(f"0:1 --> 0:2\n&#{'9' * 5_000}; &amp; more\n".encode(), ".srt")[0]
    assert found.text.startswith("&#999")


def test_a_line_of_spaces_costs_no_more_than_another() -> None:
    data = b"0:1 --> 0:2\na.\n\n" + b" " * 500_000 + b"x\n"  # with the square of it this takes an hour
    assert [one.text for one in cues(data, ".srt")] == ["a."]
