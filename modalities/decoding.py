"""One stretch of sound through a Whisper network, which is CTranslate2's or PyTorch's: the words, and how sure it is.

The steps are those of both packages' own `transcribe`, but a stretch is listened to once. They go back to where the
last word ended and listen to the rest, and a rest of a second costs as much as 30 and is often made up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seehear.types import Word

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

FRAMES = 3000  # of a spectrogram of 30 seconds
STEP = 160  # samples between two of them
BEAM = 2
"""Hypotheses that are followed. On 80 spoken captions 5 take longer and make as many mistakes; 1 makes more."""
BEFORE, AFTER = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - marks of the word behind or before them


@dataclass(frozen=True, slots=True)
class Heard:
    """What a network makes of a stretch."""

    words: tuple[Word, ...]
    """Each with the space before it; seconds from the start of the stretch."""
    language: str
    log_probability: float
    """Mean over the tokens."""
    no_speech: float
    """Probability that nobody speaks."""


def hear_converted(model: WhisperModel, samples: Array, language: str | None) -> Heard:
    """Listen to at most 30 seconds at 16 kHz (samples,), with CTranslate2."""
    from faster_whisper.audio import pad_or_trim
    from faster_whisper.tokenizer import Tokenizer

    features = model.feature_extractor(samples)[:, :-1]  # the last frame is of what was added
    encoded = model.encode(pad_or_trim(features, FRAMES))
    if language is None:
        language = model.model.detect_language(encoded)[0][0][0][2:-2] if model.model.is_multilingual else "en"
    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, "transcribe", language)
    prompt = model.get_prompt(tokenizer, [], without_timestamps=True)
    (found,) = model.model.generate(
        encoded, [prompt], beam_size=BEAM, max_length=model.max_length, return_scores=True, return_no_speech_prob=True
    )
    tokens = found.sequences_ids[0]
    segment = {"seek": 0, "start": 0.0, "end": len(samples) / model.feature_extractor.sampling_rate, "tokens": tokens}
    if tokens:
        model.add_word_timestamps(
            [[segment]], tokenizer, encoded, min(features.shape[1], FRAMES), BEFORE, AFTER, last_speech_timestamp=0.0
        )
    # The mean is over the end of the text too.
    mean = found.scores[0] * len(tokens) / (len(tokens) + 1)
    return Heard(_words(segment), language, mean, found.no_speech_prob)


def hear_original(model: Any, samples: Array, language: str | None) -> Heard:
    """Listen to at most 30 seconds at 16 kHz (samples,), with PyTorch."""
    import whisper
    from whisper.timing import add_word_timestamps
    from whisper.tokenizer import get_tokenizer

    spectrogram = whisper.log_mel_spectrogram(samples, model.dims.n_mels, padding=STEP, device=model.device)[:, :-1]
    padded = whisper.pad_or_trim(spectrogram, FRAMES)
    options = whisper.DecodingOptions(
        language=language if model.is_multilingual else "en",
        beam_size=BEAM,
        without_timestamps=True,
        fp16=model.device.type == "cuda",
    )
    found = whisper.decode(model, padded.half() if options.fp16 else padded, options)
    tokenizer = get_tokenizer(
        model.is_multilingual, num_languages=model.num_languages, language=found.language, task="transcribe"
    )
    segment = {"seek": 0, "start": 0.0, "end": len(samples) / whisper.audio.SAMPLE_RATE, "tokens": found.tokens}
    if found.tokens:
        add_word_timestamps(
            segments=[segment],
            model=model,
            tokenizer=tokenizer,
            mel=padded,
            num_frames=min(spectrogram.shape[1], FRAMES),
            last_speech_timestamp=0.0,
            prepend_punctuations=BEFORE,
            append_punctuations=AFTER,
        )
    return Heard(_words(segment), found.language, found.avg_logprob, found.no_speech_prob)


def codes_of_converted(model: WhisperModel) -> Collection[str]:
    """Languages that a model has tokens for; later ones have more."""
    codes: Sequence[str] = model.supported_languages
    if len(codes) == 1:
        return codes
    return [code for code in codes if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None]


def codes_of_original(model: Any) -> Collection[str]:
    """Languages that a model has tokens for; later ones have more."""
    from whisper.tokenizer import LANGUAGES

    return list(LANGUAGES)[: model.num_languages] if model.is_multilingual else ["en"]


def _words(segment: dict[str, Any]) -> tuple[Word, ...]:
    return tuple(Word(one["word"], float(one["start"]), float(one["end"])) for one in segment.get("words", ()))
