"""Speech is found, and nothing else; no word is lost or taken twice."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from recordings import Sound

from seehear.errors import MediaNote
from seehear.media import Limits, open_source
from seehear.modalities.voice import CHUNK, LONGEST, RATE, Stretch, Voice
from seehear.track import blocks

DATA = Path(__file__).parents[3] / "shared" / "data"


class Level(Voice):
    """Takes whatever is loud for speech, so that it is known where somebody speaks."""

    def _probabilities(self, chunks: Sound, before: Sound) -> Sound:
        return np.abs(chunks).max(axis=1)


def stretches(voice: Voice, samples: Sound, size: int = RATE) -> list[Stretch]:
    found: list[Stretch] = []
    for place in range(0, len(samples), size):
        found += voice.feed(samples[place : place + size])
    return [*found, *voice.finish()]


def spoken(*parts: tuple[float, float]) -> Sound:
    """Seconds at a level, one after another; what is said is numbered, so that it is known what was taken."""
    made = [np.full(round(seconds * RATE), level, np.float32) for seconds, level in parts]
    return np.concatenate(made)


def test_speech_is_found_with_a_little_around_it() -> None:
    (found,) = stretches(Level(), spoken((5, 0.0), (3, 0.9), (5, 0.0)))
    assert found.start == pytest.approx(5 - 0.2, abs=0.05)
    assert found.end == pytest.approx(8 + 0.2, abs=0.05)
    assert found.end == found.start + len(found.samples) / RATE


def test_a_stream_that_starts_late_has_late_stretches() -> None:
    (found,) = stretches(Level(100.0), spoken((5, 0.0), (3, 0.9), (5, 0.0)))
    assert found.start == pytest.approx(104.8, abs=0.05)


@pytest.mark.parametrize(("pause", "count"), [(0.5, 1), (1.8, 1), (2.5, 2), (10.0, 2)])
def test_short_pauses_are_bridged_and_long_ones_are_not(pause: float, count: int) -> None:
    assert len(stretches(Level(), spoken((1, 0.9), (pause, 0.0), (1, 0.9)))) == count


def test_a_click_is_no_speech() -> None:
    assert stretches(Level(), spoken((2, 0.0), (0.1, 0.9), (4, 0.0), (0.1, 0.9))) == []


def test_what_is_never_surely_speech_is_none() -> None:
    assert stretches(Level(), spoken((2, 0.0), (5, 0.6), (4, 0.0))) == []


def test_a_long_speech_is_cut_in_its_pause() -> None:
    samples = spoken((20, 0.9), (0.6, 0.0), (20, 0.9))
    first, second = stretches(Level(), samples)
    assert first.end == pytest.approx(20.2, abs=0.05)
    assert second.start == pytest.approx(20.4, abs=0.05)


def test_speech_without_a_pause_is_cut_where_it_is_least_likely_and_said_once() -> None:
    rng = np.random.default_rng(0)
    samples = rng.uniform(0.85, 1.0, 90 * RATE).astype(np.float32)
    samples[20 * RATE : 20 * RATE + 2 * CHUNK] *= 0.7  # no pause, but weaker
    found = stretches(Level(), samples)
    assert found[0].end == pytest.approx(20, abs=0.05)
    assert max(len(stretch.samples) for stretch in found) <= LONGEST * CHUNK
    np.testing.assert_array_equal(np.concatenate([stretch.samples for stretch in found]), samples)
    for before, after in pairwise(found):
        assert after.start == pytest.approx(before.end)


def test_no_word_is_lost_or_taken_twice_whatever_the_pauses() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        parts = [(rng.uniform(0.3, 9), rng.choice([0.0, 0.9])) for _ in range(60)]
        samples = spoken(*parts)
        taken = np.zeros(len(samples), int)
        for stretch in stretches(Level(), samples, int(rng.integers(100, 40_000))):
            place = round(stretch.start * RATE)
            np.testing.assert_array_equal(samples[place : place + len(stretch.samples)], stretch.samples)
            assert len(stretch.samples) <= LONGEST * CHUNK
            taken[place : place + len(stretch.samples)] += 1
        assert taken.max() == 1
        # What is cut off at the end of a stretch is less than a chunk of what the last words leave over.
        assert (taken[samples > 0] == 0).mean() < 0.002


def test_the_size_of_the_blocks_changes_nothing() -> None:
    samples = spoken((3, 0.0), (40, 0.9), (5, 0.0), (2, 0.9))
    found = [[(s.start, s.end) for s in stretches(Level(), samples, size)] for size in (311, 512, RATE, 10**7)]
    assert found[0] == found[1] == found[2] == found[3]


def test_nothing_is_said_in_nothing() -> None:
    assert stretches(Voice(), np.empty(0, np.float32)) == []


@pytest.mark.parametrize("kind", ["white", "quiet", "brown", "tone", "beeps"])
def test_noise_and_tones_are_no_speech(kind: str) -> None:
    rng = np.random.default_rng(1)
    time_ = np.arange(20 * RATE) / RATE
    made = {
        "white": rng.normal(0, 0.1, len(time_)),
        "quiet": rng.normal(0, 0.003, len(time_)),
        "brown": np.cumsum(rng.normal(0, 1, len(time_))) * 1e-3,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time_),
        "beeps": 0.3 * np.sin(2 * np.pi * 1_000 * time_) * (time_ % 1 < 0.3),
    }[kind]
    assert stretches(Voice(), made.clip(-1, 1).astype(np.float32)) == []


def test_an_hour_of_silence_costs_next_to_nothing() -> None:
    voice, silence = Voice(), np.full(RATE, 1e-4, np.float32)
    started = time.process_time()
    for _ in range(3600):
        assert list(voice.feed(silence)) == []
    assert time.process_time() - started < 3  # 24 hours through the network take half an hour


def test_silence_between_words_does_not_go_through_the_network() -> None:
    class Counted(Level):
        scored = 0

        def _probabilities(self, chunks: Sound, before: Sound) -> Sound:
            self.scored += len(chunks)
            return super()._probabilities(chunks, before)

    voice = Counted()
    assert len(stretches(voice, spoken((3, 0.0), (1.024, 0.9), (1.024, 0.0), (1.024, 0.9), (3, 0.0)))) == 1
    assert voice.scored <= 2 * 32 + 4


def samples_of(path: Path) -> Sound:
    with warnings.catch_warnings(), open_source(path, "key", Limits()) as source:
        warnings.simplefilter("ignore", MediaNote)
        return np.concatenate([block.samples for block in blocks(source, [RATE], Limits())])


@pytest.mark.skipif(not (DATA / "speech").is_dir(), reason="needs ../shared/data/speech")
def test_every_spoken_caption_is_found_between_silence_and_noise() -> None:
    rng = np.random.default_rng(2)
    quiet = rng.normal(0, 0.002, 3 * RATE).astype(np.float32)
    for path in sorted((DATA / "speech" / "spoken_captions").iterdir())[:6]:
        said = samples_of(path)
        found = stretches(Voice(), np.concatenate([quiet, said, quiet]))
        assert sum(len(stretch.samples) for stretch in found) > 0.7 * len(said)
        assert found[0].start > 2.5
        assert found[-1].end < 3.5 + len(said) / RATE


@pytest.mark.skipif(not (DATA / "sounds").is_dir(), reason="needs ../shared/data/sounds")
def test_music_and_noises_of_the_street_are_no_speech() -> None:
    with (DATA / "sounds" / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    files = [row["file"] for row in labels if row["label"] in ("street_music", "jackhammer", "rain", "engine_idling")]
    chosen = np.random.default_rng(3).permutation(files)[:12]
    samples = np.concatenate([samples_of(DATA / file) for file in chosen])
    taken = sum(len(stretch.samples) for stretch in stretches(Voice(), samples))
    assert taken / len(samples) < 0.05


def test_the_runtime_tells_its_maker_nothing_and_leaves_no_number_of_this_machine(tmp_path: Path) -> None:
    code = "from seehear.modalities.silero import session; session()"
    asked = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    subprocess.run([sys.executable, "-c", code], env={**asked, "HOME": str(tmp_path)}, cwd=tmp_path, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
