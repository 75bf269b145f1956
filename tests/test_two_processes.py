"""The same file gives the same segments and the same vectors, bit by bit, whoever reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady
from recordings import tone
from spoken import spoken

READ = """
import hashlib, sys
from seehear import Library
with Library.open(sys.argv[2], models="mini", store="memory") as library:
    assert library.add(sys.argv[1]).added
    for collection in sorted(library._parts.ledger.counts(), key=str):
        held = library._parts.store.get(collection, sorted(library._parts.store.ids(collection)))
        print(collection.channel, hashlib.sha256(b"".join(held[name].tobytes() for name in sorted(held))).hexdigest())
        print(*sorted(held))
    print([(one.start, one.text) for one in library._parts.ledger.segments(library.info()["sources"][0])])
"""


@pytest.mark.slow  # half a minute: two interpreters, each with all of mini
def test_a_minute_of_video_is_the_same_in_two_processes(tmp_path: Path) -> None:
    said = spoken("The train to the airport leaves in the morning.")
    sound = np.concatenate([tone(20.0, said.rate), said.samples, tone(60.0, said.rate, 200.0)])[: 60 * said.rate]
    shots = steady([(20, plain((200, 30, 30))), (25, plain((30, 30, 200))), (15, plain((240, 240, 240)))], 5)
    path = film(tmp_path / "minute.mp4", shots, sound=sound, rate=said.rate)
    told = [
        subprocess.run(
            [sys.executable, "-c", READ, str(path), str(tmp_path / f"library{number}")],
            capture_output=True, text=True, check=True,
        ).stdout
        for number in range(2)
    ]  # fmt: skip
    assert told[0] == told[1]
    assert [channel for channel in ("sound", "speech", "visual") if f"{channel} " in told[0]] == [
        "sound", "speech", "visual",
    ]  # fmt: skip
    assert "airport" in told[0]
