"""Ground answers in pictures: retrieve, show the chat model what was found, and get an answer that names its source.

    python cookbook/ground_answers_with_images.py                             # the photographs of scikit-image
    python cookbook/ground_answers_with_images.py --media ~/Pictures "what colour is our tent?"
    SEEHEAR_CHAT_MODEL=anthropic:MODEL python cookbook/ground_answers_with_images.py

Without SEEHEAR_CHAT_MODEL a scripted model answers, from the pixels that it is shown (`scripted.py`).

It needs `pip install ".[mini,video,langchain]" langchain scikit-image`; a real model also its own package.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from demo import guarded, photographs, take_in
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from scripted_langchain import chat_model

from seehear import Library
from seehear.blocks import Budget
from seehear.integrations.langchain import SeehearRetriever

QUESTIONS = (
    "Which colour is the rocket's launch pad at night?",
    "What colour has the cup of coffee?",
    "Show me a cat.",
)
SYSTEM = "Answer from the numbered pictures and lines only. Name the file that you answer from."


def answer(question: str, retriever: SeehearRetriever, model: BaseChatModel) -> tuple[str, list[str]]:
    """An answer, and the files that it could look at."""
    documents = retriever.invoke(question)
    shown = retriever.content(documents, Budget(pictures=3))
    asked = HumanMessage(content_blocks=[{"type": "text", "text": question}, *shown])
    reply = model.invoke([SystemMessage(SYSTEM), asked])
    return reply.text, [document.metadata["source"] for document in documents]


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--media", type=Path, help="a folder of your own pictures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder, "library")) as library:
        take_in(library, [given.media] if given.media else photographs())
        retriever = SeehearRetriever(library=library, k=3, modalities={"image"})
        for question in given.questions:
            said, sources = answer(question, retriever, chat_model())
            print(f"{question}\n  {said}\n  looked at: {', '.join(Path(source).name for source in sources)}\n")


if __name__ == "__main__":
    guarded(main)
