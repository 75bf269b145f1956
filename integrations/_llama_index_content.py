"""What LlamaIndex's bundles, nodes and messages hold, and what we make of it. Nothing that they point at is fetched."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from hashlib import sha256
from pathlib import Path
from typing import Any, TypedDict

from llama_index.core.base.llms.types import ContentBlock, ImageBlock, MessageRole, TextBlock
from llama_index.core.memory import BaseMemory
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    ObjectType,
    QueryBundle,
    RelatedNodeInfo,
)
from llama_index.core.utils import resolve_binary
from llama_index.core.workflow import Context
from pydantic import SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from seehear.blocks import Block, View, Words, described
from seehear.errors import InputError, MediaError, QueryError
from seehear.hits import Hit
from seehear.metadata import checked
from seehear.types import Channel, Modality, Query, Scalar

MEDIA = ("image_resource", "audio_resource", "video_resource")
"""What a node may hold beside text."""


class Settings(TypedDict, total=False):
    """What holds for every question: fields of `seehear.Query`, as there."""

    channels: Channel | Iterable[Channel] | None
    modalities: Modality | Iterable[Modality] | None
    where: Mapping[str, Any] | None
    after: datetime | date | time | str | None
    before: datetime | date | time | str | None
    per_source: int | None
    min_score: float | None


class SeehearQuery(QueryBundle):
    """A question with all that a `seehear.Query` has, where LlamaIndex takes a QueryBundle.

    engine.query(SeehearQuery(Query(text="a beach", image="dune.jpg", minus=["people"])))
    """

    def __init__(self, query: Query) -> None:
        path = str(query.image) if isinstance(query.image, (str, Path)) else None
        super().__init__(query_str=query.text or "", image_path=path)
        self.query = query


class HitNode(Node):
    """A Node that takes its media along when it is written down; what reads it makes a Node.

    The core leaves the bytes of a resource out, and query engines fail at the empty picture that is then read.
    """

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """As the core does, and the bytes in base64."""
        data = super().custom_model_dump(handler, info)
        for name in MEDIA:
            resource = getattr(self, name)
            if resource is not None and resource.data and isinstance(data.get(name), dict):
                data[name]["data"] = resource.data.decode()
        return data

    @property
    def hash(self) -> str:
        """Of the hit, however it was found: with the score in it, as the core has it, fused lists hold it twice.

        What was written down and read again has the core's.
        """
        return sha256(self.id_.encode()).hexdigest()


def to_bundle(asked: str | QueryBundle | Query) -> QueryBundle:
    """A question as LlamaIndex takes it. Raises QueryError for what is none."""
    if isinstance(asked, str):
        return QueryBundle(asked)
    if isinstance(asked, Query):
        return SeehearQuery(asked)
    if not isinstance(asked, QueryBundle):
        raise QueryError(f"A question is a string, a QueryBundle or a Query, not {type(asked).__name__}.")
    return asked


def to_query(asked: QueryBundle, *, words: bool = True, pictured: bool = True) -> Query:
    """What a bundle asks, or only the words or the picture of it. The bundle is not changed."""
    if isinstance(asked, SeehearQuery):
        whole = asked.query
        return replace(whole, text=whole.text if words else None, image=whole.image if pictured else None)
    image, strings = asked.image_path if pictured else None, asked.custom_embedding_strs
    image = None if isinstance(image, str) and not image else image
    if strings is not None and not (isinstance(strings, list) and all(isinstance(one, str) for one in strings)):
        raise QueryError("custom_embedding_strs of a QueryBundle are a list of strings.")
    if not words or not strings:
        return Query(asked.query_str if words else None, image)
    return Query(None, image, plus=[one for one in strings if one.strip()])


def to_node(hit: Hit, given: Sequence[Block], clip: bytes) -> NodeWithScore:
    """A hit with its score: its line and what `given` says, the picture of `given`, and the moment as an MP4."""
    metadata = hit.to_metadata()
    lines = [described(hit, found=False), *(block.text for block in given if isinstance(block, Words))]
    view = next((block for block in given if isinstance(block, View)), None)
    played = MediaResource(data=base64.b64encode(clip), mimetype=f"{hit.modality}/mp4") if clip else None
    made = HitNode(
        id_=hit.id,
        text_resource=MediaResource(text="\n".join([*lines, ""])),  # engines join nodes with a space
        image_resource=MediaResource(data=view.base64.encode(), mimetype="image/jpeg") if view else None,
        audio_resource=played if hit.modality == "audio" else None,
        video_resource=played if hit.modality == "video" else None,
        extra_info=metadata,  # the alias of `metadata`, which mypy knows it by
        excluded_llm_metadata_keys=list(metadata),
        excluded_embed_metadata_keys=list(metadata),
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.source_name, node_type=ObjectType.DOCUMENT)
        },
    )
    return NodeWithScore(node=made, score=hit.score)


def to_clip(hit: Hit) -> bytes | Words:
    """The moment of a recording or a video as an MP4; a sentence where it cannot be had."""
    if hit.modality not in ("audio", "video"):
        return b""
    try:
        with tempfile.TemporaryDirectory(prefix="seehear-") as folder:
            return hit.clip(Path(folder) / "moment.mp4").read_bytes()
    except MediaError as error:
        return Words(f"(This moment cannot be played: {error}.)")


def to_passage(given: BaseNode) -> tuple[str, str, dict[str, Scalar]]:
    """The id, text and metadata of a node. Raises InputError that names one that is not text alone."""
    if not isinstance(given, BaseNode):
        raise InputError(f"A passage is a node of LlamaIndex, not {type(given).__name__}.")
    text = given.get_content(MetadataMode.NONE)
    more = isinstance(given, (HitNode, ImageNode, IndexNode)) or any(getattr(given, name, None) for name in MEDIA)
    if more or not text.strip():
        what = "more than text: add its file with Library.add" if more else "empty"
        raise InputError(f"Node {given.node_id!r} ({type(given).__name__}) is {what}.")
    try:
        return given.node_id, text, checked(given.metadata)
    except InputError as error:
        raise InputError(f"Node {given.node_id!r}: {error}") from error


def to_llama_index(given: Iterable[Block]) -> list[ContentBlock]:
    """Blocks as LlamaIndex takes them in a message or a tool's result."""
    return [
        TextBlock(text=block.text)
        if isinstance(block, Words)
        else ImageBlock(image=block.jpeg, image_mimetype="image/jpeg")
        for block in given
    ]


async def chat_picture(context: object) -> bytes | None:
    """The picture that the user put into the chat: the newest in an agent's memory; None if there is none.

    Raises QueryError where the newest is a path or a URL: a stranger may have written it, and an older picture in its
    place would be the wrong one.
    """
    memory = await context.store.get("memory", default=None) if isinstance(context, Context) else None
    for message in reversed(await memory.aget_all() if isinstance(memory, BaseMemory) else []):
        for block in reversed(message.blocks):
            if message.role == MessageRole.USER and isinstance(block, ImageBlock):
                return _bytes(block)
    return None


def _bytes(block: ImageBlock) -> bytes:
    if isinstance(block.image, bytes):
        return resolve_binary(block.image).read()
    head, _, written = str(block.url or "").partition(",")
    try:
        if head[:5].lower() == "data:" and head.lower().endswith(";base64"):
            return base64.b64decode(written, validate=True)
    except binascii.Error as error:
        raise QueryError("The user's picture is no base64; ask in words.") from error
    raise QueryError("The user's picture is not there as bytes, and no path or URL is opened here; ask in words.")
