"""How `mini` hears: sounds come near the words for them, whatever their length, rate and level, and always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from seehear.errors import EncoderError, MissingExtra
from seehear.modalities.encoders import ears
from seehear.modalities.encoders.ears import RATE, Ears, features, parts
from seehear.modalities.encoders.mini import Mini
from seehear.modalities.encoders.tiny_whisper import loaded
from seehear.types import Text, Waveform

SOUNDS = Path(__file__).parents[4] / "shared" / "data" / "sounds"
TIME = np.arange(4 * RATE) / RATE
Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def hearing() -> Ears:
    return Ears()


def wave(samples: NDArray[np.floating], rate: int = RATE) -> Waveform:
    return Waveform(samples.astype(np.float32), rate)


def beeps() -> Waveform:
    return wave(0.5 * np.sin(2 * np.pi * 1000 * TIME) * (TIME % 0.5 < 0.25))


def tune() -> Waveform:
    pitch = np.repeat([262, 330, 392, 523], RATE)
    tones = sum(0.3 * np.sin(2 * np.pi * k * pitch * TIME) / k for k in (1, 2, 3))
    return wave(tones * np.exp(-(TIME % 1) * 2))


def hiss(seconds: float = 4, seed: int = 0) -> Waveform:
    return wave(0.2 * np.random.default_rng(seed).standard_normal(int(seconds * RATE)))


class TestFinding:
    def test_computed_sounds_are_near_the_words_for_them(self, hearing: Ears) -> None:
        sounds = hearing([beeps(), tune(), hiss(), wave(np.zeros(4 * RATE))])
        words = ["an alarm beeping", "music", "noise", "silence"]
        similar = sounds @ Mini().embed([Text(word) for word in words], "query").T
        assert similar.argmax(axis=1).tolist() == similar.argmax(axis=0).tolist() == [0, 1, 2, 3]

    @pytest.mark.skipif(not SOUNDS.is_dir(), reason="../shared/data/sounds is not there")
    def test_words_find_real_sounds_that_were_not_trained_on(self, hearing: Ears) -> None:
        asked = {"dog_bark": "a dog", "rooster": "a rooster", "baby_cry": "a crying baby", "clock_tick": "tick tock"}
        rows = (SOUNDS / "labels.csv").read_text().splitlines()
        clips = [row.split(",") for row in rows if row.startswith("sounds/esc10/") and ",fold4," in row]
        chosen = [(label, SOUNDS.parent / file) for file, label, *_ in clips if label in asked]
        chosen = [one for label in asked for one in [one for one in chosen if one[0] == label][:4]]
        assert len(chosen) == 16
        vectors = hearing([opened(path) for _, path in chosen])
        for label, question in asked.items():
            similar = vectors @ Mini().embed([Text(question)], "query")[0]
            first = [chosen[place][0] for place in np.argsort(-similar)[:4]]
            assert first.count(label) >= 3, f"{question}: {first}"

    def test_level_hardly_matters(self, hearing: Ears) -> None:
        loud, soft = hearing([tune(), wave(0.1 * tune().samples)])
        assert loud @ soft > 0.8

    def test_another_rate_hardly_matters(self, hearing: Ears) -> None:
        time = np.arange(4 * 44_100) / 44_100
        other = wave(0.5 * np.sin(2 * np.pi * 1000 * time) * (time % 0.5 < 0.25), 44_100)
        same, different, hissed = hearing([beeps(), other, hiss()])
        assert same @ different > 0.95 > 0.6 > same @ hissed


class TestContents:
    @pytest.mark.parametrize("seconds", [1 / RATE, 0.01, 0.3, 1, 4.99, 5, 5.01, 31])
    @pytest.mark.parametrize("level", [0.0, 0.1])
    def test_every_length_gives_a_unit_row_even_of_silence(self, hearing: Ears, seconds: float, level: float) -> None:
        (row,) = hearing([wave(level * hiss(seconds).samples)])
        assert row.dtype == np.float32
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)

    def test_what_is_no_number_or_too_loud_is_heard_as_far_as_it_can_be(self, hearing: Ears) -> None:
        samples = tune().samples.copy()
        samples[100:103] = np.nan, np.inf, 1e30
        odd, plain = hearing([wave(samples), tune()])
        assert odd @ plain > 0.8

    def test_parts_are_of_one_length_and_hold_every_sample(self) -> None:
        samples = hiss(11).samples
        found = parts(wave(samples))
        assert [len(part) for part in found] == pytest.approx([11 / 3 * RATE] * 3, abs=1)
        np.testing.assert_array_equal(np.concatenate(found), samples.clip(-1, 1))

    def test_of_a_long_sound_every_part_counts(self, hearing: Ears) -> None:
        five = [beeps().samples[: 4 * RATE], hiss().samples, tune().samples]
        padded = [np.pad(samples, (0, RATE)) for samples in five]
        whole, *alone = hearing([wave(np.concatenate(padded)), *map(wave, padded)])
        mean = np.mean(alone, axis=0)
        np.testing.assert_allclose(whole, mean / np.linalg.norm(mean), atol=1e-5)

    def test_a_row_is_the_same_in_any_batch(self, hearing: Ears) -> None:
        sounds = [beeps(), hiss(0.5), hiss(7), tune()]
        together = hearing(sounds)
        for sound, row in zip(sounds, together, strict=True):
            np.testing.assert_array_equal(hearing([sound])[0], row)

    def test_samples_are_not_changed(self, hearing: Ears) -> None:
        sound = wave(3 * hiss().samples)
        before = sound.samples.copy()
        sound.samples.flags.writeable = False
        hearing([sound])
        np.testing.assert_array_equal(sound.samples, before)

    @pytest.mark.parametrize(
        "odd",
        [
            Waveform(np.zeros(99, np.float64), RATE),  # type: ignore[arg-type]
            Waveform(np.zeros(99, np.int16), RATE),  # type: ignore[arg-type]
            Waveform(np.zeros((99, 2), np.float32), RATE),
            Waveform(np.zeros(0, np.float32), RATE),
            Waveform(np.zeros(99, np.float32), 0),
        ],
    )
    def test_what_is_no_waveform_is_refused(self, hearing: Ears, odd: Waveform) -> None:
        with pytest.raises(TypeError, match=r"float32 \(samples,\)"):
            hearing([hiss(), odd])


def test_the_encoder_hears_the_real_length_and_no_padding() -> None:
    model, lengths = loaded(), []

    def encode(given: object) -> object:
        lengths.append(np.asarray(given).shape)
        return model.model.encode(given)

    watched = SimpleNamespace(feature_extractor=model.feature_extractor, model=SimpleNamespace(encode=encode))
    row = features(cast(Any, watched), hiss(2).samples)
    assert lengths == [(1, 80, 200)]
    assert row.shape == (1152,)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_hears_the_same(hearing: Ears, threads: str) -> None:
    code = (
        "import numpy as np, sys;"
        "from seehear.modalities.encoders.ears import Ears; from seehear.types import Waveform;"
        "samples = 0.2 * np.random.default_rng(0).standard_normal(64000);"
        "sys.stdout.write(Ears()([Waveform(samples.astype(np.float32), 16000)]).tobytes().hex());"
        "assert 'torch' not in sys.modules"
    )
    count = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **count}
    )
    found = np.frombuffer(bytes.fromhex(run.stdout), np.float32)
    assert float(found @ hearing([hiss()])[0]) >= 0.99999


class TestTrouble:
    def test_a_head_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        held = load_file(ears.WEIGHTS)
        path = tmp_path / "ears.safetensors"
        save_file({**held, "outer": held["outer"][:, :7].copy()}, path)
        with pytest.raises(EncoderError, match=r"ears\.safetensors.*build_ears\.py"):
            Ears(path)

    def test_a_head_without_a_tensor_is_refused(self, tmp_path: Path) -> None:
        held = load_file(ears.WEIGHTS)
        del held["mean"]
        save_file(held, tmp_path / "ears.safetensors")
        with pytest.raises(EncoderError, match="mean"):
            Ears(tmp_path / "ears.safetensors")

    @pytest.mark.parametrize("content", [None, b"", b"no tensors"])
    def test_a_file_that_is_missing_or_damaged_is_refused(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "ears.safetensors"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(EncoderError, match=r"ears\.safetensors"):
            Ears(path)

    def test_a_missing_package_names_the_line_that_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "seehear.track", None)
        monkeypatch.setitem(sys.modules, "safetensors", None)
        with pytest.raises(MissingExtra, match=r'safetensors.*pip install "seehear\[mini\]"'):
            Ears()


def opened(path: Path) -> Waveform:
    """The sound of a file."""
    import av

    resampler = av.AudioResampler("fltp", "mono", RATE)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        return wave(np.concatenate([out.to_ndarray()[0] for frame in frames for out in resampler.resample(frame)]))
