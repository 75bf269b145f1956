"""`add`, killed again and again, must lose nothing: the script that measures it, on small drawn pictures."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "cookbook" / "kill_add.py"


def test_killing_add_loses_doubles_and_leaves_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number in range(60):
        patches = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((160, 120)).save(folder / f"{number}.png")
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    options = ["--kills", "3", "--models", "colour", "--batch", "8"]
    done = subprocess.run([sys.executable, SCRIPT, folder, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "61 files (60 different)" in done.stdout
    assert done.stdout.count("then was killed") == 3
    counts = dict(re.findall(r"(lost|missing|duplicated|orphaned|wrongly found|embedded again) (\d+)", done.stdout))
    assert len(counts) == 6
    assert set(counts.values()) == {"0"}
