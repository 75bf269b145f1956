"""Questions that nobody thought of: whatever is asked, and however, the answer is well formed, or a typed error."""

from __future__ import annotations

import asyncio
import time as clock
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from llama_index.core.schema import QueryBundle
from mixed import SAID, SET, media
from PIL import Image

from seehear import Budget, Library, Query
from seehear.errors import LONGEST, InputError
from seehear.hits import Hits
from seehear.integrations import langchain, llama_index
from seehear.testing import COLOUR, ColourEncoder
from seehear.tools import TOOLS, Told, Toolbox
from seehear.types import Waveform
from seehear.wording import repeated

SECONDS = 5.0
"""What a question may take; machines that are busy with others are given the rest of it."""
CHANNELS, MODALITIES = ("text", "visual", "sound", "speech"), ("text", "image", "audio", "video")
NAMES = ("project", "year", "good", "taken", "width", 'camera\'s "own"')
"""Metadata that files of the library have."""


@dataclass
class Asked:
    """A library that is asked, and what became of the questions."""

    library: Library
    ids: list[str]
    pictures: list[Any]
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("asked")
    files = media(folder / "media")
    options: dict[str, Any] = {"models": SET, "encoders": {COLOUR: ColourEncoder()}}
    with Library.open(folder / "library", **options) as library:
        said = {"project": "spring", "year": 2024, "good": True, "taken": "2024-05-03T20:00:00+02:00", NAMES[-1]: 0.5}
        assert not library.add(files, metadata=said).failed
        assert not library.add_texts(['a "red" kettle; DROP TABLE sources -- NEAR(x*)'], ids=['it\'s "1"']).failed
        ids = [listed.name for listed in library.retriever().sources()[0]]
        ids += [hit.id for hit in library.retrieve("the train in blue", 50, min_score=0)]
        pictures = [files / "red.png", (files / "blue.png").read_bytes(), files / "day.mp4", files / "talk.wav"]
        yield Asked(library, ids, pictures)


class BytesPath:
    """A path whose name is bytes, as `os.DirEntry` of a folder of bytes is."""

    def __fspath__(self) -> bytes:
        return b"\xff.png"


class Unspeakable:
    """An object that cannot be written down."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(value: Any, times: int, wrap: Callable[[Any], Any]) -> Any:
    """A value in a list in a list, say."""
    for _ in range(times):
        value = wrap(value)
    return value


DEEP = nested([], 5_000, lambda inner: [inner])
HUGE = 10**5_000
"""More digits than Python writes."""
LAUGHS = nested({"year": 2024}, 7, lambda inner: {"$or": [inner] * 20})
"""A small filter that holds another 1,280,000,000 times."""


def these(*values: Any) -> st.SearchStrategy[Any]:
    """One of some values; not by `sampled_from`, which writes down what cannot be written."""
    return st.integers(0, len(values) - 1).map(values.__getitem__)


def mostly(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Seven times of eight something that makes sense: a question of which each part is odd is never asked."""
    return st.integers(0, 7).flatmap(lambda number: usual if number else other)


letters = st.characters(exclude_categories=())
"""All, half characters among them."""
words = st.lists(these("red", "blue", "train", "harbour", "kettle", "the", "10 PM"), min_size=1, max_size=6).map(
    " ".join
)
texts = st.one_of(
    st.text(letters, max_size=40),
    words,
    these(
        SAID, "", " ", "\0", "a" * 100_000, "red " * 2_500, "é" * 10_000, "\ud800 red \udfff", 'red" OR "blue', "red*",
        "NEAR(red blue, 5)", "text : red", "^red - blue + {a b}", '"', '""""', "'; DROP TABLE segments; --", "%_\\",
        "-k", "red AND (", "\u202ered", "http://127.0.0.1/red.png", "/etc/passwd", "{0.__class__}", "%s%n",
        "e\u0301" * 3_000),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-3, 20),
    st.integers(),
    st.floats(),
    these(2**31, 2**40, 2**63, -(2**63) - 1, 10**30, -(10**400), HUGE, -HUGE, Fraction(1, 3), Decimal("NaN")),
    these(np.int64(3), np.uint8(2), np.float32(0.5), np.float64("nan"), np.bool_(True), np.longdouble(2)),
    st.complex_numbers(max_magnitude=3),
)
times = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.datetimes(timezones=these(UTC, timezone(timedelta(hours=23, minutes=59)), timezone(-timedelta(hours=5)))),
    st.dates(),
    st.times(),
    st.times(timezones=st.just(UTC)),
    these("2024-05-03", "2024-05-03T21:30+02:00", "10 PM", "25:61", "0001-01-01", "9999-12-31T23:59:59-23:59"),
    these(datetime.min, datetime.max, date.max, time.max, np.datetime64("2024"), np.datetime64("NaT")),
)
arrays = st.one_of(
    these(
        np.array(3), np.array("red"), np.zeros(0), np.zeros((0, 0, 3), np.uint8), np.full((4, 4, 3), np.nan),
        np.zeros((3, 3), np.uint8), np.zeros((2, 2, 4), np.uint8), np.array([None, {}], object), np.zeros(3, "M8[s]"),
        np.array([(1, 2.0)], [("a", int), ("b", float)]), np.broadcast_to(np.uint8(7), (60_000, 60_000, 3)),
        np.broadcast_to(np.float32(0.5), (1 << 40,)), np.ma.masked, np.array(["red", "\0"]), np.void(b"abc")),
)  # fmt: skip
junk = st.one_of(
    st.none(), st.booleans(), numbers, texts, times, arrays, st.binary(max_size=40),
    st.recursive(st.one_of(numbers, texts, st.none()), lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(texts, inner, max_size=3),
    ), max_leaves=8),
    these(DEEP, object(), Unspeakable(), BytesPath(), Path("nowhere.png"), Path("\0"), Path("\ud800"), int, {1, 2}),
    these(range(10**12), bytearray(b"x"), memoryview(b"x"), frozenset(), {}, [], (), ..., len, Query(), b"\xff\xd8"),
)  # fmt: skip
values = st.one_of(numbers, texts, times, st.booleans(), st.none(), arrays, these("spring", 2024, True, 0.5))
keys = st.one_of(
    st.sampled_from(NAMES), st.sampled_from(NAMES), texts, st.integers(), st.none(), st.tuples(st.integers()),
    these("$where", "$regex", "$expr", "_id", "a' OR '1'='1", 'a"b', "\0", "\ud800", HUGE, "$"),
)  # fmt: skip
operators = st.one_of(
    these("$eq", "$ne", "$gt", "$gte", "$lt", "$lte").flatmap(lambda one: st.tuples(st.just(one), values)),
    these("$in", "$nin").flatmap(
        lambda one: st.tuples(
            st.just(one), st.one_of(st.lists(values, max_size=5), arrays, values, st.just(range(10**9)))
        )
    ),
    st.tuples(st.just("$exists"), st.one_of(st.booleans(), values)),
    st.tuples(keys, values),
)
terms = st.one_of(
    st.tuples(st.sampled_from(NAMES), these("spring", 2024, True, 0.5, "2024-05-03T20:00:00+02:00", 40)),
    st.tuples(keys, values),
    st.tuples(keys, st.lists(operators, max_size=3).map(lambda pairs: dict(pairs))),
)
plain = st.recursive(
    st.dictionaries(
        st.sampled_from(NAMES),
        mostly(st.sampled_from(("spring", 2024, True, 0.5)), operators.map(lambda pair: dict([pair]))),
        min_size=1, max_size=2,
    ),
    lambda inner: st.builds(lambda one, other: {"$or": [one, other, {"$not": {"year": 3}}]}, inner, inner),
    max_leaves=3,
)  # fmt: skip
filters = st.one_of(
    st.recursive(
        st.lists(terms, min_size=1, max_size=3).map(lambda pairs: dict(pairs)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda many: {"$and": many}),
            st.lists(inner, max_size=3).map(lambda many: {"$or": many}),
            inner.map(lambda one: {"$not": one}),
        ),
        max_leaves=6,
    ),
    these(
        nested({"year": 2024}, 5_000, lambda inner: {"$not": inner}),
        nested({"year": 1}, 5_000, lambda inner: {"$and": [inner]}), LAUGHS,
        {"$or": [{"year": n} for n in range(100_000)]},
        {"year": {"$in": list(range(1_000))}}, {"year": DEEP},
        {"$or": [{"year": n} for n in range(200)]}, {"year": {"$eq": {"$eq": 1}}}, {"$and": DEEP}, DEEP, {}),
)  # fmt: skip
sounds = st.builds(
    Waveform,
    st.one_of(
        arrays,
        st.integers(0, 40_000).map(lambda n: np.sin(np.arange(n, dtype=np.float32))),
        these(
            np.full(9_999, np.nan, np.float32), np.zeros(9_999, np.float32), np.full(9_999, 3e38, np.float32),
            np.sin(np.arange(50_000, dtype=np.float32))[::-3], np.ones(9_999, ">f4"), [0.5] * 9_999, np.ones(9_999)),
    ),
    st.one_of(these(1_000, 8_000, 16_000, 44_100, 192_000, 768_000, 1_009, np.int32(8_000)), junk),
)  # fmt: skip
images = st.one_of(
    st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda size: np.full((*size, 3), 200, np.uint8)),
    these("1", "L", "P", "PA", "LA", "La", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16").map(
        lambda mode: Image.new(mode, (9, 7))
    ),
    these(
        np.zeros((9, 9, 3), np.uint8)[::-1, ::-2], np.zeros((1, 500_000, 3), np.uint8), Image.new("RGB", (0, 0)),
        Image.new("L", (0, 5)), Image.fromarray(np.full((5, 5), np.inf, np.float32)), Image.new("RGB", (20_000, 1))),
)  # fmt: skip
limits = {
    "k": mostly(st.integers(1, 12), junk),
    "channels": mostly(st.sets(st.sampled_from(CHANNELS), min_size=1) | st.sampled_from(CHANNELS), junk),
    "modalities": mostly(st.sets(st.sampled_from(MODALITIES), min_size=1) | st.sampled_from(MODALITIES), junk),
    "where": mostly(mostly(plain, filters), junk),
    "after": mostly(mostly(st.sampled_from(("2024-05-01", "10 AM", date(2020, 1, 1), time(1))), times), junk),
    "before": mostly(mostly(st.sampled_from(("2024-06-01", "10 PM", date(2030, 1, 1), time(23))), times), junk),
    "per_source": mostly(st.integers(1, 3), junk),
    "min_score": mostly(st.just(0) | st.floats(0, 1), junk),
}
parts = mostly(words | images, texts | sounds | junk)
weighted = st.lists(parts | st.tuples(parts, mostly(st.floats(0.1, 3), numbers)), max_size=3)
contents = {
    "image": mostly(images, junk),
    "audio": mostly(sounds, junk),
    "voice": mostly(sounds, junk),
    "plus": mostly(weighted, junk | st.just(["red"] * 100_000)),
    "minus": mostly(weighted, junk),
}


@st.composite
def some(draw: st.DrawFn, of: dict[str, st.SearchStrategy[Any]], most: int = 3) -> dict[str, Any]:
    """A few of the fields, each with a value: questions with all of them would never be asked."""
    chosen = draw(st.lists(st.sampled_from(sorted(of)), max_size=most, unique=True))
    return {name: draw(of[name]) for name in chosen}


ARGUMENTS = {
    "words": mostly(words, texts), "k": mostly(st.integers(1, 20), junk), "nonsense": junk,
    "modalities": mostly(st.lists(st.sampled_from(MODALITIES), max_size=3), junk),
    "channels": mostly(st.lists(st.sampled_from(CHANNELS), max_size=3), junk),
    "after": mostly(st.sampled_from(("", "2024-05-01", "10 AM")), texts | junk),
    "with_picture": mostly(st.booleans(), junk),
    "frames": mostly(st.integers(1, 8), junk), "before": mostly(st.floats(0, 600), numbers | junk),
    "containing": mostly(st.sampled_from(("", "red", ".")), texts), "first": mostly(st.integers(0, 3), numbers),
}  # fmt: skip
"""Of all tools together."""
MINE = {tool.name: [name for name in tool.arguments.model_fields if name in ARGUMENTS] for tool in TOOLS}


@st.composite
def called(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """A tool's name, what a model gives it beside an id, and the picture in the chat."""
    name = draw(mostly(st.sampled_from([tool.name for tool in TOOLS]), junk))
    fitting = MINE[name] if isinstance(name, str) and name in MINE else []
    given = {one: draw(ARGUMENTS[one]) for one in fitting if draw(st.booleans())}
    more = {} if draw(st.integers(0, 9)) else draw(some(ARGUMENTS))
    words_too = {"words": draw(words)} if isinstance(name, str) and name == "search" and draw(st.integers(0, 9)) else {}
    return name, draw(mostly(st.just({**words_too, **given, **more}), junk)), draw(mostly(images, junk | st.none()))


def checked(hits: Sequence[Any], asked: Asked, k: Any = 10**9) -> None:
    """Whether an answer is well formed: sorted, scored, no longer than was asked for, and each hit can be had again."""
    assert isinstance(hits, Hits)
    assert len(hits) <= k
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len({hit.id for hit in hits}) == len(hits)
    again = asked.library.retriever()
    assert all(again.hit(hit.id).source == hit.source for hit in hits)


@st.composite
def questions(draw: st.DrawFn) -> Callable[[Asked], str]:
    """A question through one of the entrances; called, it asks, checks the answer, and gives the entrance's name."""
    way = draw(these(
        "retrieve", "retrieve", "aretrieve", "retriever", "similar", "hit", "sources", "tool", "tool", "langchain",
        "llama_index"))  # fmt: skip
    fields = draw(some(limits))
    k = fields.pop("k", 5)
    content = draw(some(contents, 1)) if draw(st.integers(0, 3)) == 0 else {}
    text = draw(mostly(words, texts | junk)) if not content or draw(st.booleans()) else None
    whole: Any = Query(text, **content, **fields) if content or draw(st.booleans()) else text
    given_beside = {} if isinstance(whole, Query) else fields
    pick, named, other = draw(st.integers(0, 10**6)), draw(mostly(st.just(True), st.just(False))), draw(texts | junk)
    chosen, arguments, picture = draw(called())
    first, most = draw(mostly(st.integers(0, 9), junk)), draw(mostly(st.integers(0, 9), junk))
    containing = draw(mostly(st.sampled_from(("", "red", "T")), st.just(other)))

    def ask(asked: Asked) -> str:
        library, identity = asked.library, asked.ids[pick % len(asked.ids)] if named else other
        if way == "retrieve":
            checked(library.retrieve(whole, k, **given_beside), asked, k or 10)
        elif way == "aretrieve":
            checked(asyncio.run(library.aretrieve(whole, k, **given_beside)), asked, k or 10)
        elif way == "retriever":
            checked(library.retriever(k, **fields).retrieve(text), asked, k)
        elif way == "similar":
            checked(library.retriever().similar(identity, k, **fields), asked, k or 10)
        elif way == "hit":
            checked(Hits([library.retriever(5, **fields).hit(identity)]), asked)
        elif way == "sources":
            files, total = library.retriever(5, **fields).sources(containing, first, most)
            assert len(files) <= min(most, total)
        elif way == "langchain":
            retriever = langchain.SeehearRetriever(library=library)
            question = HumanMessage(text) if isinstance(text, str) and pick % 2 else whole
            assert len(retriever.invoke(question, k=k, **given_beside)) <= (k or 4)
        elif way == "llama_index":
            made = llama_index.SeehearRetriever(library, k, budget=Budget(pictures=1, pixels=900), **fields)
            bundle = QueryBundle(text, image_path=other, custom_embedding_strs=other) if pick % 9 == 0 else whole
            assert len(made.retrieve(bundle)) <= k
        else:
            by_id = isinstance(arguments, dict) and isinstance(chosen, str) and chosen in ("look", "read", "similar")
            mine = {"id": identity, **arguments} if by_id else arguments
            told = Toolbox(library.retriever(), Budget(pictures=1, pixels=900)).call(chosen, mine, picture)
            assert isinstance(told, Told)
            checked(told.hits, asked)
            if told.wrong:
                raise InputError(told.blocks[0].text)  # counts as refused: a model may mend it
        return way

    ask.__qualname__ = f"<{way}, {' and '.join(map(repeated, (whole, k, fields, chosen, arguments)))}>"
    return ask


def answered(asked: Asked, question: Callable[[Asked], str]) -> None:
    """Ask, and count what became of it. Whatever is raised that is no InputError fails the test."""
    started = clock.perf_counter()
    try:
        outcome = f"answered by {question(asked)}"
    except InputError as error:
        outcome = f"refused: {type(error).__name__}"
        message = str(error)
        assert message.isprintable()
        assert len(message) <= LONGEST
    took = clock.perf_counter() - started
    asked.slowest = max(asked.slowest, took)
    asked.counts[outcome] += 1
    event(outcome)
    assert took < SECONDS


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]


@settings(max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=CHECKS)
@given(question=questions())
def test_whatever_is_asked_is_answered_or_refused(asked: Asked, question: Callable[[Asked], str]) -> None:
    answered(asked, question)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=CHECKS)
@given(question=questions())
def _ten_thousand(asked: Asked, question: Callable[[Asked], str]) -> None:
    answered(asked, question)


@pytest.mark.slow
def test_ten_thousand_questions(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    asked.counts.clear()
    _ten_thousand(asked)
    with capsys.disabled():
        total = sum(asked.counts.values())
        told = sum(n for name, n in asked.counts.items() if name.startswith("answered"))
        print(  # noqa: T201
            f"\n{total:,} questions: {told:,} answered, {total - told:,} refused, the slowest in {asked.slowest:.2f} s"
        )
        for name, n in asked.counts.most_common():
            print(f"  {n:6,}  {name}")  # noqa: T201
    assert total >= 10_000
    assert told >= total // 3
