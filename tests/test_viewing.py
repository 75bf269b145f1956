"""Looking at files again: in a process that may die, only if they are what they were, and only where they may be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady
from PIL import Image

from seehear import viewing
from seehear.decoder import Decoder
from seehear.errors import DamagedMedia, DecoderDied, MediaTooLarge, UnreadableMedia
from seehear.media import Limits
from seehear.media import stamp as told
from seehear.types import Stamp
from seehear.viewing import AT_ONCE, Seen

RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(path: Path, colour: tuple[int, int, int] = RED) -> Path:
    Image.new("RGB", (60, 40), colour).save(path)
    return path


def stamp(path: Path, root: Path | None = None) -> Stamp:
    from hashlib import sha256

    return (*told(path), sha256(path.read_bytes()).hexdigest(), str(root or path.parent))


def middle(pixels: np.ndarray) -> list[int]:
    found: list[int] = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].tolist()
    return found


def waiting() -> Decoder | None:
    return viewing._waiting._decoder


def test_the_process_waits_for_the_next_picture(tmp_path: Path) -> None:
    seen = Seen(picture(tmp_path / "a.png"), Limits(), None)
    assert middle(seen.picture(20).pixels) == list(RED)
    first = waiting()
    assert middle(seen.picture(None).pixels) == list(RED)
    assert first is not None
    assert waiting() is first
    with pytest.raises(UnreadableMedia, match="not there"):
        Seen(tmp_path / "gone.png", Limits(), None).picture(20)
    assert waiting() is first  # the file is at fault
    with pytest.raises(MediaTooLarge, match="limit"):
        Seen(tmp_path / "a.png", Limits(pixels=100), None).picture(20)
    assert waiting() is not first  # it had other limits
    assert not first.alive


def test_a_process_that_died_while_it_waited_is_replaced(tmp_path: Path) -> None:
    seen = Seen(picture(tmp_path / "a.png"), Limits(), None)
    seen.picture(20)
    died = waiting()
    assert died is not None
    os.kill(died._process.pid, signal.SIGKILL)
    died._process.wait()
    assert middle(seen.picture(20).pixels) == list(RED)
    assert waiting() is not died


def test_a_process_that_dies_at_work_is_an_error_and_the_next_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(picture(tmp_path / "a.png"), Limits(), None)
    seen.picture(20)
    died = waiting()
    assert died is not None
    os.kill(died._process.pid, signal.SIGKILL)
    with monkeypatch.context() as patched:
        patched.setattr(Decoder, "ready", True)
        with pytest.raises(DecoderDied, match="SIGKILL"):
            seen.picture(20)
    assert waiting() is None
    assert middle(seen.picture(20).pixels) == list(RED)


def test_ctrl_c_does_not_end_a_process_that_waits(tmp_path: Path) -> None:
    seen = Seen(picture(tmp_path / "a.png"), Limits(), None)
    seen.picture(20)
    held = waiting()
    assert held is not None
    os.kill(held._process.pid, signal.SIGINT)  # as a terminal does it, to all
    assert middle(seen.picture(20).pixels) == list(RED)
    assert waiting() is held


def test_what_is_another_picture_now_is_not_shown(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    seen = Seen(path, Limits(), stamp(path))
    os.utime(path, (1, 1))  # touched, and still the same
    assert middle(seen.picture(20).pixels) == list(RED)
    picture(path, BLUE)
    os.utime(path, (2, 2))
    with pytest.raises(UnreadableMedia, match="has changed since it was added"):
        seen.picture(20)


def test_a_file_that_became_a_link_out_of_its_folder_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "added").mkdir()
    path, secret = picture(tmp_path / "added" / "a.png"), picture(tmp_path / "secret.png", BLUE)
    was = stamp(path, tmp_path / "added")
    path.unlink()
    path.symlink_to(secret)
    os.utime(secret, ns=(was[1], was[1]))
    with pytest.raises(UnreadableMedia, match="leads out"):
        Seen(path, Limits(), was).picture(20)
    path.unlink()
    path.symlink_to(picture(tmp_path / "added" / "b.png"))
    with pytest.raises(UnreadableMedia, match="has changed"):
        Seen(path, Limits(), (*was[:2], "0" * 64, was[3])).picture(20)


def test_many_frames_come_in_their_order(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", steady([(2, plain(RED)), (2, plain(BLUE))], 10), every=10)
    times = [3.5, 0.5] * AT_ONCE
    found = Seen(tmp_path / "a.mp4", Limits(), None).frames(times, 32)
    assert [middle(one.pixels)[0] > 128 for one in found] == [False, True] * AT_ONCE


def test_a_clip_leaves_no_process_and_no_part_behind(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", steady([(2, plain(RED)), (2, plain(BLUE))], 10), every=10)
    out = Seen(tmp_path / "a.mp4", Limits(), None).clip(0.5, 1.5, tmp_path / "clip.mp4")
    assert out.stat().st_size > 1000
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:900])
    with pytest.raises(DamagedMedia):
        Seen(tmp_path / "b.mp4", Limits(), None).clip(0.5, 1.5, tmp_path / "other.mp4")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.mp4", "b.mp4", "clip.mp4"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it takes a fork")
def test_a_fork_does_not_talk_to_the_process_of_its_parent(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from seehear import viewing
from seehear.media import Limits
seen = viewing.Seen(Path(sys.argv[1]), Limits(), None)
seen.picture(20)
child = os.fork()
if not child:
    assert viewing._waiting._decoder is None
    seen.picture(20)
    viewing._waiting.end()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
seen.picture(20)
print("fine")
"""
    path = picture(tmp_path / "a.png")
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code, path], capture_output=True, text=True)
    assert ended.stdout == "fine\n", ended.stderr
