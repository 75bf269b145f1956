"""The scripted model as a function calling model of LlamaIndex, or the real one that SEEHEAR_CHAT_MODEL names."""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import LLM, ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from scripted import VARIABLE, Call, Piece, opened, reply


def chat_model() -> LLM:
    """The model that the environment names, of `llama-index-llms-PROVIDER`, or the scripted one."""
    named = os.environ.get(VARIABLE)
    if not named:
        return ScriptedLLM()
    provider, _, model = named.partition(":")
    module = importlib.import_module(f"llama_index.llms.{provider.replace('-', '_')}")
    kinds = [getattr(module, name) for name in module.__all__]
    made: LLM = next(kind for kind in kinds if issubclass(kind, LLM))(model=model)
    return made


class ScriptedLLM(FunctionCallingLLM):
    """Reads messages of LlamaIndex."""

    @property
    def metadata(self) -> LLMMetadata:
        """What it can do."""
        return LLMMetadata(
            is_chat_model=True, is_function_calling_model=True, model_name="scripted", context_window=100_000
        )

    def chat(self, messages: Sequence[ChatMessage], **given: Any) -> ChatResponse:
        """Read the messages, and reply."""
        asked = max(n for n, message in enumerate(messages) if message.role == MessageRole.USER)
        results = [pieces(message) for message in messages[asked:] if message.role == MessageRole.TOOL]
        said = reply(pieces(messages[asked]), results, tools=bool(given.get("tools")))
        message = ChatMessage(role=MessageRole.ASSISTANT, content="" if isinstance(said, Call) else said)
        if isinstance(said, Call):
            call = {"tool_id": uuid.uuid4().hex, "tool_name": said.name, "tool_kwargs": said.arguments}
            message.additional_kwargs["tool_calls"] = [call]
        return ChatResponse(message=message, delta=message.content)

    async def achat(self, messages: Sequence[ChatMessage], **given: Any) -> ChatResponse:
        """Like `chat`."""
        return self.chat(messages, **given)

    def stream_chat(self, messages: Sequence[ChatMessage], **given: Any) -> Iterator[ChatResponse]:  # type: ignore[override]
        """The reply, in one piece."""
        yield self.chat(messages, **given)

    async def astream_chat(self, messages: Sequence[ChatMessage], **given: Any) -> AsyncIterator[ChatResponse]:  # type: ignore[override]
        """The reply, in one piece."""

        async def pieces_of() -> AsyncIterator[ChatResponse]:
            yield self.chat(messages, **given)

        return pieces_of()

    def complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:
        """Read a prompt, and reply."""
        return CompletionResponse(text=str(self.chat([ChatMessage(prompt)]).message.content))

    async def acomplete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:
        """Like `complete`."""
        return self.complete(prompt)

    def stream_complete(self, prompt: str, *_: Any, **__: Any) -> Any:
        """The reply, in one piece."""
        yield self.complete(prompt)

    async def astream_complete(self, prompt: str, *_: Any, **__: Any) -> Any:
        """The reply, in one piece."""

        async def pieces_of() -> AsyncIterator[CompletionResponse]:
            yield self.complete(prompt)

        return pieces_of()

    def get_tool_calls_from_response(self, response: ChatResponse, *_: Any, **__: Any) -> list[ToolSelection]:
        """The calls of a reply."""
        return [ToolSelection(**call) for call in response.message.additional_kwargs.get("tool_calls", ())]

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **_: Any
    ) -> dict[str, Any]:
        asked = [ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg] if user_msg else []
        return {"messages": [*(chat_history or ()), *asked], "tools": tools}


def pieces(message: ChatMessage) -> list[Piece]:
    """The blocks of a message."""
    found: list[Piece] = []
    for block in message.blocks:
        if isinstance(block, TextBlock):
            found.append(block.text)
        elif isinstance(block, ImageBlock):
            found.append(opened(block.resolve_image().read()))
    return found
