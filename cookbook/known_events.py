"""Choose what happens in the footage of `footage.py`, so that no question has two answers.

Of each class of sounds there is one event; nothing seen or said has a word of substance in common with what is asked of
a sound, and no question more than one with what is seen, by its captions, or said in another event or in the scenes
between. Of clips of the same people in the same place there is one. Within that the choice is drawn, with a seed;
no model has a say in it.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from build_mini import captioned, split, spoken
from measure_sounds import PARAPHRASES, held_out, listed
from PIL import Image

SEED = 0
LOUD = 0.1  # root of the mean square of what is heard or said
SCENES = ("intel_person_room.mp4", "intel_bottles.mp4", "intel_cars.mp4")
"""What runs between events."""
TWINS = {f"intelgif_{name}.mp4" for name in ("face-demographics-walking", "head-pose-face-detection-female")}
TWINS.add("intelgif_head-pose-face-detection-male.mp4")
SMALL = "a an and are as at by down for from front her him his in into is it its of on one out over some that the their"
SMALL += " them there through to top up while with  two three four several many group couple  man men woman women"
SMALL += " people person guy lady  look play sit stand street walk"

Rng = np.random.Generator


@dataclass(frozen=True)
class Plan:
    """How much there is of everything; lengths and gaps in seconds, drawn between two limits."""

    seen: int = 24
    heard: int = 18
    said: int = 18
    lengths: tuple[float, float] = (5, 12)
    gaps: tuple[float, float] = (6, 16)


@dataclass(frozen=True)
class Event:
    """Something that is seen, heard or said from `start` to `end`, and the question that asks for it."""

    question: str
    channel: str
    files: tuple[Path, ...]
    texts: tuple[str, ...]
    """What is said about it, or in it: no other question must mean that."""
    how: str = "cut"
    start: float = 0.0
    end: float = 0.0
    level: float = LOUD


def chosen(data: Path, plan: Plan) -> list[Event]:
    """The events, without times: what is seen, what is heard, what is said."""
    rng = np.random.default_rng(SEED)
    with (data / "videos" / "captions.json").open(encoding="utf-8") as file:
        films = json.load(file)
    clips = [Event(f["captions"][0], "visual", (data / "videos" / f["file"],), tuple(f["captions"])) for f in films]
    scenes = [clip for clip in clips if clip.files[0].name in SCENES]
    sounds = [*recordings(data, rng)][: plan.heard]
    named = spoken(data / "speech")
    pairs = captioned(data / "flickr8k")
    coco = [Event(texts[1], "visual", (path,), tuple(texts)) for path, texts in captioned(data / "coco") if wide(path)]
    kept = [pair for pair in split(pairs, named)[0] if pair[0].name not in named]
    flickr = [Event(texts[2], "visual", (path,), tuple(texts)) for path, texts in kept]
    texts = {path.name: captions for path, captions in pairs}
    with (data / "speech" / "spoken_captions.csv").open(newline="", encoding="utf-8") as file:
        said = [
            Event(other, "speech", (data / "speech" / row["audio"],), (other, row["text"]))
            for row in csv.DictReader(file)
            for other in [next(t for t in texts[row["image"]] if t.strip(" .") != row["text"].strip(" ."))]
        ]
    seen: list[Event] = [clip for clip in clips if clip.files[0].name not in {*SCENES, *TWINS}]
    for source in (coco, flickr, said):
        rng.shuffle(source)  # type: ignore[arg-type]
    # Photographs of both kinds in turn, as many as there are clips at least.
    photographs = [photograph for pair in zip(coco, flickr, strict=False) for photograph in pair]
    found = [*sounds]
    for candidates, count in ((seen, plan.seen // 2), (said, plan.said), (photographs, plan.seen)):
        for one in candidates:
            if sum(other.channel == one.channel for other in found) < count and apart(one, [*found, *scenes]):
                found.append(one)
    return found


def recordings(data: Path, rng: Rng) -> Iterator[Event]:
    """An event for each class of sounds, but for one that is like the noise: all slices of one recording."""
    classes: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    captions = {}
    for clip in listed(data):
        if held_out(clip) and clip["label"] != "air_conditioner":
            path = data / clip["file"]
            classes[clip["label"]][path.name.split("-")[1 if "esc10" in clip["file"] else 0]].append(path)
            captions[clip["label"]] = clip["caption"]
    for number, label in enumerate(sorted(classes)):
        slices = classes[label][str(rng.choice(sorted(classes[label])))]
        question = PARAPHRASES[label][0] if number % 2 else captions[label]
        yield Event(question, "sound", tuple(slices), (question, captions[label]))


def apart(one: Event, others: Sequence[Event]) -> bool:
    """Whether a question is about one of two events only, by the words of substance that it shares with the other."""
    for other in others:
        most = 0 if other.channel == "sound" else 1
        asked = [(one.question, text) for text in other.texts] + [(other.question, text) for text in one.texts]
        if any(len(substance(question) & substance(text)) > most for question, text in asked):
            return False
    return True


def substance(text: str) -> set[str]:
    """The words that say what a text is about, without their endings."""
    words = re.findall(r"[a-z]{2,}", text.lower().replace("children", "child"))
    small, ending = set(SMALL.split()), re.compile(r"(?<=...)(ing|ed|es|s|e|y)$")
    return {ending.sub("", word) for word in words if not {word, ending.sub("", word)} & small}


def wide(path: Path) -> bool:
    """Whether a photograph can fill a screen without losing much."""
    with Image.open(path) as picture:
        return picture.width >= 1.3 * picture.height
