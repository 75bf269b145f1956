"""`add`, killed again and again, must lose nothing: the script that measures it, on small drawn pictures."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "cookbook" / "kill_add.py"


@pytest.mark.parametrize(
    ("models", "kills", "batch"), [("colour", 3, 8), pytest.param("mini", 10, 4, marks=pytest.mark.slow)]
)
def test_killing_add_loses_doubles_and_leaves_nothing(tmp_path: Path, models: str, kills: int, batch: int) -> None:
    rng = np.random.default_rng(1)
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number in range(60):
        patches = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((160, 120)).save(folder / f"{number}.png")
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    options = [f"--kills={kills}", f"--models={models}", f"--batch={batch}"]
    done = subprocess.run([sys.executable, SCRIPT, folder, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "61 files (60 different)" in done.stdout
    assert done.stdout.count("then was killed") == kills
    counts = dict(re.findall(r"(lost|missing|duplicated|orphaned|wrongly found|embedded again) (\d+)", done.stdout))
    assert len(counts) == 6
    assert set(counts.values()) == {"0"}
