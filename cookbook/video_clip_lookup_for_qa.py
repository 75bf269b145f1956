"""Look up the clips that answer a question about hours of footage: an answer with time codes, and the clips themselves.

    python cookbook/video_clip_lookup_for_qa.py                      # the two videos of the demo
    python cookbook/video_clip_lookup_for_qa.py --media ~/Footage --out clips "when does the bridge open?"
    SEEHEAR_CHAT_MODEL=openai:MODEL python cookbook/video_clip_lookup_for_qa.py

Without SEEHEAR_CHAT_MODEL a scripted model answers, from what it is shown (`scripted.py`).

It needs `pip install ".[mini,video,langchain]" langchain scikit-image`; a real model also its own package.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from demo import VIDEOS, guarded, recordings, take_in
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from scripted_langchain import chat_model

from seehear import Hits, Library
from seehear.calibration import MIN_SCORE

QUESTIONS = ("a man in a suit with a bow tie in a car", "a cyclist waiting for a car")
SYSTEM = "Answer from the numbered moments only. Name the video and the time of each that you use."


def answer(question: str, library: Library, model: BaseChatModel, k: int = 3) -> tuple[str, Hits]:
    """An answer, and the moments that it rests on."""
    found = library.retrieve(question, k=k, modalities={"video"}, per_source=2)
    moments = Hits(hit for hit in found if hit.score >= MIN_SCORE)  # below, nothing there matches
    asked = [{"type": "text", "text": question}, *moments.to_openai()]  # LangChain takes OpenAI's form for any model
    return model.invoke([SystemMessage(SYSTEM), HumanMessage(asked)]).text, moments


def main() -> None:
    """Index, ask, print, and cut."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--media", type=Path, help="a folder of your own videos")
    parser.add_argument("--library", type=Path, help="keep the library here, so that footage is indexed once")
    parser.add_argument("--out", type=Path, default=Path("clips"), help="where the clips are put")
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True, parents=True)
    films = [path for path in recordings() if path.name in {Path(video).name for video in VIDEOS}]
    with tempfile.TemporaryDirectory() as folder, Library.open(given.library or Path(folder, "library")) as library:
        take_in(library, [given.media] if given.media else films)
        if not library.retriever(modalities={"video"}).sources(most=1)[1]:
            raise SystemExit("There is no video to look anything up in.")
        for number, question in enumerate(given.questions, 1):
            said, moments = answer(question, library, chat_model())
            print(f"{question}\n  {said}")
            for rank, hit in enumerate(moments, 1):
                clip = hit.clip(given.out / f"{number}-{rank}.mp4")
                print(f"  [{rank}] {Path(hit.source).name} {hit.place}, {hit.how}, {hit.score:.2f}: {clip}")
            print()


if __name__ == "__main__":
    guarded(main)
