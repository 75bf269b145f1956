"""No damage to a library's files is a wrong answer, and all of it can be put right: the script that tries it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mixed import media

SCRIPT = Path(__file__).parents[2] / "cookbook" / "damage_library.py"
slow = pytest.mark.slow  # minutes each


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media(tmp_path_factory.mktemp("damaged") / "media")


def run(folder: Path, *options: str) -> tuple[str, dict[str, dict[str, int]]]:
    """What the script prints, and what it counts."""
    done = subprocess.run([sys.executable, SCRIPT, folder, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^(asked|repaired): +(.*)$", done.stdout, re.MULTILINE)
    return done.stdout, {
        name: {what: int(n) for what, n in re.findall(r"(\w[\w ]*?) (\d+)", told)} for name, told in counts
    }


@pytest.mark.parametrize(
    ("models", "options", "cases"),
    [
        ("colour", ("--passages=30", "--cases=5"), 5),
        pytest.param("colour", ("--passages=1200",), 150, marks=slow),
        pytest.param("mini", ("--passages=1050", "--cases=40"), 40, marks=slow),
    ],
)
def test_damage_is_an_error_or_does_no_harm_and_is_put_right(
    folder: Path, models: str, options: tuple[str, ...], cases: int
) -> None:
    out, counts = run(folder, f"--models={models}", *options)
    assert set(counts["asked"]) <= {"same", "LibraryDamaged"}
    assert set(counts["repaired"]) == {"repaired"}
    assert sum(counts["asked"].values()) == sum(counts["repaired"].values()) >= cases
    assert out.count("; repaired (") == sum(counts["repaired"].values())


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--faults=2",), ("--killed",), ("--rot",)])
def test_what_nobody_can_know_is_at_least_no_crash(folder: Path, options: tuple[str, ...]) -> None:
    _, counts = run(folder, "--models=colour", "--passages=1500", "--cases=60", *options)
    assert sum(counts["asked"].values()) == 60
    assert not {"TRACEBACK", "CRASH", "HANG"} & {*counts["asked"], *counts["repaired"]}


def test_a_library_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    options = ["--models=colour", "--passages=3", "--cases=1"]
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "media", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the library could not be made" in done.stderr
    assert "broken.png" in done.stderr
