"""The command: what it prints, what it returns, and that it never shows a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image
from recordings import tone, write
from spoken import spoken

from seehear import ModelSet, presets
from seehear.cli import main
from seehear.testing import COLOUR, COLOUR_SET
from seehear.types import Route

SETS = presets.SETS
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on a library of the test's own, with the fake encoder in the place of mini."""
    monkeypatch.setattr(presets, "SETS", MappingProxyType({"mini": replace(COLOUR_SET, name="mini")}))
    monkeypatch.setenv("SEEHEAR_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("COLUMNS", "300")

    def run_(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    return run_


def test_add_search_info_and_remove(run: Run, photos: Path) -> None:
    status, out, _ = run("add", photos)
    assert status == 0
    assert out.startswith("5 added, 0 unchanged in")
    status, out, _ = run("search", "something", "red", "-k", "2")
    assert status == 0
    assert "red.png" in out.splitlines()[1]
    status, out, _ = run("info", "--sources")
    assert "files      5" in out
    assert "photos/more/white.png" in out
    assert "visual by seehear.testing:ColourEncoder, asked with image or text" in out
    assert run("remove", photos / "red.png")[1] == "removed photos/red.png\n"
    assert "red.png" not in run("search", "red")[1]


def test_a_picture_can_be_the_question(run: Run, photos: Path) -> None:
    run("add", photos)
    status, out, _ = run("search", "--image", photos / "blue.png", "-k", "1")
    assert status == 0
    assert "blue.png" in out


@pytest.fixture
def sounds(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two recordings, one loud; in the place of mini a set that hears, and writes down how loud it is."""
    answers = frozenset({"text", "audio"})
    routes = (Route("sound", COLOUR, answers), Route("speech", COLOUR, answers))
    heard = ModelSet("mini", routes, ("audio",), "seehear.testing:LoudnessTranscriber")
    monkeypatch.setattr(presets, "SETS", MappingProxyType({"mini": heard}))
    folder = tmp_path / "sounds"
    folder.mkdir()
    said = spoken("My name is John. I live in New York.")
    for name, level in (("low", 0.1), ("high", 1.0)):
        write(folder / f"{name}.wav", level * said.samples, rate=said.rate)
    return folder


def test_a_sound_can_be_the_question(run: Run, sounds: Path) -> None:
    run("add", sounds)
    for name in ("low", "high"):
        found = run("search", "--audio", sounds / f"{name}.wav", "--channel", "sound", "-k", "1", "--json")
        assert found[0] == 0
        assert [Path(hit["source"]).stem for hit in json.loads(found[1])] == [name]


def test_a_question_can_be_spoken_and_what_was_heard_is_said(run: Run, sounds: Path) -> None:
    run("add", sounds)
    status, out, err = run("search", "--voice", sounds / "low.wav", "-k", "1", "--min-score", "0", "--json")
    assert status == 0
    (hit,) = json.loads(out)
    assert err == f"heard: {hit['text']}\n"
    assert hit["text"].startswith("as loud as ")
    assert Path(hit["source"]).stem == "low"


def test_mini_hears_words(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "SETS", SETS)
    said = spoken("The train to London leaves at noon. Please bring your ticket.")
    talk = write(tmp_path / "talk.wav", said.samples, rate=said.rate)
    assert run("add", talk, "--language", "EN")[0] == 0
    asked = spoken("Where is the train to London?")
    question = write(tmp_path / "question.wav", asked.samples, rate=asked.rate)
    status, out, err = run(
        "search", "--voice", question, "--channel", "speech", "-k", "1", "--min-score", "0", "--json"
    )
    assert status == 0
    assert "train to London" in err
    (hit,) = json.loads(out)
    assert hit["text"].startswith("The train to London leaves at noon")
    assert hit["metadata"]["language"] == "en"


@pytest.mark.parametrize("option", ["--audio", "--voice"])
def test_a_sound_that_says_nothing_is_no_question(run: Run, sounds: Path, tmp_path: Path, option: str) -> None:
    run("add", sounds)
    quiet = write(tmp_path / "quiet.wav", 0 * tone(2, 16_000), rate=16_000)
    for given, words in ((quiet, "quiet.wav cannot be the question: nothing is"), ("http://a.org/b.wav", "is a URL")):
        status, out, err = run("search", option, given)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert words in err


def test_a_language_is_a_code_in_letters_of_any_size(run: Run, sounds: Path) -> None:
    for language, words in (
        ("English", "'English' is no code: languages are given as ISO 639-1 codes, such as en."),
        ("de", "loudness understands en, not 'de'. Name another transcriber, such as faster-whisper:base."),
    ):
        assert run("add", sounds, "--language", language)[::2] == (2, f"seehear: {words}\n")
    assert run("add", sounds, "--language", "EN")[0] == 0
    hits = json.loads(run("search", "loud", "--channel", "speech", "--min-score", "0", "--json")[1])
    assert {hit["metadata"]["language"] for hit in hits} == {"en"}


def test_a_transcriber_is_named_and_remembered_if_it_is_of_use(run: Run, sounds: Path) -> None:
    assert run("add", sounds / "low.wav", "--transcriber", "tiny.en")[0] == 0
    for name, words in (
        ("foo", "There is no transcriber 'foo'. Known are faster-whisper:MODEL, tiny.en, whisper:MODEL;"),
        ("image", "There is no transcriber 'image'. Known are"),
        ("faster-whisper:nonexistent", "faster-whisper has no model 'nonexistent'; known are"),
        ("faster-whisper:/etc", "/etc is no Whisper model of CTranslate2"),
    ):
        status, out, err = run("add", sounds, "--transcriber", name)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert words in err
    assert json.loads(run("info", "--json")[1])["transcriber"] == "tiny.en"
    assert run("add", sounds)[0] == 0
    hits = json.loads(run("search", "John", "--channel", "speech", "--min-score", "0", "--json")[1])
    assert {Path(hit["source"]).stem for hit in hits} == {"low", "high"}
    assert {hit["text"] for hit in hits} <= {"My name is John.", "I live in New York."}


def test_json_is_for_programs(run: Run, photos: Path) -> None:
    assert len(json.loads(run("add", photos, "--json")[1])["added"]) == 5
    (hit,) = json.loads(run("search", "red", "-k", "1", "--json")[1])
    assert set(hit) == {"id", "source", "modality", "start", "end", "score", "text", "metadata", "evidence"}
    assert json.loads(run("info", "--json")[1])["files"] == 5
    assert json.loads(run("remove", photos, "--json")[1])["removed"][0] == "photos/blue.png"
    assert json.loads(run("search", "red", "--json")[1]) == []


def test_metadata_is_given_and_asked_for(run: Run, photos: Path) -> None:
    run("add", photos / "red.png", "--meta", "year=2024", "--meta", "by=ann")
    run("add", photos / "blue.png", "--meta", "year=2023", "--meta", "by=[1]")
    assert "blue.png" in run("search", "red", "--min-score", "0", "--where", "year=2023", "--where", "by=[1]")[1]
    assert (
        run("search", "red", "--where", "year=2022")[1]
        == "Nothing was found. --min-score 0 shows what comes nearest.\n"
    )


def test_filters_compare_and_dates_are_asked_for(run: Run, photos: Path) -> None:
    run("add", photos / "red.png", "--meta", "year=2024", "--meta", "by=ann", "--meta", "taken=2024-05-03T21:00")
    run("add", photos / "blue.png", "--meta", "year=2023", "--meta", "taken=2024-05-03T23:00")

    def found(*arguments: str) -> set[str]:
        hits = json.loads(run("search", "red", "--json", "--min-score", "0", *arguments)[1])
        return {Path(hit["source"]).stem for hit in hits}

    assert found("--where", "year>=2023") == {"red", "blue"}
    assert found("--where", "year>2023") == found("--where", "by!=bob", "--where", "year!=2023") == {"red"}
    assert found("--where", "by = ann") == found("--where", "by==ann") == {"red"}
    assert found("--where", "year<2024") == found("--where", "year<=2023") == {"blue"}
    assert found("--where", '{"$or": [{"by": "ann"}, {"year": 1999}]}') == {"red"}
    assert found("--before", "10 PM") == {"red"}
    assert found("--after", "2024-05-03T22:00") == {"blue"}


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--where", "{year: 1}", "is no JSON"),
        ("--where", "year", "is no filter"),
        ("--where", "year=>5", "is no filter"),
        ("--where", "{" * 60_000, "is no JSON"),
        ("--where", "\udcff=1", "cannot name metadata"),
        ("--where", "yaer=1", "No file here has the metadata 'yaer'. Known are height, width, year."),
        ("--where", "year=soon", "'year' is number in every file here"),
        ("--before", "soon", "before is a date"),
    ],
)
def test_a_filter_that_makes_no_sense_is_one_sentence(
    run: Run, photos: Path, option: str, value: str, words: str
) -> None:
    run("add", photos / "red.png", "--meta", "year=2024")
    status, out, err = run("search", "red", option, value)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert words in err


def test_bad_files_are_named_and_the_status_tells(run: Run, photos: Path) -> None:
    (photos / "text.jpg").write_text("no picture")
    status, out, err = run("add", photos, photos / "nowhere")
    assert status == 1
    assert out.startswith("5 added, 0 unchanged, 2 failed")
    assert f"{photos / 'text.jpg'}: its content is nothing" in err
    assert f"{photos / 'nowhere'}: there is no such file or folder" in err
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["search", "red"], 2, "There is no library in"),
        (["info"], 2, "There is no library in"),
        (["add", "x", "--models", "nonsense"], 2, "no model set 'nonsense'"),
        (["add", "x", "--meta", "year"], 2, "is not NAME=VALUE"),
        (["eval", "nowhere.csv"], 2, "cannot be read"),
        (["eval", "pairs.csv", "--library", "nowhere"], 2, "There is no library in"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(run: Run, arguments: list[str], status: int, words: str) -> None:
    Path("pairs.csv").write_text("image,caption\na.png,red\n")
    found, _, err = run(*arguments)
    assert found == status
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "The question is empty"),
        (["", ""], "The question is empty"),
        (["red", "-k", "0"], "k is how many hits"),
        (["red", "--min-score", "2"], "min_score"),
        (["--image", "nowhere.png"], "nowhere.png cannot be the question"),
        (["--image", "http://localhost/a.png"], "is a URL"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_sentence(
    run: Run, photos: Path, arguments: list[str], words: str
) -> None:
    run("add", photos)
    status, _, err = run("search", *arguments)
    assert status == 2
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_name_cannot_write_to_the_terminal(run: Run, photos: Path) -> None:
    (photos / "a\x1b[2Jb.jpg").write_text("no picture")
    err = run("add", photos)[2]
    assert "\x1b" not in err
    assert "a\ufffd[2Jb.jpg" in err


def test_an_unknown_command_is_refused_by_the_parser(run: Run) -> None:
    with pytest.raises(SystemExit) as caught:
        run("sing")
    assert caught.value.code == 2


def test_stopping_is_no_traceback(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seehear.library.Library.add", interrupted)
    status, _, err = run("add", photos)
    assert status == 130
    assert "run the command again to go on" in err


def test_a_full_disk_is_one_sentence(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("seehear.library.Library.add", full)
    assert run("add", photos)[::2] == (1, "seehear: No space left on device: /somewhere\n")


def pairs(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255)), ("c", (0, 128, 0))):
        noise = rng.integers(0, 20, (16, 16, 3))
        Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    rows += ["a.png,red", "b.png,blue", "c.png,green"]
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder / "pairs.csv"


def test_eval_prints_recall_both_ways(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("eval", pairs(tmp_path))
    assert status == 0
    assert "text -> image" in out
    assert "image -> text" in out
    assert "100.0 (100.0-100.0)" in out
    there, back = json.loads(run("eval", pairs(tmp_path), "--json")[1])
    assert there["recall"]["1"] == back["recall"]["1"] == 1.0
    assert there["queries"] == 3


def test_eval_goes_on_without_pictures_that_fail(run: Run, tmp_path: Path) -> None:
    csv = pairs(tmp_path)
    (tmp_path / "b.png").write_text("no picture")
    status, out, err = run("eval", csv)
    assert status == 1
    assert "text -> image  2" in out
    assert "b.png" in err


def test_eval_of_a_library_measures_what_is_in_it(run: Run, tmp_path: Path) -> None:
    csv = pairs(tmp_path)
    run("add", tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png")
    assert run("eval", csv, "--library", tmp_path / "library")[0] == 0
    run("remove", tmp_path / "b.png")
    status, _, err = run("eval", csv, "--library", tmp_path / "library")
    assert status == 2
    assert "b.png is not in the library" in err


def test_a_damaged_store_is_one_sentence_with_the_cure(run: Run, photos: Path, tmp_path: Path) -> None:
    run("add", photos)
    database = tmp_path / "library" / "chroma" / "chroma.sqlite3"
    database.write_bytes(database.read_bytes()[:3000])
    status, _, err = run("search", "red")
    assert status == 1
    assert "are damaged" in err
    assert "seehear verify --repair" in err
    assert len(err.splitlines()) == 1


def test_a_library_of_other_models_is_one_sentence(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", photos)
    sets = {"mini": replace(COLOUR_SET, name="mini"), "other": replace(COLOUR_SET, name="other")}
    monkeypatch.setattr(presets, "SETS", MappingProxyType(sets))
    status, _, err = run("add", photos, "--models", "other")
    assert status == 1
    assert "was made with the models 'mini', not 'other'" in err


def test_what_a_file_may_cost_can_be_said(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = ["--library", str(tmp_path / "l"), "--models", "mini"]
    assert main(["add", str(photos / "red.png"), *library, "--limit", "pixels=1_000"]) == 1
    assert "more than the limit" in capsys.readouterr().err
    assert (
        main(["add", str(photos / "red.png"), *library, "--limit", "pixels=2000", "--limit", "seconds=9.5", "--retry"])
        == 0
    )
    for wrong in ("pixels", "pixels=many", "pixels=0", "pixels=nan", "pixel=3", "roots=/"):
        with pytest.raises(SystemExit):
            main(["add", str(photos), *library, "--limit", wrong])
        assert wrong in capsys.readouterr().err
