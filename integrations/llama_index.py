"""LlamaIndex: a retriever whose nodes carry their pictures, and the five tools of `seehear.tools` for agents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from seehear.blocks import Budget, Purse, Words
from seehear.errors import InputError, MissingExtra, QueryError
from seehear.hits import Hits
from seehear.library import Library
from seehear.tools import TOOLS, Told, Tool, Toolbox
from seehear.types import Channel, Query

try:
    from llama_index.core.base.base_multi_modal_retriever import MultiModalRetriever
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import BaseNode, IndexNode, NodeWithScore, QueryBundle, QueryType
    from llama_index.core.tools import FunctionTool, ToolMetadata, ToolOutput
    from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
    from llama_index.core.workflow import Context
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"'llama_index' needs the package {error.name}, which is not installed: pip install \"seehear[llama-index]\""
    ) from error

from ._llama_index_content import (
    HitNode,
    SeehearQuery,
    Settings,
    chat_picture,
    to_bundle,
    to_clip,
    to_llama_index,
    to_node,
    to_passage,
    to_query,
)

__all__ = ["HitNode", "SeehearQuery", "SeehearRetriever", "SeehearTool", "SeehearToolSpec"]

CLIPS = 15_000_000
"""Bytes of all clips that one question is answered with: models take requests of some 20 MB, in base64."""
CTX = "ctx"
"""The argument in which an agent gives a tool its context. No schema has it, and what a model writes there is wrong."""


class SeehearRetriever(MultiModalRetriever):
    """Finds pictures, sounds, speech, moments of videos and passages, in one list.

        library = Library.open("media.library")
        retriever = SeehearRetriever(library, similarity_top_k=4, modalities={"image", "video"})
        for found in retriever.retrieve("a dog catching a frisbee"):
            print(found.score, found.node.get_content(), found.metadata["uri"])

        engine = RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
        print(engine.query(QueryBundle("Which of these is blue?", image_path="chair.jpg")))

    The text of a node is a line that a model can read and cite, with what is read or said there in quotation marks; its
    picture is a JPEG, as long as the budget lasts. Names and times are in the metadata, of which models are shown
    nothing: source, modality, start, end (seconds), place, how, uri, score, and what the file and you said about it,
    which wins. `seehear.blocks.WARNING` belongs into the system prompt of the model that reads the nodes.

    Pictures reach a model through engines with `multimodal=True`; older engines look for ImageNodes, and send none.

    Of a QueryBundle, `image_path` is asked with beside the words, and `custom_embedding_strs`, where there are any,
    instead of them. `embedding` is ignored: it is of another model than the library's, and other retrievers leave it
    in bundles that they were asked with. What a bundle cannot hold can be asked with a SeehearQuery, or a Query.
    """

    def __init__(
        self,
        library: Library,
        similarity_top_k: int = 4,
        *,
        budget: Budget | None = None,
        media: bool = False,
        callback_manager: CallbackManager | None = None,
        object_map: dict[Any, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        """Raises QueryError for settings that make no sense.

        `media` gives nodes of recordings and videos the moment itself, too, as an MP4. It is encoded for every hit, and
        most models refuse it.
        """
        super().__init__(callback_manager, object_map, objects, verbose)
        self.similarity_top_k = similarity_top_k
        self._library, self._retriever = library, library.retriever(similarity_top_k, **settings)
        self._budget, self._media = budget or Budget(), media

    def retrieve(self, str_or_query_bundle: QueryType | Query) -> list[NodeWithScore]:
        """Find the best answers to a question, best first. Raises QueryError."""
        return super().retrieve(to_bundle(str_or_query_bundle))

    async def aretrieve(self, str_or_query_bundle: QueryType | Query) -> list[NodeWithScore]:
        """Like `retrieve`, without holding up the event loop."""
        return await super().aretrieve(to_bundle(str_or_query_bundle))

    def text_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find what is read or said, by words alone."""
        return self._found(to_query(to_bundle(str_or_query_bundle), pictured=False), "text", "speech")

    def text_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures, and moments of videos by what is seen in them, by words alone."""
        return self._text_to_image_retrieve(to_bundle(str_or_query_bundle))

    def image_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures, and moments of videos by what is seen in them, by a picture alone; a string is its path."""
        return self._image_to_image_retrieve(_pictured(str_or_query_bundle))

    async def atext_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Like `text_retrieve`, without holding up the event loop."""
        return await self._afound(to_query(to_bundle(str_or_query_bundle), pictured=False), "text", "speech")

    async def atext_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Like `text_to_image_retrieve`, without holding up the event loop."""
        return await self._atext_to_image_retrieve(to_bundle(str_or_query_bundle))

    async def aimage_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Like `image_to_image_retrieve`, without holding up the event loop."""
        return await self._aimage_to_image_retrieve(_pictured(str_or_query_bundle))

    def add_nodes(self, nodes: Sequence[BaseNode]) -> list[str]:
        """Take in the text of nodes as passages, with their metadata, under their ids; return those.

        What an id was before is replaced. Raises InputError, and takes in nothing, where a node is not text alone or
        its metadata no plain values; and one that names each node that could not be taken in, beside the others.
        """
        given = [to_passage(one) for one in nodes]
        ids = [one[0] for one in given]
        report = self._library.add_texts([one[1] for one in given], [one[2] for one in given], ids)
        if report.failed:
            raise InputError("; ".join(f"{one.path}: {one.reason}" for one in report.failed))
        return ids

    async def aadd_nodes(self, nodes: Sequence[BaseNode]) -> list[str]:
        """Like `add_nodes`, without holding up the event loop."""
        return await asyncio.to_thread(self.add_nodes, nodes)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._found(to_query(query_bundle))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._afound(to_query(query_bundle))

    def _text_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._found(to_query(query_bundle, pictured=False), "visual")

    def _image_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._found(to_query(query_bundle, words=False), "visual")

    async def _atext_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._afound(to_query(query_bundle, pictured=False), "visual")

    async def _aimage_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._afound(to_query(query_bundle, words=False), "visual")

    def _found(self, query: Query, *channels: Channel) -> list[NodeWithScore]:
        fields = self._narrowed(query, channels)
        return [] if fields is None else self._nodes(self._retriever.retrieve(query, self.similarity_top_k, **fields))

    async def _afound(self, query: Query, *channels: Channel) -> list[NodeWithScore]:
        fields = self._narrowed(query, channels)
        if fields is None:
            return []
        hits = await self._retriever.aretrieve(query, self.similarity_top_k, **fields)
        # Opening pictures takes longer than finding them.
        return await self._retriever.apart(lambda: self._nodes(hits))

    def _narrowed(self, query: Query, wanted: Sequence[Channel]) -> dict[str, Any] | None:
        """The channels of a kind of question, as far as the settings let them; None if they let none."""
        fixed = (self._retriever.settings or {}).get("channels") or query.channels
        if not wanted or fixed is None:
            return {"channels": wanted} if wanted else {}
        allowed = [one for one in wanted if one in ({fixed} if isinstance(fixed, str) else set(fixed))]
        return {"channels": allowed} if allowed else None

    def _nodes(self, hits: Hits) -> list[NodeWithScore]:
        purse, most, found = Purse(self._budget), CLIPS, []
        for hit in hits:
            given, played = purse.of(hit), to_clip(hit) if self._media else b""
            if isinstance(played, Words):
                given, played = [*given, played], b""
            played = played if len(played) <= most else b""
            most -= len(played)
            found.append(to_node(hit, given, played))
        return found


class SeehearToolSpec(BaseToolSpec):
    """Five tools for agents: search, look, read, similar and sources. `settings` bound what a model may find and read.

        spec = SeehearToolSpec(library, modalities={"image", "video"})
        agent = FunctionAgent(tools=spec.to_tool_list(), llm=llm)
        asked = ChatMessage(role="user", blocks=[TextBlock(text="Where is this?"), ImageBlock(image=jpeg)])
        handler = agent.run(user_msg=asked, memory=memory)
        async for event in handler.stream_events():
            if isinstance(event, ToolCallResult):
                print(event.tool_output.raw_output.hits)  # what the model was shown, as seehear.Hits

    Give every run of a chat the same `memory`: with a Context alone LlamaIndex forgets, and warns of it, a chat that
    holds the bytes of a picture. A model may ask with the picture that the user put into the chat, the newest in that
    memory. It must be there as bytes, or as a `data:` URL: a path or a URL in a message may be a stranger's, and is not
    opened. `picture` (bytes, a Path, a PIL image) is asked with instead, and is all that calls without an agent have.
    """

    def __init__(
        self, library: Library, *, budget: Budget | None = None, picture: Any = None, **settings: Unpack[Settings]
    ) -> None:
        """Raises QueryError for settings that make no sense."""
        self.spec_functions: list[SPEC_FUNCTION_TYPE] = [tool.name for tool in TOOLS]
        self.toolbox = Toolbox(library.retriever(**settings), budget or Budget())
        self.picture = picture

    @property
    def picture(self) -> Any:
        """What is asked with instead of a picture in the chat."""
        return self._picture

    @picture.setter
    def picture(self, given: Any) -> None:
        # A string may be a model's, so the toolbox opens none.
        if isinstance(given, str):
            raise InputError("The picture is a Path, the bytes of a file, a PIL image or an array, not a string.")
        self._picture = given

    def to_tool_list(
        self,
        spec_functions: list[SPEC_FUNCTION_TYPE] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        """The tools, or those of some names; a mapping may give them other metadata. Raises InputError for a name."""
        names = [
            one if isinstance(one, str) else one[0]
            for one in (self.spec_functions if spec_functions is None else spec_functions)
        ]
        known = {tool.name: tool for tool in TOOLS}
        if unknown := [name for name in names if name not in known]:
            raise InputError(f"There is no tool {', '.join(unknown)}. There are {', '.join(known)}.")
        given = func_to_metadata_mapping or {}
        return [SeehearTool(self, tool, given.get(tool.name)) for tool in TOOLS if tool.name in names]


class Found(list[dict[str, Any]]):
    """The hits of a tool call as plain values, so that a workflow can be written down; what is read again is a list."""

    def __init__(self, hits: Hits) -> None:
        super().__init__(hit.to_dict() for hit in hits)
        self.hits = hits
        """The same, as they were found."""


class SeehearTool(FunctionTool):
    """One of the tools. The toolbox checks the arguments: what is wrong with them is a sentence for the model."""

    def __init__(self, spec: SeehearToolSpec, tool: Tool, metadata: ToolMetadata | None = None) -> None:
        super().__init__(self.call, metadata or ToolMetadata(tool.description, tool.name, tool.arguments), self.acall)
        self.requires_context, self.ctx_param_name = True, CTX
        self._spec, self._tool = spec, tool

    def call(self, /, *args: Any, **kwargs: Any) -> ToolOutput:
        """Run it; of an agent's chat nothing is read, for that has to be awaited."""
        given = self._given(args, kwargs)
        return self._output(given, self._spec.toolbox.call(self._tool.name, given, self._spec.picture))

    async def acall(self, /, *args: Any, **kwargs: Any) -> ToolOutput:
        """Run it without holding up the event loop."""
        given, asked = self._given(args, kwargs), self._spec.picture
        try:
            if asked is None and given.get("with_picture"):
                asked = await chat_picture(kwargs.get(CTX))
        except QueryError as error:
            return self._output(given, Told([Words(str(error))], wrong=True))
        return self._output(given, await self._spec.toolbox.acall(self._tool.name, given, asked))

    def _given(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, without the context."""
        given = {**dict(zip(self._tool.arguments.model_fields, args, strict=False)), **kwargs}
        return {name: value for name, value in given.items() if name != CTX or not isinstance(value, Context)}

    def _output(self, given: dict[str, Any], told: Told) -> ToolOutput:
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            blocks=to_llama_index(told.blocks),
            raw_input={"args": (), "kwargs": given},
            raw_output=Found(told.hits),
            is_error=told.wrong,
        )


def _pictured(asked: QueryType) -> QueryBundle:
    """A question that is a picture; a string is its path."""
    return QueryBundle("", asked) if isinstance(asked, str) else to_bundle(asked)
