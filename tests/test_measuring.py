"""The command `eval` on questions about moments; that on pictures with captions is tested in test_cli.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from films import film, plain, steady

from seehear.cli import main
from seehear.testing import COLOURS


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A video with a spoken sentence, by the transcript beside it, and two questions about it."""
    shots = steady([(8, plain(COLOURS["red"])), (8, plain(COLOURS["blue"]))], 5)
    film(tmp_path / "day.mp4", shots)
    (tmp_path / "day.srt").write_text(
        "1\n00:00:01,000 --> 00:00:04,000\nThe train to the airport leaves at noon.\n\n"
        "2\n00:00:10,000 --> 00:00:14,000\nMy grandmother bakes bread with walnuts.\n"
    )
    path = tmp_path / "questions.csv"
    path.write_text(
        "question,source,start,end,channel\nwhen does the train leave,day.mp4,1,4,speech\n"
        "grandmother's walnut bread,day.mp4,0:10,0:14,speech\n"
    )
    return path


def test_eval_of_moments_prints_recall_by_overlap(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(asked), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["questions"] == 2
    assert found["recall"]["1"]["0.5"]["value"] == 1.0
    assert found["near"]["1"]["value"] == 1.0
    assert main(["eval", str(asked)]) == 0
    printed = capsys.readouterr().out
    assert "2 questions" in printed
    assert "recall@5" in printed


def test_a_video_that_the_library_lacks_is_told(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.txt").write_text("Something else.")
    library = str(tmp_path / "library")
    assert main(["add", str(tmp_path / "other.txt"), "--library", library]) == 0
    assert main(["eval", str(asked), "--library", library]) == 2
    assert "day.mp4 is not in the library" in capsys.readouterr().err


def test_a_line_that_makes_no_sense_is_named(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked.write_text(asked.read_text() + "what,day.mp4,9,3,speech\n")
    assert main(["eval", str(asked)]) == 2
    assert "line 4" in capsys.readouterr().err
