"""The scripted model as a chat model of LangChain, or the real one that SEEHEAR_CHAT_MODEL names."""

from __future__ import annotations

import os
import uuid
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from scripted import VARIABLE, Call, Piece, opened, reply


def chat_model() -> BaseChatModel:
    """The model that the environment names, as `init_chat_model` takes it, or the scripted one."""
    named = os.environ.get(VARIABLE)
    return init_chat_model(named) if named else ScriptedChat()


class ScriptedChat(BaseChatModel):
    """Reads messages of LangChain."""

    bound: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        """Knows the five tools, whatever they are called here."""
        return self.model_copy(update={"bound": bool(tools)})

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        asked = max(n for n, message in enumerate(messages) if isinstance(message, HumanMessage))
        results = [pieces(message) for message in messages[asked:] if isinstance(message, ToolMessage)]
        said = reply(pieces(messages[asked]), results, tools=self.bound)
        calls = [{"name": said.name, "args": said.arguments, "id": uuid.uuid4().hex}] if isinstance(said, Call) else []
        message = AIMessage("" if isinstance(said, Call) else said, tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


def pieces(message: BaseMessage) -> list[Piece]:
    """The blocks of a message."""
    found: list[Piece] = []
    for block in message.content_blocks:
        if block["type"] == "text":
            found.append(block["text"])
        elif block["type"] == "image":
            found.append(opened(block.get("base64") or block["url"]))
    return found
