"""Pictures and texts that say which version of which thing they are, and what an answer must not be while they change.

A picture says it in its blocks, each part of a text in its words, and all in their metadata. The encoder sees it too,
and gives each version a similarity of its own to the question, so that an answer tells whether ledger and store speak
of the same. Whoever changes things writes into a log what will be there, and again when it is. For `measure_server.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seehear import ModelSet
from seehear.hits import Hit
from seehear.types import Content, Kind, Needs, Picture, Role, Route, Text

NAME, DIM = "versions", 64
LEAST, STEP, LEVELS = 0.70, 0.005, 50  # similarity to a question: of version 0, more for each, and how many there are
SIDE, BLOCK, ROWS = 32, 8, 4  # of pictures, in pixels and in blocks
GAP = "\n" * 100  # between the parts of a text: each becomes a passage
PICTURE, TEXT, PASSAGE = range(3)
WORDS: frozenset[Kind] = frozenset({"text"})
MODELS = ModelSet(NAME, (Route("visual", NAME, WORDS), Route("text", NAME, WORDS)), ("image", "text"))
State = tuple[str, int] | None
"""Where a thing is, and of which version; None where it is not."""


class Versions:
    """Each thing has a direction of its own; a version of it lies so far from that. No weights."""

    name, dim, needs = NAME, DIM, Needs(pixels=SIDE)
    takes: frozenset[Kind] = frozenset({"text", "image"})
    fingerprint: Mapping[str, str] = {"weights": "drawn"}

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:  # noqa: ARG002 - as the contract has it
        """Embed a picture or a part of a text, the name of a thing, or anything else: float32 (n, DIM), unit rows."""
        return np.array([_row(one) for one in contents], np.float32).reshape(-1, DIM)


def _row(content: Content) -> NDArray[np.float64]:
    told = content.text if isinstance(content, Text) else read(content.pixels) if isinstance(content, Picture) else ""
    own = _direction(told)
    if not (known := re.match(r"(w\d+i\d+) version (\d+)", told)):
        return own
    thing, near = _direction(known[1]), LEAST + STEP * (int(known[2]) % LEVELS)
    apart = own - thing * float(own @ thing)
    row: NDArray[np.float64] = near * thing + float(1 - near**2) ** 0.5 * apart / np.linalg.norm(apart)
    return row


def _direction(name: str) -> NDArray[np.float64]:
    row = np.random.default_rng(list(hashlib.sha256(name.encode()).digest())).normal(size=DIM)
    unit: NDArray[np.float64] = row / np.linalg.norm(row)
    return unit


def kind(name: str) -> int:
    """What a thing is: things are called w0i7, for the seventh of the first who changes some."""
    return int(name.partition("i")[2]) % 3


def draw(name: str, version: int) -> Image.Image:
    """A picture whose blocks say what it is."""
    writer, number = map(int, re.findall(r"\d+", name))
    bits = np.array([int(bit) for bit in f"{writer:08b}{number:08b}{version:016b}"], np.uint8).reshape(ROWS, -1)
    return Image.fromarray(255 * bits.repeat(BLOCK, 0).repeat(BLOCK, 1)).convert("RGB")


def read(pixels: NDArray[np.uint8]) -> str:
    """What a picture says; other pictures say nothing of use."""
    blocks = pixels[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK, 0] > 127
    bits = "".join(str(int(bit)) for bit in blocks.ravel())
    return f"w{int(bits[:8], 2)}i{int(bits[8:16], 2)} version {int(bits[16:], 2)}" if len(bits) == 32 else bits


def write(name: str, version: int) -> str:
    """A text whose parts all say what it is, and how many they are."""
    count = 2 + version % 3
    return GAP.join(f"{name} version {version} part {n} of {count}." for n in range(1, count + 1))


class Log:
    """Where one says what will be there, and again when it is."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(self, states: Mapping[str, State], *, done: bool) -> None:
        """Write a line at once, so that nobody reads half of it for all."""
        os.write(self._file, json.dumps([done, states]).encode() + b"\n")


class Story:
    """What may be found of each thing: what was there when a question began, and what came or went since."""

    def __init__(self, logs: Sequence[Path]) -> None:
        self.may: dict[str, list[State]] = {}
        self._rests = {os.open(log, os.O_RDONLY): b"" for log in logs}
        """What was read of each log and is no whole line yet."""
        self._done: dict[str, int] = {}
        """The last place in its list that a thing is known to have reached."""

    def begin(self) -> None:
        """Forget what was replaced before now."""
        self.follow()
        for name, place in self._done.items():
            self.may[name] = self.may[name][place:]
        self._done = {}

    def follow(self) -> None:
        """Take in what has happened since."""
        for log in self._rests:
            while block := os.read(log, 1 << 20):
                self._rests[log] += block
            *lines, self._rests[log] = self._rests[log].split(b"\n")
            for done, states in map(json.loads, lines):
                for name, state in states.items():
                    if done:
                        self._done[name] = len(self.may[name]) - 1
                    else:
                        self.may.setdefault(name, []).append((state[0], state[1]) if state else None)

    def busy(self) -> list[str]:
        """Things that somebody is changing."""
        return [name for name, states in self.may.items() if len(states) > 1]


def faults(hits: Sequence[Hit], asked: str, may: Mapping[str, Sequence[State]]) -> Iterator[tuple[str, str]]:
    """What is wrong with an answer to the question for a thing: "torn" or "stale", and in what."""
    things: dict[str, list[Hit]] = {asked: []}
    for hit in hits:
        things.setdefault(str(hit.metadata["item"]), []).append(hit)
    for name, mine in things.items():
        states = sorted({(hit.source, int(hit.metadata["version"])) for hit in mine})
        state = states[0] if states else None
        if len(states) > 1:
            yield "torn", f"{name} is all of {states}"
        elif state not in may[name]:
            yield "stale", f"{name} is {state}, and may be {may[name]}"
    parts = sorted(hit.text for hit in things[asked])
    for hit in things[asked]:
        version = int(hit.metadata["version"])
        if kind(asked) != PICTURE and parts != write(asked, version).split(GAP):
            yield "torn", f"{asked} of version {version} has the parts {parts}"
        for one in hit.evidence:
            level = round((one.similarity - LEAST) / STEP)
            if one.encoder == NAME and level != version % LEVELS:
                yield "torn", f"{asked} of version {version} has a vector of version {level}"
