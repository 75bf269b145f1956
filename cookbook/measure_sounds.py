"""Measure how well words find sounds with `mini`, on recordings that neither its head nor its teacher was shown.

    python cookbook/measure_sounds.py --data ../shared/data

Fold 10 of UrbanSound8K and fold 4 of ESC-10, cut into the windows that `mini` asks for; a recording is as similar to a
question as its best window. Beside it stand chance, which is the mean over shuffled rankings, and a linear probe: ridge
regression of the classes on the same features of the other folds, which ranks by its scores and understands no words.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from build_mini import captioned, opened, split
from numpy.typing import NDArray

from seehear.errors import MediaNote
from seehear.media import Limits, open_source
from seehear.modalities.audio import AudioModality
from seehear.modalities.encoders.ears import features, parts
from seehear.modalities.encoders.mini import Mini
from seehear.modalities.encoders.tiny_whisper import loaded
from seehear.types import Content, Needs, Picture, Text, Waveform

HELD_OUT = {("urbansound8k", "fold10"), ("esc10", "fold4")}
RIDGE = 1000.0
SHUFFLES = 200
PARAPHRASES = {
    "air_conditioner": ["the hum of an AC unit", "ventilation noise in an office", "a fan blowing cold air"],
    "baby_cry": ["infant crying", "a newborn wailing", "a hungry toddler in tears"],
    "car_horn": ["a driver beeping in traffic", "honk honk", "an impatient motorist"],
    "chainsaw": ["felling a tree with a motor saw", "a lumberjack at work", "cutting logs with a petrol saw"],
    "children_playing": [
        "kids laughing in a playground",
        "a schoolyard at recess",
        "boys and girls squealing with joy",
    ],
    "clock_tick": ["tick tock", "the second hand of an old watch", "a pendulum in a quiet room"],
    "dog_bark": ["woof woof", "a puppy yapping", "the neighbour's hound will not be quiet", "an angry guard dog"],
    "drilling": ["a power tool going into a wall", "someone boring a hole in concrete", "DIY noise from next door"],
    "engine_idling": [
        "a truck standing with its motor on",
        "a parked car that was not switched off",
        "a diesel rumbles",
    ],
    "fire_crackling": ["a campfire", "logs in the fireplace", "flames and embers"],
    "gun_shot": ["a pistol goes off", "bang, someone shoots", "a rifle at the shooting range"],
    "helicopter": ["a chopper overhead", "rotor blades", "something hovering in the sky"],
    "jackhammer": ["breaking up concrete with a pneumatic hammer", "road works", "workmen tearing up the pavement"],
    "person_sneeze": ["achoo", "somebody with a cold", "hay fever"],
    "rain": ["a downpour on the roof", "thunder and rain", "drops hitting the window", "wet weather"],
    "rooster": ["cock-a-doodle-doo", "a cockerel at dawn", "a farm bird greets the morning"],
    "sea_waves": ["the ocean", "surf on the beach", "water washing over the shore"],
    "siren": [
        "an ambulance rushing by",
        "police on an emergency call",
        "a fire engine with its alarm on",
        "wee-woo wee-woo",
    ],
    "street_music": ["a busker with a guitar", "a band performing outdoors", "people sing and play on the square"],
}
"""Sixty other ways of asking, written before the head was trained, and never used for training it."""

Array = NDArray[Any]
Clip = dict[str, str]


def main() -> None:
    """Embed, rank, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds sounds/ and flickr8k/")
    folder = parser.parse_args().data
    clips = listed(folder)
    unseen = [clip for clip in clips if held_out(clip)]
    sounds = [heard(folder / clip["file"]) for clip in unseen]
    encoder = Mini()
    vectors = [encoder.embed(windows(folder / clip["file"], encoder.needs), "document") for clip in unseen]
    names = sorted(PARAPHRASES)
    captions = {clip["label"]: clip["caption"] for clip in clips}
    relevant = {name: np.array([clip["label"] == name for clip in unseen]) for name in names}

    def asked(questions: Sequence[str]) -> Array:
        words = encoder.embed([Text(question) for question in questions], "query")
        return np.array([(rows @ words.T).max(axis=0, initial=-1) for rows in vectors]).T

    print(f"{len(unseen)} recordings of {len(names)} classes; fingerprint {dict(encoder.fingerprint)['hearing'][:12]}")
    by_caption = dict(zip(names, asked([captions[name] for name in names]), strict=True))
    by_probe = dict(
        zip(names, probe(folder, [clip for clip in clips if not held_out(clip)], sounds, names), strict=True)
    )
    by_paraphrase = {name: asked(PARAPHRASES[name]) for name in names}
    print(f"\n{'average precision':<18}{'clips':>6}{'caption':>9}{'paraphrases':>13}{'probe':>7}{'chance':>8}")
    for name in names:
        told = [average_precision(scores, relevant[name]) for scores in by_paraphrase[name]]
        print(
            f"{name:<18}{relevant[name].sum():>6}{average_precision(by_caption[name], relevant[name]):>9.2f}"
            f"{np.mean(told):>13.2f}{average_precision(by_probe[name], relevant[name]):>7.2f}"
            f"{by_chance(relevant[name])[0]:>8.2f}   {' '.join(f'{each:.2f}' for each in told)}"
        )
    many = [(scores, relevant[name]) for name in names for scores in by_paraphrase[name]]
    print(f"\n{'over all':<34}{'mean average precision':>24}{'precision@10':>14}")
    report("19 captions", [(by_caption[name], relevant[name]) for name in names])
    report(f"{len(many)} paraphrases", many)
    report("linear probe of the same features", [(by_probe[name], relevant[name]) for name in names])
    chance = np.mean([by_chance(relevant[name]) for name in names], axis=0)
    print(f"{f'chance: mean of {SHUFFLES} shuffles a class':<34}{chance[0]:>24.3f}{chance[1]:>14.3f}")
    dogs = encoder.embed(photographs_of_dogs(folder / "flickr8k"), "query")
    similar = np.array([(rows @ dogs.T).max(axis=0, initial=-1) for rows in vectors]).T
    print("\npictures as questions, barking as the answer (chance as above)")
    report(f"{len(dogs)} photographs of dogs", [(scores, relevant["dog_bark"]) for scores in similar])


def listed(folder: Path) -> list[Clip]:
    """The rows of `sounds/labels.csv`."""
    with (folder / "sounds" / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def held_out(clip: Clip) -> bool:
    """Whether a clip is kept back: neither trained on nor shown to the teacher."""
    return (clip["file"].split("/")[1], clip["fold"]) in HELD_OUT


def heard(path: Path, rate: int = 16_000) -> Waveform:
    """The sound of a file, mono, at a rate in Hz."""
    resampler = av.AudioResampler("fltp", "mono", rate)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        pieces = [out.to_ndarray()[0] for frame in frames for out in resampler.resample(frame)]
    return Waveform(np.concatenate(pieces).astype(np.float32), rate)


def windows(path: Path, needs: Needs) -> list[Content]:
    """The windows of sound that a library would make of a file; none of silence."""
    with open_source(path, path.name, Limits()) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore", MediaNote)  # that nothing is heard in it
        pieces = [piece for piece in AudioModality(Limits()).segments(source, needs) if piece is not None]
    return [content for segment, content in pieces if segment.channel == "sound"]


def photographs_of_dogs(folder: Path) -> list[Picture]:
    """The photographs that the head for pictures was not trained on either, and whose captions all name a dog."""
    kept, _ = split(captioned(folder), set())
    named = [(path, texts) for path, texts in kept if all("dog" in text.lower() for text in texts)]
    return opened(named)[0]


def probe(folder: Path, training: Sequence[Clip], sounds: Sequence[Waveform], names: Sequence[str]) -> Array:
    """Scores (classes, sounds) of ridge regression on the standardised features of `training`."""
    shown, unseen = summed_up([heard(folder / clip["file"]) for clip in training]), summed_up(sounds)
    mean, deviation = shown.mean(axis=0), shown.std(axis=0) + 1e-6
    x = np.c_[(shown - mean) / deviation, np.ones(len(shown))]
    target = np.array([[clip["label"] == name for name in names] for clip in training], float)
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ target)
    scores: Array = (np.c_[(unseen - mean) / deviation, np.ones(len(unseen))] @ weights).T
    return scores


def summed_up(sounds: Sequence[Waveform]) -> Array:
    """Features (n, d) of sounds, the mean of their parts."""
    model = loaded()
    return np.array([np.mean([features(model, part) for part in parts(sound)], axis=0) for sound in sounds], float)


def average_precision(scores: Array, relevant: Array) -> float:
    """Mean of the precision at the rank of each relevant sound."""
    right = relevant[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean())


def precision_at_10(scores: Array, relevant: Array) -> float:
    """Share of the relevant among the first ten; at most 0.8 for a class of eight."""
    return float(relevant[np.argsort(-scores, kind="stable")[:10]].mean())


def by_chance(relevant: Array) -> tuple[float, float]:
    """Mean average precision and precision@10 of shuffled rankings."""
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(len(relevant)) for _ in range(SHUFFLES)]
    return (
        float(np.mean([average_precision(scores, relevant) for scores in shuffled])),
        float(np.mean([precision_at_10(scores, relevant) for scores in shuffled])),
    )


def report(name: str, ranked: Sequence[tuple[Array, Array]]) -> None:
    """Print the means over questions."""
    precision = np.mean([average_precision(*each) for each in ranked])
    print(f"{name:<34}{precision:>24.3f}{np.mean([precision_at_10(*each) for each in ranked]):>14.3f}")


if __name__ == "__main__":
    main()
