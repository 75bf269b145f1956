"""What a decoding process can do once it is confined, tried in a process of its own: nothing but read and compute."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from seehear.decoder import Finished, Job
from seehear.errors import DecoderDied, MediaTooLarge
from seehear.media import Limits
from seehear.pool import Pool
from seehear.types import Needs

LINUX = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
linux = pytest.mark.skipif(not LINUX, reason="the filter is Linux's, for x86-64 and 64-bit ARM")

START = """
import ctypes, faulthandler, fcntl, os, resource, signal, socket, subprocess, sys, threading
import numpy
from seehear.confinement import allow_time, confine
folder, written = sys.argv[1:3]
held = open(written, "r+b")
"""
CONFINED = START + "lacks = confine(300 << 20, writes=%s)\n"


def tried(folder: Path, code: str, *, writes: bool = False) -> str:
    """The name of the error that code ends with in a confined process, `fine`, or how the process died."""
    (folder / "kept.txt").write_text("kept")
    (folder / "held.txt").write_text("held")
    script = CONFINED % writes + f"try:\n    {code}\nexcept BaseException as error:\n    print(type(error).__name__)\n"
    ended = subprocess.run(
        [sys.executable, "-c", script + "else:\n    print(lacks or 'fine')\n", folder, folder / "held.txt"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (folder / "kept.txt").read_text() == "kept"
    assert sorted(path.name for path in folder.glob("*.txt")) == ["held.txt", "kept.txt"]
    return ended.stdout.strip() or f"status {ended.returncode}"


@linux
@pytest.mark.parametrize(
    "code",
    [
        "open(folder + '/new.txt', 'w')",
        "open(folder + '/kept.txt', 'a')",
        "open(folder + '/kept.txt', 'r+')",
        "os.open(folder + '/kept.txt', os.O_RDONLY | os.O_TRUNC)",
        "os.truncate(folder + '/kept.txt', 0)",
        "os.unlink(folder + '/kept.txt')",
        "os.rename(folder + '/kept.txt', folder + '/other.txt')",
        "os.link(folder + '/kept.txt', folder + '/other.txt')",
        "os.symlink('kept.txt', folder + '/other.txt')",
        "os.mkdir(folder + '/below')",
        "os.mkfifo(folder + '/pipe.txt')",
        "os.chmod(folder + '/kept.txt', 0o777)",
        "os.utime(folder + '/kept.txt')",
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 9))",
        "subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), signal.SIGTERM)",
    ],
)
def test_it_cannot_write_connect_start_programs_or_send_signals(tmp_path: Path, code: str) -> None:
    assert tried(tmp_path, code) == "PermissionError"


@linux
def test_other_ways_to_open_and_call_are_closed_too(tmp_path: Path) -> None:
    column = platform.machine() == "aarch64"
    for number, arguments in (
        ((425, 425)[column], "8, 0"),  # io_uring_setup
        ((437, 437)[column], "-100, b'/dev/null', 0, 0"),  # openat2
        ((101, 117)[column], "0, 0, 0, 0"),  # ptrace
    ):
        call = f"ctypes.CDLL(None, use_errno=True).syscall({number}, {arguments}); print(ctypes.get_errno())"
        assert tried(tmp_path, call).split() == ["1", "fine"]  # EPERM


@linux
@pytest.mark.parametrize(
    "code",
    [
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "fcntl.fcntl(open(folder + '/kept.txt'), fcntl.F_SETOWN, os.getppid())",
        "fcntl.fcntl(open(folder + '/kept.txt'), fcntl.F_SETSIG, 9)",
        "fcntl.ioctl(open(folder + '/kept.txt'), 0x5412, b'x')",  # TIOCSTI: a key is pressed
        "fcntl.ioctl(open(folder + '/kept.txt'), 0x40086602, bytes(8))",  # FS_IOC_SETFLAGS
    ],
)
def test_it_cannot_reach_others_by_way_of_limits_terminals_and_owners(tmp_path: Path, code: str) -> None:
    assert tried(tmp_path, code) == "PermissionError"


@linux
@pytest.mark.parametrize(
    "code",
    [
        "open(folder + '/kept.txt').read()",
        "threading.Thread(target=len, args=('',)).start()",
        "faulthandler.dump_traceback_later(60, exit=True)",
        "numpy.ones((100, 1000, 1000), numpy.uint8)",
        "os.listdir(folder)",
        "__import__('fractions')",
        "allow_time(60); allow_time(90)",
        "fcntl.fcntl(0, fcntl.F_GETFL)",
        "resource.getrlimit(resource.RLIMIT_DATA)",
    ],
)
def test_it_can_read_compute_and_go_on(tmp_path: Path, code: str) -> None:
    assert tried(tmp_path, code) == "fine"


@linux
def test_memory_is_bounded(tmp_path: Path) -> None:
    assert tried(tmp_path, "numpy.ones((400, 1 << 20), numpy.uint8)") == "MemoryError"
    assert tried(tmp_path, "[bytearray(1 << 20) for _ in range(400)]") == "MemoryError"


@linux
def test_a_filter_holds_for_threads_that_were_there_before(tmp_path: Path) -> None:
    code = """
asked = threading.Event()
def body():
    asked.wait()
    try:
        socket.socket()
        print("open")
    except PermissionError:
        print("closed")
other = threading.Thread(target=body)
other.start()
confine(300 << 20)
asked.set()
other.join()
"""
    (tmp_path / "held.txt").touch()
    ended = subprocess.run(
        [sys.executable, "-c", START + code, tmp_path, tmp_path / "held.txt"], capture_output=True, text=True
    )
    assert ended.stdout.strip() == "closed", ended.stderr


@linux
def test_it_writes_to_what_was_open_only_if_that_is_its_task(tmp_path: Path) -> None:
    code = "held.seek(0, 2); held.write(b'x' * 9000); held.flush()"
    assert tried(tmp_path, code) == "OSError"
    assert tried(tmp_path, code, writes=True) == "fine"
    assert (tmp_path / "held.txt").read_text().count("x") == 9000


@linux
def test_a_process_that_computes_for_too_long_is_ended(tmp_path: Path) -> None:
    assert tried(tmp_path, "allow_time(0.2); exec('while True: pass')") == "status -24"  # SIGXCPU


def test_a_process_may_always_end_itself(tmp_path: Path) -> None:
    assert tried(tmp_path, "os.abort()") == "status -6"


def outcome(path: Path, limits: Limits, modality: str = "seehear.modalities.image:ImageModality") -> Exception | None:
    pool = Pool([modality], lambda: Needs(64), limits, workers=1)
    try:
        (last,) = [event for event in pool.run([Job("key", path)]) if isinstance(event, Finished)]
        return last.error
    finally:
        pool.close()


@linux
def test_a_picture_that_takes_too_much_memory_says_so(tmp_path: Path) -> None:
    Image.new("L", (12_000, 8_000)).save(tmp_path / "large.png")
    assert outcome(tmp_path / "large.png", Limits()) is None
    error = outcome(tmp_path / "large.png", Limits(memory=50 << 20))
    assert isinstance(error, MediaTooLarge)
    assert "more memory than the limit of 50 MB; raise Limits(memory=...)" in str(error)


@linux
def test_decoding_for_longer_than_a_recording_may_last_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless.py").write_text(
        "from seehear.modalities.image import ImageModality\n"
        "class Endless(ImageModality):\n"
        "    def segments(self, source, needs):\n"
        "        while True:\n"
        "            yield None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    Image.new("L", (12, 8)).save(tmp_path / "a.png")
    error = outcome(tmp_path / "a.png", Limits(duration=0.5), "endless:Endless")
    assert isinstance(error, DecoderDied)
    assert "took longer than the longest recording may last" in str(error)


def test_a_system_without_limits_is_told_of_and_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from seehear import confinement

    monkeypatch.setattr(confinement, "resource", None)
    assert confinement.confine(1 << 30) == "this system has no limits for processes"
    confinement.allow_time(1)
    monkeypatch.setattr(confinement.platform, "machine", lambda: "pdp11")
    assert confinement._filtered().endswith(f"for {platform.system()} on pdp11")
