"""How `mini` hears: sounds as vectors of the words' space, from the encoder of Whisper tiny.en and a head of ours.

The encoder was trained to write down speech, and knows other sounds all the same (Whisper-AT: Gong et al. 2023, arXiv
2307.03183). Each part of a waveform goes through it at its real length, not filled up to 30 seconds; what its last
layer says over time is summed up in a few statistics, and the head, trained on captions and on what a teacher hears
(`cookbook/build_ears.py`), brings these to where the words for it are. In NumPy and CTranslate2: no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seehear.errors import EncoderError
from seehear.types import Waveform

from .extras import extra
from .tiny_whisper import loaded

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

WEIGHTS = Path(__file__).with_suffix(".safetensors")
RATE = 16_000  # Hz that the network takes
PART = 5.0  # seconds that are summed up in one vector of features, as in training
FEATURES = 3 * 384  # mean, deviation and maximum over time of the network's last layer
SHORTEST = 1.0  # seconds; what is shorter is followed by silence


def parts(waveform: Waveform) -> list[Array]:
    """A waveform at 16 kHz in equal parts of at most 5 seconds; the last is followed by silence if it is short.

    Raises TypeError when it is not float32 (samples,).
    """
    samples = waveform.samples
    if samples.dtype != np.float32 or samples.ndim != 1 or not samples.size or waveform.rate <= 0:
        raise TypeError(
            f"A waveform is float32 (samples,) at some Hz, not {samples.dtype} {samples.shape} at {waveform.rate} Hz."
        )
    if waveform.rate != RATE:
        with extra("mini", "av"):
            from seehear.track import resampled

        samples = resampled(waveform, RATE).samples
    # Files of floats hold what they like, and one infinite sample would leave no number in the features.
    samples = np.clip(np.nan_to_num(samples), -1, 1)
    count = max(1, -(-len(samples) // int(PART * RATE)))
    lacking = int(SHORTEST * RATE) - len(samples)
    return np.array_split(np.pad(samples, (0, max(0, lacking))), count)


def features(model: WhisperModel, samples: Array) -> Array:
    """What the network makes of 1 to 30 seconds at 16 kHz (samples,): mean, deviation and maximum over time (1152,)."""
    from ctranslate2 import StorageView

    spectrogram = np.ascontiguousarray(model.feature_extractor(samples, padding=0)[None], np.float32)
    heard = np.asarray(model.model.encode(StorageView.from_array(spectrogram)))[0]  # (time, 384)
    return np.concatenate([heard.mean(0), heard.std(0), heard.max(0)])


class Ears:
    """The network and the head; calling it embeds sounds. It holds no state that a call changes."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        """Load both: MissingExtra, EncoderError."""
        with extra("mini", "safetensors"):
            from safetensors import SafetensorError
            from safetensors.numpy import load_file
        try:
            held = {name: tensor.astype(np.float32) for name, tensor in load_file(weights).items()}
            self._mean, self._deviation = held["mean"], held["deviation"]
            self._inner, self._bias = held["inner"], held["bias"]
            self._outer, self._straight, self._offset = held["outer"], held["straight"], held["offset"]
            self._head(np.zeros(FEATURES, np.float32))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise EncoderError(
                f"{weights} is not the head that mini hears with ({error}); install seehear again, or build it with "
                "cookbook/build_ears.py"
            ) from error
        self._model = loaded()

    def __call__(self, waveforms: Sequence[Waveform]) -> Array:
        """Embed sounds: float32 (len(waveforms), 384), unit rows, in order; of a long one, the mean of its parts."""
        pieces = [parts(waveform) for waveform in waveforms]  # all are looked at before any is embedded
        # One by one: more at once are no faster, and a row must not depend on its batch.
        return np.array([unit(np.mean([self._placed(part) for part in of_one], axis=0)) for of_one in pieces])

    def _placed(self, samples: Array) -> Array:
        """A part (samples,) in the space of the words: a unit vector (384,)."""
        return self._head(features(self._model, samples))

    def _head(self, heard: Array) -> Array:
        x = (heard - self._mean) / self._deviation
        hidden = np.maximum(self._inner @ x + self._bias, 0)
        return unit(self._outer @ hidden + self._straight @ x + self._offset)


def unit(vector: Array) -> Array:
    """A vector at length 1."""
    scaled: Array = vector / np.linalg.norm(vector)
    return scaled
