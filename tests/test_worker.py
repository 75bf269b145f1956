"""The decoding process from the inside: messages in, messages and pixels out."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from seehear.worker import receive, send, serve

SETUP = {"modalities": ["image"], "needs": {"pixels": 4}, "limits": {"bytes": 10**6, "pixels": 10**6, "seconds": 5}}


def talk(*jobs: dict[str, object]) -> list[bytes]:
    """Run a whole conversation in this process."""
    requests, replies = io.BytesIO(), io.BytesIO()
    for message in (SETUP, *jobs):
        send(requests, message)
    requests.seek(0)
    serve(requests, replies)
    replies.seek(0)
    heard = []
    while replies.tell() < len(replies.getvalue()):
        heard.append(receive(replies))
    return heard


def job(path: Path, unless: str | None = None) -> dict[str, object]:
    return {"key": "k", "path": os.fsencode(path).hex(), "unless": unless, "text": None}


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
