"""What LangChain's messages and documents hold, and what we make of it. Nothing that they point at is fetched."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.tools import ToolException
from PIL.Image import Image

from seehear.blocks import Block, Words, described
from seehear.errors import InputError, QueryError
from seehear.hits import Hit
from seehear.retrieve import Retriever
from seehear.tools import Told
from seehear.types import Query

Blocks = list[dict[str, Any]]
"""Content blocks, as LangChain 1 writes them."""
Asked = str | Query | HumanMessage | Sequence[str | dict[str, Any]]
"""What a retriever can be asked: words, a Query, a user's message, or its content blocks."""


def question(asked: object) -> str | Query:
    """What is asked: text blocks are its words, image blocks its pictures, an audio block is a spoken question.

    Of several pictures the first is `image`, the others are in `plus`. Raises QueryError for a block that is nothing
    to ask with, and for one that points at a URL or an uploaded file instead of holding its bytes.
    """
    if isinstance(asked, (str, Query)):
        return asked
    found: dict[str, list[Any]] = {"text": [], "image": [], "audio": []}
    for block in _blocks(asked):
        if (kind := block.get("type")) not in found:
            raise QueryError(f"A question is made of text, image and audio blocks, not of {_of(block)}.")
        found[kind].append(str(block.get("text", "")) if kind == "text" else _bytes(block))
    if len(found["audio"]) > 1:
        raise QueryError("One spoken question at a time: there are several audio blocks.")
    first, *more = found["image"] or [None]
    return Query("\n".join(found["text"]) or None, first, voice=next(iter(found["audio"]), None), plus=more)


def traced(query: str | Query) -> str:
    """What tracers and callbacks are told of a question: its words, and which other parts it has."""
    if isinstance(query, str):
        return query
    given = {name: getattr(query, name) for name in ("image", "audio", "voice", "plus", "minus")}
    nothing = [part is None or (isinstance(part, (str, bytes, list, tuple)) and not part) for part in given.values()]
    parts = [name for name, empty in zip(given, nothing, strict=True) if not empty]
    words = query.text if isinstance(query.text, str) else ""  # whatever else it is, the library refuses
    return " ".join(filter(None, (words, f"[{', '.join(parts)}]" if parts else "")))


def seen(given: object, arguments: Mapping[str, Any]) -> Any:
    """The picture that the user put into the chat, if a model asks with it: the newest; None if there is none.

    A model can write strings, numbers, lists and mappings: they count for nothing. Raises ToolException where the
    newest is a URL or no base64: an older one in its place would be the wrong one.
    """
    if not arguments.get("with_picture"):
        return None
    if isinstance(given, (bytes, Image, np.ndarray)):
        return given
    messages = given if isinstance(given, (list, tuple)) else [given]
    try:
        for message in reversed(messages):
            for block in reversed(_blocks(message)) if isinstance(message, HumanMessage) else ():
                if block.get("type") == "image":
                    return _bytes(block)
    except QueryError as error:
        raise ToolException(str(error)) from error
    return None


def answered(told: Told) -> tuple[Blocks, list[dict[str, Any]]]:
    """What a tool answers: content and artifact. Raises ToolException with the sentence about what was wrong."""
    if told.wrong:
        raise ToolException(" ".join(block.text for block in told.blocks if isinstance(block, Words)))
    return to_langchain(told.blocks), [hit.to_dict() for hit in told.hits]


def to_langchain(given: Iterable[Block]) -> Blocks:
    """Blocks as LangChain 1 takes them in a message or a tool's result."""
    return [
        {"type": "text", "text": block.text}
        if isinstance(block, Words)
        else {"type": "image", "base64": block.base64, "mime_type": "image/jpeg"}
        for block in given
    ]


def to_document(hit: Hit) -> Document:
    """A hit as LangChain's other retrievers return theirs: see `SeehearRetriever` for what stands where."""
    return Document(id=hit.id, page_content=described(hit, found=False), metadata=hit.to_metadata())


def resolved(document: Document, retriever: Retriever) -> Hit | str:
    """The hit that a document is of; where there is none any more, or never was, what the document says."""
    try:
        return retriever.hit(document.id or "")
    except InputError:
        return document.page_content


def _blocks(asked: object) -> Sequence[dict[str, Any]]:
    """The content blocks of a message, of whatever provider, in LangChain's own form. Raises QueryError."""
    if not isinstance(asked, (HumanMessage, list, tuple)):
        raise QueryError(
            f"A question is words, a Query, a HumanMessage or its content blocks, not {type(asked).__name__}."
        )
    try:
        message = asked if isinstance(asked, HumanMessage) else HumanMessage(content=list(asked))
        return [dict(block) for block in message.content_blocks]
    except Exception as error:  # LangChain's translators take for granted that a block is whole
        raise QueryError("The content blocks of the question are not as LangChain defines them.") from error


def _bytes(block: dict[str, Any]) -> bytes:
    """What a block holds. Raises QueryError for one that only points at it."""
    written, url = block.get("base64"), block.get("url")
    if written is None and isinstance(url, str) and url[:5].lower() == "data:":
        head, _, written = url.partition(",")
        written = written if head.lower().endswith(";base64") else None
    if not isinstance(written, str) or not written:
        where = f" but a URL, {url!r:.80}" if url else ""
        raise QueryError(f"An {_of(block)} holds no base64{where}. Nothing is fetched; put the file's bytes into it.")
    try:
        return base64.b64decode("".join(written.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"What an {_of(block)} holds is no base64.") from error


def _of(block: dict[str, Any]) -> str:
    value = block.get("value")
    kind = value.get("type") if block.get("type") == "non_standard" and isinstance(value, dict) else block.get("type")
    return f"{kind!s:.40} block"
