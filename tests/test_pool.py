"""The pool of decoding processes: what dies in it costs one file."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from seehear.decoder import Event, Finished, Job, Opened, Piece
from seehear.errors import DamagedMedia, DecoderDied, UnreadableMedia, UnsupportedMedia
from seehear.media import Limits
from seehear.pool import Pool
from seehear.types import Needs, Picture

HOSTILE = '''
"""A modality that does what the file's name says."""
import os, signal, sys, time
from pathlib import Path
from seehear.types import Segment, Text
from seehear.modalities.image import ImageModality

class Hostile(ImageModality):
    def segments(self, source, needs):
        name = source.path.stem
        if name == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "hang":
            time.sleep(60)
        if name == "exit":
            os._exit(3)
        if name == "bug":
            raise ZeroDivisionError("a bug of the modality's own")
        if name == "print":
            print("noise on standard output")
        if name == "words":
            yield Segment("w", source.key, "image", "text"), Text("some words")
        yield from super().segments(source, needs)
'''


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(["image"], lambda: Needs(pixels=16), Limits(), workers=2)
    yield pool
    pool.close()


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    (tmp_path / "hostile.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    pool = Pool(["hostile:Hostile"], lambda: Needs(pixels=16), Limits(seconds=1.5), workers=2)
    yield pool
    pool.close()
    sys.modules.pop("hostile", None)


def picture(folder: Path, name: str) -> Job:
    path = folder / f"{name}.png"
    Image.new("RGB", (32, 32), "red").save(path)
    return Job(name, path)


def outcomes(events: Iterator[Event]) -> dict[str, BaseException | None]:
    return {event.job.key: event.error for event in events if isinstance(event, Finished)}


def test_a_file_is_opened_then_cut_then_finished(pool: Pool, tmp_path: Path) -> None:
    opened, piece, finished = pool.run([picture(tmp_path, "one")])
    assert isinstance(opened, Opened)
    assert (opened.modality, len(opened.content), opened.settings) == ("image", 64, "whole")
    assert isinstance(piece, Piece)
    assert isinstance(piece.content, Picture)
    assert piece.content.pixels.shape == (16, 16, 3)
    assert (piece.segment.source, piece.segment.channel) == ("one", "visual")
    assert isinstance(finished, Finished)
    assert finished.error is None


def test_what_is_known_is_not_decoded_again(pool: Pool, tmp_path: Path) -> None:
    job = picture(tmp_path, "one")
    content = next(event.content for event in pool.run([job]) if isinstance(event, Opened))
    again = list(pool.run([Job(job.key, job.path, unless=[content])]))
    assert [type(event) for event in again] == [Opened, Finished]


def test_every_file_gets_exactly_one_outcome(pool: Pool, tmp_path: Path) -> None:
    jobs = [picture(tmp_path, f"{number}") for number in range(50)]
    (tmp_path / "text.png").write_text("no picture")
    jobs += [Job("gone", tmp_path / "gone.png"), Job("text", tmp_path / "text.png")]
    events = [event for event in pool.run(jobs) if isinstance(event, Finished)]
    assert len(events) == 52
    found = outcomes(iter(events))
    assert isinstance(found.pop("gone"), UnreadableMedia)
    assert isinstance(found.pop("text"), UnsupportedMedia)
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("crash", DecoderDied, "crashed the process that decoded it .SIGSEGV"),
        ("hang", DecoderDied, "took longer than 1.5 s"),
        ("exit", DecoderDied, "ended unexpectedly"),
        ("bug", DamagedMedia, "ZeroDivisionError"),
    ],
)
def test_a_file_that_ruins_its_process_costs_that_file_only(
    hostile: Pool, tmp_path: Path, name: str, error: type[Exception], words: str
) -> None:
    jobs = [picture(tmp_path, one) for one in ("a", "b", name, "c", "d")]
    found = outcomes(hostile.run(jobs))
    assert len(found) == 5
    with pytest.raises(error, match=words):
        raise found.pop(name) or AssertionError("it should have failed")
    assert set(found.values()) == {None}


def test_printing_does_not_garble_the_replies(hostile: Pool, tmp_path: Path) -> None:
    assert outcomes(hostile.run([picture(tmp_path, "print"), picture(tmp_path, "a")])) == {"print": None, "a": None}


def test_words_come_back_as_words(hostile: Pool, tmp_path: Path) -> None:
    pieces = [event for event in hostile.run([picture(tmp_path, "words")]) if isinstance(event, Piece)]
    assert [piece.content.kind for piece in pieces] == ["text", "image"]


def test_stopping_early_leaves_the_pool_usable(pool: Pool, tmp_path: Path) -> None:
    with closing(pool.run(picture(tmp_path, f"{number}") for number in range(200))) as events:
        next(events)
    assert outcomes(pool.run([picture(tmp_path, "after")])) == {"after": None}


def test_an_error_while_drawing_jobs_is_raised_to_the_caller(pool: Pool, tmp_path: Path) -> None:
    def jobs() -> Iterator[Job]:
        yield picture(tmp_path, "one")
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        list(pool.run(jobs()))


def test_processes_pause_when_nobody_takes_what_they_found(pool: Pool, tmp_path: Path) -> None:
    drawn = []

    def jobs() -> Iterator[Job]:
        for number in range(300):
            drawn.append(number)
            yield picture(tmp_path, f"{number}")

    with closing(pool.run(jobs())) as events:
        next(events)
        time.sleep(1.0)
        assert len(drawn) < 60  # at most 64 events wait, and a file makes three
        assert len(list(events)) == 899


def test_a_closed_pool_leaves_no_process_behind(tmp_path: Path) -> None:
    pool = Pool(["image"], Needs, Limits(), workers=1)
    list(pool.run([picture(tmp_path, "one")]))
    (decoder,) = pool._idle
    process = decoder._process.pid
    pool.close()
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, signal.SIGCONT)


def test_a_module_beside_the_pictures_is_not_imported(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported what a stranger left here')")
    monkeypatch.chdir(tmp_path)
    assert outcomes(pool.run([picture(tmp_path, "one")])) == {"one": None}


@pytest.mark.usefixtures("hostile")
def test_stopping_does_not_wait_for_a_slow_file(tmp_path: Path) -> None:
    patient = Pool(["hostile:Hostile"], lambda: Needs(pixels=16), Limits(seconds=100), workers=2)
    started = time.monotonic()
    with closing(patient.run([picture(tmp_path, "a"), picture(tmp_path, "hang")])) as events:
        next(events)
        time.sleep(1)  # the other process has begun to hang
    patient.close()
    assert time.monotonic() - started < 30


def test_a_slow_file_does_not_hold_up_the_others(hostile: Pool, tmp_path: Path) -> None:
    jobs = [picture(tmp_path, name) for name in ("hang", "a", "b", "c")]
    order = [event.job.key for event in hostile.run(jobs) if isinstance(event, Finished)]
    assert order == ["a", "b", "c", "hang"]


def test_one_process_serves_a_caller_that_is_slower(pool: Pool, tmp_path: Path) -> None:
    for event in pool.run([picture(tmp_path, f"{number}") for number in range(40)]):
        if isinstance(event, Finished):
            time.sleep(0.02)
    assert len(pool._idle) == 1
