"""What happens to a sound on its way into a network, as a checkpoint's own file says it.

The extractor of transformers takes a random ten seconds of what is longer, and of a checkpoint with fusion a random
one of a batch for long. Here nothing is left to chance: what is longer than a window becomes several.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from seehear.types import Needs, Waveform

from .families import Family, Unusable, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

RANGES = {
    "feature_size": (1, 1024), "sampling_rate": (1000, 384_000), "hop_length": (1, 65536), "max_length_s": (1, 600),
    "fft_window_size": (2, 65536), "frequency_min": (0, 192_000), "frequency_max": (1, 192_000),
}  # fmt: skip
"""What a file may say, of what is a number."""
WORDS = {"truncation": ("fusion", "rand_trunc"), "padding": ("repeatpad", "repeat", "pad")}
"""What it may say of the rest."""
SPEC, BANDS = 256, 64
"""Height of the picture that the network makes of a sound, and its mel bands, where config.json says nothing."""


def preprocessing(family: Family, said: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What happens to a sound: what the checkpoint's file says, completed. Raises Unusable.

    `config` is config.json.
    """
    told = str(said.get("feature_extractor_type") or family.processor)
    if told != family.processor:
        raise Unusable(f"wants its sounds prepared by {told}, which is not {family.processor}")
    found = {name: said[name] if said.get(name) is not None else value for name, value in family.preprocessing.items()}
    for name, value in found.items():
        lowest, highest = RANGES.get(name, (0, 0))
        number_ = isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest
        whole = number_ and (name.startswith("frequency") or isinstance(value, int))
        if value not in WORDS[name] if name in WORDS else not whole:
            raise Unusable(f"says {name} = {value!r}, which makes no sense")
    bands = number(config, (("audio_config", "num_mel_bins"),), BANDS)
    spec = number(config, (("audio_config", "spec_size"),), SPEC)
    if found["feature_size"] != bands:
        raise Unusable(f"makes {found['feature_size']} mel bands of a sound, and its network takes {bands}")
    frames = found["max_length_s"] * found["sampling_rate"] // found["hop_length"] + 1
    if frames > spec * (spec // bands):
        raise Unusable(f"makes {frames} frames of a window, and its network takes {spec * (spec // bands)}")
    audio = config.get("audio_config")
    if (found["truncation"] == "fusion") is not bool(isinstance(audio, dict) and audio.get("enable_fusion")):
        raise Unusable("says of fusion one thing in its config.json, and another where it says how sounds are prepared")
    return found


def needs(found: Mapping[str, Any]) -> Needs:
    """What a sound should be before it comes here."""
    return Needs(rate=found["sampling_rate"], window=float(found["max_length_s"]))


def windows(sound: Waveform, found: Mapping[str, Any]) -> list[Array]:
    """A sound at the checkpoint's rate, in the fewest windows that cover it: all of it, or equal ones that overlap.

    Raises TypeError for what is no sound.
    """
    samples = sound.samples
    if samples.ndim != 1 or samples.dtype != np.float32 or not samples.size or not np.isfinite(samples).all():
        raise TypeError(f"A sound is finite float32 (samples,), at least one, not {samples.dtype} {samples.shape}.")
    if sound.rate != found["sampling_rate"]:
        from seehear.track import resampled

        samples = resampled(sound, found["sampling_rate"]).samples
    length = found["sampling_rate"] * found["max_length_s"]
    if len(samples) <= length:
        return [samples]
    count = -(-len(samples) // length)
    starts = np.linspace(0, len(samples) - length, count).round().astype(int)
    return [samples[start : start + length] for start in starts]
