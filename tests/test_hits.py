"""How answers show themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from seehear.errors import InputError, UnreadableMedia, UnsupportedMedia
from seehear.hits import Hit, Hits, shown
from seehear.types import Channel, Evidence


def hit(path: Path | str, score: float = 0.5) -> Hit:
    evidence = Evidence("s", "visual", "colour", 1, score, score)
    return Hit(f"photos/{Path(path).name}", str(path), "image", None, None, score, "", {"year": 2024}, (evidence,))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (400, 300), "red").save(path)
    return path


def test_a_hit_opens_its_picture(red: Path) -> None:
    assert hit(red).picture().size == (400, 300)
    assert hit(red).picture(30).size == (40, 30)


@pytest.mark.parametrize("pixels", [0, -3, 1.5, "x", True])
def test_a_size_that_makes_no_sense_is_refused(red: Path, pixels: Any) -> None:
    with pytest.raises(InputError, match="short side that a picture may have"):
        hit(red).picture(pixels)


def test_a_picture_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia):
        hit(tmp_path / "gone.png").picture()


def test_what_is_no_longer_of_its_kind_is_an_error(red: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("These are words now.")
    with pytest.raises(UnsupportedMedia, match="it is no picture but text/plain"):
        hit(tmp_path / "words.txt").picture()
    with pytest.raises(UnsupportedMedia, match="it is no recording and no video but image/png"):
        replace(hit(red), modality="video", start=0.0, end=1.0).frames(1)


def test_json_round_trips(red: Path) -> None:
    (read,) = json.loads(Hits([hit(red)]).to_json())
    assert read["source"] == str(red)
    assert read["metadata"] == {"year": 2024}
    assert read["evidence"][0]["encoder"] == "colour"
    assert set(read) == {"id", "source", "modality", "start", "end", "score", "text", "metadata", "evidence"}


def test_a_notebook_shows_thumbnails_and_scores(red: Path) -> None:
    page = Hits([hit(red, 0.731)])._repr_html_()
    assert "data:image/jpeg;base64," in page
    assert "0.731" in page
    assert "red.png" in page


def test_a_notebook_survives_a_file_that_is_gone(red: Path, tmp_path: Path) -> None:
    page = Hits([hit(red), hit(tmp_path / "gone.png")])._repr_html_()
    assert "it is not there" in page
    assert page.count("<figure") == 2


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    path = tmp_path / "<script>alert('x')\".png"
    Image.new("RGB", (8, 8)).save(path)
    page = Hits([hit(path)])._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&quot;.png") == 3  # as title, as alternative text, as caption


def test_nothing_found_says_so() -> None:
    assert "Nothing was found" in Hits()._repr_html_()


def test_a_terminal_shows_a_table_without_escapes(tmp_path: Path) -> None:
    console = Console(width=200, record=True)
    console.print(Hits([hit(tmp_path / "[red]a\x1b[31m\u202e.png", 0.25)]))
    text = console.export_text()
    assert "0.250" in text
    assert "[red]a\ufffd[31m\ufffd.png" in text


def test_what_cannot_be_looked_at_is_replaced() -> None:
    assert shown("a\x1b[0m\n\u202eb\udce9ü 猫") == "a\ufffd[0m\ufffd\ufffdb\ufffdü 猫"


@pytest.mark.parametrize(
    ("start", "end", "place"),
    [(0, 5, "0:00 to 0:05"), (3723, 3790.9, "1:02:03 to 1:03:10"), (2.14, 2.86, "0:02.1 to 0:02.8"), (None, None, "")],
)
def test_a_place_is_told_as_people_read_a_clock(start: float | None, end: float | None, place: str) -> None:
    assert replace(hit("a.mp4"), start=start, end=end).place == place


@pytest.mark.parametrize(
    ("channels", "how"),
    [
        (("visual",), "seen"),
        (("speech", "visual"), "said and seen"),
        (("sound", "visual", "speech"), "heard, seen and said"),
    ],
)
def test_how_it_was_found_is_told_in_words(channels: tuple[Channel, ...], how: str) -> None:
    one = hit("a.mp4")
    assert replace(one, evidence=tuple(replace(one.evidence[0], channel=channel) for channel in channels)).how == how


def test_a_uri_is_of_the_file_and_its_moment(tmp_path: Path) -> None:
    one = replace(hit(tmp_path / "a b#é.mp4"), start=12.4, end=18.0)
    assert one.uri == f"{tmp_path.as_uri()}/a%20b%23%C3%A9.mp4#t=12.4,18"
    assert hit("mail 1").uri == "mail%201"
