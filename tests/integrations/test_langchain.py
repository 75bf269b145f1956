"""LangChain's own standard tests, and ours: what is asked and found, what a model is given, and what it cannot do."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import film, plain, steady
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import BaseTool, create_retriever_tool
from langchain_core.tracers import ConsoleCallbackHandler
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from PIL import Image
from pydantic import ValidationError
from recordings import tone, write

from seehear import Library, ModelSet, Query
from seehear.blocks import WARNING, Budget
from seehear.errors import InputError, LibraryError, MissingExtra, QueryError
from seehear.integrations.langchain import (
    SeehearLook,
    SeehearRead,
    SeehearRetriever,
    SeehearSearch,
    SeehearSimilar,
    SeehearSources,
    SeehearTool,
    SeehearToolkit,
)
from seehear.testing import COLOUR, COLOURS, ColourEncoder, LoudnessTranscriber
from seehear.types import Route

BOTH, WORDS = frozenset({"text", "image"}), frozenset({"text"})
SET = ModelSet(
    "media",
    (Route("visual", COLOUR, BOTH), Route("speech", COLOUR, WORDS), Route("text", COLOUR, WORDS)),
    ("image", "audio", "video", "text"),
)
PASSAGE = "Red is the colour of fire.\n\nIt is “warm”, as <b>we</b> say."
Open = Callable[..., Library]
Block = dict[str, Any]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Five pictures, a film of which something is said, and a passage; nobody adds to it."""
    folder = tmp_path_factory.mktemp("media")
    library = Library.open(
        folder / "library", models=SET, encoders={COLOUR: ColourEncoder()}, transcriber=LoudnessTranscriber()
    )
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.png")
    (folder / "day.srt").write_text("1\n00:00:06,500 --> 00:00:08,000\nIt turns blue now.\n")
    shots = steady([(6, plain(COLOURS["red"])), (4, plain(COLOURS["blue"])), (5, plain(COLOURS["white"]))], 12.5)
    sound = np.sin(np.arange(15 * 16_000) / 9).astype(np.float32) / 4
    film(folder / "day.mp4", shots, sound=sound, metadata={"creation_time": "2024-05-03T20:00:00Z"})
    report = library.add(folder, metadata={"album": "summer"})
    assert len(report.added) == 6
    library.add_texts([PASSAGE], [{"source": "mail.txt", "year": 2024}], ["mail-1"])
    yield library
    library.close()


@pytest.fixture
def retriever(media: Library) -> SeehearRetriever:
    return SeehearRetriever(library=media, min_score=0)


@pytest.fixture
def pictures(media: Library) -> SeehearRetriever:
    return SeehearRetriever(library=media, min_score=0, modalities="image")


@pytest.fixture
def toolkit(media: Library) -> SeehearToolkit:
    return SeehearToolkit(library=media, budget=Budget(pictures=2), min_score=0)


@pytest.fixture
def own(open_library: Open) -> Library:
    """A library that a test may change."""
    return open_library(models=SET)


def tool(toolkit: SeehearToolkit, name: str) -> BaseTool:
    return next(one for one in toolkit.get_tools() if one.name == name)


def call(one: BaseTool, **arguments: Any) -> ToolMessage:
    """What a tool answers to the call of a model."""
    answer = one.invoke({"type": "tool_call", "name": one.name, "args": arguments, "id": "1"})
    assert isinstance(answer, ToolMessage)
    return answer


def png(colour: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (40, 30), COLOURS[colour]).save(written, "PNG")
    return written.getvalue()


def block(colour: str) -> Block:
    return {"type": "image", "base64": base64.b64encode(png(colour)).decode(), "mime_type": "image/png"}


def first(documents: Sequence[Document]) -> str:
    return Path(documents[0].metadata["source"]).stem


class TestRetriever(RetrieversIntegrationTests):
    """LangChain's own."""

    @pytest.fixture(autouse=True)
    def _library(self, media: Library) -> None:
        self.library = media

    @property
    def retriever_constructor(self) -> type[SeehearRetriever]:
        return SeehearRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"library": self.library, "min_score": 0}

    @property
    def retriever_query_example(self) -> str:
        return "red"


class Given:
    """What LangChain's tests of tools are given."""

    kind: type[SeehearTool] = SeehearSearch
    arguments: Block = {"words": "red", "k": 2}  # noqa: RUF012 - not changed

    @pytest.fixture(autouse=True)
    def _library(self, media: Library) -> None:
        self.library = media

    @property
    def tool_constructor(self) -> type[SeehearTool]:
        return self.kind

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"library": self.library, "min_score": 0}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        if "id" not in self.kind.model_fields["args_schema"].default.model_fields:
            return self.arguments
        return {"id": self.library.retrieve("blue", modalities={"video"}, min_score=0)[0].id}


class TestSearchUnit(Given, ToolsUnitTests):
    pass


class TestSearch(Given, ToolsIntegrationTests):
    pass


class TestLookUnit(Given, ToolsUnitTests):
    kind = SeehearLook


class TestLook(Given, ToolsIntegrationTests):
    kind = SeehearLook


class TestReadUnit(Given, ToolsUnitTests):
    kind = SeehearRead


class TestRead(Given, ToolsIntegrationTests):
    kind = SeehearRead


class TestSimilarUnit(Given, ToolsUnitTests):
    kind = SeehearSimilar


class TestSimilar(Given, ToolsIntegrationTests):
    kind = SeehearSimilar


class TestSourcesUnit(Given, ToolsUnitTests):
    kind = SeehearSources
    arguments: Block = {"containing": "day"}  # noqa: RUF012


class TestSources(Given, ToolsIntegrationTests):
    kind = SeehearSources
    arguments: Block = {"containing": "day"}  # noqa: RUF012


def test_a_document_of_a_moment_is_a_line_to_read_and_metadata_to_cite(retriever: SeehearRetriever) -> None:
    (found,) = retriever.invoke("blue", k=1, modalities={"video"}, channels={"visual", "speech"})
    assert found.page_content.startswith("video “day.mp4”, 0:06.5 to 0:08.0, taken “2024-05-03")
    assert "said: “It turns blue now.”" in found.page_content
    names = {"source", "modality", "start", "end", "place", "how", "uri", "score", "album", "taken"}
    assert names <= set(found.metadata)
    assert (found.metadata["start"], found.metadata["end"]) == (6.5, 8.0)
    assert found.metadata["uri"].endswith("day.mp4#t=6.5,8")
    assert retriever.library.retriever().hit(found.id or "").source == found.metadata["source"]


def test_metadata_are_plain_values_and_what_is_not_so_is_not_there(retriever: SeehearRetriever) -> None:
    for found in retriever.invoke("red", k=9):
        assert json.loads(json.dumps(found.metadata)) == found.metadata
        assert all(type(value) in (str, int, float, bool) for value in found.metadata.values())
        assert ("start" in found.metadata) == (found.metadata["modality"] == "video")
        assert len(found.page_content) < 500  # and so no picture


def test_a_passage_is_quoted_and_is_in_the_metadata_as_it_was(retriever: SeehearRetriever) -> None:
    (found,) = retriever.invoke("red", k=1, channels={"text"})
    quoted = "Red is the colour of fire. It is 'warm', as \u2039b\u203awe\u2039/b\u203a say."
    assert found.page_content == f"text \u201cmail.txt\u201d, id {found.id}; read: \u201c{quoted}\u201d"
    assert found.metadata["text"] == PASSAGE
    assert (found.metadata["source"], found.metadata["year"]) == ("mail.txt", 2024)
    assert (found.metadata["modality"], found.metadata["uri"]) == ("text", "mail-1")


@pytest.mark.parametrize(
    "asked",
    [
        Query(image=png("blue")),
        [block("blue")],
        HumanMessage([block("blue")]),
        [{"type": "image", "url": f"data:image/png;base64,{block('blue')['base64']}"}],
        [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{block('blue')['base64']}"}}],
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": block("blue")["base64"]}}],
        [{"type": "text", "text": "blue"}],
        ["blue"],
        HumanMessage("blue"),
    ],
    ids=["query", "block", "message", "data", "openai", "anthropic", "text", "string", "words"],
)
async def test_a_picture_or_words_ask_in_every_form(pictures: SeehearRetriever, asked: Any) -> None:
    expected = pictures.invoke("blue", k=2)
    assert first(expected) == "blue"
    for found in (pictures.invoke(asked, k=2), await pictures.ainvoke(asked, k=2)):
        assert [one.id for one in found] == [one.id for one in expected]


def test_words_and_several_pictures_ask_together(pictures: SeehearRetriever) -> None:
    asked = [{"type": "text", "text": "red"}, block("green"), block("green")]
    query = Query("red", png("green"), plus=[png("green")])
    assert pictures.invoke(asked) == pictures.invoke(query)
    assert pictures.invoke(asked) != pictures.invoke("red")


def test_an_audio_block_is_a_spoken_question(retriever: SeehearRetriever, tmp_path: Path) -> None:
    path = write(tmp_path / "asked.mp4", tone(2, 48_000), subtitles=[(0, 2, "green")])
    spoken = {"type": "audio", "base64": base64.b64encode(path.read_bytes()).decode(), "mime_type": "audio/mp4"}
    assert first(retriever.invoke([spoken], modalities={"image"})) == "green"
    with pytest.raises(QueryError, match="several audio blocks"):
        retriever.invoke([spoken, spoken])


@pytest.mark.parametrize("kind", ["image", "audio"])
@pytest.mark.parametrize("url", ["https://example.org/a.png", "file:///etc/passwd", "/etc/passwd", "data:,red"])
async def test_what_a_block_points_at_is_not_fetched(retriever: SeehearRetriever, kind: str, url: str) -> None:
    for asked in ([{"type": kind, "url": url}], HumanMessage([{"type": kind, "url": url}])):
        with pytest.raises(QueryError, match="Nothing is fetched"):
            retriever.invoke(asked)
        with pytest.raises(QueryError, match="Nothing is fetched"):
            await retriever.ainvoke(asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("", "question is empty"),
        ([], "question is empty"),
        (HumanMessage(""), "question is empty"),
        ("a" * 50_000, "50,000 characters"),
        (None, "not NoneType"),
        (7, "not int"),
        ({"type": "text", "text": "red"}, "not dict"),
        (AIMessage("red"), "not AIMessage"),
        ([7], "not as LangChain defines them"),
        ([{"type": "image", "source_type": "base64"}], "not as LangChain defines them"),
        ([{"type": "image", "base64": "?"}], "no base64"),
        ([{"type": "image", "file_id": "file-1"}], "holds no base64"),
        ([{"type": "image", "base64": "aGVsbG8="}], "cannot be the question"),
        ([{"type": "video", "base64": "aGVsbG8="}], "not of video block"),
        ([{"type": "input_video"}], "not of input_video block"),
    ],
)
def test_what_is_no_question_says_why(retriever: SeehearRetriever, asked: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        retriever.invoke(asked)


def test_a_path_is_words(pictures: SeehearRetriever) -> None:
    Path("green.png").write_bytes(png("green"))  # where the test works
    for asked in ("green.png", [{"type": "text", "text": "green.png"}]):
        assert first(pictures.invoke(asked)) == "yellow"  # what the fake makes of these letters
    assert first(pictures.invoke(Query(image=Path("green.png").absolute()))) == "green"


def test_settings_hold_and_give_way_to_those_of_a_question(media: Library) -> None:
    retriever = SeehearRetriever(library=media, k=2, modalities=["image"], min_score=0, where={"album": "summer"})
    assert [one.metadata["modality"] for one in retriever.invoke("red")] == ["image"] * 2
    assert [one.metadata["modality"] for one in retriever.invoke("red", modalities={"video"}, k=1)] == ["video"]
    assert retriever.invoke("red", after="2024-05-03", before="2024-05-04", modalities={"video"})
    assert not retriever.invoke("red", after="2025-01-01")
    assert len(retriever.invoke("red", per_source=1, modalities={"video"}, k=3)) == 1
    with pytest.raises(QueryError, match="nobody"):
        retriever.invoke("red", where={"nobody": "said"})
    with pytest.raises(QueryError, match="no field wheer"):
        retriever.invoke("red", wheer={"album": "summer"})


@pytest.mark.parametrize(
    "wrong", [{"wheer": {}}, {"k": 0}, {"channels": {"smell"}}, {"modalities": "smell"}, {"library": "media.library"}]
)
def test_a_setting_that_makes_no_sense_is_refused_at_once(media: Library, wrong: dict[str, Any]) -> None:
    for kind in (SeehearRetriever, SeehearToolkit, SeehearSearch):
        with pytest.raises(ValidationError):
            kind(**{"library": media, **wrong})


class Listener(BaseCallbackHandler):
    """Keeps what tracers are told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_retriever_start(self, serialized: Any, query: str, **kwargs: Any) -> None:
        self.told.append(query)

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        self.told.append(error)

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self.told += [input_str, kwargs["inputs"]]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("red", "red"),
        (Query("red", np.zeros((8, 8, 3), np.uint8), plus=[png("red")], minus=["blue"]), "red [image, plus, minus]"),
        (HumanMessage([{"type": "text", "text": "red"}, block("blue")]), "red [image]"),
        ([block("blue")], "[image]"),
    ],
    ids=["words", "query", "message", "blocks"],
)
async def test_tracers_are_told_words_and_no_bytes(
    retriever: SeehearRetriever, asked: Any, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = Listener()
    config: Any = {"callbacks": [listener, ConsoleCallbackHandler()]}
    assert retriever.invoke(asked, config) == await retriever.ainvoke(asked, config)
    assert listener.told == [told, told]
    assert "iVBOR" not in capsys.readouterr().out
    chain = RunnableLambda(lambda given: given) | retriever
    events = [event async for event in chain.astream_events(asked)]
    assert [e["data"]["input"] for e in events if e["event"] == "on_retriever_start"] == [{"query": told}]


def test_an_error_reaches_the_tracer_and_the_caller(retriever: SeehearRetriever) -> None:
    listener = Listener()
    with pytest.raises(QueryError) as caught:
        retriever.invoke("", {"callbacks": [listener]})
    assert listener.told == ["", caught.value]


def test_it_is_a_runnable_like_others(retriever: SeehearRetriever, pictures: SeehearRetriever) -> None:
    chain = RunnableLambda(lambda words: Query(words)) | pictures | (lambda documents: first(documents))
    assert chain.batch(["red", "green", "blue"]) == ["red", "green", "blue"]
    chosen = retriever.configurable_fields(k=ConfigurableField("k"))
    assert len(chosen.invoke("red", {"configurable": {"k": 1}})) == 1
    found = create_retriever_tool(retriever, "media", "Finds media.", response_format="content_and_artifact")
    assert "day.mp4" in call(found, query="red").content


async def test_documents_go_in_and_come_out_as_they_were(own: Library) -> None:
    retriever = SeehearRetriever(library=own, min_score=0)
    given = [
        Document("red fire", metadata={"source": "mail.txt", "page": 3, "score": 0.5, "read": True}),
        Document("blue sky", id="sky", metadata={"uri": "https://example.org"}),
    ]
    named, own_id = retriever.add_documents(given)
    assert own_id == "sky"
    assert await retriever.aadd_documents(given[:1]) == [named]
    assert retriever.add_documents([given[0], given[0]], ids=["a", "b"]) == ["a", "b"]
    assert retriever.add_documents([]) == []
    assert set(own.info()["sources"]) == {f"text:{name}" for name in (named, "sky", "a", "b")}
    found = retriever.invoke("red", k=1)[0]
    assert found.page_content == f"text “mail.txt”, id {found.id}; read: “red fire”"
    assert found.metadata.items() >= given[0].metadata.items()
    assert retriever.invoke("blue", k=1)[0].metadata["uri"] == "https://example.org"
    assert own.remove("sky")


def test_documents_that_cannot_be_taken_in_raise(own: Library) -> None:
    retriever = SeehearRetriever(library=own)
    with pytest.raises(InputError, match="empty: there are no words in it"):
        retriever.add_documents([Document("red", id="red"), Document(" ", id="empty")])
    with pytest.raises(InputError, match="metadata 'tags' is"):
        retriever.add_documents([Document("red", metadata={"tags": ["a"]})])
    with pytest.raises(InputError, match="one entry per text"):
        retriever.add_documents([Document("red")], ids=["a", "b"])
    with pytest.raises(InputError, match="given twice"):
        retriever.add_documents([Document("red", id="a"), Document("blue", id="a")])


async def test_an_answer_is_grounded_in_pictures(retriever: SeehearRetriever, media: Library) -> None:
    found = retriever.invoke("blue", k=3)
    given = retriever.content(found, Budget(pictures=1))
    assert given == await retriever.acontent(found, Budget(pictures=1))
    assert given[0] == {"type": "text", "text": WARNING}
    assert [one["text"][:3] for one in given[1:] if one["type"] == "text"] == ["[1]", "[2]", "[3]"]
    (picture,) = [one for one in given if one["type"] == "image"]
    assert (picture["mime_type"], given.index(picture)) == ("image/jpeg", 2)
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["base64"]))))[0, 0][2] > 240
    assert HumanMessage(given).content_blocks == given
    hits = media.retrieve("blue", k=3, min_score=0)
    assert [one["type"] for one in retriever.content(hits)] == [one["type"] for one in retriever.content(found)]
    assert retriever.content([]) == [{"type": "text", "text": "Nothing was found."}]


def test_the_content_of_a_passage_cannot_close_its_quotation(retriever: SeehearRetriever) -> None:
    (_, line) = retriever.content(retriever.invoke("red", k=1, channels={"text"}))
    assert line["text"].endswith(
        "read: “Red is the colour of fire. It is 'warm', as \u2039b\u203awe\u2039/b\u203a say.”"
    )


def test_of_a_document_whose_file_was_removed_its_content_is_left(own: Library, photos: Path) -> None:
    own.add(photos)
    retriever = SeehearRetriever(library=own, min_score=0)
    found = retriever.invoke("red", k=1)
    (photos / "red.png").unlink()
    assert "cannot be shown" in str(retriever.content(found))
    own.remove(photos / "red.png")
    stranger = Document("Somebody else's” words")
    left = retriever.content([*found, stranger])
    assert [one["type"] for one in left] == ["text"] * 3
    assert left[1]["text"].startswith("[1] “image 'red.png'")
    assert left[2]["text"] == "[2] “Somebody else's' words”"


def test_a_library_that_is_closed_raises(own: Library) -> None:
    retriever, toolkit = SeehearRetriever(library=own), SeehearToolkit(library=own)
    own.close()
    for use in (lambda: retriever.invoke("red"), lambda: retriever.content([Document("a")])):
        with pytest.raises(LibraryError, match="closed"):
            use()
    for one, arguments in zip(toolkit.get_tools(), ({"words": "red"}, *[{"id": "a"}] * 3, {}), strict=True):
        with pytest.raises(LibraryError, match="closed"):
            call(one, **arguments)


async def test_in_an_empty_library_nothing_is_found(own: Library) -> None:
    assert SeehearRetriever(library=own).invoke("red") == await SeehearRetriever(library=own).ainvoke("red") == []
    answer = call(SeehearSearch(library=own), words="red")
    assert (answer.content, answer.artifact) == ([{"type": "text", "text": "Nothing was found."}], [])
    assert "No such files" in str(call(SeehearSources(library=own)).content)


async def test_questions_at_once_have_the_answers_of_questions_one_by_one(
    retriever: SeehearRetriever, toolkit: SeehearToolkit
) -> None:
    words = [*COLOURS, "red blue", "green white", "yellow"]
    assert await asyncio.gather(*map(retriever.ainvoke, words)) == [retriever.invoke(one) for one in words]
    search = tool(toolkit, "search")
    calls = [{"type": "tool_call", "name": "search", "args": {"words": one}, "id": one} for one in words]
    assert await asyncio.gather(*map(search.ainvoke, calls)) == [search.invoke(one) for one in calls]


async def test_a_model_is_given_lines_and_pictures_and_the_application_plain_hits(toolkit: SeehearToolkit) -> None:
    search = tool(toolkit, "search")
    answer = call(search, words="red", modalities=["image"], k=3)
    assert isinstance(answer.content, list)
    assert [one["type"] for one in answer.content if isinstance(one, dict)] == [
        *["text", "text", "image", "text"],
        "image",
        "text",
    ]
    assert (answer.status, answer.name) == ("success", "search")
    assert Path(answer.artifact[0]["source"]).stem == "red"
    assert json.loads(json.dumps(answer.artifact))[0]["id"] == answer.artifact[0]["id"]
    assert (
        await search.ainvoke(
            {
                "type": "tool_call",
                "name": "search",
                "args": {"words": "red", "modalities": ["image"], "k": 3},
                "id": "1",
            }
        )
        == answer
    )
    assert search.invoke("red") == search.invoke({"words": "red"})


def test_a_hit_is_looked_at_read_and_compared(toolkit: SeehearToolkit) -> None:
    found = call(tool(toolkit, "search"), words="blue", modalities=["video"], k=1).artifact[0]["id"]
    looked = call(tool(toolkit, "look"), id=found, frames=2)
    assert [one["type"] for one in looked.content if isinstance(one, dict)] == [
        "text",
        "text",
        "text",
        "image",
        "text",
        "image",
    ]
    assert "It turns blue now." in str(call(tool(toolkit, "read"), id=found).content)
    assert Path(call(tool(toolkit, "similar"), id=found).artifact[0]["source"]).stem == "blue"
    assert "/day.mp4”, 0:15 long" in str(call(tool(toolkit, "sources"), containing="day").content)


def test_tools_are_called_as_in_the_core_or_by_a_prefix(media: Library) -> None:
    names = ["search", "look", "read", "similar", "sources"]
    assert [one.name for one in SeehearToolkit(library=media).get_tools()] == names
    prefixed = SeehearToolkit(library=media, prefix="media_", min_score=0)
    assert [one.name for one in prefixed.get_tools()] == [f"media_{name}" for name in names]
    assert call(tool(prefixed, "media_search"), words="red").artifact
    with pytest.raises(ValidationError):
        SeehearToolkit(library=media, prefix="two words")


def test_settings_bound_what_a_model_may_find(media: Library) -> None:
    toolkit = SeehearToolkit(library=media, modalities="image", min_score=0)
    assert {one["modality"] for one in call(tool(toolkit, "search"), words="red").artifact} == {"image"}
    wider = call(tool(toolkit, "search"), words="red", modalities=["video"])
    assert (wider.status, wider.content) == ("error", "modalities can be image here.")
    video = media.retrieve("red", modalities={"video"}, min_score=0)[0].id
    assert call(tool(toolkit, "look"), id=video).status == "error"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("search", {"words": "red", "k": 10_000}, "k: Input should be less than or equal to 20"),
        ("search", {"words": "a" * 50_000}, "words: String should have at most 10000 characters"),
        ("search", {"words": "red", "path": "/etc"}, "path: Extra inputs are not permitted"),
        ("search", {"words": "red", "b" * 9_000: 1}, "bbb"),
        ("search", {"words": "red", "modalities": ["smell"]}, "modalities.0: Input should be"),
        ("search", {"words": "  "}, "The question is empty"),
        ("search", {}, "The question is empty"),
        ("search", {"words": "red", "after": "yesterday"}, "yesterday"),
        ("search", {"with_picture": True}, "There is no picture of the user's"),
        ("look", {"id": "../../etc/passwd"}, "Nothing here has that id"),
        ("look", {"id": "0" * 16}, "Nothing here has that id"),
        ("look", {}, "id: Field required"),
        ("read", {"id": "a" * 65}, "id: String should have at most 64 characters"),
        ("similar", {"id": "file:///etc/passwd"}, "Nothing here has that id"),
        ("sources", {"first": -1}, "first: Input should be greater"),
    ],
)
async def test_what_a_model_got_wrong_is_a_sentence(
    toolkit: SeehearToolkit, name: str, arguments: dict[str, Any], words: str
) -> None:
    one = tool(toolkit, name)
    answer = call(one, **arguments)
    assert answer == await one.ainvoke({"type": "tool_call", "name": name, "args": arguments, "id": "1"})
    assert answer.status == "error"
    assert isinstance(answer.content, str)
    assert words in answer.content
    assert len(answer.content) <= 500


def test_a_file_that_moved_or_was_deleted_is_told(own: Library, photos: Path) -> None:
    own.add(photos)
    toolkit = SeehearToolkit(library=own, min_score=0)
    found = call(tool(toolkit, "search"), words="red", k=1).artifact[0]["id"]
    shutil.move(photos / "red.png", photos / "moved.png")
    answer = call(tool(toolkit, "look"), id=found)
    assert answer.status == "success"
    assert "cannot be shown" in str(answer.content)


# The picture that the user put into the chat.


def test_a_model_does_not_see_the_argument_that_it_cannot_fill(toolkit: SeehearToolkit) -> None:
    search = tool(toolkit, "search")
    assert "with_picture" in search.args
    for schema in (search.args, convert_to_openai_tool(search), search.tool_call_schema.model_json_schema()):  # type: ignore[union-attr]
        assert '"picture"' not in json.dumps(schema)


@pytest.mark.parametrize(
    "picture",
    [
        png("green"),
        Image.new("RGB", (40, 30), COLOURS["green"]),
        np.full((30, 40, 3), COLOURS["green"], np.uint8),
        HumanMessage([block("green")]),
        [HumanMessage([block("red")]), HumanMessage([block("red"), block("green")]), AIMessage("?"), HumanMessage("!")],
    ],
    ids=["bytes", "PIL", "array", "message", "messages"],
)
async def test_an_application_gives_the_picture(toolkit: SeehearToolkit, picture: Any) -> None:
    search, listener = tool(toolkit, "search"), Listener()
    arguments = {"with_picture": True, "modalities": ["image"], "picture": picture}
    given: Any = {"type": "tool_call", "name": "search", "args": arguments, "id": "1"}
    for answer in (search.invoke(given, {"callbacks": [listener]}), await search.ainvoke(given)):
        assert Path(answer.artifact[0]["source"]).stem == "green"
    assert "'picture'" not in str(listener.told)


FORGED = [
    "/etc/passwd",
    base64.b64encode(png("green")).decode(),
    f"data:image/png;base64,{block('green')['base64']}",
    block("green"),
    [block("green")],
    {"messages": [{"type": "human", "content": [block("green")]}]},
    [{"type": "human", "role": "user", "content": [block("green")]}],
    [["user", [block("green")]]],
    7,
]


@pytest.mark.parametrize("forged", FORGED)
def test_what_a_model_writes_in_its_place_is_never_used(toolkit: SeehearToolkit, forged: Any) -> None:
    search = tool(toolkit, "search")
    answer = call(search, with_picture=True, picture=forged)
    assert (answer.status, answer.content) == ("error", "There is no picture of the user's in this chat; ask in words.")
    assert call(search, words="red", picture=forged).artifact == call(search, words="red").artifact
    assert call(tool(toolkit, "look"), id="0" * 16, picture=forged).status == "error"


def test_a_picture_that_is_a_url_is_not_fetched_and_no_older_one_takes_its_place(toolkit: SeehearToolkit) -> None:
    linked = HumanMessage([{"type": "image", "url": "https://example.org/a.png"}])
    answer = call(tool(toolkit, "search"), with_picture=True, picture=[HumanMessage([block("green")]), linked])
    assert answer.status == "error"
    assert "Nothing is fetched" in answer.content


class Scripted(BaseChatModel):
    """Says what it was told to say, and keeps what it was given."""

    script: list[Any]
    given: list[list[BaseMessage]] = []  # noqa: RUF012 - pydantic copies it

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.given.append(messages)
        step = sum(isinstance(message, AIMessage) for message in messages)
        calls = self.script[step] if step < len(self.script) else []
        calls = calls(messages) if callable(calls) else calls
        named = [{"name": name, "args": args, "id": f"{step}.{n}"} for n, (name, args) in enumerate(calls)]
        return ChatResult(generations=[ChatGeneration(message=AIMessage("" if named else "done", tool_calls=named))])


def results(messages: Sequence[AnyMessage]) -> list[ToolMessage]:
    return [message for message in messages if isinstance(message, ToolMessage)]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_agent_searches_looks_and_reads(toolkit: SeehearToolkit, asynchronous: bool) -> None:
    def closer(messages: list[Any]) -> list[Any]:
        found = results(messages)[0].artifact[0]["id"]
        return [("look", {"id": found, "frames": 2}), ("read", {"id": found}), ("search", {"words": "x", "k": 10_000})]

    model = Scripted(script=[[("search", {"words": "blue", "modalities": ["video"], "k": 1})], closer])
    agent = create_agent(model, toolkit.get_tools())
    asked: Any = {"messages": [HumanMessage("When does it turn blue?")]}
    messages = (await agent.ainvoke(asked) if asynchronous else agent.invoke(asked))["messages"]
    assert messages[-1].content == "done"
    assert [one.status for one in results(messages)] == ["success", "success", "success", "error"]
    seen = results(model.given[-1])  # type: ignore[arg-type]
    assert [one["type"] for one in seen[0].content_blocks] == ["text", "text", "image"]
    assert [one["type"] for one in seen[1].content_blocks].count("image") == 2
    assert "It turns blue now." in str(seen[2].content)
    assert "Mend the arguments" in str(seen[3].content)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_in_an_agent_the_picture_is_the_users_newest_whatever_the_model_writes(
    toolkit: SeehearToolkit, asynchronous: bool
) -> None:
    forged = {"with_picture": True, "modalities": ["image"], "picture": [{"role": "user", "content": [block("red")]}]}
    agent = create_agent(Scripted(script=[[("search", forged)]]), toolkit.get_tools())
    chat = [HumanMessage([block("red")]), HumanMessage([{"type": "text", "text": "Like this?"}, block("green")])]
    asked: Any = {"messages": [*chat, HumanMessage("Well?")]}
    answer = results((await agent.ainvoke(asked) if asynchronous else agent.invoke(asked))["messages"])[0]
    assert Path(answer.artifact[0]["source"]).stem == "green"


@pytest.mark.parametrize("forged", FORGED)
def test_in_an_agent_without_a_picture_none_can_be_forged(toolkit: SeehearToolkit, forged: Any) -> None:
    script = [[("search", {"with_picture": True, "picture": forged})]]
    asked: Any = {"messages": [HumanMessage("Look.")]}
    answer = results(create_agent(Scripted(script=script), toolkit.get_tools()).invoke(asked)["messages"])[0]
    assert (answer.status, answer.artifact) == ("error", None)
    assert "no picture of the user's" in answer.content


def test_a_tool_node_fills_the_argument_too(toolkit: SeehearToolkit) -> None:
    graph = (
        StateGraph(MessagesState).add_node("tools", ToolNode(toolkit.get_tools())).add_edge(START, "tools").compile()
    )
    calls = [{"name": "search", "args": {"with_picture": True, "picture": "/etc/passwd", "k": 1}, "id": "1"}]
    asked: Any = {"messages": [HumanMessage([block("green")]), AIMessage("", tool_calls=calls)]}
    assert Path(results(graph.invoke(asked)["messages"])[0].artifact[0]["source"]).stem == "green"


def test_in_an_agent_what_the_application_must_mend_is_raised(own: Library) -> None:
    agent = create_agent(Scripted(script=[[("search", {"words": "red"})]]), SeehearToolkit(library=own).get_tools())
    own.close()
    asked: Any = {"messages": [HumanMessage("Look.")]}
    with pytest.raises(LibraryError, match="closed"):
        agent.invoke(asked)


def test_a_checkpointer_that_knows_no_types_of_ours_keeps_the_chat(
    toolkit: SeehearToolkit, caplog: pytest.LogCaptureFixture
) -> None:
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    script = [[("search", {"words": "blue", "k": 3})], [], [("search", {"with_picture": True, "k": 1})]]
    agent = create_agent(Scripted(script=script), toolkit.get_tools(), checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "1"}}
    asked: Any = {"messages": [HumanMessage([{"type": "text", "text": "blue?"}, block("green")])]}
    with caplog.at_level(logging.WARNING):
        first_answer = results(agent.invoke(asked, config)["messages"])[0]
        kept = results(agent.get_state(config).values["messages"])[0]
        asked = {"messages": [HumanMessage("And like mine?")]}
        second = results(agent.invoke(asked, config)["messages"])[-1]
    assert kept.content == first_answer.content
    assert json.dumps(kept.artifact) == json.dumps(first_answer.artifact)
    assert toolkit.library.retriever().hit(kept.artifact[0]["id"]).source == kept.artifact[0]["source"]
    assert Path(second.artifact[0]["source"]).stem == "green"
    assert not caplog.records


# What is not installed.


def anew(monkeypatch: pytest.MonkeyPatch, missing: str) -> Any:
    """The module as it is where a package is not installed."""
    for name in list(sys.modules):
        if name.partition(".")[0] == missing or name.startswith("seehear.integrations."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    return import_module("seehear.integrations.langchain")


def test_without_langchain_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtra, match=r'pip install "seehear\[langchain\]"'):
        anew(monkeypatch, "langchain_core")


def test_without_langgraph_the_application_gives_the_picture(monkeypatch: pytest.MonkeyPatch, media: Library) -> None:
    module = anew(monkeypatch, "langgraph")
    search = module.SeehearSearch(library=media, min_score=0)
    assert "picture" not in search.args
    assert Path(call(search, with_picture=True, picture=png("green"), k=1).artifact[0]["source"]).stem == "green"
    assert call(search, with_picture=True, picture="/etc/passwd").status == "error"
