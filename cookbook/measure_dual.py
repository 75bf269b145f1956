"""Measure how much of a real-sized encoder's speed `Library.add` keeps: ViT-B/32 with random weights.

    python cookbook/measure_dual.py FOLDER --files 96

Random weights take the same time as true ones. The bare encoder embeds pictures that are decoded already, in batches of
the size that `add` uses; `add` opens, hashes and decodes the files, embeds them with the same encoder object, stores
them in a new Chroma and publishes them. They take turns; the ratio is that within a pair, and its median.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from seehear import Library, Limits
from seehear.batches import BATCH
from seehear.media import open_source
from seehear.modalities.encoders.dual import Dual
from seehear.picture import read_picture
from seehear.presets import model_set
from seehear.types import Needs, Picture


def random_vit(folder: Path) -> Path:
    """A checkpoint of CLIP ViT-B/32 with random weights, and a tokeniser of single letters."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={piece: n for n, piece in enumerate(pieces)}, merges=[], model_max_length=77)
    config = CLIPConfig()  # transformers' defaults are those of ViT-B/32
    config.text_config.update(
        {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "vocab_size": len(pieces)}
    )
    for part in (CLIPModel(config), tokenizer, CLIPImageProcessorPil()):
        part.save_pretrained(folder)
    return folder


def decoded(files: list[Path], needs: Needs) -> list[Picture]:
    """The files as the decoding processes would hand them over."""
    pictures = []
    for path in files:
        with open_source(path, path.name, Limits()) as source:
            pictures.append(read_picture(source, needs, Limits()))
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=96)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    found = (path for path in sorted(given.folder.rglob("*")) if path.suffix in (".jpg", ".png"))
    files = list(islice(found, given.files))
    with tempfile.TemporaryDirectory() as work:
        encoder = Dual(random_vit(Path(work, "vit")))
        models = model_set(f"dual:{work}/vit")
        pictures = decoded(files, encoder.needs)
        encoder.embed(pictures[:BATCH], "document")
        bare, whole = [], []
        for number in range(given.pairs):
            started = time.perf_counter()
            for start in range(0, len(pictures), BATCH):
                encoder.embed(pictures[start : start + BATCH], "document")
            bare.append(len(pictures) / (time.perf_counter() - started))
            library = Library.open(f"{work}/{number}", models=models, encoders={models.routes[0].encoder: encoder})
            with library:
                started = time.perf_counter()
                added = len(library.add(files).added)
                whole.append(added / (time.perf_counter() - started))
            print(f"pair {number + 1}: bare {bare[-1]:.2f}, add {whole[-1]:.2f} pictures per second", flush=True)
    ratios = [ours / alone for ours, alone in zip(whole, bare, strict=True)]
    print(f"{len(files)} files, batch {BATCH}, {encoder.precision}")
    print(f"bare {statistics.median(bare):.2f}, add {statistics.median(whole):.2f} pictures per second (medians)")
    print(f"add over bare: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
