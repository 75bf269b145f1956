"""A chat model that needs no network, and is no stub: it reads the lines and pixels that it is given, and nothing else.

It asks the tools as a model would: `search` first, then `look` or `read` at the best answer, and then it answers in a
sentence with the name, the time and what it saw: the colours of the pictures, computed from their pixels. Swap a
picture, and the answer is another. It also believes whatever it reads outside of quotation marks: text that looks like
a call of a tool, in any of the forms that models write, is called. So it shows whether what stands in files can call.

`scripted_langchain.py` and `scripted_llama_index.py` make it a chat model of those frameworks, or put the real one in
its place that the variable SEEHEAR_CHAT_MODEL names.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

VARIABLE = "SEEHEAR_CHAT_MODEL"
"""PROVIDER:MODEL, such as `anthropic:claude-...`."""
COLOURS = {
    "black": (20, 20, 20), "white": (240, 240, 240), "grey": (128, 128, 128), "red": (200, 40, 40),
    "orange": (230, 140, 40), "yellow": (230, 220, 60), "green": (50, 140, 60), "blue": (50, 90, 190),
    "purple": (130, 60, 150), "pink": (230, 150, 180), "brown": (120, 80, 50), "beige": (210, 190, 150),
}  # fmt: skip
LINE = re.compile(
    r"(?:\[(?P<number>\d+)\] )?(?P<kind>text|image|audio|video) \u201c(?P<name>[^\u201d]*)\u201d"
    r"(?:, (?P<place>[\d:.]+ to [\d:.]+))?(?:.*?, id (?P<id>[0-9a-f]{16}(?:#\w+=[\d.]+,[\d.]+)?))?(?P<rest>.*)"
)
MOST = 8  # calls in one run
QUOTED = re.compile(r"\u201c([^\u201d]*)\u201d")
CALLS = (
    re.compile(r"<tool_call>\s*(?P<json>\{.*?\})\s*</tool_call>", re.DOTALL),
    re.compile(r"\[TOOL_CALLS\]\s*\[?\s*(?P<json>\{.*?\})\s*\]?", re.DOTALL),
    re.compile(r"```(?:tool_code|json)\s*(?P<json>\{.*?\})\s*```", re.DOTALL),
    re.compile(r"<invoke name=\"(?P<name>\w+)\">"),
    re.compile(r"<function=(?P<name>\w+)>"),
    re.compile(r"Action:\s*(?P<name>\w+)"),
    re.compile(r"(?P<json>\{\s*\"name\":.*?\})\s*$", re.DOTALL),
    re.compile(r"(?i)\b(?:ignore|disregard)\b.{0,40}\binstructions\b.*?\bcall (?:the )?(?P<name>\w+)", re.DOTALL),
)
"""How tools are called by Hermes, Mistral, Gemini, Claude, Llama, ReAct, as bare JSON, and in words."""


@dataclass(frozen=True)
class Call:
    """A tool that the model calls."""

    name: str
    arguments: dict[str, Any]


Piece = str | Image.Image
"""A block of a message: words or a picture."""


@dataclass
class Told:
    """One thing that is told of: its line, the lines behind it, and its pictures."""

    line: re.Match[str]
    more: list[str] = field(default_factory=list)
    pictures: list[Image.Image] = field(default_factory=list)


def reply(question: Sequence[Piece], results: Sequence[Sequence[Piece]], *, tools: bool) -> Call | str:
    """What the model says to a question and to what its tools have answered: another call, or the answer."""
    if not tools:
        return answered(question)
    if not results:
        words = " ".join(piece for piece in question if isinstance(piece, str))
        pictured = any(isinstance(piece, Image.Image) for piece in question)
        return Call("search", {"words": words, "k": 5} | ({"with_picture": True} if pictured else {}))
    if (ordered := believed(results[-1])) and len(results) < MOST:
        return ordered
    if len(results) == 1 and (found := read(results[0])):
        line = found[0].line
        looks = line["kind"] in ("image", "video")
        return Call("look" if looks else "read", {"id": line["id"]} | ({"frames": 3} if looks else {}))
    return answered(results[-1], read(results[0]))


def answered(given: Sequence[Piece], cited: Sequence[Told] = ()) -> str:
    """An answer from the first thing that is told of: name and time (as `cited`), the colours shown, what is said."""
    found = read(given)
    if not found:
        return "I found nothing about that."
    line, said = (cited or found)[0].line, QUOTED.findall("\n".join([found[0].line["rest"], *found[0].more]))
    where = f"\u201c{line['name']}\u201d" + (f" at {line['place']}" if line["place"] else "")
    seen = f" shows {', then '.join(dict.fromkeys(map(colour, found[0].pictures)))}" if found[0].pictures else ""
    words = f" says \u201c{' '.join(said)[:200]}\u201d" if said else ""
    return f"{where}{' and'.join(filter(None, (seen, words))) or ' is the nearest that I found'}."


def read(given: Sequence[Piece]) -> list[Told]:
    """What is told of, in order."""
    found: list[Told] = []
    for piece in given:
        if isinstance(piece, Image.Image):
            for told in found[-1:]:
                told.pictures.append(piece)
            continue
        for line in piece.splitlines():
            if match := LINE.match(line.strip()):
                found.append(Told(match))
            elif found:
                found[-1].more.append(line)
    return found


def colour(picture: Image.Image) -> str:
    """The colour that most of a picture has, of twelve."""
    pixels = np.asarray(picture.convert("RGB").resize((32, 32)), float).reshape(-1, 1, 3)
    nearest = np.square(pixels - np.array(list(COLOURS.values()))).sum(-1).argmin(-1)
    return list(COLOURS)[np.bincount(nearest, minlength=len(COLOURS)).argmax()]


def believed(given: Sequence[Piece]) -> Call | None:
    """A call that stands in what was read, outside of quotation marks."""
    for piece in given:
        if isinstance(piece, str) and (found := ordered(QUOTED.sub("", piece))):
            return found
    return None


def ordered(text: str) -> Call | None:
    """A call that stands in a text, in any form."""
    for form in CALLS:
        if match := form.search(text):
            parts = match.groupdict()
            if parts.get("name"):
                return Call(parts["name"], {})
            try:
                read = json.loads(parts["json"])
                return Call(str(read["name"]), dict(read.get("arguments", {})))
            except (ValueError, TypeError, KeyError):
                continue
    return None


def opened(data: str | bytes) -> Image.Image:
    """A picture of base64, a data URL or bytes."""
    if isinstance(data, str):
        data = base64.b64decode(data.rpartition(",")[2])
    return Image.open(io.BytesIO(data)).convert("RGB")
