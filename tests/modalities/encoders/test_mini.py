"""The encoder `mini`: words find their pictures, it loads late and little, and it says what is wrong."""

from __future__ import annotations

import builtins
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from seehear.errors import EncoderError, MissingExtra
from seehear.modalities.encoders import ears, mini, tiny_whisper
from seehear.modalities.encoders.ears import parts
from seehear.modalities.encoders.mini import Mini, squared
from seehear.modalities.encoders.pinned import located, pinned
from seehear.testing import EncoderContract
from seehear.types import Content, Picture, Text, Waveform

HEAVY = {
    "PIL",
    "av",
    "ctranslate2",
    "faster_whisper",
    "safetensors",
    "sentence_transformers",
    "tokenizers",
    "torch",
    "transformers",
}


@pytest.fixture(scope="module")
def loaded() -> Mini:
    """One encoder for all tests of a module that do not change it."""
    return Mini()


def photograph(name: str) -> Picture:
    """A photograph that scikit-image carries, its short side 224 pixels."""
    spec = find_spec("skimage")
    assert spec is not None, "scikit-image is in the dev extra"
    assert spec.submodule_search_locations is not None
    with Image.open(Path(spec.submodule_search_locations[0]) / "data" / name) as image:
        image = image.convert("RGB")
        scale = 224 / min(image.size)
        return Picture(np.asarray(image.resize((round(image.width * scale), round(image.height * scale)))))


def sound(seconds: float = 3.0) -> Waveform:
    """A hiss at 16 kHz."""
    samples = 0.2 * np.random.default_rng(3).standard_normal(round(16_000 * seconds))
    return Waveform(samples.astype(np.float32), 16_000)


def modules_after(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter has imported after `code`."""
    report = f"import sys; {code}; print(*({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


class TestMini(EncoderContract):
    @pytest.fixture
    def encoder(self, loaded: Mini) -> Mini:
        return loaded


class TestFinding:
    PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "page.png", "rocket.jpg")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("a cat", "chelsea.png"),
            ("a cup of coffee with a spoon on a table", "coffee.png"),
            ("a motorcycle in a garage", "motorcycle_left.png"),
            ("a rocket launch at night", "rocket.jpg"),
            ("a page of text", "page.png"),
        ],
    )
    def test_words_find_their_photograph(self, loaded: Mini, words: str, expected: str) -> None:
        pictures = loaded.embed([photograph(name) for name in self.PHOTOGRAPHS], "document")
        similar = pictures @ loaded.embed([Text(words)], "query")[0]
        assert self.PHOTOGRAPHS[int(similar.argmax())] == expected

    def test_a_photograph_finds_its_words(self, loaded: Mini) -> None:
        texts = ["a rocket on the launch pad", "a tabby cat looking at you", "a page of a book", "a bowl of soup"]
        similar = (
            loaded.embed([Text(text) for text in texts], "document")
            @ loaded.embed([photograph("chelsea.png")], "query")[0]
        )
        assert int(similar.argmax()) == 1

    def test_a_mirrored_and_a_smaller_photograph_stay_near(self, loaded: Mini) -> None:
        cat = photograph("chelsea.png").pixels
        smaller = np.asarray(Image.fromarray(cat).resize((cat.shape[1] // 2, cat.shape[0] // 2)))
        rows = loaded.embed(
            [Picture(cat), Picture(cat[:, ::-1]), Picture(smaller), photograph("rocket.jpg")], "document"
        )
        near, far = rows[0] @ rows[1:3].T, rows[0] @ rows[3]
        assert near.min() > 0.8 > far


class TestContents:
    def test_kinds_and_order_are_kept_in_a_mixture(self, loaded: Mini) -> None:
        cat, rocket = photograph("chelsea.png"), photograph("rocket.jpg")
        contents: list[Content] = [Text("a rocket"), cat, Text("a cat"), rocket]
        rows = loaded.embed(contents, "query")
        similar = rows[[0, 2]] @ rows[[1, 3]].T  # rocket, cat against cat, rocket
        assert similar[0, 1] > similar[0, 0]
        assert similar[1, 0] > similar[1, 1]

    def test_more_pictures_than_a_batch_are_the_same_as_one_by_one(self, loaded: Mini) -> None:
        rng = np.random.default_rng(0)
        pictures = [Picture(rng.integers(0, 256, (30, 30, 3), np.uint8)) for _ in range(mini.BATCH + 3)]
        together = loaded.embed(pictures, "document")
        for place in (0, mini.BATCH - 1, mini.BATCH, mini.BATCH + 2):
            alone = loaded.embed([pictures[place]], "document")[0]
            assert together[place] @ alone >= 0.9999

    @pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3000, 3), (3000, 2, 3), (224, 224, 3)])
    def test_a_picture_may_have_any_shape(self, loaded: Mini, shape: tuple[int, ...]) -> None:
        row = loaded.embed([Picture(np.full(shape, 200, np.uint8))], "document")
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("upright", [False, True])
    def test_half_of_what_is_longer_is_cut_and_the_rest_squashed(self, upright: bool) -> None:
        pixels = np.zeros((100, 300, 3), np.uint8)
        pixels[:, :40] = pixels[:, -40:] = 255  # 50 of each end go
        pixels[:, 150:250] = 100  # the right half of what stays
        found = squared(pixels.transpose(1, 0, 2) if upright else pixels)
        found = found.transpose(1, 0, 2) if upright else found
        assert found.shape == (224, 224, 3)
        assert found[:, 4:108].max() == 0
        assert (found[:, 116:-4] == 100).all()

    def test_pixels_are_not_changed(self, loaded: Mini) -> None:
        pixels = np.full((224, 224, 3), 7, np.uint8)
        pixels.flags.writeable = False
        loaded.embed([Picture(pixels)], "document")
        assert (pixels == 7).all()

    @pytest.mark.parametrize(
        "pixels",
        [
            np.zeros((8, 8, 3), np.float32),
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((0, 8, 3), np.uint8),
        ],
    )
    def test_what_is_no_rgb_picture_is_refused(self, loaded: Mini, pixels: Any) -> None:
        with pytest.raises(TypeError, match="uint8"):
            loaded.embed([Picture(pixels)], "document")

    def test_a_kind_that_it_does_not_take_is_named(self, loaded: Mini) -> None:
        smell = cast(Content, SimpleNamespace(kind="smell"))
        with pytest.raises(TypeError, match="text, image and audio, not smell"):
            loaded.embed([Text("a bell"), smell], "document")

    def test_words_a_picture_and_a_sound_may_come_together(self, loaded: Mini) -> None:
        cat, hiss = photograph("chelsea.png"), sound()
        rows = loaded.embed([hiss, Text("noise"), cat, Text("a cat")], "document")
        similar = rows[[0, 2]] @ rows[[1, 3]].T  # hiss, cat against noise, a cat
        assert similar.argmax(axis=1).tolist() == [0, 1]
        np.testing.assert_array_equal(rows[0], loaded.embed([hiss], "document")[0])


class TestNeeds:
    def test_they_name_the_tokeniser_by_which_words_are_counted(self, loaded: Mini) -> None:
        tokenizers = pytest.importorskip("tokenizers")
        assert loaded.needs.tokenizer is not None
        words = tokenizers.Tokenizer.from_file(loaded.needs.tokenizer)
        words.no_padding()
        assert words.encode("a cat").tokens == ["[CLS]", "a", "cat", "[SEP]"]
        assert loaded.needs.tokens == 256

    def test_a_sound_as_long_as_they_say_is_heard_in_one_part(self, loaded: Mini) -> None:
        needs = loaded.needs
        assert needs.rate == 16_000
        assert len(parts(sound(needs.window))) == 1 < len(parts(sound(needs.window + 0.1)))

    def test_they_are_known_where_no_package_of_weights_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mini, "located", lambda package: located(f"no-{package}"))
        assert Mini().needs.tokenizer is None


class TestLoading:
    def test_making_one_and_its_fingerprint_import_nothing_heavy(self) -> None:
        code = "from seehear.modalities.encoders.mini import Mini; Mini().fingerprint"
        assert modules_after(code) == set()

    def test_words_need_neither_torch_nor_transformers(self) -> None:
        code = (
            "from seehear.modalities.encoders.mini import Mini; from seehear.types import Text;"
            "Mini().embed([Text('a cat')], 'query')"
        )
        assert modules_after(code) == {"safetensors", "tokenizers"}

    def test_sounds_need_no_torch(self) -> None:
        code = (
            "import numpy as np; from seehear.modalities.encoders.mini import Mini; from seehear.types import Waveform;"
            "Mini().embed([Waveform(np.zeros(16000, np.float32), 16000)], 'query')"
        )
        assert not {"torch", "transformers"} & modules_after(code)

    def test_a_picture_does_not_load_the_words(self) -> None:
        encoder = Mini()
        encoder.embed([Picture(np.zeros((224, 224, 3), np.uint8))], "document")
        assert encoder._words is None
        assert encoder._ears is None
        assert encoder._sight is not None

    def test_threads_that_come_at_once_load_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loads: list[str] = []
        real = mini.pinned
        monkeypatch.setattr(mini, "pinned", lambda package, files: loads.append(package) or real(package, files))
        encoder = Mini()
        with ThreadPoolExecutor(4) as threads:
            rows = list(threads.map(lambda _: encoder.embed([Text("a cat")], "query"), range(8)))
        assert len(loads) == 1
        assert all(np.array_equal(row, rows[0]) for row in rows)


class TestFingerprint:
    def test_it_changes_with_our_weights(self, tmp_path: Path, loaded: Mini) -> None:
        other = tmp_path / "other.safetensors"
        shutil.copy(mini.WEIGHTS, other)
        assert Mini(other).fingerprint == loaded.fingerprint
        with other.open("ab") as file:
            file.write(b"x")
        assert Mini(other).fingerprint != loaded.fingerprint

    def test_it_changes_with_the_head_that_hears(self, tmp_path: Path, loaded: Mini) -> None:
        other = tmp_path / "other.safetensors"
        shutil.copy(ears.WEIGHTS, other)
        assert Mini(hearing=other).fingerprint == loaded.fingerprint
        with other.open("ab") as file:
            file.write(b"x")
        assert Mini(hearing=other).fingerprint != loaded.fingerprint

    def test_it_changes_with_the_preprocessing_and_the_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = {frozenset(Mini().fingerprint.items())}
        monkeypatch.setattr(mini, "PREPROCESSING", "another")
        seen.add(frozenset(Mini().fingerprint.items()))
        for pins in ("MINILM", "EFFICIENTNET"):
            monkeypatch.setattr(mini, pins, {"file": pins})
            seen.add(frozenset(Mini().fingerprint.items()))
        monkeypatch.setattr(tiny_whisper, "FILES", {"model/model.bin": "another"})
        seen.add(frozenset(Mini().fingerprint.items()))
        assert len(seen) == 5


class TestTrouble:
    @pytest.mark.parametrize(
        ("package", "content"),
        [("tokenizers", Text("a cat")), ("torch", Picture(np.zeros((9, 9, 3), np.uint8)))],
    )
    def test_a_missing_package_names_the_line_that_installs_it(
        self, monkeypatch: pytest.MonkeyPatch, package: str, content: Content
    ) -> None:
        importing(monkeypatch, package, lambda: ModuleNotFoundError(f"No module named {package!r}", name=package))
        with pytest.raises(MissingExtra, match=rf'{package}.*pip install "seehear\[mini\]"') as caught:
            Mini().embed([content], "query")
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)

    def test_a_package_that_is_broken_is_not_called_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        importing(monkeypatch, "tokenizers", lambda: ImportError("libgomp.so.1: cannot open shared object file"))
        with pytest.raises(ImportError, match="libgomp") as caught:
            Mini().embed([Text("a cat")], "query")
        assert not isinstance(caught.value, MissingExtra)

    def test_missing_weights_name_the_line_that_installs_them(self) -> None:
        with pytest.raises(MissingExtra, match=r"no-such-weights.*seehear\[mini\]"):
            pinned("no-such-weights", {"a": "0"})

    def test_a_changed_file_is_refused_with_what_was_expected_and_the_cure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "some_weights"
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('a package of weights is not to be imported')")
        (package / "a.bin").write_bytes(b"abc")
        monkeypatch.syspath_prepend(str(tmp_path))
        right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc": FIPS 180-2, B.1
        assert pinned("some-weights", {"a.bin": right}) == package
        with pytest.raises(EncoderError, match=rf"a\.bin has SHA-256 {right}, expected 00.*some-weights==0\.1\.0"):
            pinned("some-weights", {"a.bin": "00"})
        with pytest.raises(EncoderError, match=r"b\.bin is missing.*some-weights==0\.1\.0"):
            pinned("some-weights", {"b.bin": right})


def importing(monkeypatch: pytest.MonkeyPatch, package: str, failure: Callable[[], ImportError]) -> None:
    """Let the import of a package fail, even if it was imported before."""
    real = builtins.__import__

    def fail(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise failure()
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", fail)
