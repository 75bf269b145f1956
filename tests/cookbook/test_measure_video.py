"""The script that measures videos runs, and the times burnt into its videos are those that seehear tells."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

COOKBOOK = Path(__file__).parents[2] / "cookbook"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(COOKBOOK)


def test_times_are_those_burnt_in() -> None:
    command = [sys.executable, COOKBOOK / "measure_video.py", "--part", "times", "--marks", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("3 marks") == 2
    errors = [float(error) for error in re.findall(r"largest ([\d.]+) ms", done.stdout)]
    assert len(errors) == 8
    assert max(errors) <= 1
    inside = re.findall(r"inside their views: (\d+) of (\d+)", done.stdout)
    assert len(inside) == 2
    assert all(one == all_ != "0" for one, all_ in inside)


def test_a_frame_tells_its_own_time(tmp_path: Path) -> None:
    from measured_videos import marked, told

    changes, shown = marked(tmp_path / "a.mp4", 1, every=1.0, first=2.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        read = [(round(frame.time, 3), told(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)]
    assert read == [(time, time) for time in shown]
    assert changes[0] in shown
    assert changes[0] == pytest.approx(3.0, abs=0.12)


def test_files_are_joined_packet_by_packet(tmp_path: Path) -> None:
    from measured_videos import joined, marked

    _, shown = marked(tmp_path / "a.mp4", 1, every=0.5)
    joined([tmp_path / "a.mp4"] * 3, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 3 * len(shown)
    assert times == sorted(times)
    assert times[: len(shown)] == pytest.approx(shown)


def test_the_same_packets_are_decoded_as_by_the_way_that_is_measured(tmp_path: Path) -> None:
    from measure_video import decoded
    from measured_videos import marked

    marked(tmp_path / "near.mp4", 2, every=1.0)
    marked(tmp_path / "far.mp4", 1, every=5.0)
    near, far = (decoded(tmp_path / name, "keyframes") for name in ("near.mp4", "far.mp4"))
    assert 1 <= sum(near) < len(near) / 4
    assert all(far)
    assert all(decoded(tmp_path / "near.mp4", "shots"))
