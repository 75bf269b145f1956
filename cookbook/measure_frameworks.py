"""Measure seehear beside what the frameworks bring themselves: the same files, the same encoder, one run.

    python cookbook/measure_frameworks.py --data ../shared/data

Eighty photographs of COCO, captions of the first forty as passages, a photograph that is broken, one that is twice
there, a URL. The encoder is `mini`'s in all three. langchain-chroma keeps photographs and passages in one
collection (`add_images`, `add_texts`, cosine), as its documentation shows; LlamaIndex's `MultiModalVectorStoreIndex`
has two Chroma collections, and a name in the metadata, without which it drops a picture. Each is asked with another
caption of each photograph, for five answers in all: it is right if the photograph, or the passage about it, is among
them. What reaches the model is what the usual chain or query engine of each puts into its messages.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import logging
import shutil
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from langchain_chroma import Chroma
from langchain_core.embeddings import Embeddings
from llama_index.core import StorageContext
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.llms import ImageBlock, TextBlock
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import ImageNode, MediaResource, Node, QueryBundle, TextNode
from llama_index.vector_stores.chroma import ChromaVectorStore
from PIL import Image
from scripted_llama_index import ScriptedLLM

from seehear import Library
from seehear.integrations.langchain import SeehearRetriever
from seehear.integrations.llama_index import SeehearRetriever as LlamaIndexRetriever
from seehear.modalities.encoders.mini import Mini
from seehear.types import Picture, Text

K, TEXTS = 5, 40
URL = "https://example.org/photo.jpg"
SENT: list[str] = []
MINI = Mini()


@dataclass
class Told:
    """What became of the files, by one framework."""

    seconds: float = 0.0
    stored: str = ""
    lost: list[str] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    sent: str = ""


@dataclass(frozen=True)
class Corpus:
    """The files and questions."""

    photographs: list[Path]
    odd: list[Path]
    passages: dict[str, str]
    questions: list[tuple[str, str]]
    """Words, and the photograph's name."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        corpus = gathered(given.data / "coco", work)
        MINI.embed([Text("a"), Picture(np.zeros((9, 9, 3), np.uint8))], "document")  # nobody waits for the weights
        for name, run in (("langchain-chroma", langchain), ("LlamaIndex", llama_index), ("seehear", seehear)):
            told = run(corpus, work / name)
            print(f"\n{name}\n  ingest        {told.seconds:.1f} s\n  stores        {told.stored}")
            print(f"  right in {K}    {sum(told.right)} of {len(told.right)}; the forty without a passage "
                  f"{sum(told.right[TEXTS:])}, with one {sum(told.right[:TEXTS])}")  # fmt: skip
            print(f"  to ask        median {1000 * statistics.median(told.took):.1f} ms\n  to the model  {told.sent}")
            for loss in told.lost:
                print(f"  lost          {loss}")


def gathered(coco: Path, work: Path) -> Corpus:
    """The corpus; the odd files are made here."""
    captions: dict[str, list[str]] = defaultdict(list)
    with (coco / "captions.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            captions[Path(row["image"]).name].append(row["caption"])
    photographs = sorted(path for path in (coco / "images").iterdir() if path.name in captions)
    broken, twice = work / "broken.jpg", work / "twice.jpg"
    broken.write_bytes(photographs[0].read_bytes()[:3_000])
    shutil.copy(photographs[1], twice)
    names = [path.name for path in photographs]
    passages = {name: captions[name][1] for name in names[:TEXTS]}
    return Corpus(photographs, [broken, twice], passages, [(captions[name][0], name) for name in names])


def asked(corpus: Corpus, told: Told, ask: Callable[[str], Sequence[str]]) -> None:
    """Ask all questions; an answer is the name of a photograph, or of the one that a passage is about."""
    ask(corpus.questions[0][0])
    for words, name in corpus.questions:
        started = time.perf_counter()
        found = ask(words)
        told.took.append(time.perf_counter() - started)
        told.right.append(name in found)


def pictures(paths: Sequence[str]) -> list[Picture]:
    """Files as the encoder takes them."""
    return [Picture(np.asarray(Image.open(path).convert("RGB"))) for path in paths]


def tried(told: Told, what: str, call: Callable[[], Any]) -> bool:
    """Whether something could be taken in; if not, why."""
    try:
        call()
    except Exception as error:  # whatever they raise
        told.lost.append(f"{what}: {type(error).__name__}: {str(error)[:90]}")
        return False
    return True


class MiniForLangChain(Embeddings):
    """The encoder, as langchain-chroma wants it."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Of passages."""
        return MINI.embed([Text(text) for text in texts], "document").tolist()

    def embed_query(self, text: str) -> list[float]:
        """Of a question."""
        return MINI.embed([Text(text)], "query")[0].tolist()

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """Of pictures."""
        return MINI.embed(pictures(uris), "document").tolist()


def langchain(corpus: Corpus, work: Path) -> Told:
    """One collection, as the documentation shows it."""
    told = Told()
    store = Chroma(
        "mixed", MiniForLangChain(), persist_directory=str(work), collection_metadata={"hnsw:space": "cosine"}
    )
    paths = [*corpus.photographs, *corpus.odd]

    def add(given: Sequence[Path]) -> None:
        store.add_images([str(path) for path in given], [{"n": path.name} for path in given])

    started = time.perf_counter()
    if not tried(told, "all files at once", lambda: add(paths)):
        started = time.perf_counter()
        add([*corpus.photographs, *corpus.odd[1:]])
    store.add_texts(list(corpus.passages.values()), [{"n": name} for name in corpus.passages])
    told.seconds = time.perf_counter() - started
    tried(told, "a URL", lambda: store.add_images([URL]))
    kept = store.get()
    size = sum(map(len, kept["documents"]))
    told.stored = f"{len(kept['ids'])} rows; {size / 1e6:.1f} MB of base64 and text as documents"
    asked(
        corpus,
        told,
        lambda words: [doc.metadata["n"] for doc in store.as_retriever(search_kwargs={"k": K}).invoke(words)],
    )
    documents = store.similarity_search(corpus.questions[0][0], k=K)
    told.sent = (
        f"one text of {sum(len(document.page_content) for document in documents):,} characters, base64 among them"
    )
    tried(told, "by image, with scores", lambda: store.similarity_search_by_image_with_relevance_score(str(paths[3])))
    return told


class MiniForLlamaIndex(MultiModalEmbedding):
    """The encoder, as LlamaIndex wants it."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return MINI.embed([Text(text)], "document")[0].tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return MINI.embed([Text(query)], "query")[0].tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_image_embedding(self, img_file_path: Any) -> list[float]:
        return MINI.embed(pictures([img_file_path]), "document")[0].tolist()

    async def _aget_image_embedding(self, img_file_path: Any) -> list[float]:
        return self._get_image_embedding(img_file_path)


class Recorder(ScriptedLLM):
    """Remembers what it was sent."""

    def chat(self, messages: Any, **given: Any) -> Any:
        """Count the blocks."""
        blocks = [block for message in messages for block in message.blocks]
        texts = [block.text for block in blocks if isinstance(block, TextBlock)]
        images = [block for block in blocks if isinstance(block, ImageBlock)]
        size = sum(len(block.resolve_image().read()) for block in images)
        SENT.append(
            f"{len(texts)} texts of {sum(map(len, texts)):,} characters, {len(images)} pictures of {size / 1e3:.0f} kB"
        )
        return super().chat(messages, **given)


def llama_index(corpus: Corpus, work: Path) -> Told:
    """Two collections, captions in the metadata."""
    told = Told()
    client = chromadb.PersistentClient(str(work))
    space = {"hnsw:space": "cosine"}
    both = [ChromaVectorStore(client.get_or_create_collection(name, metadata=space)) for name in ("words", "seen")]
    context = StorageContext.from_defaults(vector_store=both[0], image_store=both[1])
    words = [TextNode(text=text, metadata={"file_name": name}) for name, text in corpus.passages.items()]
    made: dict[str, Any] = {}

    def build(paths: Sequence[Path]) -> None:
        seen = [ImageNode(image_path=str(path), metadata={"file_name": path.name}) for path in paths]
        bare = Node(image_resource=MediaResource(path=corpus.photographs[2]))
        kinds = {"embed_model": MiniForLlamaIndex(), "image_embed_model": MiniForLlamaIndex()}
        made["index"] = MultiModalVectorStoreIndex([*seen, bare, *words], storage_context=context, **kinds)

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        started = time.perf_counter()
        if not tried(told, "all files at once", lambda: build([*corpus.photographs, *corpus.odd])):
            started = time.perf_counter()
            build([*corpus.photographs, *corpus.odd[1:]])
        told.seconds = time.perf_counter() - started
    index = made["index"]
    told.lost += sorted({line for line in said.getvalue().splitlines() if line})
    told.stored = f"{both[1].client.count()} rows of pictures, {both[0].client.count()} of words"
    retriever = index.as_retriever(similarity_top_k=2, image_similarity_top_k=3)
    asked(corpus, told, lambda words: [one.node.metadata["file_name"] for one in retriever.retrieve(words)])
    found = retriever.retrieve(corpus.questions[0][0])
    told.lost.append(f"the order: scores {', '.join(f'{one.score:.2f}' for one in found)}")
    bundle = QueryBundle(corpus.questions[0][0])
    retriever.retrieve(bundle)
    tried(told, "the same QueryBundle again", lambda: retriever.retrieve(bundle))
    query(retriever, corpus, told)
    return told


def query(retriever: Any, corpus: Corpus, told: Told) -> None:
    """Ask a query engine that sends pictures, and note what reaches the model."""
    engine = RetrieverQueryEngine(retriever, get_response_synthesizer(llm=Recorder(), multimodal=True))
    if tried(told, "a query engine with multimodal=True", lambda: engine.query(corpus.questions[0][0])):
        told.sent = SENT[-1]


def seehear(corpus: Corpus, work: Path) -> Told:
    """The library, through both retrievers."""
    told = Told()
    with Library.open(work) as library:
        started = time.perf_counter()
        report = library.add([*corpus.photographs, *corpus.odd])
        library.add_texts(list(corpus.passages.values()), ids=list(corpus.passages))
        told.seconds = time.perf_counter() - started
        failed = [*report.failed, *library.add(URL).failed]
        told.lost += [f"{Path(problem.path).name}: {problem.reason}" for problem in failed]
        told.stored = f"{library.info()['segments']} segments; the files stay where they are"
        retriever = SeehearRetriever(library=library, k=K)
        asked(corpus, told, lambda words: [Path(d.metadata["source"]).name for d in retriever.invoke(words)])
        query(LlamaIndexRetriever(library, similarity_top_k=K), corpus, told)
        documents = retriever.invoke(corpus.questions[0][0])
        told.sent += (
            f"; by LangChain's chain {sum(len(one.page_content) for one in documents):,} characters, none base64"
        )
    return told


if __name__ == "__main__":
    main()
