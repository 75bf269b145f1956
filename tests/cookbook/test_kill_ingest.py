"""Ingest, killed again and again, must lose nothing: the script that measures it, on small media that are made here."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady
from PIL import Image
from recordings import write
from spoken import spoken

SCRIPT = Path(__file__).parents[2] / "cookbook" / "kill_ingest.py"
STAGES = ("decode", "transcribe", "embed", "upsert", "publish", "delete", "close")
SAID = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def counted(*arguments: str | Path) -> tuple[dict[str, list[int]], str]:
    """Run the script: of each stage kills, four counts, and what was done again (median, most; twice); all it said."""
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^([a-z]+) +((?:[\d.]+ +){8}[\d.]+)$", done.stdout, re.M)
    assert "the same as made at once, verified, no garbage, nothing to do for one more sync" in done.stdout
    return {name: [int(float(figure)) for figure in figures.split()] for name, figures in rows}, done.stdout


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(80):
        patches = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((160, 120)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    for number, word in enumerate(SAID):
        said = spoken(f"This is the talk number {word}.")
        write(folder / f"{number}.wav", said.samples * (0.5 + number / 30), rate=said.rate)
    return folder


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number, word in enumerate(SAID[:8]):
        shots = [(0.6, plain((250 - 30 * number, 20 * number, 40))), (0.6, plain((20 * number, 60, 250)))]
        said = spoken(f"And now film {word}.")
        film(folder / f"{number}.mp4", steady(shots), sound=said.samples, rate=said.rate)
    return folder


def test_killing_ingest_loses_doubles_and_leaves_nothing(pictures: Path, talks: Path, films: Path) -> None:
    mix = [pictures, talks, films, "--models=colour", "--files=12", "--batch=4"]
    rows, printed = counted(*mix, "--kills=1", "--per-stage=1", "--stages", "transcribe", "delete")
    assert {name: row[:5] for name, row in rows.items()} == {
        "random": [1, 0, 0, 0, 0],
        "transcribe": [1, 0, 0, 0, 0],
        "delete": [1, 0, 0, 0, 0],
        "end": [0, 0, 0, 0, 0],
        "all": [3, 0, 0, 0, 0],
    }
    assert rows["all"][8] <= 1  # the stretch in the middle of which it was killed
    assert re.search(r"8 image, \d+ audio, 8 video", printed)


@pytest.mark.slow
def test_a_hundred_kills_at_random_moments(pictures: Path) -> None:
    rows, _ = counted(pictures, "--models=colour", "--files=40", "--batch=4", "--kills=100")
    assert rows["all"][:5] == [100, 0, 0, 0, 0]


@pytest.mark.slow
def test_ten_kills_of_real_models(pictures: Path, talks: Path, films: Path) -> None:
    rows, _ = counted(pictures, talks, films, "--models=mini", "--files=24", "--batch=8", "--kills=10")
    assert rows["all"][:5] == [10, 0, 0, 0, 0]
    assert rows["all"][8] <= 1


@pytest.mark.slow
def test_six_kills_in_each_stage(pictures: Path, talks: Path, films: Path) -> None:
    mix = [pictures, talks, films, "--models=colour", "--files=24", "--batch=4"]
    rows, _ = counted(*mix, "--kills=0", "--per-stage=6")
    assert {stage: rows[stage][:5] for stage in STAGES} == {stage: [6, 0, 0, 0, 0] for stage in STAGES}
    assert rows["all"][8] <= 1
