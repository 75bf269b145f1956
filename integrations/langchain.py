"""LangChain: a retriever for pipelines, and the five tools of `seehear.tools` for agents.

Only langchain-core is needed. Where langgraph is installed, which agents are built on, a search can be asked with the
picture that the user put into the chat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from seehear.blocks import Budget, blocks
from seehear.errors import InputError, MissingExtra
from seehear.hits import Hit
from seehear.library import Library
from seehear.passages import passages
from seehear.retrieve import Retriever
from seehear.tools import TOOLS, Look, Read, Search, Similar, Sources, Toolbox, explained
from seehear.types import Channel, Modality, Query

try:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableConfig, run_in_executor
    from langchain_core.tools import BaseTool, BaseToolkit, InjectedToolArg, ToolException
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"'langchain' needs the package {error.name}, which is not installed: pip install \"seehear[langchain]\""
    ) from error

from ._langchain_content import (
    Asked,
    Blocks,
    answered,
    question,
    resolved,
    seen,
    to_document,
    to_langchain,
    traced,
)

try:
    from langgraph.prebuilt import InjectedState

    CHAT: InjectedToolArg = InjectedState("messages")
except ImportError:  # then nobody runs an agent here, and the application gives the picture
    CHAT = InjectedToolArg()

DESCRIPTIONS = {tool.name: tool.description for tool in TOOLS}


class Settings(BaseModel):
    """What is asked, and what holds for every question: fields of `seehear.Query`, as there."""

    # A filter that is misspelt and passed over would let everything through.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    library: Library
    channels: Channel | frozenset[Channel] | None = None
    modalities: Modality | frozenset[Modality] | None = None
    where: Mapping[str, Any] | None = None
    after: datetime | date | time | str | None = None
    before: datetime | date | time | str | None = None
    per_source: int | None = None
    min_score: float | None = None

    def _retriever(self, k: int = 10) -> Retriever:
        """The core's retriever with these settings. Raises LibraryError where the library is closed."""
        return self.library.retriever(k, **{name: getattr(self, name) for name in FIELDS})


FIELDS = tuple(name for name in Settings.model_fields if name != "library")


class SeehearRetriever(BaseRetriever, Settings):
    """Finds pictures, sounds, speech, moments of videos and passages, in one list.

    Setup:
        `pip install "seehear[mini,video,langchain]"`, and a library: `Library.open("media.library").add("photos/")`.

    Key init args:
        library: an open `seehear.Library`.
        k: how many documents.
        channels, modalities, where, after, before, per_source, min_score: as in `seehear.Query`.

    Instantiate:
        retriever = SeehearRetriever(library=library, k=4, modalities={"image", "video"})

    Usage:
        retriever.invoke("a dog catching a frisbee")
        retriever.invoke("a dog", k=2, where={"album": "summer"})
        retriever.invoke(Query(text="in blue", image="chair.jpg"))
        retriever.invoke(HumanMessage([{"type": "text", "text": "in blue"}, {"type": "image", "base64": ...}]))

        A document's `page_content` is a line that a model can read and cite, what is read or said there in quotation
        marks; that of one hit is always the same. In the metadata, plain values: source, modality, start, end
        (seconds), place, how, uri, score, text (as it stands in the file), and what the file and you said, which wins.

    Use within a chain:
        def ask(question: str) -> list[HumanMessage]:
            found = retriever.content(retriever.invoke(question), Budget(pictures=4))
            return [HumanMessage([{"type": "text", "text": question}, *found])]

        chain = RunnableLambda(ask) | chat_model
    """

    k: int = Field(4, ge=1)

    # A tracer writes down what it is given: it gets words, and not megabytes of a picture.
    def invoke(self, input: Asked, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:  # noqa: A002
        """Find the k best documents; `k` and every setting may be given for this question alone.

        `input` is words (never a path), a Query, a HumanMessage, or content blocks. Raises QueryError.
        """
        asked = question(input)
        return super().invoke(traced(asked), config, asked=asked, **kwargs)

    async def ainvoke(self, input: Asked, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:  # noqa: A002
        """Like `invoke`, without holding up the event loop."""
        asked = question(input)
        return await super().ainvoke(traced(asked), config, asked=asked, **kwargs)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        asked: str | Query | None = None,
        k: int | None = None,
        **fields: Any,
    ) -> list[Document]:
        hits = self._retriever(self.k).retrieve(query if asked is None else asked, k, **fields)
        return [to_document(hit) for hit in hits]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
        asked: str | Query | None = None,
        k: int | None = None,
        **fields: Any,
    ) -> list[Document]:
        hits = await self._retriever(self.k).aretrieve(query if asked is None else asked, k, **fields)
        return [to_document(hit) for hit in hits]

    def content(self, found: Sequence[Document | Hit], budget: Budget | None = None) -> Blocks:
        """Content blocks of a message that grounds an answer in documents or hits: a line of each, and its picture.

        A document is looked up by its id; one whose file is no longer in the library is its `page_content` alone.
        Raises LibraryError where it is closed.
        """
        retriever = self._retriever()
        hits = [one if isinstance(one, Hit) else resolved(one, retriever) for one in found]
        return to_langchain(blocks(hits, budget))

    async def acontent(self, found: Sequence[Document | Hit], budget: Budget | None = None) -> Blocks:
        """Like `content`, without holding up the event loop while pictures are opened."""
        return await run_in_executor(None, self.content, found, budget)

    def add_documents(self, documents: Sequence[Document], *, ids: Sequence[str] | None = None) -> list[str]:
        """Take in passages with their metadata. Returns their ids: those given, a document's own, or the text's.

        What an id was before is replaced. Raises InputError that names each document that could not be taken in, when
        the others are in the library; and as `Library.add_texts` does.
        """
        texts = [document.page_content for document in documents]
        named = [document.id or passages([document.page_content], None, None)[0].name for document in documents]
        given = named if ids is None and any(document.id for document in documents) else ids
        report = self.library.add_texts(texts, [document.metadata for document in documents], given)
        if report.failed:
            raise InputError("; ".join(f"{one.path}: {one.reason}" for one in report.failed))
        return list(given or named)

    async def aadd_documents(self, documents: Sequence[Document], *, ids: Sequence[str] | None = None) -> list[str]:
        """Like `add_documents`, without holding up the event loop."""
        return await run_in_executor(None, lambda: self.add_documents(documents, ids=ids))


class SeehearTool(BaseTool, Settings):
    """A tool of `seehear.tools`, for a model; `SeehearToolkit` makes all five.

    A model gets a line of each answer, and pictures within the budget. The message's artifact is the hits as plain
    values (`Hit.to_dict`), which every checkpointer keeps; `library.retriever().hit(id)` makes a hit of one again. What
    a model got wrong is a sentence, and the message's status "error"; what the application must mend is raised.
    """

    does: ClassVar[str]
    """Its name in `seehear.tools`, whatever a model calls it."""

    args_schema: type[BaseModel]
    budget: Budget = Field(default_factory=Budget)
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool | str | Callable[[ToolException], Any] | None = True
    handle_validation_error: bool | str | Callable[[Any], str] | None = explained

    def _run(self, *first: str, picture: Any = None, **arguments: Any) -> tuple[Blocks, Blocks]:
        """Call it with what a model wrote. Raises ToolException with the sentence for the model, and LibraryError."""
        box = Toolbox(self._retriever(), self.budget)
        return answered(box.call(self.does, self._given(first, arguments), seen(picture, arguments)))

    async def _arun(self, *first: str, picture: Any = None, **arguments: Any) -> tuple[Blocks, Blocks]:
        """Like `_run`, without holding up the event loop."""
        box = Toolbox(self._retriever(), self.budget)
        return answered(await box.acall(self.does, self._given(first, arguments), seen(picture, arguments)))

    def _given(self, first: Sequence[str], arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments; a plain string, which LangChain takes too, is the first."""
        return {**dict(zip(self.args_schema.model_fields, first, strict=False)), **arguments}


class Asking(Search):
    """What to search for, and what only the application can give: a model neither sees nor fills it."""

    picture: Annotated[Any, CHAT] = None


class SeehearSearch(SeehearTool):
    """Lets a model search.

    Setup:
        `pip install "seehear[mini,video,langchain]"`, and a library: `Library.open("media.library").add("photos/")`.

    Key init args:
        library: an open `seehear.Library`.
        budget: the most that a model is given at once; `Budget(pictures=0)` for one without eyes.
        channels, modalities, where, after, before, per_source, min_score: bounds that a model cannot widen.

    Instantiate:
        search = SeehearSearch(library=library, budget=Budget(pictures=3))

    Usage:
        search.invoke({"words": "a dog catching a frisbee", "k": 3})
        search.invoke({"words": "in blue", "with_picture": True, "picture": jpeg})  # bytes, PIL image, array, message

    Use within an agent:
        agent = create_agent(chat_model, [search])
        agent.invoke({"messages": [HumanMessage([{"type": "text", "text": "Like this, in blue?"}, image_block])]})

        There the picture is the newest in the newest message of the user's that has one.
    """

    does: ClassVar[str] = "search"
    name: str = "search"
    description: str = DESCRIPTIONS["search"]
    args_schema: type[BaseModel] = Asking


class SeehearLook(SeehearTool):
    """Lets a model look closer at a hit. Made and used like `SeehearSearch`: `look.invoke({"id": id, "frames": 4})`."""

    does: ClassVar[str] = "look"
    name: str = "look"
    description: str = DESCRIPTIONS["look"]
    args_schema: type[BaseModel] = Look


class SeehearRead(SeehearTool):
    """Lets a model read around a hit. Made and used like `SeehearSearch`: `read.invoke({"id": id, "after": 60})`."""

    does: ClassVar[str] = "read"
    name: str = "read"
    description: str = DESCRIPTIONS["read"]
    args_schema: type[BaseModel] = Read


class SeehearSimilar(SeehearTool):
    """Lets a model find what is like a hit. Made and used like `SeehearSearch`: `similar.invoke({"id": id})`."""

    does: ClassVar[str] = "similar"
    name: str = "similar"
    description: str = DESCRIPTIONS["similar"]
    args_schema: type[BaseModel] = Similar


class SeehearSources(SeehearTool):
    """Lets a model list files. Made and used like `SeehearSearch`: `sources.invoke({"containing": "talk"})`."""

    does: ClassVar[str] = "sources"
    name: str = "sources"
    description: str = DESCRIPTIONS["sources"]
    args_schema: type[BaseModel] = Sources


class SeehearToolkit(BaseToolkit, Settings):
    """The five tools: search, look, read, similar, sources.

    Instantiate:
        toolkit = SeehearToolkit(library=library, budget=Budget(pictures=3), where={"project": "spring"})

    Use within an agent:
        agent = create_agent(chat_model, toolkit.get_tools())
    """

    budget: Budget = Field(default_factory=Budget)
    prefix: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,40}$")
    """Goes before the tools' names, for an agent with two libraries, or with another tool called `search`."""

    def get_tools(self) -> list[BaseTool]:
        """The tools, with the toolkit's library, budget and settings."""
        given = {name: getattr(self, name) for name in ("library", "budget", *FIELDS)}
        kinds = (SeehearSearch, SeehearLook, SeehearRead, SeehearSimilar, SeehearSources)
        return [kind(name=self.prefix + kind.does, **given) for kind in kinds]
