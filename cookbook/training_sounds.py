"""The sounds that `build_ears.py` teaches with: recordings in three ways, computed ones, speech, two videos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure_sounds import heard, held_out, listed
from numpy.random import Generator
from numpy.typing import NDArray
from synthetic_sounds import level, noise, synthetic

from seehear.modalities.encoders.ears import RATE

SPOKEN = 40  # of the spoken captions, so that the other half stays unheard
COMPUTED = 700  # sounds

Array = NDArray[Any]


def material(data: Path, names: Sequence[str]) -> Iterator[tuple[Array, Array]]:
    """Sounds of at most 5 seconds (samples,), and the shares (n,) of the n named classes in what they are labelled."""
    clips = listed(data)
    allowed = [number for number, clip in enumerate(clips) if not held_out(clip)]
    sounds = {number: fitted(heard(data / clips[number]["file"]).samples) for number in allowed}
    label = {number: np.eye(len(names), dtype=np.float32)[names.index(clips[number]["label"])] for number in allowed}
    for number in allowed:
        yield sounds[number], label[number]
        rng = np.random.default_rng([number, 2])
        other = int(rng.choice(allowed))
        yield mixed(sounds[number], sounds[other], rng), (label[number] + label[other]) / 2
        rng = np.random.default_rng([number, 3])
        speed = np.exp(rng.uniform(np.log(0.55), np.log(1.8)))
        yield warped(sounds[number], speed, rng), label[number] * (0.85 < speed < 1.18)
    rng = np.random.default_rng(5)
    nobody = np.zeros(len(names), np.float32)
    for sound in synthetic(COMPUTED, rng):
        yield sound, nobody
    for long in others(data):
        for start in range(0, max(1, len(long) - 2 * RATE), RATE * 5 // 2):
            sound = fitted(long[start : start + 5 * RATE])
            yield sound, nobody
            sound = sound * 10 ** (-rng.uniform(3, 20) / 20)
            behind = noise(len(sound), rng.uniform(0, 1), rng) * level(sound)
            yield (sound + behind * 10 ** (-rng.uniform(3, 25) / 20)).astype(np.float32), nobody


def others(data: Path) -> Iterator[Array]:
    """Speech, half of the spoken captions of it, and the sound of two videos."""
    spoken = sorted((data / "speech" / "spoken_captions").glob("*.mp3"), key=named)[:SPOKEN]
    videos = [data / "videos" / name for name in ("pe_train.mp4", "intel_cars.mp4")]
    for path in (*spoken, data / "speech" / "jfk.flac", *videos):
        yield heard(path).samples


def named(path: Path) -> str:
    """An order of files that nobody has chosen."""
    return hashlib.sha256(path.name.encode()).hexdigest()


def fitted(sound: Array) -> Array:
    """The first 5 seconds, followed by silence where there is not one second."""
    sound = np.pad(sound, (0, max(0, RATE - len(sound))))[: 5 * RATE]
    return np.clip(sound, -1, 1).astype(np.float32)


def gain(rng: Generator, least: float, most: float) -> np.float32:
    """A factor, drawn in decibels."""
    return np.float32(10 ** (rng.uniform(least, most) / 20))


def cropped(sound: Array, rng: Generator, least: float) -> Array:
    """A stretch of at least so many seconds in which something is heard."""
    for _ in range(6):
        length = min(int(RATE * rng.uniform(least, max(least, len(sound) / RATE))), len(sound))
        start = rng.integers(0, len(sound) - length + 1)
        if level(sound[start : start + length]) >= 0.4 * level(sound):
            return sound[start : start + length]
    return sound


def mixed(sound: Array, other: Array, rng: Generator) -> Array:
    """Two sounds at once, neither much louder than the other."""
    sound, other = sound / (level(sound) + 1e-4), other / (level(other) + 1e-4)
    both = np.zeros(max(len(sound), len(other)), np.float32)
    both[: len(sound)] += sound
    start = rng.integers(0, len(both) - len(other) + 1)
    both[start : start + len(other)] += other * gain(rng, -6, 6)
    return fitted(both / np.abs(both).max() * gain(rng, -18, 0))


def warped(sound: Array, speed: float, rng: Generator) -> Array:
    """A sound at another speed and pitch, some backwards, some brighter or duller: something else, perhaps."""
    sound = cropped(sound, rng, 1.5)
    sound = np.interp(np.arange(0, len(sound) - 1, speed), np.arange(len(sound)), sound)
    if rng.random() < 0.2:
        sound = sound[::-1]
    if rng.random() < 0.5:
        spectrum = np.fft.rfft(sound)
        octaves = np.log2((np.arange(len(spectrum)) / len(spectrum) * 8000 + 50) / 1000)
        sound = np.fft.irfft(spectrum * 10 ** (rng.uniform(-12, 12) * octaves / 4 / 20), len(sound))
    sound = fitted(sound)
    return fitted(sound / (np.abs(sound).max() + 1e-4) * gain(rng, -24, 0))
