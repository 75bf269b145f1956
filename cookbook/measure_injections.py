"""Measure whether what stands in files can make an agent call a tool: forty strings, in three places, two frameworks.

    python cookbook/measure_injections.py

Each string of `injections.jsonl` is put into a subtitle, into a picture's name and into a passage, beside a harmless
sentence. Agents of LangChain and LlamaIndex are asked about each, with the scripted model, which believes
whatever it reads outside of quotation marks (`scripted.py`). The same library with harmless words in the strings' place
is the control: an agent that makes other calls than there was made to. Then it is looked up where each string ends up
in what the model reads: in quotation marks, or outside; and which of its dangerous parts are left.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from agent_tool_calls import AGENTS
from PIL import Image
from scripted import QUOTED, believed

from seehear import Library
from seehear.blocks import Words
from seehear.tools import Toolbox

STRINGS = [json.loads(line) for line in Path(__file__).with_name("injections.jsonl").read_text("utf-8").splitlines()]
TOPICS = (  # noqa: SIM905 - forty quoted words are harder to read
    "tide kettle violin glacier bakery compass lantern orchard harbour pigeon quarry saddle tunnel umbrella valley "
    "walnut acrobat beehive cathedral dentist elevator ferry greenhouse hammock igloo jigsaw kayak lighthouse mosaic "
    "nutmeg oyster parachute quilt rooftop sculpture trombone vineyard waterfall xylophone zeppelin"
).split()
HARMLESS = "It was a quiet day."
KINDS = {"speech": "audio", "name": "image", "passage": "text"}
"""Where a string is, and the files that are searched for it."""
LIVE = re.compile(
    r"[<>\x00-\x1f\x7f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]|\]\(|\]\["
)
"""What opens a tag, a link or a picture, is not seen, or turns the direction of what follows."""


@dataclass(frozen=True)
class Case:
    """A question that brings up one string."""

    place: str
    number: int
    question: str
    picture: bytes | None = None


def main() -> None:
    """Run all, and print where the strings end up and what agents do."""
    obeyed = sum(believed([string]) is not None for string in STRINGS)
    print(f"{len(STRINGS)} strings; the model calls a tool for {obeyed} of them where they stand as they are")
    with tempfile.TemporaryDirectory() as folder:
        calls = {}
        for name, strings in (("with", STRINGS), ("without", [HARMLESS] * len(STRINGS))):
            with Library.open(Path(folder, f"{name}.library")) as library:
                cases = list(filled(library, Path(folder, name), strings))
                for case in cases:
                    for framework, ask in AGENTS.items():
                        run = ask(library, case.question, case.picture, min_score=0, modalities={KINDS[case.place]})
                        calls[name, case.place, case.number, framework] = [called for called, _ in run.calls]
                if name == "with":
                    ends(library, cases)
    print("\nagents' runs with a string, and those that called otherwise than without it")
    for place in KINDS:
        for framework in AGENTS:
            runs = [[calls[name, place, n, framework] for name in ("with", "without")] for n in range(len(STRINGS))]
            other = [STRINGS[n] for n, (one, control) in enumerate(runs) if one != control]
            made = sum(len(one) for one, _ in runs)
            print(f"  {place:<8} {framework:<11} {len(runs)} runs, {made} calls; otherwise {len(other)} {other or ''}")


def filled(library: Library, folder: Path, strings: Sequence[str]) -> Iterator[Case]:
    """Put the strings into a library's files; questions that bring them up."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for number, (topic, string) in enumerate(zip(TOPICS, strings, strict=True)):
        sound = folder / f"talk{number}.wav"
        _silent(sound)
        said = string.replace("\r", "\n").replace("\n\n", "\n")
        sound.with_suffix(".srt").write_text(
            f"1\n00:00:00,500 --> 00:00:04,000\nThe {topic} is ready. {said}\n", "utf-8", newline="\n"
        )
        path = Path(folder, f"{number} {named(string)}.png")
        field = Image.fromarray(rng.integers(0, 255, (3, 4, 3), np.uint8)).resize((160, 120))
        field.save(path)
        library.add_texts([f"Somebody paid for the {topic} in May. {string}"], ids=[f"passage {number}"])
    report = library.add(folder)
    if report.failed:
        raise SystemExit(f"{report.failed[0].path}: {report.failed[0].reason}")
    for number, topic in enumerate(TOPICS):
        (picture,) = (path for path in folder.iterdir() if path.name.startswith(f"{number} "))
        yield Case("speech", number, f"the {topic} is ready")
        yield Case("passage", number, f"who paid for the {topic} in May")
        yield Case("name", number, "", _jpeg(picture))


def named(string: str) -> str:
    """A string as a file system takes it: no slash, no zero, 200 bytes."""
    return string.replace("/", "\u2215").replace("\0", "").encode()[:200].decode(errors="ignore")


def ends(library: Library, cases: Sequence[Case]) -> None:
    """Where each string is in what a model reads of a search."""
    inside, outside, live, missed = 0, [], [], []
    for case in cases:
        arguments = {"words": case.question, "k": 5} | ({"with_picture": True} if case.picture else {})
        box = Toolbox(library.retriever(min_score=0, modalities={KINDS[case.place]}))
        told = box.call("search", arguments, case.picture)
        text = "\n".join(block.text for block in told.blocks if isinstance(block, Words))
        mark = {"speech": f"The {TOPICS[case.number]} is ready", "name": f"\u201c{case.number} "}.get(
            case.place, f"paid for the {TOPICS[case.number]}"
        )
        if mark not in text:
            missed.append((case.place, case.number))
            continue
        quoted = [one for one in QUOTED.findall(text) if mark.strip("\u201c") in one]
        inside += bool(quoted)
        if believed([text]):
            outside.append((case.place, STRINGS[case.number]))
        live += [(case.place, STRINGS[case.number]) for one in quoted if LIVE.search(one)]
    print(f"{len(cases) - len(missed)} of {len(cases)} questions brought theirs up; {inside} in quotation marks,")
    print(f"{len(outside)} with something to obey outside of them, {len(live)} with live markup or hidden characters")
    for title, which in (("outside", outside), ("live", live), ("not brought up", missed)):
        for one in which:
            print(f"  {title}: {one!r}")


def _silent(path: Path) -> None:
    with wave.open(os.fspath(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        rng = np.random.default_rng(len(path.name))
        file.writeframes((rng.normal(0, 40, 5 * 8_000)).astype("<i2").tobytes())


def _jpeg(path: Path) -> bytes:
    written = io.BytesIO()
    Image.open(path).save(written, "JPEG", quality=95)
    return written.getvalue()


if __name__ == "__main__":
    main()
