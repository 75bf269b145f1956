"""Agents that call seehear as a tool, one of LangChain and one of LlamaIndex: they search, look closer, and answer.

    python cookbook/agent_tool_calls.py                              # the demo's photographs, recordings and videos
    python cookbook/agent_tool_calls.py --media ~/Videos "who rings the bell?"
    SEEHEAR_CHAT_MODEL=openai:MODEL python cookbook/agent_tool_calls.py

Without SEEHEAR_CHAT_MODEL a scripted model calls and answers, from what it is shown (`scripted.py`).

It needs `pip install ".[mini,video,langchain,llama-index]" langchain scikit-image`; a real model also its own package.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scripted_langchain
import scripted_llama_index
from demo import guarded, photographs, recordings, take_in
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.agent.workflow import FunctionAgent, ToolCall
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock

from seehear import Library
from seehear.integrations.langchain import SeehearToolkit
from seehear.integrations.llama_index import SeehearToolSpec

QUESTIONS = (
    "a man in a suit with a bow tie in a car",
    "a cup of coffee on a table",
    "somebody says to try again and fail better",
    "a bell ringing",
)
SYSTEM = (
    "Search for what is asked. Look at the frames of a hit, or read what is said in it, before you answer. "
    "Name the file and the time."
)


@dataclass(frozen=True)
class Run:
    """What an agent did: its calls, and its answer."""

    calls: list[tuple[str, dict[str, Any]]]
    answer: str


def langchain_agent(library: Library, question: str, picture: bytes | None = None, **settings: Any) -> Run:
    """Ask an agent of LangChain; with the bytes of a JPEG, a picture stands in the chat."""
    tools = SeehearToolkit(library=library, **settings).get_tools()
    agent: Any = create_agent(scripted_langchain.chat_model(), tools, system_prompt=SYSTEM)
    content: list[Any] = [{"type": "text", "text": question}]
    if picture:
        content.append({"type": "image", "base64": base64.b64encode(picture).decode(), "mime_type": "image/jpeg"})
    messages = agent.invoke({"messages": [HumanMessage(content_blocks=content)]})["messages"]
    calls = [(call["name"], call["args"]) for one in messages if isinstance(one, AIMessage) for call in one.tool_calls]
    return Run(calls, messages[-1].text)


def llama_index_agent(library: Library, question: str, picture: bytes | None = None, **settings: Any) -> Run:
    """Ask an agent of LlamaIndex; with the bytes of a JPEG, a picture stands in the chat."""
    tools = SeehearToolSpec(library, **settings).to_tool_list()
    agent = FunctionAgent(tools=tools, llm=scripted_llama_index.chat_model(), system_prompt=SYSTEM)

    async def run() -> Run:
        blocks = [TextBlock(text=question), *([ImageBlock(image=picture)] if picture else [])]
        handler = agent.run(user_msg=ChatMessage(role="user", blocks=blocks))
        calls = [(e.tool_name, e.tool_kwargs) async for e in handler.stream_events() if type(e) is ToolCall]
        return Run(calls, str(await handler))

    return asyncio.run(run())


AGENTS: dict[str, Callable[..., Run]] = {"LangChain": langchain_agent, "LlamaIndex": llama_index_agent}


def main() -> None:
    """Index, ask both, print what they do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--media", type=Path, help="a folder of your own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder, "library")) as library:
        take_in(library, [given.media] if given.media else [*photographs(), *recordings()])
        for question in given.questions:
            print(question)
            for framework, ask in AGENTS.items():
                run = ask(library, question)
                for name, arguments in run.calls:
                    print(
                        f"  {framework:<10} {name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
                    )
                print(f"  {framework:<10} {run.answer}")
            print()


if __name__ == "__main__":
    guarded(main)
