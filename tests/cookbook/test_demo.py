"""The demo, as `make demo` runs it: real photographs, recordings and videos, the real small models, a real Chroma."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_demo_finds_what_it_asks_for_and_writes_the_page(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "cookbook" / "demo.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    answers = {line[:44].strip(): line[44:].strip() for line in done.stdout.splitlines()}
    assert answers["a cat"].startswith("chelsea.png")
    assert answers["a cup of coffee on a table"].startswith("coffee.png")
    assert answers["a rocket on its launch pad"].startswith("rocket.jpg")
    assert answers["more like chelsea.png"].startswith("chelsea.png")
    assert answers["rain"].startswith("water.wav")
    assert answers["a bell ringing"].startswith("bell.wav")
    assert answers["somebody says to try again and fail better"].startswith("beckett.wav")
    assert answers["the fiscal policy of medieval Bohemia"].startswith("nothing")
    assert answers["somebody taking a photograph"].startswith("camera.png")
    assert answers["motorcycles parked in a garage"].startswith("motorcycle")
    assert answers["a man in a suit with a bow tie in a car"].startswith("carphone_pristine.mp4 0:00 to 0:04, seen")
    assert answers["a cyclist waiting for a car"].startswith("bikes.mp4 0:0")
    page = (tmp_path / "demo.html").read_text()
    assert page.count("<img ") > 12
    assert "Fail better" in page
    assert "seehear search" in done.stdout
