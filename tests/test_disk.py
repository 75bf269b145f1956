"""Disks that are full and folders that nobody may write: one sentence, nothing lost, and what was begun goes on."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

if sys.platform == "win32":
    pytest.skip("limits and permissions of POSIX", allow_module_level=True)

SERVANT = """
import contextlib, io, json, os, resource, sys, traceback
from dataclasses import replace
from types import MappingProxyType
from seehear import Library, ModelSet, presets
from seehear.cli import main
from seehear.testing import COLOUR, COLOUR_SET
from seehear.types import Route
ROUTES = (*COLOUR_SET.routes, Route("text", COLOUR, frozenset({"text"})))
SETS = {"mini": replace(COLOUR_SET, name="mini"), "other": ModelSet("other", ROUTES, ("image", "text"))}
presets.SETS = MappingProxyType(SETS)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def tell(what):
    try:
        return ["done", what()]
    except Exception as error:
        return [type(error).__name__, str(error)]

def command(given, size):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        limit(size)
        try:
            status = main(given)
        except BaseException:
            status = traceback.print_exc()
        limit(-1)
    return [status, out.getvalue(), err.getvalue()]

for line in sys.stdin:
    told = eval(line)
    print(json.dumps(told), flush=True)
"""
PICTURES = 24
CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of Linux: what lets root pass over permissions

pytestmark = pytest.mark.slow  # a minute and a half: nearly every test starts other processes


class Run(NamedTuple):
    """What came of a command."""

    status: int | None
    out: str
    err: str


class Servant:
    """Another process, without privileges, that runs commands and code: what Chroma does to it is not done to us."""

    def __init__(self, *before: str) -> None:
        self._process = subprocess.Popen(
            [*before, sys.executable, "-P", "-c", SERVANT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=unprivileged,
        )  # fmt: skip

    def tell(self, code: str) -> Any:
        """Evaluate an expression there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{code}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"it died of {code!r}: exit status {self._process.wait()}"
        return json.loads(answer)

    def command(self, library: Path, *given: object, limit: int = -1) -> Run:
        """Run the command on a library, with files no larger than `limit` bytes."""
        return Run(*self.tell(f"command({[*map(str, given), '--library', str(library)]!r}, {limit})"))

    def close(self) -> None:
        """End it."""
        with self._process:
            self._process.communicate()


def unprivileged() -> None:
    """Be somebody who has to keep to permissions."""
    if os.getuid() == 0:
        for one in CAPABILITIES:
            ctypes.CDLL(None).prctl(24, one, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture(scope="module")
def servant() -> Iterator[Servant]:
    servant = Servant()
    yield servant
    servant.close()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures that all differ."""
    folder, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(3)
    for number in range(PICTURES):
        Image.fromarray(rng.integers(0, 256, (2, 3, 3), np.uint8)).resize((60, 40)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, drawn: Path, servant: Servant) -> Path:
    """A library of all of them but the last, closed."""
    folder = tmp_path_factory.mktemp("kept") / "library"
    done = servant.command(folder, "add", *sorted(drawn.iterdir())[:-1])
    assert done.status == 0, done.err
    return folder


@pytest.fixture
def folder(kept: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(kept, tmp_path / "library")
    return tmp_path / "library"


def complaint(done: Run, library: Path) -> str:
    """The one sentence of a command that failed, which names a place in the library, and a cure."""
    assert done.status == 1, done
    assert "Traceback" not in done.err
    line = done.err.strip().splitlines()[-1]
    said = json.loads(line)["message"] if line.startswith("{") else line
    assert str(library) in said
    assert "Check" in said
    assert "damaged" not in said
    return str(said)


def done_with(log: str) -> set[str]:
    """Files that a log in JSON says are taken in."""
    records = [json.loads(line) for line in log.splitlines()]
    return {one["path"] for one in records if one.get("event") == "file" and one["outcome"] in ("added", "unchanged")}


def sources(servant: Servant, library: Path, drawn: Path) -> set[str]:
    """Files that it holds."""
    done = servant.command(library, "info", "--sources", "--json")
    return {str(drawn / Path(one).name) for one in json.loads(done.out)["sources"]}


def questions(servant: Servant, library: Path) -> Any:
    """What it answers."""
    done = servant.command(library, "search", "red", "--json", "-k", "9", "--min-score", "0")
    assert done.status == 0, done.err
    return [(hit["source"], hit["score"]) for hit in json.loads(done.out)]


def whole(servant: Servant, library: Path, files: int) -> None:
    """Nothing is wrong with it, and it holds so many files."""
    done = servant.command(library, "verify", "--json")
    assert done.status == 0, done
    found = json.loads(done.out)
    assert (found["good"], found["files"], found["failed"]) == (True, files, [])


def sizes(library: Path) -> list[int]:
    """Limits at which different files are the first that cannot grow."""
    ledger, vectors = ((library / name).stat().st_size for name in ("ledger.sqlite", "chroma/chroma.sqlite3"))
    return [1000, 20_000, ledger + 1000, vectors + 1000]


def again(folder: Path, kept: Path) -> Path:
    """A library as it was kept."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    return folder


def unsealed(library: Path) -> None:
    """As a process leaves it that was killed."""
    for name in ("seal.json", "chroma/seehear-seal.json"):
        (library / name).unlink(missing_ok=True)


def test_what_is_acknowledged_before_the_disk_is_full_stays_and_add_goes_on(
    servant: Servant, kept: Path, drawn: Path, tmp_path: Path
) -> None:
    refused = 0
    for number, size in enumerate(sizes(kept)):
        library = tmp_path / str(number)
        assert servant.command(library, "add", *sorted(drawn.iterdir())[:3]).status == 0
        done = servant.command(library, "add", drawn, "--log-json", limit=size)
        if done.status:
            refused += 1
            complaint(done, library)
        assert done_with(done.err) <= sources(servant, library, drawn)
        done = servant.command(library, "add", drawn, "--json")
        assert (done.status, json.loads(done.out)["failed"]) == (0, [])
        whole(servant, library, PICTURES)
    assert refused > 2


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_disk_that_is_full_at_the_end_loses_nothing_and_lets_go_of_everything(
    servant: Servant, folder: Path, drawn: Path, size: int
) -> None:
    servant.tell(f"globals().update(library=Library.open({str(folder)!r}, models='mini'))")
    servant.tell(f"len(library.add({str(drawn)!r}).added)")
    kind, message = servant.tell(f"(limit({size}), tell(library.close), limit(-1))[1]")
    assert kind == "LibraryError"
    assert str(folder) in message
    assert servant.tell("len(__import__('psutil').Process().children())") == 0
    whole(servant, folder, PICTURES)  # in the same process


@pytest.mark.parametrize("lost", ["chroma", "ledger.sqlite"])
def test_a_repair_on_a_full_disk_goes_on_when_there_is_room(
    servant: Servant, folder: Path, tmp_path: Path, lost: str
) -> None:
    before, refused = questions(servant, folder), 0
    shutil.rmtree(folder / lost) if lost == "chroma" else (folder / lost).unlink()
    aside = shutil.copytree(folder, tmp_path / "aside")
    vectors = 200_000  # about what a new Chroma takes before it holds anything
    for size in (20_000, vectors, vectors + 20_000, vectors + 60_000):
        done = servant.command(again(folder, aside), "verify", "--repair", limit=size)
        if done.status:
            refused += 1
            complaint(done, folder)
        done = servant.command(folder, "verify", "--repair")
        assert done.status == 0, done
        assert questions(servant, folder) == before
        whole(servant, folder, PICTURES - 1)
    assert refused > 1


def test_a_repair_on_a_full_disk_throws_away_no_vectors(servant: Servant, folder: Path) -> None:
    before = questions(servant, folder)
    for size in (1000, 20_000, 60_000):
        unsealed(folder)
        held = set((folder / "chroma").rglob("*"))
        done = servant.command(folder, "verify", "--repair", "--json", limit=size)
        if done.status:
            complaint(done, folder)
        else:
            assert json.loads(done.out)["embedded"] == 0
        assert held <= set((folder / "chroma").rglob("*"))
        assert questions(servant, folder) == before


def test_the_old_models_answer_when_there_is_no_room_for_the_new_and_migrate_goes_on(
    servant: Servant, folder: Path, kept: Path
) -> None:
    before, refused = questions(servant, folder), 0
    for size in sizes(kept):
        done = servant.command(again(folder, kept), "migrate", "--models", "other", limit=size)
        if not done.status:
            continue
        refused += 1
        complaint(done, folder)
        assert questions(servant, folder) == before
        whole(servant, folder, PICTURES - 1)
        done = servant.command(folder, "migrate", "--models", "other")
        assert done.status == 0, done.err
        assert [source for source, _ in questions(servant, folder)] == [source for source, _ in before]
        whole(servant, folder, PICTURES - 1)
    assert refused > 2


def every(folder: Path) -> list[Path]:
    """A folder and all below, deepest first."""
    return [*sorted(folder.rglob("*"), reverse=True), folder]


def closed_to(paths: Iterable[Path], *, reading: bool = False) -> None:
    """Let nobody write, or read either."""
    for path in paths:
        path.chmod(0 if reading else 0o555 if path.is_dir() else 0o444)


REFUSED: dict[str, Callable[[Path], object]] = {
    "everything is read-only": lambda one: closed_to(every(one)),
    "the folder is read-only": lambda one: closed_to([one]),
    "the folder is unreadable": lambda one: closed_to([one], reading=True),
    "the ledger is unreadable": lambda one: closed_to([one / "ledger.sqlite"], reading=True),
    "the ledger is read-only": lambda one: closed_to([one / "ledger.sqlite"]),
    "the lock is read-only": lambda one: closed_to([one / "lock"]),
    "the vectors' folder is read-only": lambda one: closed_to([one / "chroma"]),
    "the vectors' folder is unreadable": lambda one: closed_to([one / "chroma"], reading=True),
    "the vectors' files are read-only": lambda one: closed_to(every(one / "chroma")[:-1]),
    "the vectors' files are unreadable": lambda one: closed_to(
        [path for path in every(one / "chroma") if path.is_file()], reading=True
    ),
}


def opened_up(library: Path) -> None:
    """Let everything be read and written again."""
    subprocess.run(["/bin/chmod", "-R", "u+rwX", library], check=True)


bound = pytest.mark.skipif(os.getuid() == 0 and sys.platform != "linux", reason="root may do everything")


@bound
@pytest.mark.parametrize(
    ("name", "sealed"),
    [(name, sealed) for name in REFUSED for sealed in ((True, False) if "vectors" in name else (True,))],
)
def test_what_nobody_may_read_or_write_is_a_sentence_and_no_damage(
    servant: Servant, folder: Path, name: str, sealed: bool
) -> None:
    before = questions(servant, folder)
    if not sealed:
        unsealed(folder)
    held = {path for path in (folder / "chroma").rglob("*") if "seal" not in path.name}
    for given in (("search", "red"), ("verify", "--repair")):
        REFUSED[name](folder)
        done = servant.command(folder, *given)
        opened_up(folder)
        complaint(done, folder)
        assert held <= set((folder / "chroma").rglob("*"))
    assert questions(servant, folder) == before  # in the same process
    whole(servant, folder, PICTURES - 1)


@bound
def test_an_opening_that_is_refused_is_a_typed_error(servant: Servant, folder: Path) -> None:
    for change in REFUSED.values():
        change(folder)
        kind, message = servant.tell(f"tell(lambda: Library.open({str(folder)!r}, models='mini'))")
        opened_up(folder)
        assert kind == "LibraryError"
        assert str(folder) in message


@bound
def test_a_new_library_where_nobody_may_write_is_a_sentence(servant: Servant, tmp_path: Path, drawn: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    complaint(servant.command(shut / "library", "add", drawn), shut)


@bound
def test_a_file_that_nobody_may_read_fails_and_is_tried_again(servant: Servant, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "more" / "red.png"
    picture.parent.mkdir()
    Image.new("RGB", (9, 9), "red").save(picture)
    picture.chmod(0)
    done = servant.command(folder, "add", picture.parent)
    assert done.status == 1
    assert f"{picture}: " in done.err
    assert "permissions" in done.err
    picture.chmod(0o600)
    assert servant.command(folder, "add", picture.parent).status == 0
    whole(servant, folder, PICTURES)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Servant, Path]]:
    """A disk of twelve megabytes, and a process that sees it: nobody else does, and with it it goes away."""
    disk = tmp_path / "disk"
    disk.mkdir()
    apart = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = f"mount -t tmpfs -o size=12m none '{disk}'"
    if not shutil.which("unshare") or subprocess.run([*apart, mount], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    servant = Servant(*apart, f'{mount} && exec "$@"', "sh")
    yield servant, disk
    servant.close()


@pytest.mark.parametrize("left", [0, 4096, 40_960, 102_400])
def test_a_small_disk_that_fills_up_is_a_sentence_and_loses_nothing(
    disk: tuple[Servant, Path], drawn: Path, left: int
) -> None:
    servant, folder = disk
    library, first = folder / "library", drawn / "00.png"
    assert servant.command(library, "add", first).status == 0
    fill = f"__import__('pathlib').Path({str(folder / 'fill')!r})"
    servant.tell(
        f"(lambda at: {fill}.write_bytes(bytes(at.f_bavail * at.f_frsize - {left})))(os.statvfs({str(folder)!r}))"
    )
    full, asked = servant.command(library, "add", drawn, "--log-json"), servant.command(library, "search", "red")
    servant.tell(f"{fill}.unlink()")
    complaint(full, folder)
    assert asked.status == 0 or complaint(asked, folder)
    assert {str(first)} | done_with(full.err) <= sources(servant, library, drawn)
    assert servant.command(library, "add", drawn).status == 0
    whole(servant, library, PICTURES)


def test_a_disk_that_is_mounted_for_reading_only_is_a_sentence(disk: tuple[Servant, Path], drawn: Path) -> None:
    servant, folder = disk
    library = folder / "library"
    assert servant.command(library, "add", drawn).status == 0
    assert servant.tell(f"os.system('mount -o remount,ro {folder}')") == 0
    for given in (("search", "red"), ("verify", "--repair")):
        assert "Read-only file system" in complaint(servant.command(library, *given), folder)
    servant.tell(f"os.system('mount -o remount,rw {folder}')")
    whole(servant, library, PICTURES)
