"""A little of every kind of file, for tests of what a library keeps: pictures, a talk, a tone, a video, a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from films import film, plain, steady
from PIL import Image
from recordings import tone, write
from spoken import spoken

from seehear import ModelSet
from seehear.testing import COLOUR, COLOURS
from seehear.types import Route

WORDS, SEEN, HEARD = frozenset({"text"}), frozenset({"text", "image"}), frozenset({"text", "audio"})
SET = ModelSet(
    "mixed",
    (
        Route("visual", COLOUR, SEEN),
        Route("sound", COLOUR, HEARD),
        Route("speech", COLOUR, WORDS),
        Route("text", COLOUR, WORDS),
    ),
    ("image", "audio", "text", "video"),
    "seehear.testing:LoudnessTranscriber",
)
"""Fakes on every route."""
SAID = "The train to the airport leaves in the morning."


def media(folder: Path) -> Path:
    """Fill a folder: red.png, blue.png, its copy, talk.wav, tone.flac, day.mp4 (three shots, and SAID), notes.txt."""
    folder.mkdir(parents=True)
    for number, name in enumerate(("red", "blue")):
        Image.new("RGB", (40 + number, 30), COLOURS[name]).save(folder / f"{name}.png")
    (folder / "copy.png").write_bytes((folder / "blue.png").read_bytes())
    said = spoken(SAID)
    write(folder / "talk.wav", said.samples, rate=said.rate)
    write(folder / "tone.flac", tone(6.0, 44_100))
    sound = np.concatenate([tone(2.0, said.rate), said.samples, tone(9.0, said.rate, 200.0)])[: 9 * said.rate]
    shots = steady([(3, plain(COLOURS[name])) for name in ("green", "white", "yellow")], 12.5)
    film(folder / "day.mp4", shots, sound=sound, rate=said.rate, every=25)
    (folder / "notes.txt").write_text("The harbour was closed all winter. A kettle stands on the stove.\n")
    return folder
