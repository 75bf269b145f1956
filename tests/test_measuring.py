"""The command `eval` on questions about moments; that on pictures with captions is tested in test_cli.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from films import film, plain, steady

from seehear.cli import main
from seehear.testing import COLOUR, COLOURS

FAKE = ["--models", COLOUR]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A video that is red and then blue, and two questions about it."""
    film(tmp_path / "day.mp4", steady([(8, plain(COLOURS["red"])), (8, plain(COLOURS["blue"]))], 5))
    path = tmp_path / "questions.csv"
    path.write_text("question,source,start,end,channel\nred,day.mp4,0,8,visual\nblue,day.mp4,0:08,0:16,visual\n")
    return path


def test_eval_of_moments_prints_recall_by_overlap(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(asked), *FAKE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["questions"] == 2
    assert found["recall"]["1"]["0.5"]["value"] == 1.0
    assert found["near"]["1"]["value"] == 1.0
    assert main(["eval", str(asked), *FAKE]) == 0
    printed = capsys.readouterr().out
    assert "2 questions" in printed
    assert "recall@5" in printed


def test_a_video_that_the_library_lacks_is_told(
    asked: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = str(tmp_path / "library")
    assert main(["add", str(photos), "--library", library, *FAKE]) == 0
    assert main(["eval", str(asked), "--library", library]) == 2
    assert "day.mp4 is not in the library" in capsys.readouterr().err


def test_a_line_that_makes_no_sense_is_named(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked.write_text(asked.read_text() + "what,day.mp4,9,3,visual\n")
    assert main(["eval", str(asked)]) == 2
    assert "line 4" in capsys.readouterr().err
