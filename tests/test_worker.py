"""The decoding process from the inside: messages in, messages and pixels out."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady
from PIL import Image
from recordings import tone, write

from seehear.worker import receive, send, serve

SETUP = {
    "modalities": ["image", "audio", "video", "text"],
    "needs": {"pixels": 4, "rate": 8000, "window": 1.0},
    "limits": {"bytes": 10**7, "pixels": 10**6, "seconds": 5},
}
Hook = Callable[[], object]


class Replies(io.BytesIO):
    """What a worker says; something happens when it has named the n-th event, before it goes on."""

    def __init__(self, then: Hook, after: int) -> None:
        super().__init__()
        self.then, self.after = then, after

    def flush(self) -> None:
        super().flush()
        if self.after >= 0 and sum(b'{"event": ' in one for one in messages(self)) > self.after:
            self.after = -1
            self.then()


def messages(replies: io.BytesIO) -> list[bytes]:
    written = io.BytesIO(replies.getvalue())
    heard = []
    while written.tell() < len(replies.getvalue()):
        heard.append(receive(written))
    return heard


def talk(*jobs: dict[str, object], then: Hook = lambda: None, after: int = -1) -> list[bytes]:
    """Run a whole conversation in this process."""
    requests, replies = io.BytesIO(), Replies(then, after)
    for message in (SETUP, *jobs):
        send(requests, message)
    requests.seek(0)
    serve(requests, replies)
    return messages(replies)


def events(heard: list[bytes]) -> list[str]:
    """Names of events, and of the error at the end."""
    told = [json.loads(one) for one in heard if one.startswith(b'{"event": ')]
    return [one.get("error") or one["event"] for one in told]


def job(path: Path, *unless: str) -> dict[str, object]:
    return {"key": "k", "path": os.fsencode(path).hex(), "unless": unless, "text": None, "within": None}


def test_pixels_follow_their_segment(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(path)
    opened, piece, pixels, finished = talk(job(path))
    assert json.loads(opened)["event"] == "opened"
    assert json.loads(piece)["shape"] == [4, 4, 3]
    assert np.frombuffer(pixels, np.uint8).reshape(4, 4, 3)[0, 0].tolist() == [255, 0, 0]
    assert json.loads(finished) == {"event": "finished", "error": None, "message": ""}


def test_an_error_is_told_by_name_and_the_next_file_is_served(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(path)
    (tmp_path / "b.png").write_text("no picture")
    first, *rest = talk(job(tmp_path / "b.png"), job(path))
    assert json.loads(first)["error"] == "UnsupportedMedia"
    assert len(rest) == 4


def test_names_that_are_no_text_arrive(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    Image.new("RGB", (8, 8), "red").save(path, "PNG")
    assert len(talk(job(path))) == 4


def made(folder: Path, kind: str, level: float) -> Path:
    """A file of a kind, of several pieces but for a picture; another level makes another of the same length."""
    path = folder / f"{level}.{kind}"
    grey = (round(250 * level),) * 3
    match kind:
        case "bmp":
            Image.new("RGB", (64, 64), grey).save(path)
        case "wav":
            write(path, level * tone(20, 16_000))
        case "mkv":  # what is said of the length is after the pictures
            film(path, steady([(1, plain((0, 0, 0))), (1, plain(grey)), (1, plain((0, 0, 0)))]), every=25, codec="ffv1")
        case "txt":
            path.write_text(f"It was {level}, said the {level} one. " * 5000)
    return path


def overwrite(path: Path, other: Path, *, restored: bool) -> None:
    """Write another file's bytes over a file, in place; `restored`, its size and time are as before."""
    status, written = path.stat(), other.read_bytes()
    with path.open("r+b") as file:
        file.write(written[: status.st_size] if restored else written)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (0 if restored else 1)))


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("kind", ["bmp", "wav", "mkv", "txt"])
def test_a_file_that_is_rewritten_while_it_is_read_does_not_end_well(
    tmp_path: Path, kind: str, after: int, restored: bool
) -> None:
    path, other = made(tmp_path, kind, 0.4), made(tmp_path, kind, 0.8)
    assert events(talk(job(path)))[-1] == "finished"
    heard = talk(job(path), then=lambda: overwrite(path, other, restored=restored), after=after)
    assert events(heard)[-1] == "UnreadableMedia"
    assert "changed while it was read" in json.loads(heard[-1])["message"]
    if not restored:
        assert len(events(heard)) == after + 2  # no piece is told that was read after the change
    assert events(talk(job(path)))[-1] in ("finished", "DamagedMedia")


def test_a_recording_that_grows_is_given_up_at_once(tmp_path: Path) -> None:
    path = made(tmp_path, "wav", 0.4)
    whole = len(events(talk(job(path))))
    heard = talk(job(path), then=lambda: os.truncate(path, path.stat().st_size + 9), after=3)
    assert events(heard) == ["opened", *["piece"] * 3, "UnreadableMedia"]
    assert whole > 20


def test_a_file_that_is_cut_to_nothing_while_it_is_read_is_not_called_damaged(tmp_path: Path) -> None:
    path = made(tmp_path, "mkv", 0.4)
    assert events(talk(job(path), then=lambda: os.truncate(path, 0), after=0)) == ["opened", "UnreadableMedia"]


def test_a_file_that_is_replaced_while_it_is_read_ends_well(tmp_path: Path) -> None:
    path, other = made(tmp_path, "wav", 0.4), made(tmp_path, "wav", 0.8)
    status, before = path.stat(), talk(job(path))
    heard = talk(job(path), then=lambda: other.replace(path), after=1)
    assert heard == before
    assert json.loads(heard[0])["mtime_ns"] == status.st_mtime_ns


@pytest.mark.parametrize("kind", ["bmp", "wav", "mkv", "txt"])
def test_what_is_known_under_any_name_is_told_and_not_decoded(tmp_path: Path, kind: str) -> None:
    known, twin = made(tmp_path, kind, 0.4), tmp_path / f"twin.{kind}"
    twin.write_bytes(known.read_bytes())
    content = json.loads(talk(job(known))[0])["content"]
    opened, finished = talk(job(twin, "0" * 64, content))
    assert json.loads(opened)["content"] == content
    assert json.loads(finished) == {"event": "finished", "error": None, "message": ""}


def test_a_passage_has_no_file_to_change(tmp_path: Path) -> None:
    assert events(talk({**job(tmp_path / "none"), "text": "some words"})) == ["opened", "piece", "finished"]
