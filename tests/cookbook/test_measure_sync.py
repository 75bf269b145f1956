"""What keeping a library true costs: the script that measures it, on small drawn pictures and a few recordings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady
from PIL import Image
from recordings import tone, write

SCRIPT = Path(__file__).parents[2] / "cookbook" / "measure_sync.py"


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Pictures; recordings, one with what is said beside it, and a video."""
    rng = np.random.default_rng(1)
    pictures, others = tmp_path / "pictures", tmp_path / "others"
    pictures.mkdir()
    others.mkdir()
    for number in range(110):
        patches = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((80, 60)).save(pictures / f"{number}.png")
    write(others / "tone.wav", tone(3.0, 16_000), rate=16_000)
    (others / "tone.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nIt is a green wave.\n")
    shots = steady([(2, plain((255, 0, 0))), (2, plain((0, 0, 255)))], 5)
    film(others / "film.mp4", shots, sound=tone(4.0, 16_000))
    return [pictures, others]


def printed(folders: list[Path], *arguments: str) -> str:
    command = [sys.executable, SCRIPT, *folders, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_sync_that_has_nothing_to_do_is_compared_with_the_first(folders: list[Path]) -> None:
    text = printed(folders, "--part", "noop", "--files", "100", "--models", "colour", "--runs", "3")
    assert "100 added; embedded 100" in text
    shares = [float(share) for share in re.findall(r"no-op .* s: ([\d.]+) of the first", text)]
    assert len(shares) == 2
    assert 0 < max(shares) < 1
    assert text.count("unchanged; embedded 0") == 1
    assert re.search(r"no-op .*11\d unchanged, 1 failed; embedded 0", text)


def test_nothing_that_is_moved_is_embedded_again(folders: list[Path]) -> None:
    text = printed(folders, "--part", "moved", "--files", "40", "--models", "colour")
    looks = re.findall(r"^(.{32}) +[\d.]+ s: (.*); embedded 0$", text, re.MULTILINE)
    assert [what.strip() for what, _ in looks] == [
        "nothing to do", "a folder renamed inside", "moved, and relocated", "moved together with the library",
        "copied elsewhere, with new times",
    ]  # fmt: skip
    assert re.fullmatch(r"\d+ moved, \d+ unchanged", looks[1][1])
    assert all(re.fullmatch(r"\d+ unchanged", found) for _, found in (*looks[:1], *looks[2:]))
    assert "metadata of 40 of 40 files is kept" in text


@pytest.mark.parametrize(
    ("models", "files", "switches"), [("colour", 60, 1), pytest.param("mini", 110, 5, marks=pytest.mark.slow)]
)
def test_a_migration_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    folders: list[Path], models: str, files: int, switches: int
) -> None:
    options = ["--files", str(files), "--models", models, "--batch", "4", "--switches", str(switches)]
    text = printed(folders, "--part", "migrate", *options)
    assert text.count("killed,") in (2, *range(2, 3 + switches))  # the last may be through before it is killed
    assert "WRONG" not in text
    assert set(re.findall(r"(\d+) by the encoder that stays", text)) == {"0"}
    assert set(re.findall(r"(\d+) others, (\d+) errors", text)) == {("0", "0")}
    assert len(re.findall(r" good, [\d.]+ of the size", text)) == switches + 1
    (all_,) = re.findall(r"embedded by all, with two kills: .*: ([\d.]+)", text)
    assert 1 <= float(all_) < 1.9
