"""The encoder `dual` with CLAP: the vectors of transformers for what fits a window, and no chance in what does not."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import DIM, as_hub, change, tiny

from seehear.contracts import Encoder
from seehear.errors import EncoderError
from seehear.modalities.encoders.dual import UNKNOWN, Dual
from seehear.modalities.encoders.families import CLAP, number
from seehear.testing import EncoderContract
from seehear.types import Content, Needs, Picture, Text, Waveform

RATE = 48_000
TEXTS = ["a dog barks", "x", "Rain on a TIN roof, far away!", "a", "ümläuts and 漢字"]
FAMILIES = ("clap", "clap-fused")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower with two, and very much so where another process has the second core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny checkpoint of CLAP, and one with fusion."""
    folder = tmp_path_factory.mktemp("clap")
    for family in FAMILIES:
        tiny(family, folder / family)
    return folder


@pytest.fixture(scope="session")
def ears(heard: Path) -> dict[str, Dual]:
    return {family: Dual(heard / family, device="cpu") for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loaded(family: str, ears: dict[str, Dual]) -> Dual:
    return ears[family]


@pytest.fixture
def folder(heard: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may break."""
    return Path(shutil.copytree(heard / "clap", tmp_path / "clap"))


def played(seconds: float, seed: int = 0, rate: int = RATE) -> Waveform:
    """A wandering tone that comes and goes, on noise: no two seconds are alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 100 * 2 ** (5 * rng.uniform() + np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * time))
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / rate) * np.sin(2 * np.pi * rng.uniform(0.1, 2) * time) ** 2
    noise = rng.normal(0, 10 ** rng.uniform(-4, -2), len(time))
    return Waveform((0.3 * tone + noise).astype(np.float32), rate)


def least(first: Any, second: Any) -> float:
    """The smallest cosine between rows that should be the same."""
    return float((np.asarray(first, np.float64) * np.asarray(second, np.float64)).sum(1).min())


class Reference:
    """Transformers by hand, one content at a time: what the vectors have to be."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

        self.model = ClapModel.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.extractor = ClapFeatureExtractor.from_pretrained(folder)

    def texts(self, texts: list[str]) -> Any:
        import torch

        with torch.no_grad():
            rows = [self.model.get_text_features(**self.tokenizer(one, return_tensors="pt")) for one in texts]
        return np.concatenate([row.pooler_output.numpy() for row in rows])

    def features(self, samples: Any) -> Any:
        return self.extractor(samples, sampling_rate=RATE, return_tensors="pt")["input_features"].float()

    def sounds(self, given: list[Any]) -> Any:
        import torch

        with torch.no_grad():
            rows = [
                self.model.get_audio_features(self.features(one), is_longer=torch.tensor([[False]])) for one in given
            ]
        return np.concatenate([row.pooler_output.numpy() for row in rows])


class TestContract(EncoderContract):
    @pytest.fixture
    def encoder(self, loaded: Dual) -> Dual:
        return loaded

    def another(self, encoder: Encoder) -> Encoder:
        assert isinstance(encoder, Dual)
        return Dual(encoder._address.folder or "")


class TestVectors:
    def test_features_are_those_of_transformers(self, loaded: Dual, heard: Path, family: str) -> None:
        reference = Reference(heard / family)
        for seconds in (10, 9.99, 7, 3, 0.5, 0.01):
            samples = played(seconds).samples
            found = loaded._loaded().listen([samples])
            assert np.abs(found["input_features"].numpy() - reference.features(samples).numpy()).max() < 1e-4
            assert found["is_longer"].tolist() == [[False]]

    def test_vectors_are_those_of_transformers(self, loaded: Dual, heard: Path, family: str) -> None:
        reference = Reference(heard / family)
        given = [played(seconds, seed) for seed, seconds in enumerate((10, 9.9, 3, 0.7))]
        assert least(loaded.embed(given, "document"), reference.sounds([one.samples for one in given])) >= 0.9999
        assert least(loaded.embed([Text(text) for text in TEXTS], "query"), reference.texts(TEXTS)) >= 0.9999

    def test_vectors_are_those_of_sentence_transformers(self, ears: dict[str, Dual], heard: Path) -> None:
        library = pytest.importorskip("sentence_transformers")
        theirs, given = library.SentenceTransformer(str(heard / "clap"), device="cpu"), [played(10), played(2, 1)]
        rows = theirs.encode([{"array": one.samples, "sampling_rate": RATE} for one in given])
        assert least(ears["clap"].embed(given, "document"), rows) >= 0.9999
        assert least(ears["clap"].embed([Text(text) for text in TEXTS], "query"), theirs.encode(TEXTS)) >= 0.9999

    def test_nothing_is_left_to_chance_or_to_the_batch(self, loaded: Dual) -> None:
        given: list[Content] = [*(played(seconds, 7 + round(seconds)) for seconds in (12, 1, 31, 5)), Text("a dog")]
        rows = []
        for seed in (1, 2):
            np.random.seed(seed)  # what the extractor of transformers draws from
            rows.append(loaded.embed(given, "document"))
        np.testing.assert_array_equal(*rows)
        alone = np.concatenate([loaded.embed([one], "document") for one in given])
        assert least(rows[0], alone) >= 0.99999

    def test_a_long_sound_is_the_mean_of_equal_windows(self, loaded: Dual, heard: Path, family: str) -> None:
        reference, sound = Reference(heard / family), played(25, 3)
        starts = [0, round(7.5 * RATE), 15 * RATE]
        rows = reference.sounds([sound.samples[start : start + 10 * RATE] for start in starts])
        mean = rows.mean(0)
        assert least(rows[:1], rows[2:]) < 0.99
        assert least(loaded.embed([sound], "document"), mean[None] / np.linalg.norm(mean)) >= 0.9999

    @pytest.mark.parametrize(("seconds", "count"), [(10, 1), (10.001, 2), (20, 2), (20.5, 3)])
    def test_windows_cover_all_of_a_sound(self, loaded: Dual, seconds: float, count: int) -> None:
        from seehear.modalities.encoders.sounds import windows

        sound = Waveform(np.arange(round(seconds * RATE), dtype=np.float32), RATE)
        found = windows(sound, loaded._loaded()._said)
        assert [len(one) for one in found] == [10 * RATE] * count
        assert (found[0][0], found[-1][-1]) == (0, sound.samples[-1])
        for one, following in pairwise(found):
            assert one[0] < following[0] <= one[-1] + 1

    def test_other_rates_are_resampled(self, loaded: Dual) -> None:
        pytest.importorskip("seehear.track")
        time = {rate: np.arange(4 * rate) / rate for rate in (RATE, 44_100)}
        sounds = [
            Waveform((np.sin(2 * np.pi * (300 + 200 * at) * at) * np.sin(3 * at) ** 2).astype(np.float32), rate)
            for rate, at in time.items()
        ]
        same, resampled = loaded.embed(sounds, "document")
        (wrong,) = loaded.embed([Waveform(sounds[1].samples, RATE)], "document")
        assert float(same @ resampled) >= 0.999 > float(same @ wrong)

    def test_silence_and_clicks_have_vectors(self, loaded: Dual) -> None:
        given = [Waveform(np.zeros(RATE, np.float32), RATE), Waveform(np.ones(1, np.float32), RATE)]
        given += [Waveform(np.full(3, 0.1, np.float32), RATE), Waveform(np.full(441, 0.1, np.float32), 44_100)]
        assert np.isfinite(loaded.embed(given, "document")).all()

    def test_a_long_text_is_the_mean_of_its_parts(self, loaded: Dual, heard: Path, family: str) -> None:
        text = "rain on a tin roof, " * 7 + "and a dog that barks at it all"
        import torch

        reference, tokens = Reference(heard / family), loaded._loaded().texts.parts([text])[0]
        assert [len(ids) for ids in tokens] == [58, 59, 59]
        with torch.no_grad():
            rows = np.concatenate([reference.model.get_text_features(torch.tensor([ids]))[1].numpy() for ids in tokens])
        mean = rows.mean(0)
        assert least(loaded.embed([Text(text)], "query"), mean[None] / np.linalg.norm(mean)) >= 0.9999

    def test_a_text_that_just_fits_is_whole(self, loaded: Dual) -> None:
        given = [",." * 31, ",." * 31 + ",", ",." * 62]  # of 66 places RoBERTa skips two, and two are special
        sizes = [[len(ids) for ids in parts] for parts in loaded._loaded().texts.parts(given)]
        assert sizes == [[64], [33, 34], [64, 64]]
        assert np.isfinite(loaded.embed([Text(text) for text in given], "query")).all()

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_precision_is_close(self, loaded: Dual, heard: Path, family: str, precision: str) -> None:
        given: list[Content] = [Text("a dog"), played(3), played(11, 4)]
        rows = Dual(heard / family, device="cpu", precision=precision).embed(given, "document")
        assert least(rows, loaded.embed(given, "document")) > 0.99


class TestKinds:
    def test_it_takes_words_and_sounds(self, loaded: Dual) -> None:
        assert loaded.takes == {"text", "audio"}
        assert loaded.needs == Needs(rate=RATE, window=10.0)
        assert loaded.dim == DIM
        with pytest.raises(TypeError, match=r"embeds audio and text, not image"):
            loaded.embed([Picture(np.zeros((8, 8, 3), np.uint8))], "document")

    def test_a_checkpoint_of_pictures_hears_nothing(self, tmp_path: Path) -> None:
        encoder = Dual(tiny("clip", tmp_path / "clip"), device="cpu")
        assert encoder.takes == {"text", "image"}
        assert encoder.needs.rate is None
        with pytest.raises(TypeError, match=r"embeds image and text, not audio"):
            encoder.embed([played(1)], "document")

    def test_before_it_is_here_it_may_be_either(self, heard: Path, tmp_path: Path) -> None:
        encoder = Dual("someone/tiny-clap", cache=tmp_path / "hub", device="cpu")
        assert encoder.takes == {"text", "image", "audio"}
        assert (encoder.needs.pixels, encoder.needs.rate, encoder.needs.window) == (UNKNOWN, RATE, 10.0)
        as_hub(heard / "clap", tmp_path / "hub", "someone/tiny-clap", "1" * 40)
        assert encoder.takes == {"text", "audio"}
        assert encoder.embed([played(1)], "document").shape == (1, DIM)

    @pytest.mark.parametrize(
        "samples",
        [
            np.zeros((2, 9), np.float32), np.zeros(0, np.float32), np.zeros(9), np.array([np.nan], np.float32),
            np.array([np.inf, 1], np.float32), np.zeros(9, np.int16),
        ],
    )  # fmt: skip
    def test_what_is_no_sound_is_a_type_error(self, loaded: Dual, samples: Any) -> None:
        with pytest.raises(TypeError, match="finite float32"):
            loaded.embed([Waveform(samples, RATE)], "document")


class TestCheckpoint:
    def test_the_row_says_what_transformers_does(self) -> None:
        from transformers import ClapConfig, ClapFeatureExtractor

        made = ClapFeatureExtractor().to_dict()
        assert {name: made[name] for name in CLAP.preprocessing} == dict(CLAP.preprocessing)
        config = ClapConfig()
        assert number(config.to_dict(), CLAP.dim, 0) == CLAP.default_dim
        assert config.text_config.max_position_embeddings == CLAP.tokens
        assert (config.audio_config.spec_size, config.audio_config.num_mel_bins) == (256, 64)

    def test_the_fingerprint_tells_how_sounds_are_prepared(self, loaded: Dual, folder: Path) -> None:
        assert loaded.fingerprint["preprocessing"].startswith(
            "windows of 10 s at 48000 Hz, repeatpad, averaged; 64 mel"
        )
        before = dict(Dual(folder).fingerprint)
        change(folder / "preprocessor_config.json", frequency_max=12_000)
        after = Dual(folder).fingerprint
        assert {name for name in before if before[name] != after[name]} == {"preprocessing"}

    def test_what_a_checkpoint_says_of_its_sounds_is_done(self, folder: Path, heard: Path) -> None:
        change(folder / "preprocessor_config.json", frequency_max=10_000, padding="pad")
        other = Dual(folder, device="cpu").embed([played(3)], "document")
        assert least(other, Reference(folder).sounds([played(3).samples])) >= 0.9999
        assert least(other, Reference(heard / "clap").sounds([played(3).samples])) < 0.999

    def test_transformers_5_writes_what_it_knows_of_sounds_elsewhere(self, folder: Path) -> None:
        expected = Dual(folder).fingerprint
        said = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": said}))
        (folder / "preprocessor_config.json").unlink()
        assert Dual(folder).fingerprint == expected
        (folder / "processor_config.json").unlink()
        with pytest.raises(EncoderError, match=r"no preprocessor_config\.json, which says how sounds"):
            _ = Dual(folder).fingerprint

    @pytest.mark.parametrize(
        ("said", "match"),
        [
            ({"sampling_rate": "48k"}, "sampling_rate = '48k'"), ({"sampling_rate": 0}, "sampling_rate = 0"),
            ({"hop_length": 0.5}, "hop_length"), ({"max_length_s": True}, "max_length_s"),
            ({"padding": "mirror"}, "padding = 'mirror'"), ({"truncation": "none"}, "truncation"),
            ({"feature_size": 128}, "128 mel bands of a sound, and its network takes 64"),
            ({"max_length_s": 11}, "1101 frames of a window, and its network takes 1024"),
            ({"truncation": "fusion"}, "of fusion one thing"),
            ({"feature_extractor_type": "WhisperFeatureExtractor"}, "prepared by WhisperF"),
        ],
    )  # fmt: skip
    def test_nonsense_about_sounds(self, folder: Path, said: dict[str, Any], match: str) -> None:
        change(folder / "preprocessor_config.json", **said)
        with pytest.raises(EncoderError, match=match):
            _ = Dual(folder).fingerprint

    def test_nothing_is_logged_or_drawn(
        self, heard: Path, family: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            Dual(heard / family, device="cpu").embed([Text("long " * 99), played(11)], "query")
        assert capfd.readouterr() == ("", "")
        assert caplog.text == ""

    def test_asking_loads_nothing_heavy(self, heard: Path) -> None:
        code = (
            "import sys; from seehear.modalities.encoders.dual import Dual;"
            "e = Dual(sys.argv[1]); e.fingerprint, e.needs, e.dim, e.takes;"
            "print(*{'torch', 'transformers', 'huggingface_hub', 'tokenizers', 'av'} & set(sys.modules))"
        )
        run = subprocess.run([sys.executable, "-c", code, heard / "clap"], capture_output=True, text=True, check=True)
        assert run.stdout.split() == []
