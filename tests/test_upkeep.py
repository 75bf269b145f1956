"""`sync`, `verify`, `migrate`, `relocate` and `remove` as commands: what they print, log and return."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from PIL import Image

from seehear import Library, presets
from seehear.cli import main
from seehear.testing import COLOUR, COLOUR_SET
from seehear.types import Collection

Run = Callable[..., tuple[int, str, str]]
FOLDERS = "If it was moved: seehear relocate OLD NEW; to forget its files: seehear remove FOLDER"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on a library of the test's own, with the fake encoder in the place of mini, and another set."""
    sets = {name: replace(COLOUR_SET, name=name) for name in ("mini", "other")}
    monkeypatch.setattr(presets, "SETS", MappingProxyType(sets))
    monkeypatch.setenv("SEEHEAR_LIBRARY", str(tmp_path / "library"))

    def run_(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    return run_


def lines(text: str) -> list[str]:
    """Lines without figures that are never the same."""
    return [re.sub(r" in \d+\.\d s.*", "", line) for line in text.splitlines()]


def log(err: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in err.splitlines()]


def disturb(photos: Path) -> None:
    """Change a folder in each way there is."""
    Image.new("RGB", (9, 9), "black").save(photos / "black.png")
    Image.new("RGB", (9, 9), "white").save(photos / "blue.png")
    (photos / "red.png").rename(photos / "rose.png")
    (photos / "green.png").unlink()


def test_sync_says_what_it_did_and_nothing_the_second_time(run: Run, photos: Path) -> None:
    status, out, _ = run("sync", photos)  # of a library that is not there yet
    assert (status, out) == (2, "")
    run("add", photos)
    disturb(photos)
    status, out, _ = run("sync", photos)
    assert (status, lines(out)) == (0, ["1 added, 1 changed, 1 moved, 1 removed, 2 unchanged"])
    status, out, _ = run("sync", photos)
    assert (status, lines(out)) == (0, ["0 added, 5 unchanged"])


def test_a_dry_run_lists_what_would_be_done(run: Run, photos: Path) -> None:
    run("add", photos)
    status, out, _ = run("sync", photos, "--dry-run")
    assert (status, lines(out)[0]) == (0, "nothing is to be done")
    disturb(photos)
    for _ in range(2):
        status, out, _ = run("sync", photos, "--dry-run")
        assert (status, lines(out)) == (0, [
            f"would add {photos / 'black.png'}",
            f"would take in again {photos / 'blue.png'}",
            f"would follow {photos / 'red.png'} to {photos / 'rose.png'}",
            f"would forget {photos / 'green.png'}",
            "1 added, 1 changed, 1 moved, 1 removed, 2 unchanged",
        ])  # fmt: skip


def test_sync_as_json_and_with_a_log(run: Run, photos: Path) -> None:
    run("add", photos)
    disturb(photos)
    status, out, err = run("sync", photos, "--json", "--log-json", "--dry-run")
    report, records = json.loads(out), log(err)
    assert (status, report["moved"]) == (0, [[str(photos / "red.png"), str(photos / "rose.png")]])
    assert all(one["dry_run"] for one in records)
    status, out, err = run("sync", photos, "--json", "--log-json")
    assert {name: len(json.loads(out)[name]) for name in ("added", "changed", "moved", "removed", "unchanged")} == {
        "added": 1, "changed": 1, "moved": 1, "removed": 1, "unchanged": 2,
    }  # fmt: skip
    *files, summary = log(err)
    outcomes = {one["path"]: one["outcome"] for one in files if one["event"] == "file"}
    assert outcomes[str(photos / "rose.png")] == "moved"
    assert outcomes[str(photos / "green.png")] == "removed"
    assert [one["was"] for one in files if one["outcome"] == "moved"] == [str(photos / "red.png")]
    assert (summary["event"], summary["counts"]["changed"], summary["dry_run"]) == ("summary", 1, False)


def test_what_failed_is_named_with_each_sync_and_read_again_with_retry(run: Run, photos: Path) -> None:
    (photos / "bad.jpg").write_text("no picture")
    for command in (["add", photos], ["sync", photos], ["sync", photos, "--retry"], ["add", photos, "--retry"]):
        status, out, err = run(*command)
        assert (status, "1 failed" in out) == (1, True)
        assert f"{photos / 'bad.jpg'}: its content is nothing that is read" in err
    assert json.loads(run("sync", photos, "--json")[1])["failed"][0]["path"] == str(photos / "bad.jpg")
    (record,) = [one for one in log(run("sync", photos, "--log-json")[2]) if one.get("outcome") == "failed"]
    assert (record["path"], record["level"], bool(record["reason"])) == (str(photos / "bad.jpg"), "WARNING", True)
    (problem,) = json.loads(run("info", "--json")[1])["problems"]
    assert problem["path"] == "photos/bad.jpg"


def test_verify_finds_a_whole_library_good(run: Run, photos: Path) -> None:
    run("add", photos)
    status, out, _ = run("verify")
    assert (status, lines(out)) == (0, ["5 files, 5 vectors", "the library is what it says it is"])
    status, out, err = run("verify", "--json", "--log-json")
    found = json.loads(out)
    assert (status, found["good"], found["vectors"], found["missing"]) == (0, True, 5, {})
    (summary,) = [one for one in log(err) if one["event"] == "summary"]
    assert (summary["logger"], summary["vectors"]) == ("seehear.upkeep", 5)


def test_verify_names_what_is_wrong_and_puts_it_right_on_request(run: Run, photos: Path, tmp_path: Path) -> None:
    run("add", photos)
    lose_a_vector(tmp_path / "library")
    status, out, err = run("search", "red")
    assert (status, out) == (1, "")
    assert "seehear verify --repair" in err
    status, _, err = run("verify")
    assert (status, "1 vectors" in err, "seehear verify --repair" in err) == (1, True, True)
    status, out, _ = run("verify", "--repair")
    assert (status, lines(out)[1:]) == (0, [
        f"1 vectors are missing: {photos / 'red.png'}", "put right; 1 contents were embedded again",
    ])  # fmt: skip
    assert run("verify")[0] == 0
    assert "red.png" in run("search", "red", "-k", "1")[1]


def lose_a_vector(folder: Path) -> None:
    with Library.open(folder) as library:
        ids = library._parts.ledger.segment_ids("photos/red.png")["visual"]
        library._parts.store.delete(Collection(COLOUR, "visual", "image"), ids)


def test_verify_tells_what_became_of_files_and_that_is_no_fault_of_the_library(run: Run, photos: Path) -> None:
    run("add", photos)
    disturb(photos)
    status, out, _ = run("verify")
    assert status == 0
    assert {f"gone: {photos / 'red.png'}", f"gone: {photos / 'green.png'}", f"changed: {photos / 'blue.png'}"} <= {
        *out.splitlines()
    }
    assert "seehear sync FOLDER follows it" in out


def test_migrate_gives_the_library_other_models(run: Run, photos: Path) -> None:
    run("add", photos)
    status, out, _ = run("migrate", "--models", "other")
    assert (status, lines(out)) == (0, ["5 added, 0 unchanged"])
    assert json.loads(run("info", "--json")[1])["models"] == "other"
    status, out, err = run("migrate", "--models", "mini", "--json", "--log-json")
    told = json.loads(out)
    assert (status, told["models"], len(told["added"]), told["embedded"]) == (0, "mini", 5, 0)
    assert [one["outcome"] for one in log(err) if one["event"] == "file"] == ["added"] * 5
    assert run("add", photos, "--models", "other")[0] == 1


@pytest.mark.parametrize("name", ["other", "mini"])
def test_migrate_does_not_switch_where_something_would_be_lost(run: Run, photos: Path, name: str) -> None:
    encoder = "seehear.testing:ColourEncoder"
    run("add", photos)
    for path in (photos / "red.png", photos / "blue.png"):
        path.write_bytes(path.read_bytes()[:60])
    status, out, err = run("migrate", "--models", name)
    assert (status, lines(out)) == (1, ["3 added, 0 unchanged, 2 failed"])
    assert "The library answers with 'mini' as before" in err
    assert "--drop-missing" in err.splitlines()[-1]
    assert json.loads(run("info", "--json")[1])["models"] == "mini"
    assert "red.png" in run("search", "red", "-k", "1")[1]
    status, out, err = run("migrate", "--models", name, "--drop-missing", "--json")
    told = json.loads(out)
    assert (status, told["models"], len(told["failed"])) == (0, name, 2)
    info = json.loads(run("info", "--json")[1])
    assert (info["models"], info["files"], len(info["problems"])) == (name, 3, 2)
    assert encoder in info["encoders"]


def test_a_folder_that_was_moved_is_told(run: Run, photos: Path, tmp_path: Path) -> None:
    run("add", photos)
    moved = photos.rename(tmp_path / "moved")
    assert run("relocate", photos, moved)[:2] == (0, f"photos is in {moved}\n")
    assert str(moved / "red.png") in run("search", "red", "-k", "1", "--json")[1]
    back = moved.rename(photos)
    status, out, _ = run("relocate", moved, back, "--json")
    assert (status, json.loads(out)) == (0, {"relocated": {"photos": str(photos)}})
    status, out, _ = run("sync", photos)
    assert (status, lines(out)) == (0, ["0 added, 5 unchanged"])


def test_remove_says_what_it_forgot(run: Run, photos: Path) -> None:
    run("add", photos)
    assert run("remove", photos / "red.png")[:2] == (0, "removed photos/red.png\n")
    status, out, err = run("remove", photos / "more", "--json", "--log-json")
    assert (status, json.loads(out)) == (0, {"removed": ["photos/more/white.png"]})
    assert [(one["outcome"], one["path"]) for one in log(err) if one["event"] == "file"] == [
        ("removed", "photos/more/white.png")
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sync", "nowhere"], f"'nowhere' is no folder that is there. {FOLDERS}"),
        (["sync", "red.png"], f"'red.png' is no folder that is there. {FOLDERS}"),
        (["sync", ""], "'' is no folder that is there."),
        (["sync", "empty"], "None of the 1 files that the library has of empty is there. Is the disk mounted?"),
        (["sync", ".", "--language", "en"], "The models 'mini' write down no speech"),
        (["migrate", "--models", "nonsense"], "no model set 'nonsense'"),
        (["migrate", "--models", "other", "--transcriber", "nonsense"], "There is no transcriber 'nonsense'"),
        (["relocate", "nowhere", "empty"], "'nowhere' is no folder that was added to this library. Its folders are"),
        (["relocate", ".", "empty"], "None of the 5 files"),
        (["relocate", "empty", "."], ". is a folder of this library already"),
        (["remove", "nonsense"], "Not in this library: nonsense"),
        (["remove", "red.png", "nonsense"], "Not in this library: nonsense"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_changes_nothing(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(photos)
    (photos.parent / "disk").mkdir()
    (photos / "empty").symlink_to(photos.parent / "disk")
    Image.new("RGB", (9, 9)).save(photos / "empty" / "red.png")
    run("add", "empty")
    (photos / "empty" / "red.png").unlink()
    run("add", *sorted(photos.glob("*.png")), photos / "more")
    before = run("info", "--json", "--sources")[1]
    for more in ([], ["--json"]):
        status, out, err = run(*arguments, *more)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert words.replace("'.'", str(photos)).replace(". is a", f"{photos} is a") in err
    status, out, err = run(*arguments, "--log-json")
    *_, error = log(err)
    assert (status, out, error["event"], error["level"], error["status"]) == (2, "", "error", "ERROR", 2)
    assert run("info", "--json", "--sources")[1] == before


@pytest.mark.parametrize("arguments", [["sync", "."], ["verify"], ["migrate", "--models", "other"],
                                       ["relocate", ".", "x"], ["remove", "x"]])  # fmt: skip
def test_none_of_them_makes_a_library(run: Run, arguments: list[str], tmp_path: Path) -> None:
    status, out, err = run(*arguments)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "There is no library in" in err
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize("command", [["migrate"], ["sync"], ["relocate", "x"], ["remove"], ["verify", "x"]])
def test_what_is_missing_is_told_by_the_parser(run: Run, command: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*command)
    assert caught.value.code == 2


@pytest.mark.parametrize("name", ["sync", "verify", "migrate"])
def test_whoever_stops_one_is_told_how_to_go_on(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run("add", photos)
    monkeypatch.setattr(Library, name, interrupted)
    given: dict[str, list[object]] = {"sync": [photos], "verify": [], "migrate": ["--models", "other"]}
    status, out, err = run(name, *given[name])
    assert (status, out) == (130, "")
    assert "run the command again to go on" in err
