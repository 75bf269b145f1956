"""The seal on a closed library's files: what it notices, what it does not take for damage, and never is half."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seehear.seal import Seal

Damage = Callable[[Path], object]
DAMAGE: dict[str, Damage] = {
    "a byte less": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing left": lambda path: path.write_bytes(b""),
    "a bit turned": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 4]) + path.read_bytes()[1:]),
    "gone": lambda path: path.unlink(),
}
damaged = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files to be sealed, one of them in a folder below."""
    folder = tmp_path / "sealed"
    (folder / "below").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"first" * 100)
    (folder / "below" / "b.bin").write_bytes(b"second" * 100)
    return folder


def seal(folder: Path) -> Seal:
    """The seal of a folder, as another process would see it."""
    return Seal(folder / "seal.json", lambda: (path for path in folder.rglob("*") if path.is_file()))


@damaged
@pytest.mark.parametrize("name", ["a.bin", "below/b.bin"])
def test_what_changes_under_a_seal_is_named(folder: Path, damage: Damage, name: str) -> None:
    seal(folder).set()
    assert seal(folder).broken() == []
    damage(folder / name)
    assert seal(folder).broken() == [name]


@damaged
def test_a_seal_that_is_damaged_itself_says_nothing(folder: Path, damage: Damage) -> None:
    seal(folder).set()
    damage(folder / "seal.json")
    assert seal(folder).broken() is None


@pytest.mark.parametrize("written", ["[]", "{}", "5", "null", '{"files": 5}', '{"files": [["a.bin", 1, 2]]}', "\xff"])
def test_what_is_no_seal_says_nothing(folder: Path, written: str) -> None:
    (folder / "seal.json").write_text(written, encoding="latin-1")
    assert seal(folder).broken() is None


def test_a_seal_cannot_be_changed_unnoticed(folder: Path) -> None:
    seal(folder).set()
    told = json.loads((folder / "seal.json").read_text())
    told["files"] = told["files"][1:]
    (folder / "seal.json").write_text(json.dumps(told))
    assert seal(folder).broken() is None


def test_a_copy_is_what_it_was_though_its_times_are_others(folder: Path, tmp_path: Path) -> None:
    seal(folder).set()
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    os.utime(copy / "a.bin", (1, 1))
    assert seal(copy).broken() == []


def test_a_lifted_seal_says_nothing_and_may_be_lifted_again(folder: Path) -> None:
    one = seal(folder)
    one.set()
    one.lift()
    one.lift()
    assert seal(folder).broken() is None


def test_what_has_come_since_is_not_under_the_seal(folder: Path) -> None:
    seal(folder).set()
    (folder / "new.bin").write_bytes(b"new")
    assert seal(folder).broken() == []


def test_a_seal_that_could_not_be_set_leaves_none_and_is_not_in_the_way_of_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        path.write_bytes(text.encode()[:9])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            seal(folder).set()
    assert seal(folder).broken() is None
    seal(folder).set()
    assert seal(folder).broken() == []
    assert sorted(path.name for path in folder.iterdir()) == ["a.bin", "below", "seal.json"]
