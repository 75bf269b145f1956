"""The script that measures a large library: on a small one it must run, find everything, and print what can be read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cookbook" / "measure_large.py"


def number(pattern: str, text: str) -> float:
    found = re.search(pattern.replace("#", r"([\d.]+)"), text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1])


@pytest.mark.parametrize("items", [1300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_library_is_made_asked_verified_and_opened_after_a_kill(items: int) -> None:
    command = [sys.executable, SCRIPT, f"--items={items}", "--questions=20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    assert text.startswith(f"{items:,} items of 384 numbers, 20 questions")
    assert number("recall +# mean", text) == 1
    assert f"{items:,} vectors: missing 0, orphans 0, gone 0, changed 0" in text
    for figure in ("add +# s", "scales +# s", "open +# s", "first +# s", "verify +# s", "killed +# s"):
        assert number(rf"\n{figure}", text) >= 0
    assert 0 < number("question +# ms p50", text) <= number("ms p50, # ms p99", text)
    parts = [number(rf"disk +#.*: {part}\n", text) for part in ("Chroma", "the ledger", "its backup", "all")]
    assert min(parts) > 0
    assert sum(parts[:-1]) == pytest.approx(parts[-1], abs=0.2)
    # The index of the first thousand alone is as large as their vectors.
    assert number("bytes per item, # of the raw: Chroma\n", text) > 1
