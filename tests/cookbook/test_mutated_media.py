"""Mutated media stop nothing and lose nothing: the script that tries thousands of them, on a hundred and more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

COOKBOOK = Path(__file__).parents[2] / "cookbook"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(COOKBOOK)


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (117, ("--models=colour", "--hits=10")),
        pytest.param(2000, ("--models=mini",), marks=pytest.mark.slow),
    ],
)
def test_mutants_abort_nothing_and_lose_nothing(count: int, options: tuple[str, ...]) -> None:
    command = [sys.executable, COOKBOOK / "mutated_media.py", f"--files={count}", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for what in (
        "errors unforeseen",
        "vectors missing",
        "parent deaths",
        "hangs",
        "batches aborted",
        "good files lost",
    ):
        assert f"{what}: 0" in done.stdout
    ((opened, all_),) = re.findall(r"^opened (\d+) of (\d+)", done.stdout, re.MULTILINE)
    assert int(all_) >= count
    assert int(opened) >= int(all_) / 2
    ((above,),) = [re.findall(r": (\d+) above the models' own", done.stdout)]
    assert int(above) <= 512


def test_the_same_seed_makes_the_same_mutants() -> None:
    from mutants import MUTATIONS, mutants
    from seed_media import FORMATS, seeds

    first, again, other = list(mutants(100, 1)), list(mutants(100, 1)), list(mutants(100, 2))
    assert first == again != other
    assert {(name, kind) for name, kind, _ in first} == {(n, m.__name__) for n in FORMATS for m in MUTATIONS}
    bytes_ = {data for *_, data in first}
    assert len(bytes_) == len(first)
    assert not bytes_ & {data for several in seeds().values() for data in several}


def test_good_files_that_are_lost_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mutated_media import show

    (tmp_path / "media" / "a").mkdir(parents=True)
    (tmp_path / "media" / "a" / "0.png").write_bytes(b"nothing")
    told = {"mutants": {"a/0.png": ("png", "few_bits")}, "good": ["a/1.png"]}
    file = {"seconds": 11.0, "opened": True, "error": "DamagedMedia", "why": "it cannot be decoded (KeyError: 1)"}
    found = {
        "files": {"a/0.png": file}, "added": [], "partial": [], "seconds": 1.0, "printed": [], "missing": [],
        "lost": ["a/1.png"], "aborted": ["Traceback: one"], "hits": {"counted": {}, "wrong": [], "longest": 0.0},
        "memory": {"asked": 1, "own": 2, "parent": 3, "child": 4, "all": 900},
    }  # fmt: skip
    assert not show(told, found, tmp_path)
    out = capsys.readouterr().out
    for line in (
        "errors unforeseen: 1",
        "hangs: 1",
        "batches aborted: 1",
        "good files lost: 1",
        "898 above the models",
    ):
        assert line in out
