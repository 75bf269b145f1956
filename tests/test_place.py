"""Who has a library's folder, who waits for whom, and what becomes of it when one of them is killed."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seehear import Library
from seehear.errors import LibraryInUse
from seehear.place import HOLDER, Place
from seehear.testing import COLOUR_SET

HOLD = """
import sys, time
from seehear.place import Place
place = Place(sys.argv[1], create=True)
if sys.argv[2] == "share":
    place.share()
if sys.argv[2] != "opening":
    place.opened()
turn = place.turn()
if sys.argv[2] == "share":
    turn.__enter__()
print("ready", flush=True)
time.sleep(60)
"""
ME = f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def another(folder: Path, doing: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has a library open, or is opening it, or shares it and is changing it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), doing], stdout=subprocess.PIPE)
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[threading.Event]:
    """Do something in another thread meanwhile; gives what says that it is done."""
    done = threading.Event()

    def run() -> None:
        work()
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    yield done
    thread.join(30)
    assert done.is_set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "library"


def taken(folder: Path, *, share: bool = False) -> Place:
    """A library's folder, open."""
    place = Place(folder, create=True)
    if share:
        place.share()
    place.opened()
    return place


def enter(place: Place) -> None:
    """Take a turn, and end it."""
    with place.turn():
        pass


def test_a_second_opener_is_refused_with_a_sentence_that_names_the_holder(folder: Path) -> None:
    with another(folder, "open") as process:
        with pytest.raises(LibraryInUse) as told:
            Library.open(folder, models=COLOUR_SET)
        who = f"process {process.pid} on {socket.gethostname()}"
        assert str(told.value).startswith(f"{folder} is in use by {who}. A library belongs to one process at a time:")
        assert 'store="http' in str(told.value)
        process.send_signal(signal.SIGKILL)
        process.wait()
        Library.open(folder, models=COLOUR_SET).close()
    assert not (folder / HOLDER).exists()


def test_a_second_opener_of_the_same_process_is_refused_too(folder: Path) -> None:
    place = taken(folder)
    with pytest.raises(LibraryInUse, match=f"{ME}[.]"):
        Place(folder, create=True)
    place.release()
    place.release()
    taken(folder).release()


def test_whoever_opens_a_library_waits_for_another_who_is_just_opening_it(folder: Path) -> None:
    for given_up in (False, True):
        first = Place(folder, create=True)
        told: list[str] = []

        def second(told: list[str] = told) -> None:
            try:
                taken(folder).release()
                told.append("in")
            except LibraryInUse as error:
                told.append(str(error))

        with beside(second) as done:
            assert not done.wait(0.8)  # longer than for one who has it open
            first.release() if given_up else first.opened()
        assert told[0] == "in" if given_up else ME in told[0]
        first.release()


def test_one_who_is_killed_while_he_opens_it_lets_the_next_one_in(folder: Path) -> None:
    with another(folder, "opening") as process, beside(lambda: taken(folder).release()) as done:
        assert not done.wait(0.3)
        process.kill()
        assert done.wait(10)


def test_many_who_open_a_shared_library_at_once_all_get_in(folder: Path) -> None:
    places: list[Place] = []

    def open_slowly() -> None:
        place = Place(folder, create=True)
        place.share()
        time.sleep(0.15)
        place.opened()
        places.append(place)

    threads = [threading.Thread(target=open_slowly) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) == 6


def test_who_has_taken_it_and_not_said_so_yet_is_waited_for(folder: Path) -> None:
    first = Place(folder, create=True)
    (folder / HOLDER).unlink()  # as in the moment before it is written
    with beside(lambda: taken(folder).release()) as done:
        assert not done.wait(0.8)
        first.release()


def test_a_library_may_be_closed_by_another_thread_than_opened_it(folder: Path) -> None:
    places: list[Place] = []
    with beside(lambda: places.append(taken(folder))) as done:
        done.wait(10)
    places[0].release()
    taken(folder).release()


def test_a_shared_library_says_whether_anybody_is_changing_it(folder: Path) -> None:
    first = taken(folder, share=True)
    second = Place(folder, create=True)
    assert second.share()
    with first.turn(wait=False) as ours:
        assert not ours  # nobody changes it while it is opened
    second.opened()
    with first.turn(wait=False) as ours:
        assert ours
        third = Place(folder, create=True)
        assert not third.share()
        third.opened()
        with second.turn(wait=False) as theirs:
            assert not theirs


def test_an_opener_who_fails_leaves_nothing_locked(folder: Path) -> None:
    place = taken(folder, share=True)
    failing = Place(folder, create=True)
    assert failing.share()
    failing.release()
    with place.turn(wait=False) as ours:
        assert ours
    taken(folder, share=True)


@pytest.mark.parametrize("share", [False, True])
def test_one_changes_it_at_a_time(folder: Path, share: bool) -> None:
    places = [taken(folder, share=True) for _ in range(3)] if share else [taken(folder)] * 3
    inside, most = 0, 0

    def change(place: Place) -> None:
        nonlocal inside, most
        for _ in range(5):
            with place.turn():
                inside += 1
                most = max(most, inside)
                time.sleep(0.002)
                inside -= 1

    threads = [threading.Thread(target=change, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)
    places[0].release()


def test_a_turn_that_fails_is_over(folder: Path) -> None:
    first, second = taken(folder, share=True), taken(folder, share=True)
    with pytest.raises(ZeroDivisionError), first.turn():
        _ = 1 / 0
    with second.turn(wait=False) as ours:
        assert ours
    enter(first)


def test_who_waits_says_so_and_is_let_in_when_the_writer_is_killed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with another(folder, "share") as process, caplog.at_level(logging.INFO, "seehear"):
        place = taken(folder, share=True)
        with beside(lambda: enter(place)) as done:
            assert not done.wait(0.5)
            assert [record.seehear for record in caplog.records] == [{"event": "waiting"}]  # type: ignore[attr-defined]
            assert "waiting for another process" in caplog.text
            process.send_signal(signal.SIGKILL)
            assert done.wait(10)
        caplog.clear()
        enter(place)
        assert not caplog.records  # nobody to wait for


def test_one_who_changes_it_again_and_again_lets_others_in_between(folder: Path) -> None:
    busy, patient = taken(folder, share=True), taken(folder, share=True)
    turns, waiting = 0, threading.Event()

    def wait() -> None:
        time.sleep(0.05)
        waiting.set()
        enter(patient)

    with beside(wait) as done:
        while not done.is_set():
            with busy.turn():
                turns += waiting.is_set()
                time.sleep(0.02)
    assert turns <= 5
