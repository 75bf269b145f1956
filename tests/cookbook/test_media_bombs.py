"""Files that claim, or become, far more than they are: the script that lets them go off, on those that cost little."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

COOKBOOK = Path(__file__).parents[2] / "cookbook"
CHEAP = (
    "claims|playlist|reference|loop|nested|[.]jpg|deep|strips|count|tracks|duration|samples|frames|silence_24|entity"
)
LINE = re.compile(r"^(\S+) +([\d,]+) +([\d,]+) ms +([\d,]+) MB  (refused|taken in as) ?:?(.*)$", re.MULTILINE)


def tried(*options: str) -> tuple[dict[str, tuple[float, float, str, str]], str]:
    """Run the script: milliseconds, MB, whether refused or taken in, and the rest, by name; all that it printed."""
    command = [sys.executable, COOKBOOK / "media_bombs.py", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = [(name, float(ms.replace(",", "")), float(mb.replace(",", ""))) for name, _, ms, mb, *_ in found(done)]
    rest = [(what, why) for *_, what, why in found(done)]
    return {name: (ms, mb, *more) for (name, ms, mb), more in zip(numbers, rest, strict=True)}, done.stdout


def found(done: subprocess.CompletedProcess[str]) -> list[tuple[str, ...]]:
    return LINE.findall(done.stdout)


def test_cheap_bombs_are_refused_or_taken_in_at_once() -> None:
    bombs, out = tried("--cheap", "--models=colour", f"--only={CHEAP}")
    assert len(bombs) >= 70
    assert "the server was asked 0 times" in out
    assert "decoders died: 0" in out
    assert max(ms for ms, *_ in bombs.values()) < 10_000
    lists = {name: what for name, (_, _, what, _) in bombs.items() if name.startswith("playlist")}
    assert {name for name, what in lists.items() if what != "refused"} == {name for name in lists if "txt" in name}
    for name in ("claims_10_gp.png", "claims_65500.jpg", "claims_65535.gif", "claims_16383.webp", "silence_24_h.flac"):
        assert bombs[name][2] == "refused"
        assert "MediaTooLarge" in bombs[name][3]


def test_a_server_that_is_asked_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(COOKBOOK)
    program = (
        "import socket, time, media_bombs; server = media_bombs.Server(); host, port = server.address[7:].split(':');"
        "socket.create_connection((host, int(port))).close(); time.sleep(0.2); print(server.asked)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=COOKBOOK)
    assert done.stdout.strip() == "1"


@pytest.mark.slow
def test_dear_bombs_do_no_harm() -> None:
    bombs, out = tried("--models=mini")
    assert len(bombs) >= 140
    assert "the server was asked 0 times" in out
    assert "not foreseen: 0" in out
    assert bombs["one_colour_169_mp.png"][2] == "refused"
    assert bombs["one_colour_169_mp.png"][0] < 1000
    assert bombs["frames_100000.gif"][1] <= 64
