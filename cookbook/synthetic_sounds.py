"""Sounds that are computed: tones, alarms, bells, drums, wind, rain, water, steps ... for `build_ears.py`.

Nobody says what they are: the teacher hears something in each, and so its pupil learns names that no recording at hand
would have taught it. Seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

RATE = 16_000  # Hz
SECONDS = 5
LENGTH = SECONDS * RATE
TIME = np.arange(LENGTH) / RATE  # seconds

Array = NDArray[Any]


def synthetic(count: int, rng: Generator) -> Iterator[Array]:
    """Yield sounds (samples,) of 1.5 to 5 seconds, every kind in turn, at many levels, some with noise behind them."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        sound = kind(rng)
        sound = sound[: int(RATE * rng.uniform(1.5, 5))]
        if rng.random() < 0.4:
            colour = rng.uniform(0, 1)
            behind = noise(len(sound), colour, rng)
            sound = sound + behind * level(sound) * 10 ** (-rng.uniform(5, 30) / 20)
        if kind is not nearly_silent:
            sound = sound / (np.abs(sound).max() + 1e-9) * 10 ** (-rng.uniform(1, 24) / 20)
        yield sound.astype(np.float32)


def level(sound: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt((sound**2).mean()))


def noise(length: int, colour: float, rng: Generator, low: float = 20, high: float = 8000) -> Array:
    """Noise of level 1 between two frequencies, Hz; its amplitude falls with frequency to the power of `colour`."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.arange(len(spectrum)) * RATE / length + 1
    found = np.fft.irfft(spectrum / frequency**colour * (frequency > low) * (frequency < high), length)
    scaled: Array = found / level(found)
    return scaled


def tone(pitch: Array | float, length: int, partials: int = 6, fall: float = 1.5, vibrato: float = 0) -> Array:
    """A tone of a pitch in Hz, constant or (length,), with partials that fall off."""
    time = np.arange(length) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + vibrato * np.sin(2 * np.pi * 5 * time)) * np.ones(length)) / RATE
    heard = [np.sin(k * phase) / k**fall for k in range(1, partials + 1) if np.max(pitch) * k < 7800]
    return np.sum(heard, axis=0) if heard else np.zeros(length)


def fading(length: int, rate: float) -> Array:
    """An envelope that decays at `rate` per second."""
    return np.exp(-np.arange(length) / RATE * rate)


def pure_tone(rng: Generator) -> Array:
    return tone(rng.uniform(100, 4000), LENGTH, 1)


def coloured_noise(rng: Generator) -> Array:
    return noise(LENGTH, rng.uniform(0, 1.2), rng)


def beeps(rng: Generator) -> Array:
    sound = tone(rng.uniform(500, 3500), LENGTH, int(rng.integers(1, 6)))
    period = rng.uniform(0.15, 1)
    return sound * ((TIME % period) < period * rng.uniform(0.2, 0.7))


def wailing_siren(rng: Generator) -> Array:
    low, depth, rate = rng.uniform(400, 900), rng.uniform(0.2, 0.8), rng.uniform(0.15, 4)
    pitch = low * (1 + depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * TIME)))
    return tone(pitch, LENGTH, int(rng.integers(2, 8)))


def two_tone_siren(rng: Generator) -> Array:
    low, high = rng.uniform(400, 700), rng.uniform(700, 1100)
    return tone(np.where((TIME % rng.uniform(0.6, 1.4)) < 0.5, low, high), LENGTH, 5)


def melody(rng: Generator) -> Array:
    sound = np.zeros(LENGTH)
    partials, decay, start = int(rng.integers(1, 9)), rng.uniform(0.1, 0.8), 0
    base = rng.uniform(110, 440)
    while start < LENGTH:
        pitch = base * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
        length = min(int(RATE * rng.uniform(0.8, 1.5)), LENGTH - start)
        attack = np.minimum(np.arange(length) / RATE / 0.005, 1)
        sound[start : start + length] += (
            tone(pitch, length, partials, rng.uniform(0.8, 2)) * attack * fading(length, 1 / decay)
        )
        start += int(RATE * rng.choice([0.125, 0.25, 0.5]))
    return sound


def chords(rng: Generator) -> Array:
    sound = np.zeros(LENGTH)
    for second in range(SECONDS):
        base = rng.uniform(100, 300)
        for step in (0, rng.choice([3, 4]), 7):
            sound[second * RATE : (second + 1) * RATE] += tone(base * 2 ** (step / 12), RATE, 8, 1.2, 0.004)
    return sound


def drums(rng: Generator) -> Array:
    sound, beat = np.zeros(LENGTH), rng.uniform(0.2, 0.6)
    for number, seconds in enumerate(np.arange(0, SECONDS, beat)):
        start = int(seconds * RATE)
        length = min(int(0.3 * RATE), LENGTH - start)
        time = np.arange(length) / RATE
        if number % 2 == 0:
            sound[start : start + length] += (
                2 * np.sin(2 * np.pi * (50 * time + 30 * np.exp(-time * 30))) * np.exp(-time * 12)
            )
        else:
            sound[start : start + length] += rng.standard_normal(length) * np.exp(-time * 25)
        start += int(beat * RATE / 2)
        length = min(int(0.05 * RATE), max(0, LENGTH - start))
        if length > 10:
            sound[start : start + length] += noise(length, 0, rng, 4000) * fading(length, 80) * 0.5
    return sound


def wind(rng: Generator) -> Array:
    sound = noise(LENGTH, rng.uniform(0.6, 1.4), rng, 30, rng.uniform(400, 2000))
    depth = rng.uniform(0.3, 0.9)
    return sound * (1 + depth * np.interp(TIME, np.linspace(0, SECONDS, 12), rng.standard_normal(12)))


def rain(rng: Generator) -> Array:
    sound = np.zeros(LENGTH)
    for start in rng.integers(0, LENGTH - 400, rng.integers(50, 4000)):
        drop = rng.standard_normal(200) * np.exp(-np.arange(200) / rng.uniform(10, 60))
        sound[start : start + 200] += drop * rng.uniform(0.1, 1)
    behind = noise(LENGTH, 0.3, rng)
    return sound + behind * rng.uniform(0, 0.3)


def dialling(rng: Generator) -> Array:
    sound, length = np.zeros(LENGTH), int(0.1 * RATE)
    for seconds in np.arange(0, 4.8, rng.uniform(0.15, 0.4)):
        start = int(seconds * RATE)
        low, high = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
        sound[start : start + length] += tone(low, length, 1) + tone(high, length, 1)
    return sound


def bells(rng: Generator) -> Array:
    sound = np.zeros(LENGTH)
    for seconds in np.arange(0, SECONDS, rng.uniform(0.3, 2)):
        start = int(seconds * RATE)
        length, pitch = LENGTH - start, rng.uniform(300, 2000)
        for ratio in (1, 2.0, 2.4, 3.0, 4.5, 5.3):
            if pitch * ratio < 7800:
                struck = np.sin(2 * np.pi * pitch * ratio * np.arange(length) / RATE) / ratio
                sound[start:] += struck * fading(length, ratio * rng.uniform(0.8, 2))
    return sound


def motor(rng: Generator) -> Array:
    low, depth = rng.uniform(25, 200), rng.uniform(0, 0.5)
    pitch = low * (1 + depth * np.interp(TIME, np.linspace(0, SECONDS, 6), rng.random(6)))
    sound = tone(pitch, LENGTH, 40, rng.uniform(0.3, 1.2))
    behind = noise(LENGTH, 0.5, rng)
    return sound + behind * rng.uniform(0.1, 1)


def chirps(rng: Generator) -> Array:
    sound = np.zeros(LENGTH)
    for _ in range(rng.integers(4, 30)):
        length = int(RATE * rng.uniform(0.04, 0.4))
        start = rng.integers(0, LENGTH - length)
        pitch = np.linspace(rng.uniform(1500, 5000), rng.uniform(1500, 5000), length)
        sound[start : start + length] += tone(pitch, length, 2) * np.hanning(length)
    return sound


def knocks(rng: Generator) -> Array:
    sound, period, low = np.zeros(LENGTH), rng.uniform(0.12, 0.8), rng.uniform(50, 400)
    length = int(0.15 * RATE)
    for seconds in np.arange(0.1, 4.7, period):
        start = int((seconds + rng.uniform(-0.02, 0.02)) * RATE)
        high = low * rng.uniform(3, 15)
        sound[start : start + length] += noise(length, 0.5, rng, low, high) * fading(length, rng.uniform(20, 80))
    return sound


def applause(rng: Generator) -> Array:
    sound = np.zeros(LENGTH)
    for start in rng.integers(0, LENGTH - 800, rng.integers(100, 1500)):
        clap = noise(500, 0, rng, 800, 4000) * np.exp(-np.arange(500) / 90)
        sound[start : start + 500] += clap * rng.uniform(0.2, 1)
    return sound


def nearly_silent(rng: Generator) -> Array:
    return rng.standard_normal(LENGTH) * 10 ** rng.uniform(-6, -3.5)


def bubbling(rng: Generator) -> Array:
    sound = noise(LENGTH, 0.5, rng, 200, 5000) * 0.3
    for _ in range(rng.integers(50, 400)):
        length = int(RATE * rng.uniform(0.01, 0.08))
        start = rng.integers(0, LENGTH - length)
        pitch = np.linspace(rng.uniform(300, 2500), rng.uniform(400, 3500), length)
        sound[start : start + length] += (
            tone(pitch, length, 1) * np.exp(-np.arange(length) / length * 4) * rng.uniform(0.2, 1)
        )
    return sound


def heartbeat(rng: Generator) -> Array:
    sound, length = np.zeros(LENGTH), int(0.15 * RATE)
    for seconds in np.arange(0.1, 4.5, rng.uniform(0.6, 1.1)):
        for later in (0, 0.25):
            start = int((seconds + later) * RATE)
            beat = np.sin(2 * np.pi * rng.uniform(40, 70) * np.arange(length) / RATE)
            sound[start : start + length] += beat * fading(length, 25)
    return sound


def lasers(rng: Generator) -> Array:
    sound, period = np.zeros(LENGTH), rng.uniform(0.2, 1)
    length = int(period * RATE * 0.8)
    for seconds in np.arange(0, SECONDS - period, period):
        start = int(seconds * RATE)
        pitch = np.geomspace(rng.uniform(1500, 6000), rng.uniform(60, 400), length)
        sound[start : start + length] += tone(pitch, length, 4)
    return sound


KINDS: tuple[Callable[[Generator], Array], ...] = (
    pure_tone, coloured_noise, beeps, wailing_siren, two_tone_siren, melody, chords, drums, wind, rain,
    dialling, bells, motor, chirps, knocks, applause, nearly_silent, bubbling, heartbeat, lasers,
)  # fmt: skip
