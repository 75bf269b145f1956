"""List, block by block, what reaches a chat model: by LlamaIndex's query engine, LangChain's message, OpenAI's form.

    python cookbook/what_models_read.py                            # the demo's photographs, recordings and videos
    python cookbook/what_models_read.py --media ~/Pictures "in the rain"

It needs `pip install ".[mini,video,langchain,llama-index]" langchain scikit-image`; a real model also its own package.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo import guarded, photographs, recordings, take_in
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.query_engine import RetrieverQueryEngine
from PIL import Image
from scripted_llama_index import ScriptedLLM

from seehear import Budget, Library
from seehear.integrations.langchain import SeehearRetriever
from seehear.integrations.llama_index import SeehearRetriever as LlamaIndexRetriever

QUESTION = "a man in a car, or a bell ringing"


class Shown(ScriptedLLM):
    """Prints the messages that it is sent."""

    def chat(self, messages: Sequence[ChatMessage], **given: Any) -> Any:
        """Print, and reply."""
        for message in messages:
            print(f"  {message.role.value}")
            for block in message.blocks:
                if isinstance(block, TextBlock):
                    show(block.text)
                elif isinstance(block, ImageBlock):
                    picture(block.resolve_image().read(), block.image_mimetype)
        return super().chat(messages, **given)


def show(text: str) -> None:
    """A block of words."""
    for line in text.splitlines():
        print(f"    | {line}")


def picture(jpeg: bytes, kind: object) -> None:
    """A block that is a picture."""
    width, height = Image.open(io.BytesIO(jpeg)).size
    print(f"    [{kind}, {width} x {height}, {len(jpeg):,} bytes]")


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="?", default=QUESTION)
    parser.add_argument("--media", type=Path, help="a folder of your own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder, "library")) as library:
        take_in(library, [given.media] if given.media else [*photographs(), *recordings()])
        library.add_texts(["The bell of the bicycle was mended in May."], ids=["note"])
        print("LlamaIndex: RetrieverQueryEngine.from_args(retriever, multimodal=True)")
        retriever = LlamaIndexRetriever(library, similarity_top_k=4)
        engine = RetrieverQueryEngine.from_args(retriever, llm=Shown(), multimodal=True)
        print(f"  answer\n    | {engine.query(given.question)}\n")
        print("LangChain: retriever.content(retriever.invoke(question), Budget(pictures=1))")
        chain = SeehearRetriever(library=library, k=4)
        for block in chain.content(chain.invoke(given.question), Budget(pictures=1)):
            text = block.get("text")
            show(text) if text else print(f"    [{block['mime_type']}, {len(block['base64']):,} letters of base64]")
        print("\nOpenAI: library.retrieve(question, k=1).to_openai()")
        show(json.dumps(library.retrieve(given.question, k=1).to_openai())[:500] + " ...")


if __name__ == "__main__":
    guarded(main)
