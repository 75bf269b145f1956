"""Measure what the adapters cost: the retrievers of LangChain and LlamaIndex beside the core's own.

    python cookbook/measure_adapters.py [--items 10000] [--questions 200]

Made passages and drawn pictures in one library with the real encoders of `mini` and a real Chroma. Each question is
asked of all three, one after another, in turns; what an adapter costs is the difference of its time and the core's for
that question. Without media: passages, ten answers. With media: pictures, four answers, which LlamaIndex's retriever
opens, scales and compresses for the model; beside it the core, and then `seehear.blocks.blocks` of what it found.
Then 32 questions at once beside a loop, and how long the event loop stood still meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seehear import Library, Query
from seehear.blocks import Budget, blocks
from seehear.integrations.langchain import SeehearRetriever
from seehear.integrations.llama_index import SeehearRetriever as LlamaIndexRetriever

WHO = (
    "the harbour master",
    "a nurse",
    "the old baker",
    "my sister",
    "a pilot",
    "the gardener",
    "two students",
    "a judge",
)
DOES = (
    "repairs",
    "paints",
    "sells",
    "forgets",
    "measures",
    "carries",
    "photographs",
    "borrows",
    "returns",
    "describes",
)
WHAT = (
    "a blue bicycle",
    "the broken clock",
    "some apples",
    "an atlas",
    "a wooden boat",
    "the invoice",
    "a violin",
    "maps",
)
WHERE = (
    "in the rain",
    "at the station",
    "before dawn",
    "near the bridge",
    "in Lisbon",
    "on the roof",
    "for a neighbour",
)
PICTURES, AT_ONCE, TICK = 100, 32, 0.001


def main() -> None:
    """Fill a library, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    given = parser.parse_args()
    rng = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder, "library")) as library:
        fill(library, Path(folder, "drawn"), given.items, rng)
        questions = [sentence(rng) for _ in range(given.questions)]
        costs(library, questions)
        media(library, [Query(image=drawn(rng)) for _ in range(given.questions // 4)])
        asyncio.run(together(library, questions))


def fill(library: Library, folder: Path, items: int, rng: np.random.Generator) -> None:
    """Passages, and some pictures."""
    folder.mkdir()
    for number in range(PICTURES):
        drawn(rng).save(folder / f"{number}.jpg")
    library.add(folder)
    library.add_texts([f"{sentence(rng)} It was number {n}." for n in range(items - PICTURES)])
    print(f"{library.info()['segments']:,} items")


def sentence(rng: np.random.Generator) -> str:
    """A made one."""
    who, does, what, where = (str(rng.choice(words)) for words in (WHO, DOES, WHAT, WHERE))
    return f"{who.capitalize()} {does} {what} {where}."


def drawn(rng: np.random.Generator) -> Image.Image:
    """Twelve fields of colour, 1280 x 960."""
    fields = Image.fromarray(rng.integers(0, 255, (3, 4, 3), np.uint8))
    return fields.resize((1280, 960), Image.Resampling.BICUBIC)


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def costs(library: Library, questions: Sequence[str]) -> None:
    """Each question of all three, without media."""
    core = library.retriever(k=10, min_score=0)
    langchain = SeehearRetriever(library=library, k=10, min_score=0)
    llama_index = LlamaIndexRetriever(library, similarity_top_k=10, min_score=0, budget=Budget(pictures=0))
    print("\nten answers without media      core p50    p99   |  adapter minus core p50    p99   | over the core's p50")
    ways = {"LangChain": langchain.invoke, "LlamaIndex": llama_index.retrieve}
    compared({"core": core.retrieve, **ways}, questions)


def media(library: Library, questions: Sequence[Query]) -> None:
    """Pictures by pictures, with media."""
    core = library.retriever(k=4, min_score=0, modalities={"image"})
    adapter = LlamaIndexRetriever(library, similarity_top_k=4, min_score=0, modalities={"image"})
    print("\nfour pictures with media")
    opened = {"core, then blocks": lambda question: blocks(core.retrieve(question))}
    compared({"core": core.retrieve, **opened, "LlamaIndex": adapter.retrieve}, questions)


def compared(ways: dict[str, Callable[[Any], Any]], questions: Sequence[Any]) -> None:
    """A row for each way but the first, which the others are compared with."""
    for way in ways.values():
        way(questions[0])
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number, question in enumerate(questions):
        names = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]  # whoever is first warms the caches
        for name in names:
            took[name].append(timed(lambda ask=ways[name], words=question: ask(words)))
    base = took.pop(next(iter(ways)))
    for name, own in took.items():
        more = [one - other for one, other in zip(own, base, strict=True)]
        p50, high = statistics.median(more), float(np.quantile(more, 0.99))
        print(
            f"{name:<28} {statistics.median(base):>9.2f} {np.quantile(base, 0.99):>6.2f} ms "
            f"{p50:>22.2f} {high:>6.2f} ms {100 * p50 / statistics.median(base):>12.1f} %"
        )


async def together(library: Library, questions: Sequence[str]) -> None:
    """Many at once, beside one after another."""
    langchain = SeehearRetriever(library=library, k=10, min_score=0)
    llama_index = LlamaIndexRetriever(library, similarity_top_k=10, min_score=0, budget=Budget(pictures=0))
    core = library.retriever(k=10, min_score=0)
    asked = questions[:AT_ONCE]
    print(f"\n{AT_ONCE} at once beside a loop: questions a second, p99 ms; longest stand of the event loop, ms")
    for name, ask in (
        ("core", core.aretrieve),
        ("LangChain", langchain.ainvoke),
        ("LlamaIndex", llama_index.aretrieve),
    ):
        rounds = [await raced(ask, asked) for _ in range(5)]
        one, many = (sorted(rounds, key=lambda each: each[part][0])[2][part] for part in (0, 1))
        stood = max(each[2] for each in rounds)
        print(
            f"{name:<12} loop {one[0]:>6.0f} /s, {one[1]:>6.1f} ms   at once {many[0]:>6.0f} /s, {many[1]:>6.1f} ms"
            f"   ratio {many[0] / one[0]:.2f}   stood {stood:.1f} ms"
        )


async def raced(
    ask: Callable[[str], Awaitable[Any]], questions: Sequence[str]
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """(questions a second, p99 in ms) of a loop, and of all at once; the longest stand of the event loop in ms."""

    async def once(question: str) -> float:
        started = time.perf_counter()
        await ask(question)
        return 1000 * (time.perf_counter() - started)

    started = time.perf_counter()
    alone = [await once(question) for question in questions]
    first = len(questions) / (time.perf_counter() - started), float(np.quantile(alone, 0.99))
    stood = 0.0
    running = True

    async def watch() -> None:
        nonlocal stood
        while running:
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            stood = max(stood, 1000 * (time.perf_counter() - began - TICK))

    watcher = asyncio.create_task(watch())
    started = time.perf_counter()
    crowd = await asyncio.gather(*(once(question) for question in questions))
    second = len(questions) / (time.perf_counter() - started), float(np.quantile(crowd, 0.99))
    running = False
    await watcher
    return first, second, stood


if __name__ == "__main__":
    main()
